//! Messages on their way out.

use std::sync::Arc;

use watershed_snapshot::{Delta, Digest, Fault, Held, ResourceName, SnapshotId};

use super::{Hello, Location, Nack, NackReason, NodeMessage, OperatorMessage, StagePart, health};
use crate::fleet_v1 as wire;

impl From<NodeMessage> for wire::FromNode {
    fn from(message: NodeMessage) -> Self {
        use wire::from_node::Body;
        let body = match message {
            NodeMessage::Hello(hello) => Body::Hello(hello.into()),
            NodeMessage::Holdings(held) => Body::Holdings(holdings(held)),
            NodeMessage::Staged(held) => Body::Staged(wire::Staged {
                id: Some(held.id.into()),
                digest: octets(&held.digest),
            }),
            NodeMessage::Applied { held, apply_us } => Body::Applied(wire::Applied {
                id: Some(held.id.into()),
                digest: octets(&held.digest),
                apply_us,
            }),
            NodeMessage::Nack(nack) => Body::Nack(nack.into()),
            NodeMessage::Recalled(resources) => Body::Recalled(wire::Recalled {
                resources: puts(&resources),
            }),
            NodeMessage::Heartbeat => Body::Heartbeat(wire::Heartbeat {}),
            NodeMessage::HealthReport { reports, whole } => {
                Body::HealthReport(health::report_to_wire(reports, whole))
            }
            NodeMessage::HealthBeat { digest } => Body::HealthBeat(wire::HealthBeat { digest }),
            NodeMessage::OwnHolds(holds) => Body::OwnHolds(wire::OwnHolds {
                holds: health::holds_to_wire(holds),
            }),
        };
        Self { body: Some(body) }
    }
}

impl From<OperatorMessage> for wire::ToNode {
    fn from(message: OperatorMessage) -> Self {
        use wire::to_node::Body;
        let body = match message {
            OperatorMessage::Welcome {
                operator,
                term,
                format,
                heartbeat_ms,
                health,
            } => Body::Welcome(wire::Welcome {
                operator,
                term: term.0,
                format,
                heartbeat_ms,
                health,
            }),
            OperatorMessage::Redirect { leader, reason } => Body::Redirect(wire::Redirect {
                leader: leader.unwrap_or_default(),
                reason,
            }),
            OperatorMessage::Inquire(buckets) => Body::Inquire(wire::Inquire {
                buckets: buckets.into_iter().map(u32::from).collect(),
            }),
            OperatorMessage::Stage(part) => Body::Stage(part.into()),
            OperatorMessage::Activate { id, term } => Body::Activate(wire::Activate {
                id: Some(id.into()),
                term: term.0,
            }),
            OperatorMessage::Recall(names) => Body::Recall(wire::Recall {
                names: texts(&names),
            }),
            OperatorMessage::Heartbeat => Body::Heartbeat(wire::Heartbeat {}),
            OperatorMessage::Checkers(nodes) => Body::Checkers(health::checkers_to_wire(nodes)),
            OperatorMessage::Verdicts {
                verdicts,
                holds,
                whole,
            } => Body::Verdicts(health::verdicts_to_wire(verdicts, holds, whole)),
            OperatorMessage::HealthInquire => Body::HealthInquire(wire::HealthInquire {}),
        };
        Self { body: Some(body) }
    }
}

impl From<SnapshotId> for wire::SnapshotId {
    fn from(id: SnapshotId) -> Self {
        let SnapshotId { epoch, generation } = id;
        Self { epoch, generation }
    }
}

impl From<Hello> for wire::Hello {
    fn from(hello: Hello) -> Self {
        let Hello {
            fleet,
            node,
            location,
            software,
            formats,
            held,
            bucket_digests,
            term,
            boot,
            health,
        } = hello;
        let Location {
            cluster,
            region,
            zone,
        } = location;
        Self {
            fleet,
            node,
            location: Some(wire::Location {
                cluster,
                region,
                zone,
            }),
            software,
            oldest_format: *formats.start(),
            newest_format: *formats.end(),
            held: held.map(|held| held.id.into()),
            digest: held.map_or_else(Vec::new, |Held { digest, .. }| octets(&digest)),
            bucket_digests: bucket_digests.map_or_else(Vec::new, |digests| {
                digests.iter().flat_map(octets).collect()
            }),
            term: term.0,
            boot,
            health,
        }
    }
}

impl From<Nack> for wire::Nack {
    fn from(nack: Nack) -> Self {
        let Nack {
            id,
            reason,
            faults,
            message,
            held,
        } = nack;
        let faults = faults
            .into_iter()
            .map(|Fault { resource, message }| wire::Fault {
                name: resource.to_string(),
                message,
            });
        Self {
            id: Some(id.into()),
            reason: wire::nack::Reason::from(reason).into(),
            faults: faults.collect(),
            message,
            held: held.map(Into::into),
        }
    }
}

impl From<NackReason> for wire::nack::Reason {
    fn from(reason: NackReason) -> Self {
        match reason {
            NackReason::Resource => Self::Resource,
            NackReason::Base => Self::Base,
            NackReason::Digest => Self::Digest,
            NackReason::Stale => Self::Stale,
            NackReason::Conflict => Self::Conflict,
            NackReason::Epoch => Self::Epoch,
            NackReason::Term => Self::Term,
            NackReason::SelfTest => Self::SelfTest,
            NackReason::Capacity => Self::Capacity,
        }
    }
}

impl From<StagePart> for wire::Stage {
    fn from(stage: StagePart) -> Self {
        let StagePart {
            offer,
            term,
            base,
            part,
            parts,
            delta,
        } = stage;
        let Delta { put, remove } = &*delta;
        Self {
            id: Some(offer.id.into()),
            term: term.0,
            digest: octets(&offer.digest),
            base: base.as_ref().map_or_else(Vec::new, octets),
            part,
            parts,
            put: puts(put),
            remove: texts(remove),
        }
    }
}

fn holdings(held: Vec<(ResourceName, Digest)>) -> wire::Holdings {
    let resources = held.into_iter().map(|(name, hash)| wire::Held {
        name: name.to_string(),
        hash: octets(&hash),
    });
    wire::Holdings {
        resources: resources.collect(),
    }
}

fn puts(resources: &[(ResourceName, Arc<[u8]>)]) -> Vec<wire::Put> {
    let puts = resources.iter().map(|(name, content)| wire::Put {
        name: name.to_string(),
        content: content.to_vec(),
    });
    puts.collect()
}

fn texts(names: &[ResourceName]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn octets(digest: &Digest) -> Vec<u8> {
    digest.as_bytes().to_vec()
}

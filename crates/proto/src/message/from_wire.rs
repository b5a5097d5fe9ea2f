//! Messages on their way in. Whatever a peer sends is either understood whole
//! or refused by name of the field.

use std::sync::Arc;

use watershed_snapshot::{BUCKETS, Delta, Digest, Fault, Held, ResourceName, SnapshotId, Term};

use super::{Hello, Location, Nack, NackReason, NodeMessage, OperatorMessage, StagePart, health};
use crate::error::MessageError;
use crate::fleet_v1 as wire;

/// Resources with their content.
type Contents = Vec<(ResourceName, Arc<[u8]>)>;

impl TryFrom<wire::FromNode> for NodeMessage {
    type Error = MessageError;

    fn try_from(message: wire::FromNode) -> Result<Self, MessageError> {
        use wire::from_node::Body;
        match message.body.ok_or(MessageError::Unknown)? {
            Body::Hello(hello) => Ok(Self::Hello(hello.try_into()?)),
            Body::Holdings(holdings) => Ok(Self::Holdings(read_holdings(holdings)?)),
            Body::Staged(staged) => Ok(Self::Staged(Held {
                id: id(staged.id, "Staged.id")?,
                digest: digest(&staged.digest, "Staged.digest")?,
            })),
            Body::Applied(applied) => Ok(Self::Applied {
                held: Held {
                    id: id(applied.id, "Applied.id")?,
                    digest: digest(&applied.digest, "Applied.digest")?,
                },
                apply_us: applied.apply_us,
            }),
            Body::Nack(nack) => Ok(Self::Nack(nack.try_into()?)),
            Body::Recalled(wire::Recalled { resources }) => {
                Ok(Self::Recalled(puts(resources, "Recalled.resources.name")?))
            }
            Body::Heartbeat(wire::Heartbeat {}) => Ok(Self::Heartbeat),
            Body::HealthReport(report) => {
                let (reports, whole) = health::report_from_wire(report)?;
                Ok(Self::HealthReport { reports, whole })
            }
            Body::HealthBeat(wire::HealthBeat { digest }) => Ok(Self::HealthBeat { digest }),
            Body::OwnHolds(wire::OwnHolds { holds }) => {
                Ok(Self::OwnHolds(health::holds_from_wire(holds)))
            }
        }
    }
}

impl TryFrom<wire::ToNode> for OperatorMessage {
    type Error = MessageError;

    fn try_from(message: wire::ToNode) -> Result<Self, MessageError> {
        use wire::to_node::Body;
        match message.body.ok_or(MessageError::Unknown)? {
            Body::Welcome(welcome) => Ok(Self::Welcome {
                operator: welcome.operator,
                term: Term(welcome.term),
                format: welcome.format,
                heartbeat_ms: welcome.heartbeat_ms,
                health: welcome.health,
            }),
            Body::Redirect(wire::Redirect { leader, reason }) => Ok(Self::Redirect {
                leader: Some(leader).filter(|leader| !leader.is_empty()),
                reason,
            }),
            Body::Inquire(wire::Inquire { buckets }) => {
                let buckets = buckets.into_iter().map(u8::try_from);
                let buckets: Result<_, _> = buckets.collect();
                Ok(Self::Inquire(
                    buckets.map_err(|_| field("Inquire.buckets"))?,
                ))
            }
            Body::Stage(stage) => Ok(Self::Stage(stage.try_into()?)),
            Body::Activate(activate) => Ok(Self::Activate {
                id: id(activate.id, "Activate.id")?,
                term: Term(activate.term),
            }),
            Body::Recall(wire::Recall { names }) => {
                Ok(Self::Recall(names_of(&names, "Recall.names")?))
            }
            Body::Heartbeat(wire::Heartbeat {}) => Ok(Self::Heartbeat),
            Body::Checkers(checkers) => Ok(Self::Checkers(health::checkers_from_wire(checkers)?)),
            Body::Verdicts(verdicts) => {
                let (verdicts, holds, whole) = health::verdicts_from_wire(verdicts)?;
                Ok(Self::Verdicts {
                    verdicts,
                    holds,
                    whole,
                })
            }
            Body::HealthInquire(wire::HealthInquire {}) => Ok(Self::HealthInquire),
        }
    }
}

impl From<wire::SnapshotId> for SnapshotId {
    fn from(id: wire::SnapshotId) -> Self {
        let wire::SnapshotId { epoch, generation } = id;
        Self { epoch, generation }
    }
}

impl TryFrom<wire::Hello> for Hello {
    type Error = MessageError;

    fn try_from(hello: wire::Hello) -> Result<Self, MessageError> {
        let wire::Location {
            cluster,
            region,
            zone,
        } = hello.location.unwrap_or_default();
        if hello.oldest_format == 0 || hello.oldest_format > hello.newest_format {
            return Err(field("Hello.oldest_format"));
        }
        let held = match hello.held {
            Some(id) => Some(Held {
                id: id.into(),
                digest: digest(&hello.digest, "Hello.digest")?,
            }),
            None => None,
        };
        Ok(Self {
            fleet: hello.fleet,
            node: hello.node,
            location: Location {
                cluster,
                region,
                zone,
            },
            software: hello.software,
            formats: hello.oldest_format..=hello.newest_format,
            held,
            bucket_digests: bucket_digests(&hello.bucket_digests)?,
            term: Term(hello.term),
            boot: hello.boot,
            health: hello.health,
        })
    }
}

fn bucket_digests(octets: &[u8]) -> Result<Option<Box<[Digest; BUCKETS]>>, MessageError> {
    if octets.is_empty() {
        return Ok(None);
    }
    let digests: Option<Vec<Digest>> = octets.chunks(32).map(Digest::from_bytes).collect();
    let digests = digests.and_then(|digests| digests.into_boxed_slice().try_into().ok());
    digests.map(Some).ok_or(field("Hello.bucket_digests"))
}

impl TryFrom<wire::Nack> for Nack {
    type Error = MessageError;

    fn try_from(nack: wire::Nack) -> Result<Self, MessageError> {
        let reason = nack.reason();
        let faults = nack
            .faults
            .into_iter()
            .map(|wire::Fault { name, message }| {
                let resource = name_of(&name, "Nack.faults.name")?;
                Ok(Fault { resource, message })
            });
        Ok(Self {
            id: id(nack.id, "Nack.id")?,
            reason: reason.try_into()?,
            faults: faults.collect::<Result<_, _>>()?,
            message: nack.message,
            held: nack.held.map(Into::into),
        })
    }
}

impl TryFrom<wire::nack::Reason> for NackReason {
    type Error = MessageError;

    fn try_from(reason: wire::nack::Reason) -> Result<Self, MessageError> {
        use wire::nack::Reason;
        match reason {
            Reason::Unspecified => Err(field("Nack.reason")),
            Reason::Resource => Ok(Self::Resource),
            Reason::Base => Ok(Self::Base),
            Reason::Digest => Ok(Self::Digest),
            Reason::Stale => Ok(Self::Stale),
            Reason::Conflict => Ok(Self::Conflict),
            Reason::Epoch => Ok(Self::Epoch),
            Reason::Term => Ok(Self::Term),
            Reason::SelfTest => Ok(Self::SelfTest),
            Reason::Capacity => Ok(Self::Capacity),
        }
    }
}

impl TryFrom<wire::Stage> for StagePart {
    type Error = MessageError;

    fn try_from(stage: wire::Stage) -> Result<Self, MessageError> {
        if stage.part >= stage.parts {
            return Err(field("Stage.part"));
        }
        let base = match stage.base.as_slice() {
            [] => None,
            octets => Some(digest(octets, "Stage.base")?),
        };
        Ok(Self {
            offer: Held {
                id: id(stage.id, "Stage.id")?,
                digest: digest(&stage.digest, "Stage.digest")?,
            },
            term: Term(stage.term),
            base,
            part: stage.part,
            parts: stage.parts,
            delta: Arc::new(Delta {
                put: puts(stage.put, "Stage.put.name")?,
                remove: names_of(&stage.remove, "Stage.remove")?,
            }),
        })
    }
}

fn read_holdings(holdings: wire::Holdings) -> Result<Vec<(ResourceName, Digest)>, MessageError> {
    let resources = holdings.resources.into_iter().map(|held| {
        let name = name_of(&held.name, "Holdings.resources.name")?;
        Ok((name, digest(&held.hash, "Holdings.resources.hash")?))
    });
    resources.collect()
}

fn puts(puts: Vec<wire::Put>, field: &'static str) -> Result<Contents, MessageError> {
    let resources = puts
        .into_iter()
        .map(|put| Ok((name_of(&put.name, field)?, put.content.into())));
    resources.collect()
}

fn names_of(texts: &[String], field: &'static str) -> Result<Vec<ResourceName>, MessageError> {
    texts.iter().map(|text| name_of(text, field)).collect()
}

fn name_of(text: &str, field: &'static str) -> Result<ResourceName, MessageError> {
    text.parse()
        .map_err(|source| MessageError::Name { field, source })
}

fn id(id: Option<wire::SnapshotId>, name: &'static str) -> Result<SnapshotId, MessageError> {
    id.map(SnapshotId::from).ok_or(field(name))
}

fn digest(octets: &[u8], name: &'static str) -> Result<Digest, MessageError> {
    Digest::from_bytes(octets).ok_or(field(name))
}

fn field(field: &'static str) -> MessageError {
    MessageError::Field { field }
}

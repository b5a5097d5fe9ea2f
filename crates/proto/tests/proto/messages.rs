//! Messages survive the way, and malformed ones are refused by field.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use watershed_proto::fleet_v1 as wire;
use watershed_proto::{
    Hello, Location, MessageError, Nack, NackReason, NodeMessage, OperatorMessage, StagePart,
};
use watershed_snapshot::{BUCKETS, Delta, Digest, Fault, Held, ResourceName, SnapshotId, Term};

use crate::support::names;

fn digests() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(|octets| Digest::from_bytes(&octets).unwrap())
}

fn ids() -> impl Strategy<Value = SnapshotId> {
    any::<(u64, u64)>().prop_map(|(epoch, generation)| SnapshotId { epoch, generation })
}

fn helds() -> impl Strategy<Value = Held> {
    (ids(), digests()).prop_map(|(id, digest)| Held { id, digest })
}

fn terms() -> impl Strategy<Value = Term> {
    any::<u64>().prop_map(Term)
}

fn contents() -> impl Strategy<Value = Vec<(ResourceName, Arc<[u8]>)>> {
    vec((names(), vec(any::<u8>(), 0..20).prop_map(Arc::from)), 0..4)
}

fn hellos() -> impl Strategy<Value = Hello> {
    let who = any::<(String, String, [String; 3], String)>();
    let formats = (1..9_u32, 0..9_u32).prop_map(|(oldest, more)| oldest..=oldest + more);
    let buckets = prop::option::of(digests()).prop_map(|first| {
        first.map(|first| {
            let mut digests = Box::new([Digest::of(b""); BUCKETS]);
            digests[0] = first;
            digests
        })
    });
    let rest = (
        prop::option::of(helds()),
        buckets,
        terms(),
        any::<(u64, bool)>(),
    );
    (who, formats, rest).prop_map(
        |(who, formats, (held, bucket_digests, term, (boot, health)))| {
            let (fleet, node, [cluster, region, zone], software) = who;
            Hello {
                fleet,
                node,
                location: Location {
                    cluster,
                    region,
                    zone,
                },
                software,
                formats,
                held,
                bucket_digests,
                term,
                boot,
                health,
            }
        },
    )
}

fn nacks() -> impl Strategy<Value = Nack> {
    let reasons = vec![
        NackReason::Resource,
        NackReason::Base,
        NackReason::Digest,
        NackReason::Stale,
        NackReason::Conflict,
        NackReason::Epoch,
        NackReason::Term,
        NackReason::SelfTest,
        NackReason::Capacity,
    ];
    let fault = (names(), any::<String>());
    let faults = vec(
        fault.prop_map(|(resource, message)| Fault { resource, message }),
        0..3,
    );
    let reason = prop::sample::select(reasons);
    (
        ids(),
        reason,
        faults,
        any::<String>(),
        prop::option::of(ids()),
    )
        .prop_map(|(id, reason, faults, message, held)| Nack {
            id,
            reason,
            faults,
            message,
            held,
        })
}

pub(crate) fn node_messages() -> impl Strategy<Value = NodeMessage> {
    prop_oneof![
        hellos().prop_map(NodeMessage::Hello),
        vec((names(), digests()), 0..4).prop_map(NodeMessage::Holdings),
        helds().prop_map(NodeMessage::Staged),
        (helds(), any::<u32>())
            .prop_map(|(held, apply_us)| NodeMessage::Applied { held, apply_us }),
        nacks().prop_map(NodeMessage::Nack),
        contents().prop_map(NodeMessage::Recalled),
        Just(NodeMessage::Heartbeat),
        crate::health::node_messages(),
    ]
}

fn stages() -> impl Strategy<Value = StagePart> {
    let delta = (contents(), vec(names(), 0..3)).prop_map(|(put, remove)| Delta { put, remove });
    let of = (0..5_u32, 1..5_u32);
    (helds(), terms(), prop::option::of(digests()), of, delta).prop_map(
        |(offer, term, base, (part, after), delta)| StagePart {
            offer,
            term,
            base,
            part,
            parts: part + after,
            delta: Arc::new(delta),
        },
    )
}

pub(crate) fn operator_messages() -> impl Strategy<Value = OperatorMessage> {
    prop_oneof![
        (any::<String>(), terms(), any::<(u32, u32, bool)>()).prop_map(
            |(operator, term, (format, heartbeat_ms, health))| OperatorMessage::Welcome {
                operator,
                term,
                format,
                heartbeat_ms,
                health,
            }
        ),
        (prop::option::of("[a-z]{1,8}:[0-9]{1,4}"), any::<String>())
            .prop_map(|(leader, reason)| OperatorMessage::Redirect { leader, reason }),
        vec(any::<u8>(), 0..5).prop_map(OperatorMessage::Inquire),
        stages().prop_map(OperatorMessage::Stage),
        (ids(), terms()).prop_map(|(id, term)| OperatorMessage::Activate { id, term }),
        vec(names(), 0..4).prop_map(OperatorMessage::Recall),
        Just(OperatorMessage::Heartbeat),
        crate::health::operator_messages(),
    ]
}

proptest! {
    #[test]
    fn what_a_node_says_survives_the_way(message in node_messages()) {
        let octets = wire::FromNode::from(message.clone()).encode_to_vec();
        let read = wire::FromNode::decode(&*octets).unwrap();
        prop_assert_eq!(NodeMessage::try_from(read), Ok(message));
    }

    #[test]
    fn what_an_operator_says_survives_the_way(message in operator_messages()) {
        let octets = wire::ToNode::from(message.clone()).encode_to_vec();
        let read = wire::ToNode::decode(&*octets).unwrap();
        prop_assert_eq!(OperatorMessage::try_from(read), Ok(message));
    }
}

const ID: Option<wire::SnapshotId> = Some(wire::SnapshotId {
    epoch: 1,
    generation: 1,
});

#[test]
fn what_a_node_says_wrongly_is_refused_by_field() {
    use wire::from_node::Body;
    let hello = wire::Hello {
        oldest_format: 1,
        newest_format: 2,
        ..wire::Hello::default()
    };
    let nack = |reason| {
        Body::Nack(wire::Nack {
            id: ID,
            reason,
            ..wire::Nack::default()
        })
    };
    let cases = [
        (Body::Hello(wire::Hello::default()), "Hello.oldest_format"),
        (
            Body::Hello(wire::Hello {
                newest_format: 0,
                ..hello.clone()
            }),
            "Hello.oldest_format",
        ),
        (
            Body::Hello(wire::Hello {
                held: ID,
                ..hello.clone()
            }),
            "Hello.digest",
        ),
        (
            Body::Hello(wire::Hello {
                bucket_digests: vec![0; 32 * 255],
                ..hello
            }),
            "Hello.bucket_digests",
        ),
        (
            Body::Staged(wire::Staged {
                id: None,
                digest: vec![0; 32],
            }),
            "Staged.id",
        ),
        (
            Body::Applied(wire::Applied {
                id: ID,
                digest: vec![0; 31],
                apply_us: 1,
            }),
            "Applied.digest",
        ),
        (nack(0), "Nack.reason"),
        (nack(77), "Nack.reason"),
    ];
    for (body, field) in cases {
        let refused = NodeMessage::try_from(wire::FromNode { body: Some(body) });
        assert_eq!(refused, Err(MessageError::Field { field }));
    }
    let empty = NodeMessage::try_from(wire::FromNode { body: None });
    assert_eq!(empty, Err(MessageError::Unknown));
}

#[test]
fn what_an_operator_says_wrongly_is_refused_by_field() {
    use wire::to_node::Body;
    let stage = wire::Stage {
        id: ID,
        digest: vec![0; 32],
        parts: 1,
        ..wire::Stage::default()
    };
    let cases = [
        (
            Body::Inquire(wire::Inquire {
                buckets: vec![1, 256],
            }),
            "Inquire.buckets",
        ),
        (
            Body::Stage(wire::Stage {
                part: 1,
                ..stage.clone()
            }),
            "Stage.part",
        ),
        (
            Body::Stage(wire::Stage {
                parts: 0,
                ..stage.clone()
            }),
            "Stage.part",
        ),
        (
            Body::Stage(wire::Stage {
                base: vec![0; 8],
                ..stage.clone()
            }),
            "Stage.base",
        ),
        (
            Body::Stage(wire::Stage {
                digest: Vec::new(),
                ..stage.clone()
            }),
            "Stage.digest",
        ),
        (
            Body::Activate(wire::Activate { id: None, term: 1 }),
            "Activate.id",
        ),
    ];
    for (body, field) in cases {
        let refused = OperatorMessage::try_from(wire::ToNode { body: Some(body) });
        assert_eq!(refused, Err(MessageError::Field { field }));
    }
    let misnamed = wire::Stage {
        remove: vec!["x".to_owned()],
        ..stage
    };
    let body = Some(Body::Stage(misnamed));
    let refused = OperatorMessage::try_from(wire::ToNode { body }).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Stage.remove: `x` is not the name of a resource; write KIND/NAMESPACE/NAME"
    );
}

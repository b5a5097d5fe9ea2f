//! Whatever octets come, they are understood or refused; nothing panics, and
//! what was understood is understood the same again.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use watershed_proto::fleet_v1 as wire;
use watershed_proto::{NodeMessage, OperatorMessage, decode, encode};
use watershed_snapshot::ResourceKind;

use crate::messages::{node_messages, operator_messages};
use crate::support::{kind_of, resources};

/// Changes of octets: what to do where.
fn damages() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, u8)>> {
    vec((any::<prop::sample::Index>(), 0..3_u8, any::<u8>()), 1..6)
}

fn damage(octets: &mut Vec<u8>, damages: Vec<(prop::sample::Index, u8, u8)>) {
    for (index, how, octet) in damages {
        let at = index.index(octets.len() + 1);
        match how {
            0 => octets.truncate(at),
            1 => octets.insert(at, octet),
            _ => {
                if let Some(hit) = octets.get_mut(at) {
                    *hit = octet;
                }
            }
        }
    }
}

fn check(kind: ResourceKind, octets: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(resource) = decode(kind, octets) {
        let again = encode(&resource);
        prop_assert_eq!(decode(kind, &again), Ok(resource));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_octets(octets in vec(any::<u8>(), 0..200)) {
        for kind in ResourceKind::ALL {
            check(kind, &octets)?;
        }
        if let Ok(message) = wire::FromNode::decode(&*octets) {
            let _ = NodeMessage::try_from(message);
        }
        if let Ok(message) = wire::ToNode::decode(&*octets) {
            let _ = OperatorMessage::try_from(message);
        }
    }

    #[test]
    fn a_damaged_resource(resource in resources(), damages in damages()) {
        let mut octets = encode(&resource);
        damage(&mut octets, damages);
        check(kind_of(&resource), &octets)?;
    }

    #[test]
    fn a_damaged_message(
        node in node_messages(),
        operator in operator_messages(),
        damages in damages(),
    ) {
        let mut octets = wire::FromNode::from(node).encode_to_vec();
        damage(&mut octets, damages.clone());
        if let Ok(Ok(message)) = wire::FromNode::decode(&*octets).map(NodeMessage::try_from) {
            let again = NodeMessage::try_from(wire::FromNode::from(message.clone()));
            prop_assert_eq!(again, Ok(message));
        }
        let mut octets = wire::ToNode::from(operator).encode_to_vec();
        damage(&mut octets, damages);
        if let Ok(Ok(message)) = wire::ToNode::decode(&*octets).map(OperatorMessage::try_from) {
            let again = OperatorMessage::try_from(wire::ToNode::from(message.clone()));
            prop_assert_eq!(again, Ok(message));
        }
    }
}

//! A difference in parts is the whole difference, in messages that fit.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use watershed_proto::fleet_v1 as wire;
use watershed_proto::{MESSAGE_LIMIT, OperatorMessage, split};
use watershed_snapshot::{Delta, Digest, Held, SnapshotId, Term};

use crate::support::names;

const PART: usize = 1 << 20;

fn offer() -> Held {
    let id = SnapshotId {
        epoch: 1,
        generation: 2,
    };
    let digest = Digest::of(b"");
    Held { id, digest }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn parts_are_the_whole(
        put in vec((names(), 0..400_000_usize), 0..12),
        remove in vec(names(), 0..12),
    ) {
        let put: Vec<_> =
            put.into_iter().map(|(name, len)| (name, Arc::from(vec![7; len]))).collect();
        let delta = Delta { put, remove };
        let parts = split(offer(), Term(3), Some(Digest::of(b"a")), delta.clone());
        let mut whole = Delta::default();
        let count = parts.len();
        for (number, part) in parts.into_iter().enumerate() {
            prop_assert_eq!((usize::try_from(part.part), usize::try_from(part.parts)), (Ok(number), Ok(count)));
            prop_assert!(part.offer == offer() && part.term == Term(3));
            prop_assert_eq!(part.base, Some(Digest::of(b"a")));
            whole.put.extend(part.delta.put.iter().cloned());
            whole.remove.extend(part.delta.remove.iter().cloned());
            let message = wire::ToNode::from(OperatorMessage::Stage(part));
            prop_assert!(message.encoded_len() <= PART + 256, "{}", message.encoded_len());
        }
        prop_assert_eq!(whole, delta);
    }
}

#[test]
fn no_difference_is_one_part() {
    let parts = split(offer(), Term(1), None, Delta::default());
    assert_eq!(parts.len(), 1);
    assert!(parts[0].delta.is_empty() && parts[0].parts == 1);
}

#[test]
fn a_large_resource_has_a_part_of_its_own() {
    let large: Arc<[u8]> = vec![0; 5 * PART].into();
    let small: Arc<[u8]> = vec![0; 10].into();
    let name = |text: &str| text.parse().unwrap();
    let put = vec![
        (name("RecordSet/shop/a"), small.clone()),
        (name("RecordSet/shop/b"), large),
        (name("RecordSet/shop/c"), small),
    ];
    let parts = split(
        offer(),
        Term(1),
        None,
        Delta {
            put,
            remove: Vec::new(),
        },
    );
    let sizes: Vec<usize> = parts.iter().map(|part| part.delta.put.len()).collect();
    assert_eq!(sizes, [1, 1, 1]);
    let message = wire::ToNode::from(OperatorMessage::Stage(parts[1].clone()));
    assert!(message.encoded_len() < MESSAGE_LIMIT);
}

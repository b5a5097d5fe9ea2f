//! Status of a `CIDRCollection`.

use jiff::Timestamp;
use watershed_compile::{ConditionType, Verdict};
use watershed_crd::cidr_collection::CIDRCollectionStatus;

use super::{Draft, Found, Subject, count};

/// The status of a collection of this many address blocks.
pub fn cidr_collection(
    before: &CIDRCollectionStatus,
    blocks: usize,
    generation: i64,
    verdict: &Verdict,
    fault: Option<&str>,
    now: Timestamp,
) -> Found<CIDRCollectionStatus> {
    let subject = Subject::new(&before.conditions, generation, now);
    let accepted = || Draft::of(verdict, ConditionType::Accepted);
    let drafts = vec![fault.map_or_else(accepted, Draft::fault)];
    let ready = Draft::holds("Ready", "Ready", "");
    let (conditions, again) = subject.conditions(drafts, ready, None);
    Found {
        status: CIDRCollectionStatus {
            observed_generation: Some(generation),
            conditions,
            blocks: Some(count(blocks)),
        },
        again,
        awaits_nodes: false,
    }
}

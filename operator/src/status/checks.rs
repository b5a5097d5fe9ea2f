//! Status of the kinds that others refer to and that refer to none.

use jiff::Timestamp;
use watershed_compile::{ConditionType, Verdict};
use watershed_crd::cidr_collection::CIDRCollectionStatus;
use watershed_crd::health_check::HealthCheckStatus;

use super::{Draft, Found, Subject, count};

/// The status of a health check. What probes find is added by others.
pub fn health_check(
    before: &HealthCheckStatus,
    generation: i64,
    verdict: &Verdict,
    fault: Option<&str>,
    now: Timestamp,
) -> Found<HealthCheckStatus> {
    let subject = Subject::new(&before.conditions, generation, now);
    let (conditions, again) = subject.conditions(drafts(verdict, fault), ready(), None);
    Found {
        status: HealthCheckStatus {
            observed_generation: Some(generation),
            conditions,
            ..before.clone()
        },
        again,
        awaits_nodes: false,
    }
}

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
    let (conditions, again) = subject.conditions(drafts(verdict, fault), ready(), None);
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

fn drafts(verdict: &Verdict, fault: Option<&str>) -> Vec<Draft> {
    let accepted = || Draft::of(verdict, ConditionType::Accepted);
    vec![fault.map_or_else(accepted, Draft::fault)]
}

fn ready() -> Draft {
    Draft::holds("Ready", "Ready", "")
}

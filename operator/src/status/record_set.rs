//! Status of a `RecordSet`.

use jiff::Timestamp;
use watershed_compile::{ConditionType, Verdict};
use watershed_crd::record_set::RecordSetStatus;

use super::carried::{Told, is_final};
use super::{Carried, Draft, Found, Subject};

/// What the status of a record set is made of.
#[derive(Clone, Copy, Debug)]
pub struct RecordSetInput<'a> {
    /// The status as it is.
    pub before: &'a RecordSetStatus,
    /// `metadata.generation`.
    pub generation: i64,
    /// What compilation says.
    pub verdict: &'a Verdict,
    /// Why the object cannot be understood, if so.
    pub fault: Option<&'a str>,
    /// Its absolute name, as far as its zone is known.
    pub fqdn: Option<&'a str>,
    /// Whether nodes are given anything for it, if only what it was before.
    pub published: bool,
    /// How far the nodes are.
    pub carried: Carried<'a>,
    /// The present.
    pub now: Timestamp,
}

/// The status of a record set.
pub fn record_set(input: RecordSetInput<'_>) -> Found<RecordSetStatus> {
    let RecordSetInput {
        before,
        verdict,
        generation,
        now,
        ..
    } = input;
    let told = Told {
        generation,
        conditions: &before.conditions,
        fleet: before.fleet.as_ref(),
    };
    let (programmed, fleet) = input.carried.tell(told, true, obstacle(&input), now);
    let fqdn = input.fqdn.or(before.fqdn.as_deref());
    let accepted = input
        .fault
        .map_or_else(|| Draft::of(verdict, ConditionType::Accepted), Draft::fault);
    let awaits_nodes = verdict.is_ready() && !is_final(&programmed, fleet.as_ref());
    let ready = Draft::holds("Ready", "Programmed", programmed.message.clone());
    let drafts = vec![
        accepted,
        Draft::of(verdict, ConditionType::ResolvedRefs),
        programmed,
    ];
    let subject = Subject::new(&before.conditions, generation, now);
    let name = fqdn.unwrap_or("the name");
    let stale = input.published && !verdict.is_ready();
    let meanwhile = stale.then(|| format!("what was there before is served at {name}"));
    let (conditions, again) = subject.conditions(drafts, ready, meanwhile.as_deref());
    Found {
        awaits_nodes,
        status: RecordSetStatus {
            observed_generation: Some(generation),
            conditions,
            fqdn: fqdn.map(ToOwned::to_owned),
            fleet,
        },
        again,
    }
}

/// Why nodes have nothing of this generation.
fn obstacle(input: &RecordSetInput<'_>) -> Option<&'static str> {
    match (input.verdict.is_ready(), input.published) {
        (true, _) => None,
        (false, true) => Some("what was served before stays"),
        (false, false) => Some("there is nothing to serve"),
    }
}

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
    let obstacle = (!verdict.is_ready()).then_some("what was served before stays");
    let (programmed, fleet) = input.carried.tell(told, true, obstacle, now);
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
    let (conditions, again) = subject.conditions(drafts, ready, None);
    Found {
        awaits_nodes,
        status: RecordSetStatus {
            observed_generation: Some(generation),
            conditions,
            fqdn: input
                .fqdn
                .map(ToOwned::to_owned)
                .or_else(|| before.fqdn.clone()),
            fleet,
        },
        again,
    }
}

//! Status of a `HostedZone`.

use jiff::Timestamp;
use watershed_compile::{ConditionType, Verdict, ZoneCounts};
use watershed_crd::hosted_zone::{Delegation, HostedZoneSpec, HostedZoneStatus, ZoneRecordCounts};

use super::carried::{Told, is_final};
use super::{Carried, Draft, Found, Subject, Waiting, count, counted};

/// What the status of a zone is made of.
#[derive(Clone, Copy, Debug)]
pub struct ZoneInput<'a> {
    /// The status as it is.
    pub before: &'a HostedZoneStatus,
    /// What is asked for.
    pub spec: &'a HostedZoneSpec,
    /// `metadata.generation`.
    pub generation: i64,
    /// Whether its deletion was asked for.
    pub deleting: bool,
    /// What compilation says.
    pub verdict: &'a Verdict,
    /// Why the object cannot be understood, if so.
    pub fault: Option<&'a str>,
    /// The serial that is served.
    pub serial: Option<u32>,
    /// What it serves.
    pub counts: ZoneCounts,
    /// How far the nodes are.
    pub carried: Carried<'a>,
    /// The present.
    pub now: Timestamp,
}

/// The status of a zone.
pub fn hosted_zone(input: ZoneInput<'_>) -> Found<HostedZoneStatus> {
    let ZoneInput {
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
    let ready = held(&input).unwrap_or(ready);
    let drafts = vec![
        accepted,
        Draft::of(verdict, ConditionType::ResolvedRefs),
        programmed,
    ];
    let subject = Subject::new(&before.conditions, generation, now);
    let (conditions, again) = subject.conditions(drafts, ready, None);
    Found {
        awaits_nodes,
        status: HostedZoneStatus {
            observed_generation: Some(generation),
            conditions,
            serial: input.serial.map(i64::from).or(before.serial),
            records: Some(counts(input.counts)),
            delegation: Some(delegation(&input)),
            fleet,
            dnssec: before.dnssec.clone(),
        },
        again,
    }
}

/// Why a deletion that was asked for has to wait.
fn held(input: &ZoneInput<'_>) -> Option<Draft> {
    let records = input.counts.record_sets + input.counts.policy_records;
    if !input.deleting || records == 0 {
        return None;
    }
    let message = format!("deletion waits: {} in the zone", counted(records, "object"));
    Some(Draft::fails("Ready", "InUse", message, Waiting::InVain))
}

fn counts(counts: ZoneCounts) -> ZoneRecordCounts {
    ZoneRecordCounts {
        static_: count(counts.own),
        record_sets: count(counts.record_sets),
        policy_records: count(counts.policy_records),
    }
}

/// What to give to the registrar. What the parent serves is found out by
/// others.
fn delegation(input: &ZoneInput<'_>) -> Delegation {
    let before = input.before.delegation.clone();
    let names = input.spec.nameservers.names.iter();
    Delegation {
        nameservers: names
            .map(|name| format!("{}.", name.trim_end_matches('.')))
            .collect(),
        ..before.unwrap_or_default()
    }
}

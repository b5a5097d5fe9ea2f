//! Status of a `PolicyRecord`.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use watershed_compile::{ConditionType, Verdict};
use watershed_crd::policy_record::{
    Cause, FailoverStatus, PolicyRecordSpec, PolicyRecordStatus, ServedVersion,
};

use super::carried::{Told, is_final};
use super::health::since;
use super::{Carried, Draft, Found, Health, Subject};
use crate::health::{FailoverView, HeldView};

/// How many versions a history holds.
const HISTORY: usize = 10;

/// What the status of a record is made of.
#[derive(Clone, Copy, Debug)]
pub struct RecordInput<'a> {
    /// The status as it is.
    pub before: &'a PolicyRecordStatus,
    /// What is asked for; `None` when that was never understood.
    pub spec: Option<&'a PolicyRecordSpec>,
    /// `metadata.generation`.
    pub generation: i64,
    /// What compilation says.
    pub verdict: &'a Verdict,
    /// Why the object cannot be understood, if so.
    pub fault: Option<&'a str>,
    /// The number that the spec asks for, as far as that is known.
    pub target: Option<u32>,
    /// Digest of the version that is to be served.
    pub digest: Option<&'a str>,
    /// How far the nodes are.
    pub carried: Carried<'a>,
    /// What is known of the health of the endpoints that it serves.
    pub health: &'a Health,
    /// Where its clients are, when they do not return at once.
    pub failover: Failover<'a>,
    /// The present.
    pub now: Timestamp,
}

/// Where the clients of a record are.
#[derive(Clone, Copy, Debug)]
pub enum Failover<'a> {
    /// Nothing is known yet: what was written stays.
    Kept,
    /// They return at once: there is nothing to say.
    Automatic,
    /// There.
    Seen(&'a FailoverView),
}

/// Times that differ by less are the same: they are counted from the present.
const SAME_TIME: SignedDuration = SignedDuration::from_secs(2);

/// The status of a record.
pub fn policy_record(input: RecordInput<'_>) -> Found<PolicyRecordStatus> {
    let RecordInput {
        before,
        verdict,
        generation,
        now,
        ..
    } = input;
    let serving = verdict.serving.as_ref();
    let aimed = serving.map(|serving| number(serving.version));
    let told = Told {
        generation,
        conditions: &before.conditions,
        fleet: before.fleet.as_ref(),
    };
    let the_same = before.active_version == aimed;
    let (programmed, fleet) = input.carried.tell(told, the_same, obstacle(verdict), now);
    // A version counts as served when it is proved to be.
    let active = if programmed.holds {
        aimed
    } else {
        before.active_version
    };
    let history = history(&input, active);
    let meanwhile = meanwhile(active, before);
    let accepted = input
        .fault
        .map_or_else(|| Draft::of(verdict, ConditionType::Accepted), Draft::fault);
    let drafts = vec![
        accepted,
        Draft::of(verdict, ConditionType::ResolvedRefs),
        programmed.clone(),
    ];
    let ready = Draft::holds("Ready", "Programmed", ready(active, &programmed));
    let subject = Subject {
        before: &before.conditions,
        generation,
        patience: patience(input.spec),
        now,
    };
    let (mut conditions, again) = subject.conditions(drafts, ready, meanwhile.as_deref());
    conditions.extend(input.health.condition(subject));
    let (failover, failback_released) = failover(&input);
    let status = PolicyRecordStatus {
        observed_generation: Some(generation),
        conditions,
        fqdn: serving
            .map(|s| s.name.to_string())
            .or_else(|| before.fqdn.clone()),
        record_types: serving
            .map_or_else(|| before.record_types.clone(), |s| types(&s.record_types)),
        active_version: active,
        target_version: input.target.map(number).or(before.target_version),
        fleet,
        failover,
        failback_released,
        history,
        // Written by others.
        rollout: before.rollout.clone(),
        answers: before.answers.clone(),
    };
    Found {
        awaits_nodes: verdict.is_ready() && !is_final(&programmed, status.fleet.as_ref()),
        status,
        again,
    }
}

/// Where clients are, and the release that was carried out last.
fn failover(input: &RecordInput<'_>) -> (Vec<FailoverStatus>, Option<String>) {
    let before = input.before;
    match input.failover {
        Failover::Kept => (before.failover.clone(), before.failback_released.clone()),
        Failover::Automatic => (Vec::new(), before.failback_released.clone()),
        Failover::Seen(view) => {
            let rules = view.rules.iter().map(|held| {
                let mut former = before.failover.iter();
                let former = former.find(|former| former.rule == held.rule);
                of_rule(held, former, input.now)
            });
            (rules.collect(), view.released.clone())
        }
    }
}

fn of_rule(held: &HeldView, former: Option<&FailoverStatus>, now: Timestamp) -> FailoverStatus {
    let same = former.filter(|former| former.active == held.active);
    let returns = held.returns_in.map(|wait| {
        let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
        Time(now.saturating_add(wait).unwrap_or(Timestamp::MAX))
    });
    let known = former.and_then(|former| former.returns_at.clone());
    let returns_at = match (returns, known) {
        (Some(now), Some(known)) if now.0.duration_since(known.0).abs() < SAME_TIME => Some(known),
        (returns, _) => returns,
    };
    FailoverStatus {
        rule: held.rule.clone(),
        active: held.active.clone(),
        preferred: held.preferred.clone(),
        since: same.map_or_else(|| since(Some(held.age), now), |same| same.since.clone()),
        returns_at,
    }
}

/// Why nodes have nothing of this generation.
fn obstacle(verdict: &Verdict) -> Option<&'static str> {
    match (verdict.is_ready(), &verdict.serving) {
        (true, _) => None,
        (false, Some(_)) => Some("the former version stays"),
        (false, None) => Some("there is nothing to serve"),
    }
}

/// What is served while the record is not ready.
fn meanwhile(active: Option<i32>, before: &PolicyRecordStatus) -> Option<String> {
    let active = active?;
    let name = before.fqdn.as_deref().unwrap_or("the name");
    Some(format!("version {active} is served at {name}"))
}

fn ready(active: Option<i32>, programmed: &Draft) -> String {
    active.map_or_else(String::new, |active| {
        format!("version {active} on {}", programmed.message)
    })
}

/// The history after `active` came to be served.
fn history(input: &RecordInput<'_>, active: Option<i32>) -> Vec<ServedVersion> {
    let before = input.before;
    let mut history = before.history.clone();
    let Some(version) = active.filter(|_| active != before.active_version) else {
        return history;
    };
    let now = Time(input.now);
    let cause = match before.active_version {
        None => Cause::Created,
        Some(former) if version < former => Cause::Rollback,
        Some(_) => Cause::Rollout,
    };
    if let Some(former) = history.first_mut() {
        former.end_time.get_or_insert_with(|| now.clone());
    }
    history.insert(
        0,
        ServedVersion {
            version,
            digest: input.digest.map(ToOwned::to_owned),
            active_time: now,
            end_time: None,
            cause,
        },
    );
    history.truncate(HISTORY);
    history
}

fn patience(spec: Option<&PolicyRecordSpec>) -> SignedDuration {
    let rollout = spec.and_then(|spec| spec.rollout.as_ref());
    let seconds = rollout.map_or(600, |rollout| rollout.progress_deadline_seconds);
    SignedDuration::from_secs(seconds.max(1).into())
}

/// Names of types; those that have none as RFC 3597 writes them.
pub(super) fn types(numbers: &[u16]) -> Vec<String> {
    let name = |number: &u16| match number {
        1 => "A".to_owned(),
        5 => "CNAME".to_owned(),
        15 => "MX".to_owned(),
        16 => "TXT".to_owned(),
        28 => "AAAA".to_owned(),
        33 => "SRV".to_owned(),
        257 => "CAA".to_owned(),
        number => format!("TYPE{number}"),
    };
    numbers.iter().map(name).collect()
}

fn number(version: u32) -> i32 {
    i32::try_from(version).unwrap_or(i32::MAX)
}

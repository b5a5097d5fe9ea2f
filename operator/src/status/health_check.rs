//! Status of a `HealthCheck`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use watershed_compile::{ConditionType, Verdict};
use watershed_crd::health_check::{
    FailingTarget, HealthCheckStatus, LocationStatus, TargetCounts, TargetHealth,
};
use watershed_health::{Check, ProbeKind, Target};

use super::health::{number, shortened, since};
use super::{Draft, Found, Subject, count, counted};
use crate::health::{Seen, State};

/// How many failing targets are shown, and how many locations of each.
const SHOWN: usize = 32;

/// What the status of a health check is made of.
#[derive(Clone, Copy, Debug)]
pub struct HealthCheckInput<'a> {
    /// The status as it is.
    pub before: &'a HealthCheckStatus,
    /// `metadata.generation`.
    pub generation: i64,
    /// What compilation says.
    pub verdict: &'a Verdict,
    /// Why the object cannot be understood, if so.
    pub fault: Option<&'a str>,
    /// Its id, `namespace/name`.
    pub id: &'a str,
    /// The check, when it could be understood.
    pub check: Option<&'a Check>,
    /// Its targets, of a calculated check those of its members, as all fleets
    /// see them; `None` while that is not known.
    pub targets: Option<&'a [(Target, Seen)]>,
    /// The present.
    pub now: Timestamp,
}

/// The status of a health check.
pub fn health_check(input: HealthCheckInput<'_>) -> Found<HealthCheckStatus> {
    let HealthCheckInput {
        before,
        generation,
        now,
        ..
    } = input;
    let accepted = || Draft::of(input.verdict, ConditionType::Accepted);
    let drafts = vec![input.fault.map_or_else(accepted, Draft::fault)];
    let subject = Subject::new(&before.conditions, generation, now);
    let ready = ready(&input);
    let (conditions, again) = subject.conditions(drafts, ready, None);
    let (targets, failing) = match input.targets {
        Some(targets) => (Some(counts(targets)), failing(&input, targets)),
        None => (before.targets.clone(), before.failing.clone()),
    };
    let expiry = in_force(&input).and_then(|(_, until)| until);
    Found {
        status: HealthCheckStatus {
            observed_generation: Some(generation),
            conditions,
            targets,
            failing,
        },
        again: [again, expiry].into_iter().flatten().min(),
        awaits_nodes: false,
    }
}

/// Why the forced verdict of the check counts, and until when.
fn in_force<'a>(input: &HealthCheckInput<'a>) -> Option<(&'a Check, Option<Timestamp>)> {
    let check = input.check?;
    let forced = check.forced.as_ref()?;
    if !forced.is_in_force(input.now.as_second()) {
        return None;
    }
    let until = forced.until;
    Some((
        check,
        until.and_then(|until| Timestamp::from_second(until).ok()),
    ))
}

/// What is done with the check. That an endpoint is down is no fault of it.
fn ready(input: &HealthCheckInput<'_>) -> Draft {
    let Some(check) = input.check else {
        return Draft::holds("Ready", "Ready", "");
    };
    if let Some((_, until)) = in_force(input)
        && let Some(forced) = &check.forced
    {
        let state = if forced.healthy {
            "healthy"
        } else {
            "unhealthy"
        };
        let until = until.map_or_else(String::new, |until| format!(" until {until}"));
        let reason = match forced.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        let message = format!("forced to be {state}{until}{reason}");
        return Draft::holds("Ready", "Forced", message);
    }
    if check.disabled {
        let says = if check.inverted {
            "unhealthy, because inverted"
        } else {
            "healthy"
        };
        return Draft::holds("Ready", "Disabled", format!("always {says}"));
    }
    let Some(targets) = input.targets else {
        return kept(input, check);
    };
    let (reason, message) = match &check.kind {
        ProbeKind::Calculated(calculated) => (
            "Calculated",
            format!(
                "needs {} healthy checks of {}",
                calculated.min_healthy,
                calculated.members.len()
            ),
        ),
        _ if targets.is_empty() => ("NoTargets", "no endpoint in use refers to it".to_owned()),
        ProbeKind::EndpointSlices(slices) => (
            "Watching",
            format!("readiness of Service {}", slices.service),
        ),
        _ if targets.iter().all(|(_, seen)| seen.assigned_checkers == 0) => {
            ("NoCheckers", "no node probes".to_owned())
        }
        _ => ("Probing", probing(targets)),
    };
    Draft::holds("Ready", reason, message)
}

/// What was said before, as long as it may be true.
fn kept(input: &HealthCheckInput<'_>, check: &Check) -> Draft {
    let before = input.before.conditions.iter();
    let mut before = before.filter(|condition| condition.type_ == "Ready");
    let former = before.next();
    let says = |reason: &str| former.is_some_and(|former| former.reason == reason);
    let reason = match &check.kind {
        ProbeKind::Calculated(_) => "Calculated",
        ProbeKind::EndpointSlices(_) => "Watching",
        _ if says("NoTargets") => "NoTargets",
        _ if says("NoCheckers") => "NoCheckers",
        _ => "Probing",
    };
    let message = former.filter(|former| former.reason == reason);
    Draft::holds(
        "Ready",
        reason,
        message.map_or_else(String::new, |former| former.message.clone()),
    )
}

fn probing(targets: &[(Target, Seen)]) -> String {
    let number = counted(targets.len(), "target");
    let ends = targets
        .iter()
        .filter_map(|(target, seen)| Some((seen.certificate_expires?, target)));
    let first = ends.min_by_key(|(end, _)| *end);
    let first = first.and_then(|(end, target)| Some((Timestamp::from_second(end).ok()?, target)));
    match first {
        Some((end, target)) => {
            format!(
                "{number}; the certificate of {} ends first, {end}",
                address(target)
            )
        }
        None => number,
    }
}

fn counts(targets: &[(Target, Seen)]) -> TargetCounts {
    let of = |state: State| {
        let found = targets.iter().filter(|(_, seen)| seen.state == state);
        count(found.count())
    };
    let (healthy, total) = (of(State::Healthy), count(targets.len()));
    TargetCounts {
        total,
        healthy,
        unhealthy: of(State::Unhealthy),
        unknown: of(State::Unknown),
        summary: format!("{healthy}/{total}"),
    }
}

/// Targets that fail from anywhere, unhealthy ones first.
fn failing(input: &HealthCheckInput<'_>, targets: &[(Target, Seen)]) -> Vec<FailingTarget> {
    let mut found: Vec<&(Target, Seen)> =
        targets.iter().filter(|(_, seen)| seen.has_news()).collect();
    found.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.state));
    let shown = found.into_iter().take(SHOWN);
    let shown = shown.map(|(target, seen)| {
        let name = target_name(input.id, target);
        let before = input.before.failing.iter();
        let before = before.clone().find(|before| before.target == name);
        one(name, before, seen, input.now)
    });
    shown.collect()
}

fn one(
    target: String,
    before: Option<&FailingTarget>,
    seen: &Seen,
    now: Timestamp,
) -> FailingTarget {
    let health = match seen.state {
        State::Healthy => TargetHealth::Healthy,
        State::Unhealthy => TargetHealth::Unhealthy,
        State::Unknown => TargetHealth::Unknown,
    };
    let locations = seen.locations.iter().take(SHOWN);
    let locations = locations.map(|(name, (healthy, fresh))| LocationStatus {
        name: if name.is_empty() {
            "unknown".to_owned()
        } else {
            name.clone()
        },
        healthy_checkers: number(*healthy),
        total_checkers: number(*fresh),
    });
    let same = before.filter(|before| before.health == health);
    let kept = same.and_then(|same| same.last_transition_time.clone());
    let ends = seen.certificate_expires;
    let ends = ends.and_then(|end| Timestamp::from_second(end).ok());
    let error = seen.last_error.as_ref();
    FailingTarget {
        target,
        health,
        healthy_checkers: Some(number(seen.healthy_checkers)),
        total_checkers: Some(number(seen.fresh_checkers)),
        locations: locations.collect(),
        last_transition_time: kept.or_else(|| seen.age.map(|age| since(Some(age), now))),
        last_error: error.map(|(words, _)| shortened(words)),
        last_error_from: error
            .map(|(_, node)| node.clone())
            .filter(|node| !node.is_empty()),
        certificate_expires: ends.map(Time),
    }
}

/// What a target is called at the check `id`.
pub fn target_name(id: &str, target: &Target) -> String {
    let address = address(target);
    let (_, check) = target.check.split_once('/').unwrap_or(("", &target.check));
    match &target.address {
        Some(_) if target.check != id => format!("{check}@{address}"),
        _ => address,
    }
}

fn address(target: &Target) -> String {
    let (_, check) = target.check.split_once('/').unwrap_or(("", &target.check));
    let address = target.address.as_ref();
    address.map_or_else(|| check.to_owned(), ToString::to_string)
}

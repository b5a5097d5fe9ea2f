//! From verdicts on targets to what is said of an endpoint. Several fleets may
//! see a target: the worst counts, and numbers are added.

use std::collections::BTreeMap;
use std::time::Duration;

use watershed_health::{Checks, ProbeKind, Target};
use watershed_policy::EndpointId;
use watershed_snapshot::{PolicyVersion, addresses};

use super::view::TargetView;

/// What is said of a target or an endpoint. Worse ones are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It is healthy.
    #[default]
    Healthy,
    /// Nothing is known yet; it counts as healthy.
    Unknown,
    /// It is unhealthy.
    Unhealthy,
}

/// A target, as all fleets see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The worst of the verdicts.
    pub state: State,
    /// For how long it is that.
    pub age: Option<Duration>,
    /// Fresh reports that say healthy.
    pub healthy_checkers: u32,
    /// Fresh reports.
    pub fresh_checkers: u32,
    /// Nodes that probe it.
    pub assigned_checkers: u32,
    /// By location: fresh reports that say healthy, and all fresh ones.
    pub locations: BTreeMap<String, (u32, u32)>,
    /// What a failing checker said last, and which.
    pub last_error: Option<(String, String)>,
    /// The earliest end of a certificate, in Unix seconds.
    pub certificate_expires: Option<i64>,
}

/// What is said of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointView {
    /// The verdict; `None`: nothing checks it.
    pub state: Option<State>,
    /// For how long its latest target is what it is.
    pub age: Option<Duration>,
    /// Fresh reports that say healthy, over all targets.
    pub healthy_checkers: u32,
    /// Fresh reports, over all targets.
    pub fresh_checkers: u32,
    /// Why it is not healthy.
    pub message: Option<String>,
    /// Whether it has checkers of which none has reported lately.
    pub is_stale: bool,
}

/// The verdict of one fleet.
pub fn state_of(view: &TargetView) -> State {
    match view.verdict.healthy {
        Some(true) => State::Healthy,
        Some(false) => State::Unhealthy,
        None => State::Unknown,
    }
}

impl Seen {
    /// What one fleet sees.
    pub fn of(view: TargetView) -> Self {
        let state = state_of(&view);
        let TargetView { verdict, age } = view;
        Self {
            state,
            age,
            healthy_checkers: verdict.healthy_checkers,
            fresh_checkers: verdict.fresh_checkers,
            assigned_checkers: verdict.assigned_checkers,
            locations: verdict.locations,
            last_error: verdict.last_error,
            certificate_expires: verdict.certificate_expires,
        }
    }

    /// What several fleets see.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        if other.state > self.state {
            self.state = other.state;
            self.age = other.age;
            self.last_error = other.last_error.or(self.last_error);
        } else {
            self.last_error = self.last_error.or(other.last_error);
        }
        self.healthy_checkers += other.healthy_checkers;
        self.fresh_checkers += other.fresh_checkers;
        self.assigned_checkers += other.assigned_checkers;
        for (location, (healthy, fresh)) in other.locations {
            let sums = self.locations.entry(location).or_default();
            sums.0 += healthy;
            sums.1 += fresh;
        }
        let ends = [self.certificate_expires, other.certificate_expires];
        self.certificate_expires = ends.into_iter().flatten().min();
        self
    }

    /// Whether there is more to tell than a number: a checker says unhealthy,
    /// the verdict does, or nothing is known for a reason that is.
    pub fn has_news(&self) -> bool {
        let fails = self.healthy_checkers < self.fresh_checkers;
        let unknown = self.state == State::Unknown && self.last_error.is_some();
        self.state == State::Unhealthy || fails || unknown
    }
}

/// What is said of an endpoint by all checks that are used at it. `seen` tells
/// what is known of a target, `unix` is the present in Unix seconds.
pub fn endpoint(
    version: &PolicyVersion,
    id: EndpointId,
    (checks, unix): (&Checks, i64),
    seen: &dyn Fn(&Target) -> Option<Seen>,
) -> EndpointView {
    let addresses = addresses(version.policy.endpoint(id));
    let mut view = EndpointView::default();
    let (mut probed, mut heard) = (false, false);
    for used in version.policy.checks() {
        if used.endpoint != Some(id) {
            continue;
        }
        let targets: Vec<(Target, Seen)> = checks
            .targets(&used.id, &addresses)
            .into_iter()
            .map(|target| {
                let seen = seen(&target).unwrap_or_else(unknown);
                (target, seen)
            })
            .collect();
        let state = by_check(checks, &used.id, &addresses, unix, &targets);
        for (target, seen) in &targets {
            view.healthy_checkers += seen.healthy_checkers;
            view.fresh_checkers += seen.fresh_checkers;
            view.age = [view.age, seen.age].into_iter().flatten().min();
            let check = checks.get(&target.check);
            probed |= check.is_some_and(|check| check.is_probed());
            heard |= seen.fresh_checkers > 0;
        }
        if state == State::Unhealthy && view.message.is_none() {
            view.message = Some(why(checks, &used.id, unix, &targets));
        }
        view.state = view.state.max(Some(state));
    }
    view.is_stale = probed && !heard;
    view
}

fn unknown() -> Seen {
    Seen {
        state: State::Unknown,
        ..Seen::default()
    }
}

/// What one check says of an endpoint: it is known when what is not known
/// makes no difference.
fn by_check(
    checks: &Checks,
    id: &str,
    addresses: &[watershed_health::Address],
    unix: i64,
    targets: &[(Target, Seen)],
) -> State {
    let supposing = |unknown: bool| {
        checks.is_healthy(id, addresses, unix, &|target| {
            let found = targets.iter().find(|(known, _)| known == target);
            match found.map_or(State::Unknown, |(_, seen)| seen.state) {
                State::Healthy => Some(true),
                State::Unhealthy => Some(false),
                State::Unknown => Some(unknown),
            }
        })
    };
    match (supposing(true), supposing(false)) {
        (true, true) => State::Healthy,
        (false, false) => State::Unhealthy,
        _ => State::Unknown,
    }
}

/// Why a check says unhealthy.
fn why(checks: &Checks, id: &str, unix: i64, targets: &[(Target, Seen)]) -> String {
    let name = id.split_once('/').map_or(id, |(_, name)| name);
    let Some(check) = checks.get(id) else {
        return format!("there is no check {name}");
    };
    let forced = check.forced.as_ref();
    if let Some(forced) = forced.filter(|forced| forced.is_in_force(unix)) {
        let reason = match forced.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        return format!("{name} is forced to be unhealthy{reason}");
    }
    if check.inverted {
        let what = if check.disabled {
            "disabled"
        } else {
            "healthy"
        };
        return format!("{name} is {what}, and inverted");
    }
    let failing = targets
        .iter()
        .filter(|(_, seen)| seen.state == State::Unhealthy);
    let error = failing
        .clone()
        .find_map(|(_, seen)| seen.last_error.clone());
    match (error, &check.kind) {
        (Some((words, node)), _) if node.is_empty() => words,
        (Some((words, node)), _) => format!("{words} (from {node})"),
        (None, ProbeKind::Calculated(calculated)) => format!(
            "{name} needs {} healthy checks of {}",
            calculated.min_healthy,
            calculated.members.len()
        ),
        (None, _) => format!("{name} fails"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use watershed_health::{Check, Forced, TcpProbe};

    use super::*;

    /// A check that asks for nothing special.
    pub(crate) fn check(kind: ProbeKind) -> Check {
        Check::new(kind)
    }

    fn tcp() -> Check {
        check(ProbeKind::Tcp(TcpProbe { port: 443 }))
    }

    fn checks(check: Check) -> Checks {
        [("shop/web".to_owned(), Arc::new(check))]
            .into_iter()
            .collect()
    }

    fn targets(states: &[State]) -> (Vec<watershed_health::Address>, Vec<(Target, Seen)>) {
        let addresses: Vec<_> = (1..=states.len())
            .map(|n| watershed_health::Address::parse(&format!("192.0.2.{n}")))
            .collect();
        let targets = addresses.iter().zip(states).map(|(address, state)| {
            let target = Target {
                check: "shop/web".to_owned(),
                address: Some(address.clone()),
            };
            let seen = Seen {
                state: *state,
                last_error: Some(("HTTP 503".to_owned(), "dns-1".to_owned())),
                ..Seen::default()
            };
            (target, seen)
        });
        let targets = targets.collect();
        (addresses, targets)
    }

    #[test]
    fn what_is_not_known_counts_only_where_it_matters() {
        use State::{Healthy, Unhealthy, Unknown};
        let checks = checks(tcp());
        for (states, expected) in [
            (&[Healthy, Unknown][..], Healthy),
            (&[Unhealthy, Unknown], Unknown),
            (&[Unhealthy, Unhealthy], Unhealthy),
            (&[Unknown], Unknown),
            (&[], Healthy),
        ] {
            let (addresses, targets) = targets(states);
            let state = by_check(&checks, "shop/web", &addresses, 0, &targets);
            assert_eq!(state, expected, "{states:?}");
        }
    }

    #[test]
    fn people_are_told_why() {
        let (_, failing) = targets(&[State::Unhealthy]);
        let told = |check: Check| why(&checks(check), "shop/web", 100, &failing);
        assert_eq!(told(tcp()), "HTTP 503 (from dns-1)");
        let forced = |until| Forced {
            healthy: false,
            reason: "maintenance".to_owned(),
            until,
        };
        let mut check = tcp();
        check.forced = Some(forced(Some(101)));
        assert_eq!(
            told(check.clone()),
            "web is forced to be unhealthy: maintenance"
        );
        check.forced = Some(forced(Some(100)));
        assert_eq!(told(check.clone()), "HTTP 503 (from dns-1)", "it is over");
        check.forced = None;
        check.inverted = true;
        check.disabled = true;
        assert_eq!(told(check), "web is disabled, and inverted");
    }

    #[test]
    fn several_fleets_are_taken_together() {
        let seen = |state, healthy, fresh, location: &str| Seen {
            state,
            healthy_checkers: healthy,
            fresh_checkers: fresh,
            assigned_checkers: 5,
            locations: [(location.to_owned(), (healthy, fresh))].into(),
            ..Seen::default()
        };
        let together = seen(State::Healthy, 3, 4, "eu").with(seen(State::Unhealthy, 1, 5, "us"));
        assert_eq!(together.state, State::Unhealthy);
        assert_eq!((together.healthy_checkers, together.fresh_checkers), (4, 9));
        assert_eq!(together.locations.len(), 2);
        assert!(together.has_news());
        assert!(!seen(State::Healthy, 4, 4, "eu").has_news());
    }
}

//! The condition Healthy, and what there is to say of endpoints.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use watershed_crd::traffic_policy_version::{EndpointHealth, EndpointStatus};

use super::conditions::{Draft, Subject, Waiting};
use super::counted;
use crate::health::{EndpointView, State};

/// Name of the condition.
const HEALTHY: &str = "Healthy";

/// Longest message about an endpoint, in characters.
const LONGEST: usize = 256;

/// How many endpoints a message names.
const NAMED: usize = 8;

/// What is known of the health of all endpoints of a version, by name.
pub type EndpointsSeen = Vec<(String, EndpointView)>;

/// What is known of health.
#[derive(Clone, Debug)]
pub enum Health {
    /// Nothing yet: what was written stays.
    Kept,
    /// There is nothing to say.
    None,
    /// This.
    Seen(EndpointsSeen),
}

impl Health {
    /// The condition that says whether every checked endpoint is healthy.
    pub(super) fn condition(&self, subject: Subject<'_>) -> Option<Condition> {
        match self {
            Self::Kept => subject
                .before
                .iter()
                .find(|condition| condition.type_ == HEALTHY)
                .cloned(),
            Self::None => None,
            Self::Seen(endpoints) => condition(endpoints, subject),
        }
    }

    /// What is known of an endpoint.
    pub(super) fn endpoint(&self, name: &str) -> Option<&EndpointView> {
        match self {
            Self::Seen(endpoints) => {
                let mut endpoints = endpoints.iter();
                endpoints
                    .find(|(known, _)| known == name)
                    .map(|(_, view)| view)
            }
            Self::Kept | Self::None => None,
        }
    }

    /// `healthy/checked` endpoints; `None` when none is checked.
    pub(super) fn summary(&self, before: Option<&String>) -> Option<String> {
        let endpoints = match self {
            Self::Kept => return before.cloned(),
            Self::None => return None,
            Self::Seen(endpoints) => endpoints,
        };
        let checked = endpoints.iter().filter_map(|(_, view)| view.state);
        let healthy = checked.clone().filter(|state| *state == State::Healthy);
        let (healthy, checked) = (healthy.count(), checked.count());
        (checked > 0).then(|| format!("{healthy}/{checked}"))
    }
}

fn condition(endpoints: &EndpointsSeen, subject: Subject<'_>) -> Option<Condition> {
    let of = |wanted: State| {
        let found = endpoints
            .iter()
            .filter(move |(_, view)| view.state == Some(wanted));
        found.map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    let checked = endpoints
        .iter()
        .filter(|(_, view)| view.state.is_some())
        .count();
    if checked == 0 {
        return None;
    }
    let down = of(State::Unhealthy);
    let stale: Vec<&str> = endpoints
        .iter()
        .filter(|(_, view)| view.is_stale || view.state == Some(State::Unknown))
        .map(|(name, _)| name.as_str())
        .collect();
    let all = counted(checked, "checked endpoint");
    let fails = |reason, message| Draft::fails(HEALTHY, reason, message, Waiting::Helps);
    let (draft, status) = if down.len() == checked {
        let message = format!("none of {all} is healthy, so all count as healthy");
        (fails("AllEndpointsDown", message), "False")
    } else if !down.is_empty() {
        let message = format!("{} of {all}: {}", down.len(), names(&down));
        (fails("SomeEndpointsDown", message), "False")
    } else if !stale.is_empty() {
        let message = format!("no fresh reports about {}", names(&stale));
        (fails("ChecksStale", message), "Unknown")
    } else {
        (Draft::holds(HEALTHY, "AllEndpointsHealthy", all), "True")
    };
    Some(subject.state(&draft, status))
}

fn names(all: &[&str]) -> String {
    let named: Vec<&str> = all.iter().take(NAMED).copied().collect();
    let more = all.len().saturating_sub(NAMED);
    match more {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// Adds what is known of health to what is said of an endpoint.
pub(super) fn fill(
    status: &mut EndpointStatus,
    before: Option<&EndpointStatus>,
    view: Option<&EndpointView>,
    now: Timestamp,
) {
    let Some(view) = view else {
        // Nothing is known yet: what was said stays, unless checks came or went.
        let is_checked = |health| health != EndpointHealth::Unchecked;
        if let Some(before) = before
            && is_checked(before.health) == is_checked(status.health)
        {
            status.health = before.health;
            status.healthy_checkers = before.healthy_checkers;
            status.total_checkers = before.total_checkers;
            status
                .last_transition_time
                .clone_from(&before.last_transition_time);
            status.message.clone_from(&before.message);
        }
        return;
    };
    let Some(state) = view.state else {
        status.health = EndpointHealth::Unchecked;
        return;
    };
    status.health = match state {
        State::Healthy => EndpointHealth::Healthy,
        State::Unhealthy => EndpointHealth::Unhealthy,
        State::Unknown => EndpointHealth::Unknown,
    };
    status.healthy_checkers = Some(number(view.healthy_checkers));
    status.total_checkers = Some(number(view.fresh_checkers));
    status.message = view.message.as_deref().map(shortened);
    let same = before.filter(|before| before.health == status.health);
    status.last_transition_time = match same {
        Some(before) => before.last_transition_time.clone(),
        None => Some(since(view.age, now)),
    };
}

/// When something began that has been so for this long.
pub(super) fn since(age: Option<std::time::Duration>, now: Timestamp) -> Time {
    let age = SignedDuration::try_from(age.unwrap_or_default()).unwrap_or_default();
    Time(now.saturating_sub(age).unwrap_or(now))
}

/// The beginning of what a probe said.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

pub(super) fn number(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(states: &[(&str, Option<State>)]) -> String {
        let endpoints = states.iter().map(|(name, state)| {
            let view = EndpointView {
                state: *state,
                ..EndpointView::default()
            };
            ((*name).to_owned(), view)
        });
        let health = Health::Seen(endpoints.collect());
        let subject = Subject::new(&[], 1, Timestamp::UNIX_EPOCH);
        let summary = health.summary(None).unwrap_or_default();
        health.condition(subject).map_or(summary.clone(), |found| {
            let Condition {
                status,
                reason,
                message,
                ..
            } = found;
            format!("{summary} {status} {reason}: {message}")
        })
    }

    #[test]
    fn the_condition_says_which_endpoints_are_down() {
        let (up, down, unknown) = (
            Some(State::Healthy),
            Some(State::Unhealthy),
            Some(State::Unknown),
        );
        assert_eq!(told(&[("a", None)]), "");
        assert_eq!(
            told(&[("a", up), ("b", None)]),
            "1/1 True AllEndpointsHealthy: 1 checked endpoint"
        );
        assert_eq!(
            told(&[("a", up), ("b", down), ("c", unknown)]),
            "1/3 False SomeEndpointsDown: 1 of 3 checked endpoints: b"
        );
        assert_eq!(
            told(&[("a", down), ("b", down)]),
            "0/2 False AllEndpointsDown: none of 2 checked endpoints is healthy, so all count as healthy"
        );
        assert_eq!(
            told(&[("a", up), ("b", unknown)]),
            "1/2 Unknown ChecksStale: no fresh reports about b"
        );
    }
}

//! One checker's results.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use watershed_health::{Check, Outcome, State, Tracker};

use crate::support::check;

fn success() -> Outcome {
    Outcome::Success("HTTP 200".to_owned())
}

fn failure() -> Outcome {
    Outcome::Failure("HTTP 503".to_owned())
}

fn with_thresholds(failures: u32, successes: u32) -> Check {
    Check {
        failure_threshold: failures,
        success_threshold: successes,
        ..check()
    }
}

/// States after each of these outcomes: `+`, `-`, or `0` for nothing.
fn states(check: &Check, outcomes: &str) -> String {
    let mut tracker = Tracker::new();
    let now = Instant::now();
    let states = outcomes.chars().map(|outcome| {
        let outcome = match outcome {
            '+' => success(),
            '-' => failure(),
            _ => Outcome::Nothing("no data".to_owned()),
        };
        tracker.take(now, &outcome, check);
        let own = tracker.state();
        match (own.state, own.changing) {
            (State::Unknown, false) => '?',
            (State::Unknown, true) => '~',
            (State::Healthy, false) => 'H',
            (State::Healthy, true) => 'h',
            (State::Unhealthy, false) => 'U',
            (State::Unhealthy, true) => 'u',
        }
    });
    states.collect()
}

/// Results, and the state after each: a small letter is about to change.
#[test]
fn states_follow_from_results_in_a_row() {
    let rows = [
        // Route 53: FailureThreshold counts the same in both directions.
        (3, 3, "+++---+++", "~~HhhUuuH"),
        // Watershed: each direction has its own.
        (3, 1, "+---+---", "HhhUHhhU"),
        (1, 3, "-+++-+++", "UuuHUuuH"),
        // A single result is enough when the threshold is one.
        (1, 1, "+-+-", "HUHU"),
        // The first state needs as many.
        (3, 2, "--++", "~~~H"),
        (2, 3, "++--", "~~~U"),
        // A blip resets the count.
        (3, 3, "+++--+--+---", "~~HhhHhhHhhU"),
        (3, 3, "---++-++-+++", "~~UuuUuuUuuH"),
        // What says nothing neither counts nor resets.
        (2, 2, "00+0+0-0-", "??~~HHhhU"),
        // More of the same changes nothing.
        (2, 2, "++++", "~HHH"),
    ];
    for (failures, successes, outcomes, expected) in rows {
        let check = with_thresholds(failures, successes);
        assert_eq!(states(&check, outcomes), expected, "{outcomes}");
    }
}

#[test]
fn every_threshold_from_1_to_10_holds_both_ways() {
    for threshold in 1..=10_u32 {
        let other = 11 - threshold;
        let check = with_thresholds(threshold, other);
        let mut tracker = Tracker::new();
        let now = Instant::now();
        for (outcome, count, state) in [
            (success(), other, State::Healthy),
            (failure(), threshold, State::Unhealthy),
            (success(), other, State::Healthy),
        ] {
            for n in 1..=count {
                assert_ne!(tracker.state().state, state, "{threshold}: result {n}");
                tracker.take(now, &outcome, &check);
            }
            assert_eq!(tracker.state().state, state, "{threshold}");
        }
    }
}

#[test]
fn a_state_knows_since_when_and_what_was_said_last() {
    let check = with_thresholds(2, 1);
    let mut tracker = Tracker::new();
    assert_eq!(tracker.state().since, None);
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    tracker.take(at(0), &success(), &check);
    tracker.take(at(10), &failure(), &check);
    assert_eq!(tracker.state().since, Some(at(0)));
    tracker.take(at(20), &failure(), &check);
    assert_eq!(tracker.state().since, Some(at(20)));
    assert_eq!(tracker.state().message, "HTTP 503");
    tracker.take(at(30), &failure(), &check);
    assert_eq!(tracker.state().since, Some(at(20)));
}

#[test]
fn only_news_is_told_at_once() {
    let check = with_thresholds(2, 2);
    let mut tracker = Tracker::new();
    let now = Instant::now();
    let rows = [
        (Outcome::Nothing("not allowed".to_owned()), true),
        (Outcome::Nothing("not allowed".to_owned()), false),
        (success(), true),
        (success(), true),
        (Outcome::Success("HTTP 204".to_owned()), false),
        (failure(), true),
        (failure(), true),
        (Outcome::Failure("HTTP 500".to_owned()), false),
    ];
    for (row, (outcome, news)) in rows.into_iter().enumerate() {
        assert_eq!(tracker.take(now, &outcome, &check), news, "row {row}");
    }
    assert_eq!(tracker.state().message, "HTTP 500");
}

proptest! {
    /// A flapping endpoint: the state changes at most once in as many results
    /// as the smaller threshold.
    #[test]
    fn transitions_are_bounded(
        outcomes in prop::collection::vec(any::<bool>(), 0..200),
        failures in 1..=10_u32,
        successes in 1..=10_u32,
    ) {
        let check = with_thresholds(failures, successes);
        let mut tracker = Tracker::new();
        let mut changes = 0;
        for outcome in &outcomes {
            let before = tracker.state().state;
            let outcome = if *outcome { success() } else { failure() };
            tracker.take(Instant::now(), &outcome, &check);
            changes += usize::from(tracker.state().state != before);
        }
        let smaller = usize::try_from(failures.min(successes)).unwrap();
        prop_assert!(changes <= outcomes.len() / smaller);
    }
}

//! What the operator is told.

use std::time::Duration;

use watershed_health::fleet::digest;
use watershed_health::{Outcome, State};
use watershed_proto::{NodeMessage, OperatorMessage};

use super::world::{PRIMARY, SECONDARY, Site, World, target};

const BEAT: Duration = Duration::from_secs(5);

/// A node that probes everything, and has said so.
fn probing() -> World {
    let mut world = World::new(&Site::default());
    world.connect();
    world.checkers(&["n1"]);
    world.said();
    world
}

#[test]
fn an_operator_is_told_everything_first() {
    let mut world = World::new(&Site::default());
    world.find(PRIMARY, false);
    assert_eq!(world.said(), []);
    world.connect();
    let said = world.said();
    let [
        NodeMessage::HealthReport {
            reports,
            whole: true,
        },
    ] = said.as_slice()
    else {
        panic!("{said:?}");
    };
    let states = reports.iter().map(|report| (&report.target, report.state));
    let states: Vec<_> = states.collect();
    let known = [
        (&target(PRIMARY), State::Unhealthy),
        (&target(SECONDARY), State::Unknown),
    ];
    assert_eq!(states, known);
    assert_eq!(reports[0].message, "refused");
}

#[test]
fn a_change_is_told_at_once_and_with_others() {
    let mut world = probing();
    world.probe(PRIMARY, false);
    world.probe(SECONDARY, true);
    assert_eq!(world.said(), []);
    world.pass(Duration::from_millis(10));
    let reports = world.reports();
    assert_eq!(reports.len(), 2);
    assert!(reports.iter().all(|report| report.changing));
    world.pass(Duration::from_millis(990));
    world.probe(PRIMARY, false);
    world.pass(Duration::from_millis(15));
    let reports = world.reports();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].state, State::Unhealthy);
    assert_eq!(reports[0].age_ms, 10);
}

#[test]
fn what_stays_as_it_is_is_not_told_again() {
    let mut world = probing();
    world.find(PRIMARY, true);
    world.said();
    for _ in 0..10 {
        world.probe(PRIMARY, true);
        world.pass(Duration::from_millis(100));
    }
    assert_eq!(world.said(), []);
}

#[test]
fn other_words_are_told_with_the_next_beat() {
    let mut world = probing();
    world.find(PRIMARY, false);
    world.said();
    world.result(PRIMARY, Outcome::Failure("timed out".into()));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.said(), []);
    world.pass(BEAT);
    let reports = world.reports();
    let messages: Vec<&str> = reports.iter().map(|r| r.message.as_str()).collect();
    assert_eq!(messages, ["timed out"]);
}

#[test]
fn why_nothing_is_known_is_told() {
    let mut world = probing();
    world.result(PRIMARY, Outcome::Nothing("may not be probed".into()));
    world.pass(Duration::from_millis(10));
    let reports = world.reports();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].state, State::Unknown);
    assert_eq!(reports[0].message, "may not be probed");
}

#[test]
fn a_beat_has_the_digest_of_what_was_told() {
    let mut world = probing();
    world.find(PRIMARY, false);
    world.said();
    world.pass(BEAT);
    let (primary, secondary) = (target(PRIMARY), target(SECONDARY));
    let told = [
        (&primary, State::Unhealthy, false),
        (&secondary, State::Unknown, false),
    ];
    let digest = digest(told.into_iter());
    assert_eq!(world.said(), [NodeMessage::HealthBeat { digest }]);
    world.pass(BEAT * 3);
    assert_eq!(world.said().len(), 3);
}

#[test]
fn everything_is_told_again_when_it_is_asked_for() {
    let mut world = probing();
    world.find(PRIMARY, false);
    world.said();
    world.hear(OperatorMessage::HealthInquire);
    let said = world.said();
    assert!(
        matches!(said.as_slice(), [NodeMessage::HealthReport { reports, whole: true }] if reports.len() == 2)
    );
}

#[test]
fn everything_is_told_again_when_a_message_was_lost() {
    let mut world = probing();
    world.find(PRIMARY, false);
    world.said();
    world.agent.unsent();
    world.pass(BEAT);
    let said = world.said();
    assert!(
        matches!(said.as_slice(), [NodeMessage::HealthReport { reports, whole: true }, NodeMessage::HealthBeat { .. }] if reports.len() == 2)
    );
}

#[test]
fn what_is_no_longer_probed_is_no_longer_told() {
    let mut world = probing();
    world.checkers(&["n2"]);
    let said = world.said();
    assert!(
        matches!(said.as_slice(), [NodeMessage::HealthReport { reports, whole: true }] if reports.is_empty())
    );
    // A probe that was under way.
    world.probe(PRIMARY, false);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.said(), []);
}

#[test]
fn a_report_says_what_is_answered_by() {
    let mut world = probing();
    world.verdicts(&[(PRIMARY, false)], &[]);
    world.hear(OperatorMessage::HealthInquire);
    let reports = world.reports();
    let served: Vec<Option<bool>> = reports.iter().map(|report| report.served).collect();
    assert_eq!(served, [Some(false), None]);
}

#[test]
fn nobody_is_told_when_nobody_listens() {
    let mut world = probing();
    world.disconnect();
    world.find(PRIMARY, false);
    world.pass(BEAT * 10);
    assert_eq!(world.said(), []);
}

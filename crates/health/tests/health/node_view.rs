//! By which verdicts a node goes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use watershed_health::{NodeView, State, Target};

use crate::support::target;

const GRACE: Duration = Duration::from_secs(10);

/// A connected node that the fleet told that targets 1 and 2 are healthy.
fn connected(now: Instant) -> NodeView {
    let mut view = NodeView::new(now, GRACE);
    view.connected(now, true);
    assert!(view.fleet(told(&[(1, true), (2, true)]), true));
    view
}

fn told(verdicts: &[(u8, bool)]) -> Vec<(Target, bool, bool)> {
    let verdicts = verdicts.iter();
    verdicts.map(|&(n, up)| (target(n), up, false)).collect()
}

#[test]
fn with_an_operator_the_fleet_counts() {
    let now = Instant::now();
    let mut view = connected(now);
    assert!(!view.own(&target(1), State::Unhealthy, false));
    assert_eq!(view.verdict(&target(1)), Some(true));
    assert!(view.fleet(told(&[(1, false)]), false));
    assert!(!view.fleet(told(&[(1, false)]), false));
    assert_eq!(view.verdict(&target(1)), Some(false));
    assert_eq!(view.verdict(&target(2)), Some(true));
    // Its own results alone are no verdict.
    assert!(!view.own(&target(3), State::Unhealthy, false));
    assert_eq!(view.verdict(&target(3)), None);
}

#[test]
fn alone_it_goes_by_its_own_after_the_grace_time() {
    let now = Instant::now();
    let mut view = connected(now);
    view.own(&target(1), State::Unhealthy, false);
    assert_eq!(view.deadline(), None);
    assert!(!view.tick(now + 2 * GRACE));
    view.connected(now, false);
    // Saying it again does not begin the time anew.
    view.connected(now + GRACE / 2, false);
    assert_eq!(view.deadline(), Some(now + GRACE));
    assert!(!view.tick(now + GRACE / 2) && !view.is_alone());
    assert_eq!(view.verdict(&target(1)), Some(true));
    assert!(view.tick(now + GRACE) && view.is_alone());
    assert_eq!(view.verdict(&target(1)), Some(false));
    // Where it has no result of its own, the last word stays.
    assert_eq!(view.verdict(&target(2)), Some(true));
    assert!(view.own(&target(2), State::Unhealthy, false));
    assert!(view.own(&target(3), State::Healthy, false));
    assert_eq!(view.verdict(&target(2)), Some(false));
    assert_eq!(view.verdict(&target(3)), Some(true));
}

#[test]
fn a_short_absence_changes_nothing() {
    let now = Instant::now();
    let mut view = connected(now);
    view.own(&target(1), State::Unhealthy, false);
    view.connected(now, false);
    view.connected(now + GRACE / 2, true);
    assert_eq!(view.deadline(), None);
    assert!(!view.tick(now + 2 * GRACE));
    assert_eq!(view.verdict(&target(1)), Some(true));
}

#[test]
fn a_returning_operator_takes_over_target_by_target() {
    let now = Instant::now();
    let mut view = connected(now);
    for n in [1, 2] {
        view.own(&target(n), State::Unhealthy, false);
    }
    view.connected(now, false);
    assert!(view.tick(now + GRACE));
    let before = view.verdicts();
    view.connected(now + 2 * GRACE, true);
    assert!(!view.tick(now + 2 * GRACE) && view.is_alone());
    assert_eq!(view.verdicts(), before);
    // It knows as little as the node does: nothing flaps.
    assert!(!view.fleet(told(&[(1, false)]), false) && !view.is_alone());
    assert_eq!(view.verdicts(), before);
    // Of target 2 it has not spoken: the node's own result goes on.
    assert!(!view.own(&target(1), State::Healthy, false));
    assert!(view.own(&target(2), State::Healthy, false));
    assert!(!view.fleet(told(&[(2, true)]), false));
    assert!(!view.own(&target(2), State::Unhealthy, false));
    assert_eq!(view.verdict(&target(2)), Some(true));
}

#[test]
fn a_new_leader_that_knows_nothing_makes_nothing_healthy() {
    let now = Instant::now();
    let mut view = connected(now);
    view.fleet(vec![(target(1), false, true)], false);
    assert!(view.is_changing(&target(1)));
    view.fleet(Vec::new(), true);
    assert_eq!(view.verdict(&target(1)), Some(false));
    assert!(!view.is_changing(&target(1)));
}

#[test]
fn whoever_counts_says_whether_it_may_change() {
    let now = Instant::now();
    let mut view = connected(now);
    assert!(!view.own(&target(1), State::Healthy, true));
    assert!(!view.is_changing(&target(1)));
    assert!(view.fleet(vec![(target(1), true, true)], false));
    assert!(view.is_changing(&target(1)));
    view.connected(now, false);
    view.own(&target(1), State::Healthy, false);
    assert!(view.tick(now + GRACE));
    assert!(!view.is_changing(&target(1)));
    assert!(view.own(&target(1), State::Healthy, true));
}

#[test]
fn a_node_that_never_saw_an_operator_is_alone_after_the_grace_time() {
    let now = Instant::now();
    let mut view = NodeView::new(now, GRACE);
    view.own(&target(1), State::Unhealthy, false);
    assert_eq!(view.verdict(&target(1)), None);
    assert!(view.tick(now + GRACE));
    assert_eq!(view.verdict(&target(1)), Some(false));
}

#[test]
fn what_is_no_longer_asked_for_is_forgotten() {
    let mut view = connected(Instant::now());
    view.retain(&BTreeSet::from([target(2)]));
    assert_eq!(view.verdict(&target(1)), None);
    assert_eq!(view.verdicts().len(), 1);
}

//! What is answered by what is known.

use std::time::Duration;

use watershed_policy::FailbackMode;

use super::world::{INTERVAL, PRIMARY, SECONDARY, Site, World, check, forced};

#[test]
fn verdicts_of_the_fleet_count_at_once() {
    let mut world = World::new(&Site::default());
    world.connect();
    assert_eq!(world.served(), [PRIMARY]);
    world.verdicts(&[(PRIMARY, false), (SECONDARY, true)], &[]);
    assert_eq!(world.served(), [SECONDARY]);
    world.verdicts(&[(PRIMARY, true)], &[]);
    assert_eq!(world.served(), [PRIMARY]);
}

#[test]
fn a_verdict_may_come_before_its_target() {
    let mut world = World::new(&Site::default());
    world.connect();
    world.verdicts(&[(PRIMARY, false), (3, false)], &[]);
    world.follow(&Site::default());
    let site = Site {
        more: vec![3],
        ..Site::default()
    };
    world.follow(&site);
    assert_eq!(world.served(), [SECONDARY]);
    // What is gone is forgotten.
    world.follow(&Site::default());
    world.follow(&site);
    assert_eq!(world.served(), [PRIMARY, 3]);
}

#[test]
fn own_results_do_not_count_while_the_fleet_is_heard() {
    let mut world = World::new(&Site::default());
    world.connect();
    world.verdicts(&[(PRIMARY, true)], &[]);
    let serves = world.serves;
    world.find(PRIMARY, false);
    world.pass(Duration::from_mins(2));
    assert_eq!((world.served(), world.serves), (vec![PRIMARY], serves));
}

#[test]
fn one_healthy_address_is_enough() {
    let site = Site {
        more: vec![3, 4],
        ..Site::default()
    };
    let mut world = World::new(&site);
    world.connect();
    world.verdicts(&[(PRIMARY, false), (3, true), (4, false)], &[]);
    assert_eq!(world.served(), [PRIMARY, 3, 4]);
    world.verdicts(&[(3, false)], &[]);
    assert_eq!(world.served(), [SECONDARY]);
}

#[test]
fn a_branch_that_is_held_is_tried_first_and_only_while_it_is_healthy() {
    let site = Site {
        mode: FailbackMode::Manual,
        ..Site::default()
    };
    let mut world = World::new(&site);
    world.connect();
    world.verdicts(&[(PRIMARY, true), (SECONDARY, true)], &["secondary"]);
    assert_eq!(world.served(), [SECONDARY]);
    world.verdicts(&[(SECONDARY, false)], &["secondary"]);
    assert_eq!(world.served(), [PRIMARY]);
    world.verdicts(&[(SECONDARY, true)], &["secondary"]);
    assert_eq!(world.served(), [SECONDARY]);
    world.verdicts(&[], &[]);
    assert_eq!(world.served(), [PRIMARY]);
}

#[test]
fn a_hold_outlives_a_new_snapshot() {
    let mut site = Site {
        mode: FailbackMode::Manual,
        ..Site::default()
    };
    let mut world = World::new(&site);
    world.connect();
    world.verdicts(&[(PRIMARY, true), (SECONDARY, true)], &["secondary"]);
    site.check.quorum_percent = 18;
    world.follow(&site);
    assert_eq!(world.served(), [SECONDARY]);
}

#[test]
fn without_limits_the_ttl_is_that_of_the_record() {
    let mut world = World::new(&Site::default());
    world.connect();
    assert_eq!(world.answer().1, 30);
    world.verdicts(&[(PRIMARY, false)], &[]);
    assert_eq!(world.answer().1, 30);
}

#[test]
fn the_ttl_ends_with_the_soonest_change() {
    let mut site = Site {
        ttl_range: Some((5, 60)),
        ..Site::default()
    };
    site.check.success_threshold = 4;
    let mut world = World::new(&site);
    world.connect();
    let mut ttl = |primary: bool, secondary: bool| {
        world.verdicts(&[(PRIMARY, primary), (SECONDARY, secondary)], &[]);
        world.answer().1
    };
    // The failure threshold is 2, and the interval 10 s.
    assert_eq!(ttl(true, true), 20);
    assert_eq!(ttl(false, true), 20);
    assert_eq!(ttl(false, false), 40);
}

#[test]
fn the_ttl_is_one_interval_when_a_change_is_near() {
    let site = Site {
        ttl_range: Some((5, 60)),
        ..Site::default()
    };
    let mut world = World::alone(&site);
    world.find(PRIMARY, true);
    world.find(SECONDARY, true);
    assert_eq!(world.answer(), (vec![PRIMARY], 20));
    world.probe(PRIMARY, false);
    world.pass(Duration::from_millis(10));
    assert_eq!(world.answer(), (vec![PRIMARY], 10));
    world.probe(PRIMARY, true);
    world.pass(Duration::from_millis(10));
    assert_eq!(world.answer(), (vec![PRIMARY], 20));
}

#[test]
fn the_ttl_stays_within_its_limits() {
    let ttl = |limits: (u32, u32), interval: u64| {
        let mut site = Site {
            ttl_range: Some(limits),
            ..Site::default()
        };
        site.check.interval = Duration::from_secs(interval);
        World::new(&site).answer().1
    };
    assert_eq!(ttl((5, 60), 1), 5);
    assert_eq!(ttl((5, 60), 10), 20);
    assert_eq!(ttl((5, 60), 100), 60);
}

#[test]
fn what_cannot_change_by_itself_has_the_greatest_ttl() {
    let ttl = |check| {
        let site = Site {
            ttl_range: Some((5, 60)),
            check,
            ..Site::default()
        };
        World::new(&site).answer().1
    };
    let mut disabled = check();
    disabled.disabled = true;
    assert_eq!(ttl(disabled), 60);
    assert_eq!(ttl(forced(true, None)), 60);
    assert_eq!(ttl(check()), 20);
}

#[test]
fn a_forced_verdict_ends_by_itself() {
    let mut world = World::new(&Site::default());
    // States are made by the system's clock: what is looked at here is that
    // a new one is made in time, and once.
    let until = world.unix() + 25;
    let site = Site {
        check: forced(false, Some(until)),
        ..Site::default()
    };
    world.follow(&site);
    let serves = world.serves;
    world.pass(Duration::from_secs(24));
    assert_eq!(world.serves, serves);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.serves, serves + 1);
    world.pass(INTERVAL * 10);
    assert_eq!(world.serves, serves + 1);
}

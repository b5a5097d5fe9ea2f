//! A node without an operator.

use std::collections::BTreeSet;
use std::time::Duration;

use watershed_health::Outcome;
use watershed_policy::FailbackMode;
use watershed_proto::OperatorMessage;

use super::world::{GRACE, PRIMARY, RECORD, SECONDARY, Site, World};

/// A node that another one relieves of all probes.
fn relieved(site: &Site) -> World {
    let mut world = World::new(site);
    world.connect();
    world.checkers(&["n2"]);
    world.verdicts(&[(PRIMARY, true), (SECONDARY, true)], &[]);
    assert_eq!(world.probed(), BTreeSet::new());
    world
}

fn manual() -> Site {
    Site {
        mode: FailbackMode::Manual,
        ..Site::default()
    }
}

#[test]
fn the_grace_time_passes_before_own_results_count() {
    let mut world = World::new(&Site::default());
    world.connect();
    world.checkers(&["n1"]);
    world.verdicts(&[(PRIMARY, true), (SECONDARY, true)], &[]);
    world.find(PRIMARY, false);
    world.disconnect();
    let nearly = Duration::from_millis(9999);
    world.pass(nearly);
    assert_eq!(world.served(), [PRIMARY]);
    world.pass(GRACE.saturating_sub(nearly));
    assert_eq!(world.served(), [SECONDARY]);
}

#[test]
fn a_stream_that_comes_back_in_time_changes_nothing() {
    let mut world = World::new(&Site::default());
    world.connect();
    world.checkers(&["n1"]);
    world.verdicts(&[(PRIMARY, true)], &[]);
    world.find(PRIMARY, false);
    world.disconnect();
    world.pass(GRACE / 2);
    world.connect();
    world.pass(GRACE * 10);
    assert_eq!(world.served(), [PRIMARY]);
}

#[test]
fn what_others_would_probe_is_probed_on_its_own_account() {
    let mut world = relieved(&Site::default());
    world.disconnect();
    world.pass(GRACE);
    let own_account = [(PRIMARY, true), (SECONDARY, true)];
    assert_eq!(world.probed(), own_account.into());
    // Until there is a result the fleet's last word counts.
    assert_eq!(world.served(), [PRIMARY]);
    world.find(PRIMARY, false);
    assert_eq!(world.served(), [SECONDARY]);
}

#[test]
fn a_node_that_was_told_of_nobody_probes_all_in_full() {
    let world = World::new(&Site::default());
    assert_eq!(
        world.probed(),
        [(PRIMARY, false), (SECONDARY, false)].into()
    );
    assert!(world.assigned.iter().all(|assigned| assigned.of == 1));
}

#[test]
fn nothing_flaps_when_an_operator_returns() {
    let mut world = relieved(&Site::default());
    world.disconnect();
    world.pass(GRACE);
    world.find(PRIMARY, false);
    assert_eq!(world.served(), [SECONDARY]);
    let serves = world.serves;
    world.connect();
    world.checkers(&["n2"]);
    world.pass(Duration::from_mins(1));
    assert_eq!((world.served(), world.serves), (vec![SECONDARY], serves));
    // A leader that knows nothing yet.
    world.hear(OperatorMessage::Verdicts {
        verdicts: Vec::new(),
        holds: Vec::new(),
        whole: true,
    });
    assert_eq!(world.probed(), BTreeSet::new());
    assert_eq!(world.served(), [SECONDARY]);
    // One that knows of something else.
    world.verdicts(&[(SECONDARY, true)], &[]);
    assert_eq!(world.served(), [SECONDARY]);
    world.verdicts(&[(PRIMARY, true)], &[]);
    assert_eq!(world.served(), [PRIMARY]);
}

#[test]
fn results_of_an_earlier_loneliness_do_not_count() {
    let mut world = relieved(&Site::default());
    world.disconnect();
    world.pass(GRACE);
    world.find(PRIMARY, false);
    world.connect();
    world.verdicts(&[(PRIMARY, true), (SECONDARY, true)], &[]);
    world.disconnect();
    world.pass(GRACE * 2);
    assert_eq!(world.served(), [PRIMARY]);
    world.find(PRIMARY, false);
    assert_eq!(world.served(), [SECONDARY]);
}

#[test]
fn results_of_former_duties_do_not_count() {
    let mut world = World::new(&Site::default());
    world.connect();
    world.checkers(&["n1"]);
    world.verdicts(&[(PRIMARY, true), (SECONDARY, true)], &[]);
    world.find(PRIMARY, false);
    world.checkers(&["n2"]);
    world.disconnect();
    world.pass(GRACE * 2);
    assert_eq!(world.served(), [PRIMARY]);
}

#[test]
fn a_check_that_changes_does_not_make_anything_healthy() {
    let mut site = Site::default();
    let mut world = World::alone(&site);
    world.find(PRIMARY, false);
    site.check.timeout = Duration::from_secs(1);
    world.follow(&site);
    assert_eq!(world.served(), [SECONDARY]);
    world.probe(PRIMARY, true);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.served(), [SECONDARY]);
    world.probe(PRIMARY, true);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.served(), [PRIMARY]);
}

#[test]
fn many_results_make_one_change() {
    let mut world = World::alone(&Site::default());
    let serves = world.serves;
    for _ in 0..2 {
        world.probe(PRIMARY, false);
        world.probe(SECONDARY, true);
    }
    assert_eq!((world.served(), world.serves), (vec![PRIMARY], serves));
    world.pass(Duration::from_millis(10));
    assert_eq!(
        (world.served(), world.serves),
        (vec![SECONDARY], serves + 1)
    );
}

#[test]
fn a_result_that_says_nothing_changes_nothing() {
    let mut world = World::alone(&Site::default());
    world.find(PRIMARY, false);
    for _ in 0..5 {
        world.result(PRIMARY, Outcome::Nothing("may not be probed".into()));
    }
    world.pass(Duration::from_secs(1));
    assert_eq!(world.served(), [SECONDARY]);
}

#[test]
fn clients_return_at_once_when_nothing_else_is_said() {
    let mut world = World::alone(&Site::default());
    world.find(PRIMARY, false);
    assert_eq!(world.served(), [SECONDARY]);
    world.find(PRIMARY, true);
    assert_eq!(world.served(), [PRIMARY]);
}

#[test]
fn clients_return_by_hand() {
    let mut world = World::alone(&manual());
    world.find(PRIMARY, false);
    world.find(PRIMARY, true);
    world.pass(Duration::from_hours(1));
    assert_eq!(world.served(), [SECONDARY]);
    assert_eq!(world.agent.holds().len(), 1);
    world.tell(|agent, at| {
        assert!(!agent.release(at, "shop/other"));
        assert!(agent.release(at, RECORD));
        agent.tick(at)
    });
    assert_eq!(world.served(), [PRIMARY]);
    assert_eq!(world.agent.holds(), []);
}

#[test]
fn clients_return_after_a_while() {
    let wait = Duration::from_mins(5);
    let mut world = World::alone(&Site {
        mode: FailbackMode::After(wait),
        ..Site::default()
    });
    world.find(PRIMARY, false);
    world.find(PRIMARY, true);
    let nearly = Duration::from_secs(299);
    world.pass(nearly);
    assert_eq!(world.served(), [SECONDARY]);
    world.pass(wait.saturating_sub(nearly));
    assert_eq!(world.served(), [PRIMARY]);
}

#[test]
fn what_the_operator_held_stays_held() {
    let mut world = relieved(&manual());
    world.verdicts(&[], &["secondary"]);
    assert_eq!(world.served(), [SECONDARY]);
    world.disconnect();
    world.pass(GRACE * 2);
    world.find(PRIMARY, true);
    world.find(SECONDARY, true);
    assert_eq!(world.served(), [SECONDARY]);
    world.find(SECONDARY, false);
    assert_eq!(world.served(), [PRIMARY]);
    // The branch that is active now stays so.
    world.find(SECONDARY, true);
    assert_eq!(world.served(), [PRIMARY]);
}

#[test]
fn a_failover_while_alone_is_held_while_alone() {
    let mut world = relieved(&manual());
    world.disconnect();
    world.pass(GRACE);
    world.find(PRIMARY, false);
    world.find(PRIMARY, true);
    assert_eq!(world.served(), [SECONDARY]);
    world.connect();
    world.pass(Duration::from_mins(1));
    assert_eq!(world.served(), [SECONDARY]);
    world.verdicts(&[], &["secondary"]);
    assert_eq!(world.served(), [SECONDARY]);
}

//! After a change of leader.

use proptest::prelude::*;
use watershed_health::fleet::Report;
use watershed_health::{Check, Checker, State, WhenStale, checkers};

use crate::support::{Bench, check, choice, nodes, report, split, target};

/// What a node reports that answers as if the target were so.
fn served(state: State, served: bool) -> Report {
    Report {
        served: Some(served),
        ..report(1, state)
    }
}

#[test]
fn there_is_no_verdict_before_the_panel_settles() {
    let mut bench = Bench::unsettled(check(), nodes(3, 1));
    bench.say_all(split(0, 3));
    assert_eq!(bench.pass(60), []);
    assert_eq!(bench.panel.known(), []);
    bench.say_all(split(0, 3));
    assert_eq!(bench.panel.settle(bench.now).len(), 1);
    assert_eq!(bench.healthy(), Some(false));
}

#[test]
fn it_begins_with_what_most_nodes_answer_by() {
    // Two of five are back. What they see themselves would make it unhealthy.
    let mut bench = Bench::unsettled(check(), nodes(5, 1));
    for n in 0..3 {
        let node = format!("n{n}");
        let reports = vec![served(State::Unhealthy, n != 0)];
        bench.panel.report(bench.now, &node, reports, true);
    }
    bench.panel.settle(bench.now);
    assert_eq!(bench.healthy(), Some(true));
}

#[test]
fn a_failure_during_the_handover_is_seen_once_all_are_back() {
    let mut bench = Bench::unsettled(check(), nodes(5, 1));
    for n in 0..5 {
        let node = format!("n{n}");
        let reports = vec![served(State::Unhealthy, true)];
        bench.panel.report(bench.now, &node, reports, true);
    }
    let changes = bench.panel.settle(bench.now);
    assert_eq!(changes.last().and_then(|change| change.healthy), Some(true));
    // The default choice is sixteen checkers, of which five exist.
    assert_eq!(bench.pass(14), []);
    for n in 0..5 {
        bench.say(&format!("n{n}"), State::Unhealthy);
    }
    assert_eq!(bench.pass(1).len(), 1);
    assert_eq!(bench.healthy(), Some(false));
}

#[test]
fn a_failure_that_outweighs_all_who_are_away_is_seen_at_once() {
    let five = Check {
        checkers: choice(5),
        ..check()
    };
    let mut bench = Bench::unsettled(five, nodes(3, 1));
    for n in 0..3 {
        let node = format!("n{n}");
        let reports = vec![served(State::Unhealthy, true)];
        bench.panel.report(bench.now, &node, reports, true);
    }
    bench.panel.settle(bench.now);
    assert_eq!(bench.healthy(), Some(false));
}

/// A steady world: ten nodes, five probe, each says what it always says, and
/// all answer by the verdict that follows.
#[derive(Clone, Debug)]
struct World {
    all: Vec<Checker>,
    probing: Vec<usize>,
    up: Vec<bool>,
    check: Check,
    truth: bool,
}

fn worlds() -> impl Strategy<Value = World> {
    let quorums = prop::sample::select(vec![18_u32, 50, 80]);
    (
        prop::collection::vec(any::<bool>(), 10),
        quorums,
        1..=3_usize,
    )
        .prop_map(|(up, quorum_percent, locations)| {
            let all = nodes(10, locations);
            let probing = checkers(&target(1), &choice(5), &all);
            let healthy = probing.iter().filter(|n| up[**n]).count();
            World {
                truth: healthy * 100 > usize::try_from(quorum_percent).unwrap() * 5,
                check: Check {
                    quorum_percent,
                    checkers: choice(5),
                    when_stale: WhenStale::KeepLast,
                    ..check()
                },
                all,
                probing,
                up,
            }
        })
}

impl World {
    fn reports(&self, node: usize) -> Vec<Report> {
        let state = match (self.probing.contains(&node), self.up[node]) {
            (false, _) => State::Unknown,
            (true, true) => State::Healthy,
            (true, false) => State::Unhealthy,
        };
        vec![served(state, self.truth)]
    }
}

proptest! {
    /// Whatever the order in which nodes return, and whenever the panel
    /// settles, no verdict ever differs from what is being answered.
    #[test]
    fn a_change_of_leader_never_flaps(
        world in worlds(),
        order in Just((0..10_usize).collect::<Vec<_>>()).prop_shuffle(),
        settle_after in 0..=10_usize,
        pauses in prop::collection::vec(0..2_u64, 10),
    ) {
        let mut bench = Bench::unsettled(world.check.clone(), Vec::new());
        let mut back = Vec::new();
        for (turn, node) in order.into_iter().enumerate() {
            if turn == settle_after {
                bench.panel.settle(bench.now);
            }
            back.push(world.all[node].clone());
            bench.panel.nodes(bench.now, back.clone());
            let name = &world.all[node].node;
            bench.panel.report(bench.now, name, world.reports(node), true);
            let verdict = bench.healthy();
            prop_assert!(verdict.is_none_or(|healthy| healthy == world.truth));
            for change in bench.pass(pauses[turn]) {
                prop_assert_eq!(change.healthy, Some(world.truth));
            }
        }
        bench.panel.settle(bench.now);
        for node in 0..10 {
            let name = &world.all[node].node;
            bench.panel.report(bench.now, name, world.reports(node), true);
        }
        for change in bench.pass(14).into_iter().chain(bench.pass(60)) {
            prop_assert_eq!(change.healthy, Some(world.truth));
        }
        prop_assert_eq!(bench.healthy(), Some(world.truth));
    }

    /// Reports in any order, repeated or not, give the same verdict in the end.
    #[test]
    fn the_order_of_reports_does_not_matter(
        states in prop::collection::vec(prop::bool::ANY, 1..8),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let all = nodes(states.len(), 2);
        let say = |bench: &mut Bench, n: usize| {
            let state = if states[n] { State::Healthy } else { State::Unhealthy };
            bench.say(&format!("n{n}"), state);
        };
        let mut straight = Bench::new(check(), all.clone());
        let mut shuffled = Bench::new(check(), all);
        for index in order {
            say(&mut shuffled, index.index(states.len()));
        }
        for n in 0..states.len() {
            say(&mut straight, n);
            say(&mut shuffled, states.len() - 1 - n);
        }
        prop_assert_eq!(straight.healthy(), shuffled.healthy());
    }
}

//! What becomes of a fleet when the network fails, and hosts do.

use std::time::Duration;

use proptest::prelude::*;
use watershed_snapshot::SnapshotId;

use crate::content::{put, put_zone, remove};
use crate::network::{NODES, Network, OPERATORS};

const ALL: &[usize] = &[0, 1];
const MINUTE: Duration = Duration::from_mins(1);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A fleet that serves record 0 by the first operator.
fn fleet(known: &'static [usize]) -> Network {
    let mut network = Network::new(1, known);
    network.desire(vec![put_zone(), put(0, 0)]);
    network.lead(0);
    assert_everywhere(&mut network, 0);
    network
}

fn assert_everywhere(network: &mut Network, operator: usize) {
    let everywhere = network.run_until(MINUTE, |network| network.is_everywhere(operator));
    assert!(everywhere, "{:#?}", network.view(operator));
}

#[test]
fn a_change_comes_to_all_within_a_second() {
    let mut network = fleet(ALL);
    let before = network.recorded();
    network.desire(vec![put(1, 1)]);
    let everywhere = network.run_until(seconds(1), |network| {
        network.recorded() > before && network.is_everywhere(0)
    });
    assert!(everywhere, "{:#?}", network.view(0));
    assert_eq!(network.recorded().generation, before.generation + 1);
}

#[test]
fn nodes_are_sent_to_the_leader() {
    let mut network = Network::new(2, &[0]);
    network.desire(vec![put_zone(), put(0, 0)]);
    network.lead(1);
    assert_everywhere(&mut network, 1);
}

#[test]
fn a_cut_off_node_holds_up_nobody_and_catches_up() {
    let mut network = fleet(ALL);
    for operator in OPERATORS {
        network.sim.partition(operator, NODES[2]);
    }
    let former = network.id(2);
    network.desire(vec![put(1, 1)]);
    // No longer than a new generation waits for a node.
    let others = network.run_until(seconds(3), |network| network.current() == [0, 1]);
    assert!(others, "{:#?}", network.view(0));
    assert_eq!(network.id(2), former, "it serves what it has");
    // Silence is noticed, and then nobody waits.
    let noticed = network.run_until(seconds(30), |network| {
        let view = network.view(0).expect("it leads");
        view.nodes.iter().filter(|node| node.connected).count() == 2
    });
    assert!(noticed, "{:#?}", network.view(0));
    network.desire(vec![put(1, 2)]);
    let others = network.run_until(seconds(1), |network| network.current() == [0, 1]);
    assert!(others, "{:#?}", network.view(0));
    network.repair();
    assert_everywhere(&mut network, 0);
}

#[test]
fn what_is_late_does_no_harm() {
    let mut network = fleet(ALL);
    // What is said to one and by another waits in the network.
    network.sim.hold(OPERATORS[0], NODES[1]);
    for edition in 1..=3 {
        network.desire(vec![put(1, edition)]);
        network.run(seconds(3));
    }
    assert_eq!(network.current(), [0, 2]);
    network.sim.release(OPERATORS[0], NODES[1]);
    assert_everywhere(&mut network, 0);
}

#[test]
fn the_other_replica_takes_over_from_one_that_died() {
    let mut network = fleet(ALL);
    let before = network.recorded();
    network.crash_operator(0);
    network.run(seconds(5));
    assert_eq!(
        network.current(),
        [0, 1, 2],
        "all serve without an operator"
    );
    network.lead(1);
    assert_everywhere(&mut network, 1);
    assert_eq!(network.recorded(), before, "nothing has changed");
    network.desire(vec![put(1, 1)]);
    assert_everywhere(&mut network, 1);
    // The first comes back and leads again: terms go on.
    network.start_operator(0);
    network.lead(0);
    network.desire(vec![put(1, 2)]);
    assert_everywhere(&mut network, 0);
}

#[test]
fn of_two_leaders_the_later_one_wins() {
    let mut network = fleet(ALL);
    // Nodes 1 and 2 lose the first leader, which does not know of the second.
    for node in [NODES[1], NODES[2]] {
        network.sim.partition(OPERATORS[0], node);
    }
    network.lead_too(1);
    let moved = network.run_until(MINUTE, |network| {
        let view = network.view(1).expect("it leads");
        view.nodes.iter().filter(|node| node.connected).count() == 2
    });
    assert!(moved, "{:#?}", network.view(1));
    assert!(network.deposed().is_empty());
    // Both try to publish it.
    network.desire(vec![put(1, 1)]);
    let deposed = network.run_until(seconds(5), |network| network.deposed() == [0]);
    assert!(deposed, "the first leader did not see the later term");
    network.repair();
    assert_everywhere(&mut network, 1);
}

#[test]
fn a_node_starts_from_its_disk_where_no_operator_is() {
    let mut network = fleet(ALL);
    let before = network.recorded();
    for operator in OPERATORS {
        network.sim.partition(operator, NODES[0]);
    }
    network.start_node(0);
    assert_eq!(network.id(0), before);
    network.desire(vec![put(1, 1)]);
    network.run(seconds(5));
    assert_eq!(network.current(), [1, 2]);
    network.repair();
    assert_everywhere(&mut network, 0);
}

#[test]
fn a_node_with_an_empty_disk_is_filled() {
    let mut network = fleet(ALL);
    network.crash_node(1);
    network.wipe_disk(1);
    network.desire(vec![put(1, 1)]);
    network.run(seconds(1));
    network.start_node(1);
    let empty = SnapshotId {
        epoch: 0,
        generation: 0,
    };
    assert_eq!(network.id(1), empty);
    assert_everywhere(&mut network, 0);
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    Edit(u8, u8),
    Remove(u8),
    Run(u64),
    Partition(usize, usize),
    /// Only what the operator says is lost.
    PartitionDown(usize, usize),
    Hold(usize, usize),
    Release(usize, usize),
    Repair,
    StartNode(usize),
    StartOperator(usize),
    Lead(usize),
    /// Leads beside whoever does.
    LeadToo(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let link = (0..OPERATORS.len(), 0..NODES.len());
    prop_oneof![
        6 => (0..4_u8, 0..5_u8).prop_map(|(record, edition)| Step::Edit(record, edition)),
        1 => (0..4_u8).prop_map(Step::Remove),
        8 => (20..4000_u64).prop_map(Step::Run),
        2 => link.clone().prop_map(|(operator, node)| Step::Partition(operator, node)),
        1 => link.clone().prop_map(|(operator, node)| Step::PartitionDown(operator, node)),
        2 => link.clone().prop_map(|(operator, node)| Step::Hold(operator, node)),
        2 => link.prop_map(|(operator, node)| Step::Release(operator, node)),
        2 => Just(Step::Repair),
        1 => (0..NODES.len()).prop_map(Step::StartNode),
        1 => (0..OPERATORS.len()).prop_map(Step::StartOperator),
        2 => (0..OPERATORS.len()).prop_map(Step::Lead),
        1 => (0..OPERATORS.len()).prop_map(Step::LeadToo),
    ]
}

fn happen(network: &mut Network, step: &Step) {
    match *step {
        Step::Edit(record, edition) => network.desire(vec![put(record, edition)]),
        Step::Remove(record) => network.desire(vec![remove(record)]),
        Step::Run(milliseconds) => network.run(Duration::from_millis(milliseconds)),
        Step::Partition(operator, node) => {
            network.sim.partition(OPERATORS[operator], NODES[node]);
        }
        Step::PartitionDown(operator, node) => {
            network
                .sim
                .partition_oneway(OPERATORS[operator], NODES[node]);
        }
        Step::Hold(operator, node) => network.sim.hold(OPERATORS[operator], NODES[node]),
        Step::Release(operator, node) => network.sim.release(OPERATORS[operator], NODES[node]),
        Step::Repair => network.repair(),
        Step::StartNode(node) => network.start_node(node),
        Step::StartOperator(operator) => network.start_operator(operator),
        Step::Lead(operator) => network.lead(operator),
        Step::LeadToo(operator) => network.lead_too(operator),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        // A run takes some 400 ms. PROPTEST_CASES asks for more.
        cases: ProptestConfig::default().cases / 32,
        max_shrink_iters: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn everybody_ends_with_what_is_desired(
        seed in any::<u64>(),
        steps in prop::collection::vec(step(), 0..30),
    ) {
        let mut network = Network::new(seed, ALL);
        network.desire(vec![put_zone(), put(0, 0)]);
        network.lead(0);
        for step in &steps {
            happen(&mut network, step);
        }
        network.repair();
        network.start_operator(1);
        network.lead(0);
        let everywhere = network.run_until(MINUTE * 2, |network| network.is_everywhere(0));
        prop_assert!(everywhere, "{:#?}", network.view(0));
    }
}

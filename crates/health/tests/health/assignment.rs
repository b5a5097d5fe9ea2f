//! Who probes what.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use watershed_health::{Address, Checker, CheckerChoice, Target, checkers};

use crate::support::{choice, nodes};

fn target(n: usize) -> Target {
    Target {
        check: format!("shop/check-{}", n % 7),
        address: Some(Address::Host(format!("host-{n}.example"))),
    }
}

/// Names of the nodes that probe, in order of rank.
fn names(target: &Target, choice: &CheckerChoice, nodes: &[Checker]) -> Vec<String> {
    let chosen = checkers(target, choice, nodes);
    chosen.into_iter().map(|i| nodes[i].node.clone()).collect()
}

#[test]
fn the_cost_of_a_target_does_not_grow_with_the_fleet() {
    for size in [5, 10, 100, 1000] {
        let nodes = nodes(size, 5);
        for n in 0..20 {
            let chosen = names(&target(n), &choice(5), &nodes);
            assert_eq!(BTreeSet::from_iter(&chosen).len(), 5);
        }
    }
}

#[test]
fn a_small_fleet_probes_all_together() {
    let nodes = nodes(3, 2);
    assert_eq!(checkers(&target(1), &choice(5), &nodes).len(), 3);
    assert_eq!(checkers(&target(1), &choice(5), &[]), []);
    assert_eq!(checkers(&target(1), &choice(0), &nodes).len(), 1);
}

#[test]
fn locations_take_turns() {
    // Nine nodes in one location, one in each of two others.
    let mut nodes = nodes(9, 1);
    for location in ["far", "near"] {
        nodes.push(Checker {
            node: location.to_owned(),
            location: location.to_owned(),
        });
    }
    for n in 0..50 {
        let chosen = names(&target(n), &choice(3), &nodes);
        assert!(chosen.contains(&"far".to_owned()) && chosen.contains(&"near".to_owned()));
        assert_eq!(chosen.len(), 3);
    }
}

#[test]
fn only_the_wanted_locations_probe_if_there_are_any() {
    let nodes = nodes(10, 5);
    let only = |names: &[&str]| CheckerChoice {
        locations: names.iter().map(|&name| name.to_owned()).collect(),
        ..choice(4)
    };
    let of = |choice: &CheckerChoice| {
        let chosen = checkers(&target(1), choice, &nodes);
        let locations = chosen.iter().map(|i| nodes[*i].location.clone());
        (chosen.len(), locations.collect::<BTreeSet<_>>())
    };
    let wanted = BTreeSet::from(["l1".to_owned(), "l2".to_owned()]);
    assert_eq!(of(&only(&["l1", "l2"])), (4, wanted));
    assert_eq!(of(&only(&["nowhere"])).0, 4);
    assert_eq!(of(&only(&["l1", "nowhere"])).0, 2);
}

/// 5,000 targets with 3 checkers over 10 nodes: 1,500 each, within a tenth.
#[test]
fn the_work_is_spread_evenly() {
    let nodes = nodes(10, 5);
    let mut load: BTreeMap<usize, usize> = BTreeMap::new();
    let mut first: BTreeMap<usize, usize> = BTreeMap::new();
    for n in 0..5000 {
        let chosen = checkers(&target(n), &choice(3), &nodes);
        *first.entry(chosen[0]).or_default() += 1;
        for node in chosen {
            *load.entry(node).or_default() += 1;
        }
    }
    assert!(load.values().all(|n| (1350..=1650).contains(n)), "{load:?}");
    assert!(first.values().all(|n| (400..=600).contains(n)), "{first:?}");
}

/// Assignments must not move when the software is updated.
#[test]
fn the_choice_is_the_same_for_ever() {
    let nodes = nodes(10, 3);
    let chosen: Vec<Vec<usize>> = (0..6)
        .map(|n| checkers(&target(n), &choice(3), &nodes))
        .collect();
    let expected = [
        [3, 5, 7],
        [3, 5, 7],
        [7, 3, 5],
        [4, 0, 8],
        [7, 3, 5],
        [9, 4, 8],
    ];
    assert_eq!(chosen, expected);
}

proptest! {
    #[test]
    fn the_order_of_nodes_does_not_matter(
        order in Just(nodes(12, 4)).prop_shuffle(), n in 0..1000_usize, k in 1..8_u32,
    ) {
        let sorted = nodes(12, 4);
        prop_assert_eq!(
            names(&target(n), &choice(k), &order),
            names(&target(n), &choice(k), &sorted)
        );
    }

    /// A node that joins or leaves moves only what it gains or loses itself.
    #[test]
    fn a_node_moves_no_more_than_its_own(
        locations in prop::collection::vec(0..4_u8, 2..14), n in 0..1000_usize, k in 1..8_u32,
    ) {
        let nodes: Vec<Checker> = locations.iter().enumerate().map(|(i, location)| Checker {
            node: format!("n{i}"),
            location: format!("l{location}"),
        }).collect();
        let all: BTreeSet<String> = names(&target(n), &choice(k), &nodes).into_iter().collect();
        for gone in 0..nodes.len() {
            let mut rest = nodes.clone();
            let gone = rest.remove(gone).node;
            let without: BTreeSet<String> =
                names(&target(n), &choice(k), &rest).into_iter().collect();
            let lost: Vec<&String> = all.difference(&without).collect();
            prop_assert!(lost.iter().all(|name| **name == gone), "{:?}", lost);
            let gained = without.difference(&all).count();
            prop_assert!(gained <= usize::from(all.contains(&gone)));
        }
    }
}

//! Client affinity: what `docs/semantics.md` 4.3 says of many networks at
//! once.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};
use num_traits::One;
use serde_json::json;
use watershed::cidr::CidrCollections;
use watershed::policy_input::PolicyInput;
use watershed_policy::{Client, Health, Policy, View};

const A: u16 = 1;
const NETWORKS: u32 = 4000;

/// Two branches, `a` of weight 1 and `b` of `weight`.
fn policy(weight: u32) -> Policy {
    let manifest = json!({
        "apiVersion": "watershed.dev/v1alpha1",
        "kind": "TrafficPolicy",
        "metadata": {"name": "split", "namespace": "cases"},
        "spec": {"document": {
            "recordTypes": ["A"],
            "startRule": "split",
            "rules": {"split": {"type": "Weighted", "affinity": "Client", "branches": [
                {"weight": 1, "endpoint": "a"},
                {"weight": weight, "endpoint": "b"},
            ]}},
            "endpoints": {
                "a": {"addresses": ["192.0.2.1"], "healthCheckRef": {"name": "hc-a"}},
                "b": {"addresses": ["192.0.2.2"]},
            },
        }},
    });
    PolicyInput::from_value(&manifest, &CidrCollections::default())
        .policy
        .unwrap()
}

/// The `n`th network of 10.0.0.0/8.
fn network(n: u32) -> Ipv4Net {
    Ipv4Net::new(Ipv4Addr::from(0x0a00_0000 + (n << 8)), 24).unwrap()
}

/// The one endpoint that a client gets.
fn endpoint(policy: &Policy, health: &Health, network: impl Into<IpNet>) -> String {
    let client = Client {
        network: Some(network.into()),
        ..Client::default()
    };
    let view = View {
        client: &client,
        health,
        latency: None,
    };
    let distribution = policy.distribution(A, &view);
    let [outcome] = distribution.outcomes.as_slice() else {
        panic!("{client:?} has a choice: {distribution:?}");
    };
    assert!(outcome.probability.is_one());
    policy.endpoint(outcome.endpoints[0]).name.clone()
}

#[test]
fn addresses_of_one_network_get_the_same_branch() {
    let policy = policy(3);
    let health = Health::all_healthy(&policy);
    for n in 0..200 {
        let network = network(n);
        let whole = endpoint(&policy, &health, network);
        for address in [network.network(), network.broadcast()] {
            assert_eq!(endpoint(&policy, &health, Ipv4Net::from(address)), whole);
        }
    }
}

#[test]
fn networks_are_shared_out_by_weight() {
    let policy = policy(3);
    let health = Health::all_healthy(&policy);
    let of_b = (0..NETWORKS)
        .filter(|n| endpoint(&policy, &health, network(*n)) == "b")
        .count();
    // Three quarters of 4000; one standard deviation is 27.
    assert!(
        (2850..3150).contains(&of_b),
        "{of_b} of {NETWORKS} went to b"
    );
}

#[test]
fn a_larger_weight_moves_networks_only_towards_it() {
    let (before, after) = (policy(1), policy(3));
    let (all_before, all_after) = (Health::all_healthy(&before), Health::all_healthy(&after));
    for n in 0..NETWORKS / 4 {
        let (old, new) = (
            endpoint(&before, &all_before, network(n)),
            endpoint(&after, &all_after, network(n)),
        );
        assert!(
            old == new || new == "b",
            "network {n} went from {old} to {new}"
        );
    }
}

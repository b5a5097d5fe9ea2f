//! Properties that hold for every document, client and state of health.

use std::collections::BTreeMap;

use ipnet::IpNet;
use num_traits::{One, Zero};
use proptest::prelude::*;
use watershed_policy::{
    BigRational, Client, Decision, Distribution, Draw, EndpointId, Health, Limits, Policy, View,
};

use crate::support::{clients, documents};

const A: u16 = 1;

fn build(document: &watershed_policy::Document) -> Policy {
    let (policy, findings) = Policy::build(document, &Limits::unlimited());
    policy.unwrap_or_else(|| panic!("{findings:?}"))
}

/// Bit `n` of `down` says whether the n-th check or alias is unhealthy.
fn health(policy: &Policy, down: u32) -> Health {
    let is_up = |name: &str| {
        let n = name.bytes().map(u32::from).sum::<u32>() % 32;
        down & (1 << n) == 0
    };
    Health::new(policy, |check| is_up(&check.id), is_up)
}

/// Replays a list of draws, then extends it: walks all ways a decision can go.
struct Ways {
    taken: Vec<(u64, u64)>,
    position: usize,
}

impl Draw for Ways {
    fn below(&mut self, bound: u64) -> u64 {
        if self.position == self.taken.len() {
            self.taken.push((0, bound));
        }
        self.position += 1;
        self.taken[self.position - 1].0
    }
}

impl Ways {
    fn probability(&self) -> BigRational {
        let ways = self.taken.iter().map(|(_, bound)| *bound).product::<u64>();
        BigRational::new(1.into(), ways.into())
    }

    /// The next way; false when all have been walked.
    fn advance(&mut self) -> bool {
        self.position = 0;
        while let Some((ticket, bound)) = self.taken.pop() {
            if ticket + 1 < bound {
                self.taken.push((ticket + 1, bound));
                return true;
            }
        }
        false
    }
}

type Answers = BTreeMap<Vec<EndpointId>, BigRational>;

/// The distribution that `decide` has, by walking every draw.
fn decided(policy: &Policy, view: &View<'_>) -> (Answers, Vec<Decision>) {
    let mut ways = Ways {
        taken: Vec::new(),
        position: 0,
    };
    let (mut answers, mut decisions) = (Answers::new(), Vec::new());
    loop {
        let decision = policy.decide(A, view, &mut ways, &mut ());
        let mut endpoints = decision.endpoints.to_vec();
        endpoints.sort();
        *answers.entry(endpoints).or_insert_with(BigRational::zero) += ways.probability();
        decisions.push(decision);
        if !ways.advance() {
            return (answers, decisions);
        }
    }
}

/// The distribution with every subset written out.
fn written_out(distribution: &Distribution) -> Answers {
    let mut answers = Answers::new();
    for outcome in &distribution.outcomes {
        let size = outcome.subset.unwrap_or(outcome.endpoints.len());
        let subsets = subsets(&outcome.endpoints, size);
        let share = &outcome.probability / BigRational::from_integer(subsets.len().into());
        for mut endpoints in subsets {
            endpoints.sort();
            *answers.entry(endpoints).or_insert_with(BigRational::zero) += &share;
        }
    }
    answers
}

fn subsets(items: &[EndpointId], size: usize) -> Vec<Vec<EndpointId>> {
    match (size, items.split_first()) {
        (0, _) => vec![Vec::new()],
        (_, None) => Vec::new(),
        (_, Some((first, rest))) => {
            let mut with = subsets(rest, size - 1);
            for subset in &mut with {
                subset.push(*first);
            }
            with.extend(subsets(rest, size));
            with
        }
    }
}

/// Clients whose address is somewhere else in the scope.
fn neighbours(client: &Client, scope_len: u8) -> Vec<Client> {
    let Some(network) = client.network else {
        return Vec::new();
    };
    let scope = IpNet::new(network.addr(), scope_len).unwrap().trunc();
    let addresses = [scope.network(), scope.broadcast()];
    let full = if scope.addr().is_ipv4() { 32 } else { 128 };
    let neighbours = addresses.map(|address| Client {
        network: Some(IpNet::new(address, full).unwrap()),
        location: client.location.clone(),
    });
    neighbours.into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn decide_agrees_with_distribution(document in documents(), client in clients(), down: u32) {
        let policy = build(&document);
        let health = health(&policy, down);
        let view = View { client: &client, health: &health, latency: None };
        let distribution = policy.distribution(A, &view);
        let (answers, decisions) = decided(&policy, &view);
        prop_assert_eq!(&answers, &written_out(&distribution));
        for decision in decisions {
            prop_assert_eq!(decision.scope, distribution.scope);
        }
    }

    #[test]
    fn probabilities_sum_to_one(document in documents(), client in clients(), down: u32) {
        let policy = build(&document);
        let health = health(&policy, down);
        let view = View { client: &client, health: &health, latency: None };
        let (distribution, steps) = policy.explain(A, &view);
        let sum: BigRational = distribution.outcomes.iter().map(|o| o.probability.clone()).sum();
        prop_assert!(sum.is_one());
        prop_assert_eq!(&policy.distribution(A, &view), &distribution);
        for step in steps {
            prop_assert!(step.probability > BigRational::zero());
        }
    }

    #[test]
    fn addresses_in_the_scope_decide_alike(document in documents(), client in clients(), down: u32) {
        let policy = build(&document);
        let health = health(&policy, down);
        let view = View { client: &client, health: &health, latency: None };
        let distribution = policy.distribution(A, &view);
        let len = match client.network {
            Some(IpNet::V4(_)) => distribution.scope.ipv4,
            _ => distribution.scope.ipv6,
        };
        // A client known only by a shorter prefix than the scope stands for
        // all its addresses at once; RFC 7871 section 7.2.1 lets the scope be
        // longer to say just that.
        prop_assume!(client.network.is_none_or(|network| network.prefix_len() >= len));
        for neighbour in neighbours(&client, len) {
            let view = View { client: &neighbour, health: &health, latency: None };
            prop_assert_eq!(&policy.distribution(A, &view).outcomes, &distribution.outcomes);
        }
    }

    #[test]
    fn a_policy_survives_as_a_document(document in documents()) {
        let policy = build(&document);
        let written = policy.to_document();
        prop_assert_eq!(&policy, &build(&written));
        // What was written once is written the same again.
        prop_assert_eq!(&written, &build(&written).to_document());
    }

    #[test]
    fn findings_do_not_depend_on_order(document in documents(), seed: u16) {
        let mut shuffled = document.clone();
        let turn = |len: usize| usize::from(seed) % len;
        let (rules, endpoints) = (turn(document.rules.len()), turn(document.endpoints.len()));
        shuffled.rules.rotate_left(rules);
        shuffled.endpoints.rotate_left(endpoints);
        let findings = Policy::build(&document, &Limits::api()).1;
        prop_assert_eq!(findings, Policy::build(&shuffled, &Limits::api()).1);
    }
}

//! Work is bounded by the size of a document, not by its number of paths or
//! its depth.

use num_traits::One;
use watershed_policy::{BigRational, Client, Health, Limits, Policy, RuleKind, Selector, View};

use crate::support::{WEIGHTED, document, endpoint, rule, to_endpoint, to_rule};

fn all_healthy(policy: &Policy) -> (Client, Health) {
    (Client::default(), Health::all_healthy(policy))
}

/// Every rule leads twice to the next: 2^200 paths.
#[test]
fn shared_rules_are_evaluated_once() {
    let levels = 200;
    let mut rules: Vec<_> = (0..levels)
        .map(|level| {
            let next = format!("r{}", level + 1);
            let branches = vec![
                to_rule(&next, Selector::Weight(1)),
                to_rule(&next, Selector::Weight(2)),
            ];
            rule(&format!("r{level}"), WEIGHTED, branches)
        })
        .collect();
    let last = vec![
        to_endpoint("a", Selector::Weight(1)),
        to_endpoint("b", Selector::Weight(2)),
    ];
    rules.push(rule(&format!("r{levels}"), WEIGHTED, last));
    let document = document("r0", rules, vec![endpoint("a", 1), endpoint("b", 2)]);
    let policy = Policy::build(&document, &Limits::unlimited()).0.unwrap();
    let (client, health) = all_healthy(&policy);
    let view = View {
        client: &client,
        health: &health,
        latency: None,
    };

    let distribution = policy.distribution(1, &view);
    let third = BigRational::new(1.into(), 3.into());
    assert_eq!(distribution.outcomes[0].probability, third);
    assert_eq!(
        distribution.outcomes[1].probability,
        BigRational::one() - third
    );
    let decision = policy.decide(1, &view, &mut |_| 0, &mut ());
    assert_eq!(decision.endpoints[0], distribution.outcomes[0].endpoints[0]);
}

#[test]
fn a_deep_document_does_not_exhaust_the_stack() {
    let depth = 100_000;
    let mut rules: Vec<_> = (0..depth)
        .map(|level| {
            let branches = vec![
                to_rule(&format!("r{}", level + 1), Selector::Always),
                to_endpoint("a", Selector::Always),
            ];
            rule(&format!("r{level}"), RuleKind::Failover, branches)
        })
        .collect();
    let last = vec![
        to_endpoint("b", Selector::Always),
        to_endpoint("a", Selector::Always),
    ];
    rules.push(rule(&format!("r{depth}"), RuleKind::Failover, last));
    let document = document("r0", rules, vec![endpoint("a", 1), endpoint("b", 2)]);
    let policy = Policy::build(&document, &Limits::unlimited()).0.unwrap();
    let (client, health) = all_healthy(&policy);
    let view = View {
        client: &client,
        health: &health,
        latency: None,
    };

    let decision = policy.decide(1, &view, &mut |_| 0, &mut ());
    assert_eq!(policy.endpoint(decision.endpoints[0]).name, "b");
}

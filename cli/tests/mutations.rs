//! Whatever is written in a scenario, it is answered or refused with a reason.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use watershed::finding::Finding;
use watershed::scenario::Scenario;
use watershed::simulate::{Outcome, simulate};
use watershed::walk::Surroundings;
use watershed_policy::BigRational;

/// A valid scenario of each form of policy.
fn scenarios() -> Vec<Value> {
    let manifest = include_str!("fixtures/shared-pool.yaml");
    let document = include_str!("fixtures/document.json");
    let document: Value = serde_json::from_str(document).unwrap();
    vec![
        serde_yaml::from_str(manifest).unwrap(),
        json!({
            "policy": document,
            "client": {"country": "FR", "latitude": 48.9, "longitude": 2.4, "asn": 64496},
            "health": {"A1B2": "unhealthy"},
            "latency": {"eu-west-1": 10},
            "cidrCollections": {"offices": {"paris": ["192.0.2.0/24"]}},
            "recordType": "A",
        }),
    ]
}

/// A value that some member might be given by mistake.
fn values() -> impl Strategy<Value = Value> {
    let plain = vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(256),
        json!(1e300),
        json!(""),
        json!("A"),
        json!("192.0.2.1"),
        json!("europe"),
        json!("by place"),
        json!([]),
        json!({}),
        json!([{"rule": "split"}]),
        json!({"name": "x"}),
    ];
    prop_oneof![select(plain), any::<String>().prop_map(Value::from)]
}

/// One change: at a place, put another value there or take it away.
fn mutations() -> impl Strategy<Value = (Index, Option<Value>)> {
    (any::<Index>(), prop::option::weighted(0.7, values()))
}

fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    let below: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(k, v)| (k.clone(), v)).collect(),
        Value::Array(items) => (items.iter().enumerate())
            .map(|(index, item)| (index.to_string(), item))
            .collect(),
        _ => Vec::new(),
    };
    for (name, value) in below {
        places(value, &format!("{at}/{name}"), found);
    }
}

fn mutate(scenario: &mut Value, place: Index, change: Option<Value>) {
    let mut found = Vec::new();
    places(scenario, "", &mut found);
    let at = place.get(&found).clone();
    let (parent, last) = at.rsplit_once('/').unwrap_or(("", ""));
    match (change, scenario.pointer_mut(parent)) {
        (None, Some(Value::Object(members))) => drop(members.remove(last)),
        (change, _) => {
            if let Some(value) = scenario.pointer_mut(&at) {
                *value = change.unwrap_or_default();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_scenario_is_answered_or_refused_with_a_reason(
        scenario in select(scenarios()),
        mutations in prop::collection::vec(mutations(), 0..4),
    ) {
        let mut scenario = scenario;
        for (place, change) in mutations {
            mutate(&mut scenario, place, change);
        }
        let read = Scenario::from_value(&scenario, Path::new(""));
        let report = simulate(&read, &Surroundings::default());
        let refused = report.diagnostics.iter().any(Finding::is_error);
        prop_assert_eq!(report.outcome == Outcome::Invalid, refused, "{}", scenario);
        if !refused {
            let chances = report.answers.iter().map(|a| a.probability.parse::<BigRational>());
            let sum: BigRational = chances.map(Result::unwrap).sum();
            prop_assert_eq!(sum.to_string(), "1", "{}", scenario);
        }
    }
}

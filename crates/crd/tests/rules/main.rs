//! The CEL rules of the definitions, evaluated without an API server: each
//! refuses what it should, and says so in its own words.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub)]

mod document;
mod kinds;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use document::{CYCLE, branches, endpoints, rules, start_and_references};
use kinds::{other_kinds, records, transitions};
use kube_cel::{CompiledSchema, Validator, apply_defaults, compile_schema};
use serde::Deserialize;
use serde_json::{Value, json};
use support::{edited, manifest};
use watershed_crd::{KINDS, schema_for};

/// An edit to the full manifest of a kind, and the messages it must give.
struct Case {
    kind: &'static str,
    edits: Vec<(&'static str, Value)>,
    messages: Vec<&'static str>,
}

fn case(
    kind: &'static str,
    edits: impl IntoIterator<Item = (&'static str, Value)>,
    message: &'static str,
) -> Case {
    Case {
        kind,
        edits: edits.into_iter().collect(),
        messages: vec![message],
    }
}

/// The schemas, compiled once: that takes longer than all their evaluations.
static COMPILED: LazyLock<BTreeMap<&str, (Value, CompiledSchema)>> = LazyLock::new(|| {
    let schemas = KINDS.map(|kind| (kind, schema_for(kind).unwrap()));
    let compiled = schemas.map(|(kind, schema)| {
        let compiled = compile_schema(&schema);
        (kind, (schema, compiled))
    });
    compiled.into_iter().collect()
});

/// The messages of the rules that refuse `object` as an update of `old`.
fn refusals(kind: &str, object: &Value, old: Option<&Value>) -> BTreeSet<String> {
    let (schema, compiled) = &COMPILED[kind];
    let object = apply_defaults(schema, object);
    let old = old.map(|old| apply_defaults(schema, old));
    match Validator::new().validate_compiled(compiled, &object, old.as_ref()) {
        Ok(()) => BTreeSet::new(),
        Err(errors) => errors.into_vec().into_iter().map(|e| e.message).collect(),
    }
}

fn check(cases: Vec<Case>) {
    for Case {
        kind,
        edits,
        messages,
    } in cases
    {
        let found = refusals(kind, &edited(kind, &edits), None);
        let expected = messages.iter().map(|message| (*message).to_owned());
        assert_eq!(found, expected.collect(), "{kind} with {edits:?}");
    }
}

#[test]
fn full_manifests_are_accepted() {
    for kind in KINDS {
        let manifest = manifest(kind);
        assert_eq!(refusals(kind, &manifest, None), BTreeSet::new(), "{kind}");
        let same = refusals(kind, &manifest, Some(&manifest));
        assert_eq!(same, BTreeSet::new(), "{kind}, unchanged");
    }
}

/// Every rule must parse, and have a message of its own.
#[test]
fn every_rule_compiles() {
    for kind in KINDS {
        compiles(kind, &COMPILED[kind].1);
    }
}

fn compiles(at: &str, schema: &CompiledSchema) {
    for rule in &schema.validations {
        let compiled = rule
            .as_ref()
            .unwrap_or_else(|error| panic!("{at}: {error}"));
        assert!(
            compiled.rule.message.is_some(),
            "{at}: {}",
            compiled.rule.rule
        );
    }
    for (name, below) in &schema.properties {
        compiles(&format!("{at}.{name}"), below);
    }
    let below = [&schema.items, &schema.additional_properties];
    for below in below.into_iter().flatten() {
        compiles(&format!("{at}[]"), below);
    }
}

#[test]
fn a_document_starts_somewhere_and_refers_to_what_exists() {
    check(start_and_references());
}

#[test]
fn branches_have_what_their_rule_needs_and_nothing_else() {
    check(branches());
}

#[test]
fn rules_have_the_fields_of_their_type() {
    check(rules());
}

#[test]
fn endpoints_have_one_value_that_fits() {
    check(endpoints());
}

#[test]
fn the_other_kinds_are_consistent() {
    check(other_kinds());
    check(records());
}

/// A chain of `length` rules, each leading to the next.
fn chain(length: usize) -> Value {
    let mut rules = json!({});
    for depth in 1..length {
        let branches = json!([{"rule": format!("r{}", depth + 1)}, {"endpoint": "osl"}]);
        rules[format!("r{depth}")] = json!({"type": "MultiValue", "branches": branches});
    }
    let last = json!({"type": "MultiValue", "branches": [{"endpoint": "osl"}]});
    rules[format!("r{length}")] = last;
    let document = json!({
        "recordTypes": ["A"],
        "startRule": "r1",
        "rules": rules,
        "endpoints": {"osl": {"addresses": ["192.0.2.10"]}},
    });
    edited("TrafficPolicy", &[("/spec/document", document)])
}

#[test]
fn rules_may_be_eight_deep() {
    assert_eq!(refusals("TrafficPolicy", &chain(8), None), BTreeSet::new());
    let deeper = refusals("TrafficPolicy", &chain(9), None);
    assert_eq!(deeper, BTreeSet::from([CYCLE.to_owned()]));
}

/// `count` branches in all, in rules of at most 64.
fn wide(count: usize) -> Value {
    let branch = json!({"endpoint": "osl"});
    let mut rules = json!({});
    for (index, start) in (0..count).step_by(64).enumerate() {
        let branches = vec![branch.clone(); 64.min(count - start)];
        rules[format!("r{index}")] = json!({"type": "MultiValue", "branches": branches});
    }
    let document = json!({
        "recordTypes": ["A"],
        "startRule": "r0",
        "rules": rules,
        "endpoints": {"osl": {"addresses": ["192.0.2.10"]}},
    });
    edited("TrafficPolicy", &[("/spec/document", document)])
}

const MANY: &str = "all rules together may have at most 1000 branches";

#[test]
fn a_document_may_have_a_thousand_branches() {
    assert_eq!(
        refusals("TrafficPolicy", &wide(1000), None),
        BTreeSet::new()
    );
    let wider = refusals("TrafficPolicy", &wide(1001), None);
    assert_eq!(wider, BTreeSet::from([MANY.to_owned()]));
}

#[test]
fn a_document_needs_no_rules() {
    let document = json!({
        "recordTypes": ["CNAME"],
        "startEndpoint": "osl",
        "endpoints": {"osl": {"hostname": "osl.example.net"}},
    });
    let policy = edited("TrafficPolicy", &[("/spec/document", document)]);
    assert_eq!(refusals("TrafficPolicy", &policy, None), BTreeSet::new());
}

#[test]
fn what_may_not_change_does_not() {
    let minted = ("/status", json!({"mintedVersion": 12}));
    for change in transitions() {
        let mut before = manifest(change.kind);
        if change.kind == "TrafficPolicy" {
            before = edited(change.kind, std::slice::from_ref(&minted));
        }
        let after = edited(change.kind, &change.edits);
        let found = refusals(change.kind, &after, Some(&before));
        assert_eq!(found, BTreeSet::from([change.messages[0].to_owned()]));
        assert_eq!(refusals(change.kind, &after, None), BTreeSet::new());
    }
}

/// Going back to an older document under its old number is how `git revert`
/// looks; it must stay possible.
#[test]
fn a_minted_policy_takes_another_document_with_another_number() {
    let before = edited(
        "TrafficPolicy",
        &[("/status", json!({"mintedVersion": 12}))],
    );
    let comment = ("/spec/document/endpoints/osl/comment", json!("moved"));
    for number in [11, 13] {
        let after = edited(
            "TrafficPolicy",
            &[comment.clone(), ("/spec/version", json!(number))],
        );
        assert_eq!(
            refusals("TrafficPolicy", &after, Some(&before)),
            BTreeSet::new()
        );
    }
}

/// A rule without a case above proves nothing.
#[test]
fn every_rule_has_a_case() {
    let cases = [
        start_and_references(),
        branches(),
        rules(),
        endpoints(),
        other_kinds(),
        records(),
        transitions(),
    ];
    let tried = cases.into_iter().flatten().flat_map(|case| case.messages);
    let mut tried: BTreeSet<&str> = tried.collect();
    tried.insert(MANY);
    for kind in KINDS {
        each_message(&schema_for(kind).unwrap(), &mut |message| {
            assert!(tried.contains(message), "{kind}: no case for \"{message}\"");
        });
    }
}

fn each_message(schema: &Value, visit: &mut impl FnMut(&str)) {
    match schema {
        Value::Object(fields) => {
            for rule in fields
                .get("x-kubernetes-validations")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                visit(rule["message"].as_str().unwrap());
            }
            fields.values().for_each(|below| each_message(below, visit));
        }
        Value::Array(items) => items.iter().for_each(|below| each_message(below, visit)),
        _ => {}
    }
}

/// What the examples show must be accepted by an API server as well.
#[test]
fn the_examples_are_accepted() {
    let mut seen = 0;
    for file in yaml_files(&support::path("../../examples")) {
        let text = fs::read_to_string(&file).unwrap();
        for document in serde_yaml::Deserializer::from_str(&text) {
            let object = Value::deserialize(document).unwrap();
            if object["apiVersion"] != watershed_crd::API_VERSION {
                continue;
            }
            let kind = object["kind"].as_str().unwrap();
            let refused = refusals(kind, &object, None);
            assert_eq!(refused, BTreeSet::new(), "{kind} in {}", file.display());
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} objects in the examples");
}

fn yaml_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| {
        if path.is_dir() {
            yaml_files(&path)
        } else {
            vec![path]
        }
    });
    files
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect()
}

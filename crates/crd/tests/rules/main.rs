//! The CEL rules of the definitions, evaluated without an API server: each
//! refuses what it should, and says so in its own words.
//!
//! The cases are data, in `tests/cases`. `make e2e SUITE=admission` puts the
//! same cases to real API servers.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use kube_cel::{CompiledSchema, Validator, apply_defaults, compile_schema};
use serde::Deserialize;
use serde_json::{Value, json};
use support::cases::{Attempt, Case, cases};
use support::rules::{reaches, rules};
use support::{edited, manifest};
use watershed_crd::{KINDS, schema_for};

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

fn check(kind: &str, case: &Case) {
    for Attempt {
        title,
        before,
        object,
        messages,
    } in case.refuses.iter().chain(&case.passes)
    {
        let old = case.rule.about_changes.then_some(before);
        let found = refusals(kind, object, old);
        assert_eq!(found, *messages, "{:?}: {title}", case.rule);
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
fn rules_refuse_and_let_pass_what_they_should() {
    for kind in KINDS {
        for case in cases(kind, &COMPILED[kind].0) {
            check(kind, &case);
        }
    }
}

/// A rule without a case proves nothing, and so does an object that passes
/// because the rule is never looked at.
#[test]
fn every_rule_has_cases() {
    for kind in KINDS {
        let schema = &COMPILED[kind].0;
        let cases = cases(kind, schema);
        for rule in rules(kind, schema) {
            let of_rule: Vec<&Case> = cases.iter().filter(|case| case.rule == rule).collect();
            let refused = of_rule.iter().any(|case| !case.refuses.is_empty());
            assert!(refused, "no case that is refused by {rule:?}");
            let mut passing = of_rule.iter().flat_map(|case| &case.passes);
            let reached = passing.any(|attempt| reaches(&attempt.object, &rule.on));
            assert!(reached, "no case that {rule:?} lets pass");
        }
    }
}

/// What may not be changed into something may still be made as such.
#[test]
fn rules_about_changes_do_not_hinder_making() {
    let wrong_either_way = |attempt: &&Attempt| attempt.messages.len() == 1;
    for kind in KINDS {
        let cases = cases(kind, &COMPILED[kind].0);
        let changes = cases.iter().filter(|case| case.rule.about_changes);
        for attempt in changes
            .flat_map(|case| &case.refuses)
            .filter(wrong_either_way)
        {
            let made = refusals(kind, &attempt.object, None);
            assert_eq!(made, BTreeSet::new(), "{kind}: {}", attempt.title);
        }
    }
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

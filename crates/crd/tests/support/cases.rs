//! The cases of `tests/cases`: for every rule of a definition, objects that it
//! refuses and objects that it lets pass.
//!
//! They are data because two judges read them: an evaluator in the tests of
//! this package, and real API servers in those of `e2e`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::rules::{Rule, rules};
use super::{edit, manifest, read};

/// What one rule refuses and lets pass.
pub struct Case {
    /// The rule.
    pub rule: Rule,
    /// Objects, or changes of objects, that it refuses.
    pub refuses: Vec<Attempt>,
    /// Those that nothing refuses, the full manifest among them.
    pub passes: Vec<Attempt>,
}

/// An object that is made or, when the rule is about changes, changed.
pub struct Attempt {
    /// The edits to the full manifest, for messages of failing tests.
    pub title: String,
    /// The object before the change.
    pub before: Value,
    /// The object.
    pub object: Value,
    /// The messages of all rules that refuse it.
    pub messages: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    at: String,
    message: String,
    #[serde(default)]
    refuses: Vec<Edits>,
    #[serde(default)]
    passes: Vec<Edits>,
}

/// Edits to a manifest, from JSON pointers to values; null removes.
#[derive(Default, Deserialize)]
struct Edits {
    /// Messages of further rules that refuse the object.
    #[serde(default)]
    and: Vec<String>,
    /// Edits to the object before the change.
    #[serde(default)]
    before: BTreeMap<String, Value>,
    #[serde(flatten)]
    after: BTreeMap<String, Value>,
}

/// The cases of a kind with this schema.
pub fn cases(kind: &str, schema: &Value) -> Vec<Case> {
    let rules = rules(kind, schema);
    let known = |at: &str, message: &str| {
        let found = rules
            .iter()
            .find(|rule| rule.at == at && rule.message == message);
        let rule = found.unwrap_or_else(|| panic!("{kind} has no rule \"{message}\" at \"{at}\""));
        rule.clone()
    };
    let mut cases = Vec::new();
    let own = entries(&kind.to_lowercase());
    cases.extend(own.into_iter().map(|entry| {
        let rule = known(&entry.at, &entry.message);
        case(rule, &entry, &manifest(kind), "")
    }));
    if let Some(base) = document_base(kind) {
        cases.extend(entries("document").into_iter().map(|entry| {
            let dot = if entry.at.is_empty() { "" } else { "." };
            let at = format!("spec.document{dot}{}", entry.at);
            let mut case = case(known(&at, &entry.message), &entry, &base, "/spec/document");
            add_wide(&mut case, &base);
            case
        }));
    }
    cases
}

fn entries(file: &str) -> Vec<Entry> {
    let file = format!("tests/cases/{file}.yaml");
    read(&file).map_or_else(Vec::new, |text| {
        serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
    })
}

fn case(rule: Rule, entry: &Entry, base: &Value, prefix: &str) -> Case {
    let attempt = |edits: &Edits| {
        let mut before = base.clone();
        for (pointer, value) in &edits.before {
            edit(&mut before, &format!("{prefix}{pointer}"), value.clone());
        }
        let mut object = before.clone();
        for (pointer, value) in &edits.after {
            edit(&mut object, &format!("{prefix}{pointer}"), value.clone());
        }
        Attempt {
            title: json!(edits.after).to_string(),
            before,
            object,
            messages: edits.and.iter().cloned().collect(),
        }
    };
    let refuses = entry.refuses.iter().map(|edits| {
        let mut attempt = attempt(edits);
        attempt.messages.insert(rule.message.clone());
        attempt
    });
    let unedited = Edits::default();
    let passes = entry.passes.iter().chain([&unedited]);
    Case {
        refuses: refuses.collect(),
        passes: passes.map(attempt).collect(),
        rule,
    }
}

/// The manifest whose document the cases of `document.yaml` edit.
fn document_base(kind: &str) -> Option<Value> {
    let policy = manifest("TrafficPolicy");
    match kind {
        "TrafficPolicy" => Some(policy),
        "TrafficPolicyVersion" => Some(json!({
            "apiVersion": policy["apiVersion"],
            "kind": kind,
            "metadata": {"name": "storefront-v12", "namespace": "web"},
            "spec": {
                "policyName": "storefront",
                "version": 12,
                "document": policy["spec"]["document"],
            },
        })),
        _ => None,
    }
}

/// Documents that are too long to write down.
fn add_wide(case: &mut Case, base: &Value) {
    if !case.rule.message.contains("at most 1000 branches") {
        return;
    }
    let attempt = |count, messages| {
        let mut object = base.clone();
        object["spec"]["document"] = wide(count);
        Attempt {
            title: format!("{count} branches"),
            before: base.clone(),
            object,
            messages,
        }
    };
    let refused = BTreeSet::from([case.rule.message.clone()]);
    case.refuses.push(attempt(1001, refused));
    case.passes.push(attempt(1000, BTreeSet::new()));
}

/// A document of `count` branches in rules of at most 64.
fn wide(count: usize) -> Value {
    let branch = json!({"endpoint": "osl"});
    let mut rules = json!({});
    for (index, start) in (0..count).step_by(64).enumerate() {
        let branches = vec![branch.clone(); 64.min(count - start)];
        rules[format!("r{index}")] = json!({"type": "MultiValue", "branches": branches});
    }
    json!({
        "recordTypes": ["A"],
        "startRule": "r0",
        "rules": rules,
        "endpoints": {"osl": {"addresses": ["192.0.2.10"]}},
    })
}

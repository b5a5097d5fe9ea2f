//! References from one object to another, within what was given.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use watershed_policy::Code;

use crate::finding::Finding;
use crate::manifest::{self, Identity};

use super::Set;

/// A reference of an object to another.
struct Reference {
    path: String,
    kind: &'static str,
    namespace: String,
    name: String,
}

/// Checks every reference. An object that is missing among others of its
/// kind is a fault; where nothing of its kind was given, there is nothing to
/// check against, which is said once for each object that refers to it.
pub(super) fn check(set: &Set) -> Vec<(usize, Finding)> {
    let known = known(set);
    let kinds: BTreeSet<&str> = known
        .iter()
        .map(|identity| identity.kind.as_str())
        .collect();
    let mut found = Vec::new();
    for (index, unit) in set.units.iter().enumerate() {
        let Some(value) = unit.object() else { continue };
        let mut unchecked: BTreeMap<&str, (String, BTreeSet<String>)> = BTreeMap::new();
        for reference in references(value) {
            if kinds.contains(reference.kind) {
                found.extend(missing(&reference, &known).map(|finding| (index, finding)));
            } else {
                let entry = unchecked
                    .entry(reference.kind)
                    .or_insert_with(|| (reference.path, BTreeSet::new()));
                entry.1.insert(reference.name);
            }
        }
        found.extend(unchecked.into_iter().map(|(kind, (path, names))| {
            let names: Vec<String> = names.into_iter().collect();
            let message = format!(
                "No {kind} is given, so these references were not checked: {}",
                names.join(", ")
            );
            (
                index,
                Finding::warning(Code::UnknownReference, path, message),
            )
        }));
    }
    found
}

/// What was given. A version stands for its policy too: policies may be
/// written as versions alone.
fn known(set: &Set) -> BTreeSet<Identity> {
    let mut known = BTreeSet::new();
    for value in set.units.iter().filter_map(super::Unit::object) {
        let identity = manifest::identity(value);
        let policy = value.pointer("/spec/policyName").and_then(Value::as_str);
        if let (Some(policy), "TrafficPolicyVersion") = (policy, identity.kind.as_str()) {
            known.insert(Identity {
                kind: "TrafficPolicy".to_owned(),
                name: policy.to_owned(),
                ..identity.clone()
            });
        }
        known.insert(identity);
    }
    known
}

fn missing(reference: &Reference, known: &BTreeSet<Identity>) -> Option<Finding> {
    let identity = Identity {
        kind: reference.kind.to_owned(),
        namespace: reference.namespace.clone(),
        name: reference.name.clone(),
    };
    if known.contains(&identity) {
        return None;
    }
    let message = format!("There is no {identity} among what is given");
    Some(Finding::error(
        Code::UnknownReference,
        &reference.path,
        message,
    ))
}

/// Every reference of an object of ours.
fn references(value: &Value) -> Vec<Reference> {
    let namespace = manifest::identity(value).namespace;
    let mut references = Vec::new();
    if let Some(spec) = value.get("spec") {
        walk(spec, "spec", &namespace, &mut references);
    }
    references
}

/// The members that refer to an object, and the kind of that object.
const MEMBERS: [(&str, &str); 5] = [
    ("healthCheckRef", "HealthCheck"),
    ("cidrCollectionRef", "CIDRCollection"),
    ("policyRecordRef", "PolicyRecord"),
    ("policyRef", "TrafficPolicy"),
    ("hostedZoneRef", "HostedZone"),
];

/// Documents nest as deep as their schema, and YAML not without bounds.
fn walk(value: &Value, path: &str, namespace: &str, references: &mut Vec<Reference>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = crate::finding::join(path, name);
                let kind = MEMBERS.iter().find(|(member, _)| member == name);
                if let Some((_, kind)) = kind {
                    references.extend(reference(value, kind, &path, namespace));
                } else {
                    walk(value, &path, namespace, references);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &format!("{path}[{index}]"), namespace, references);
            }
        }
        _ => {}
    }
}

fn reference(value: &Value, kind: &'static str, path: &str, namespace: &str) -> Option<Reference> {
    let name = value.get("name")?.as_str()?;
    let other = value.get("namespace").and_then(Value::as_str);
    Some(Reference {
        path: path.to_owned(),
        kind,
        namespace: other.unwrap_or(namespace).to_owned(),
        name: name.to_owned(),
    })
}

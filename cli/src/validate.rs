//! `watershed validate`: every fault of any number of files.

mod collect;
mod references;
mod report;
mod together;

use std::collections::BTreeMap;

use serde_json::Value;
use watershed_policy::Code;

use crate::args::{TextOrJson, ValidateArgs};
use crate::cidr::CidrCollections;
use crate::console::{self, Printed, Status};
use crate::finding::Finding;
use crate::manifest::{self, Identity};
use crate::policy_input::{self, PolicyInput};
use crate::scenario::Scenario;
use crate::schema;

pub(crate) use collect::{Unit, collect};
pub use report::Located;

/// `watershed validate`.
pub fn run(args: &ValidateArgs) -> Printed {
    let set = collect(&args.inputs);
    let findings = validate(&set);
    let failed = findings.iter().any(|located| located.finding.is_error());
    Printed {
        out: match args.output {
            TextOrJson::Json => console::json(&findings),
            TextOrJson::Text => report::text(&findings, &set),
        },
        status: if failed { Status::Faults } else { Status::Ok },
        ..Printed::default()
    }
}

/// Everything that was given, to be checked together.
#[derive(Debug, Default)]
pub(crate) struct Set {
    /// The documents of all files, in order.
    pub(crate) units: Vec<Unit>,
    /// How many files they come from.
    files: usize,
}

/// All findings, in the order of the files.
fn validate(set: &Set) -> Vec<Located> {
    let mut found = examine(set);
    for (index, finding) in references::check(set) {
        found[index].push(finding);
    }
    for (index, finding) in together::check(set, &found) {
        let told = found[index].iter().any(|f| f.path == finding.path);
        if !told {
            found[index].push(finding);
        }
    }
    let units = set.units.iter().zip(found);
    units
        .flat_map(|(unit, findings)| findings.into_iter().map(|f| Located::new(unit, f)))
        .collect()
}

/// The findings about each document by itself, and about objects given twice;
/// not those about references between objects.
pub(crate) fn examine(set: &Set) -> Vec<Vec<Finding>> {
    let collections = collections(set);
    let units = set.units.iter();
    let mut found: Vec<Vec<Finding>> = units.map(|unit| check(unit, &collections)).collect();
    for (index, finding) in duplicates(set) {
        found[index].push(finding);
    }
    found
}

/// The CIDR collections of each namespace.
fn collections(set: &Set) -> BTreeMap<String, CidrCollections> {
    let mut collections: BTreeMap<String, CidrCollections> = BTreeMap::new();
    for value in set.units.iter().filter_map(Unit::object) {
        let namespace = manifest::identity(value).namespace;
        manifest::add_collection(value, collections.entry(namespace).or_default());
    }
    collections
}

/// Checks one document by itself.
fn check(unit: &Unit, collections: &BTreeMap<String, CidrCollections>) -> Vec<Finding> {
    let value = match &unit.content {
        Ok(value) => value,
        Err(fault) => return vec![fault.clone()],
    };
    if manifest::is_manifest(value) {
        return check_manifest(value, collections);
    }
    if Scenario::is_recognised(value) {
        return check_scenario(value, unit);
    }
    if policy_input::is_route53(value) {
        let none = CidrCollections::default();
        return PolicyInput::from_text(&unit.text, unit.syntax, &none).findings;
    }
    let message = "Neither a manifest, nor a Route 53 document, nor a scenario: it was not checked";
    vec![if unit.named {
        Finding::error(Code::UnknownField, "", message)
    } else {
        Finding::warning(Code::Ignored, "", message)
    }]
}

fn check_manifest(value: &Value, collections: &BTreeMap<String, CidrCollections>) -> Vec<Finding> {
    if is_foreign(value) {
        return Vec::new();
    }
    let has_document = value.pointer("/spec/document").is_some();
    if !manifest::is_policy(value) || !has_document {
        let faults = schema::check(value).into_iter();
        return faults.map(|fault| fault.finding).collect();
    }
    let none = CidrCollections::default();
    let namespace = manifest::identity(value).namespace;
    let collections = collections.get(&namespace).unwrap_or(&none);
    let mut findings = PolicyInput::from_manifest(value, collections).findings;
    // References are checked for all objects alike, below.
    findings.retain(|finding| !finding.path.ends_with(".cidrCollectionRef"));
    findings
}

/// Objects of other groups often lie beside ours.
fn is_foreign(value: &Value) -> bool {
    let version = value.get("apiVersion").and_then(Value::as_str);
    version.is_some_and(|version| !version.starts_with("watershed.dev/"))
}

/// A scenario by itself. The faults of a policy in a file of its own are
/// those of that file.
fn check_scenario(value: &Value, unit: &Unit) -> Vec<Finding> {
    let scenario = Scenario::from_value(value, &unit.base_dir);
    if value.get("policyFile").is_none() {
        return scenario.all_findings();
    }
    let mut findings = scenario.findings;
    let faults = scenario.policy.findings.iter().filter(|f| f.is_error());
    let count = faults.count();
    if count > 0 {
        let message = format!("The policy has faults ({count}): validate its file to see them");
        findings.push(Finding::error(
            Code::UnknownReference,
            "policyFile",
            message,
        ));
    }
    findings
}

/// Objects of ours given twice: which of them counts would be chance.
fn duplicates(set: &Set) -> Vec<(usize, Finding)> {
    let mut first: BTreeMap<Identity, &Unit> = BTreeMap::new();
    let mut found = Vec::new();
    for (index, unit) in set.units.iter().enumerate() {
        let Some(value) = unit.object() else { continue };
        let identity = manifest::identity(value);
        // Kinds of other groups may have our names, and each other's.
        if identity.name.is_empty() || is_foreign(value) {
            continue;
        }
        if let Some(other) = first.get(&identity) {
            let message = format!("{identity} is already in {}: remove one", other.place());
            found.push((
                index,
                Finding::error(Code::Duplicate, "metadata.name", message),
            ));
        } else {
            first.insert(identity, unit);
        }
    }
    found
}

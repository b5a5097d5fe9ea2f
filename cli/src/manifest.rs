//! Manifests of the group `watershed.dev`: recognising them, and reading the
//! policy documents among them.

use serde_json::{Value, json};
use watershed_crd::document::TrafficPolicyDocument;
use watershed_policy::{Code, Diagnostic, Path};

use crate::cidr::CidrCollections;
use crate::finding::{Finding, has_errors};
use crate::mend::{self, Mended};
use crate::schema;

/// Where a policy document stands in its manifest.
const DOCUMENT: &str = "spec.document";

/// What tells objects apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// Kind, such as `TrafficPolicy`.
    pub kind: String,
    /// Namespace; `default` where none is given.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// The identity of an object; what is missing is empty.
pub fn identity(value: &Value) -> Identity {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    Identity {
        kind: text("/kind").unwrap_or_default().to_owned(),
        namespace: text("/metadata/namespace").unwrap_or("default").to_owned(),
        name: text("/metadata/name").unwrap_or_default().to_owned(),
    }
}

/// Whether a document is meant as a Kubernetes object of any kind.
pub fn is_manifest(value: &Value) -> bool {
    value.get("kind").is_some() || value.get("apiVersion").is_some()
}

/// Whether it holds a policy document.
pub fn is_policy(value: &Value) -> bool {
    let kind = value.get("kind").and_then(Value::as_str);
    matches!(kind, Some("TrafficPolicy" | "TrafficPolicyVersion"))
}

/// Adds the locations of a `CIDRCollection` manifest to `collections`.
pub fn add_collection(value: &Value, collections: &mut CidrCollections) {
    if value.get("kind").and_then(Value::as_str) != Some("CIDRCollection") {
        return;
    }
    let locations = value.pointer("/spec/locations").cloned();
    if let Some(Ok(locations)) = locations.map(serde_json::from_value) {
        collections.insert(&identity(value).name, locations);
    }
}

/// The policy document of a manifest, as far as it can be read.
pub(crate) struct PolicyRead {
    /// The document; parts that the schema refuses are mended or left out, so
    /// that the rest can be checked all the same.
    pub(crate) document: Option<TrafficPolicyDocument>,
    /// Which parts those are.
    pub(crate) mended: Mended,
    /// What the schema refuses.
    pub(crate) findings: Vec<Finding>,
}

/// Reads the policy document of a manifest. What names the object may be
/// missing where only its policy matters.
pub(crate) fn read_policy(value: &Value, anonymous: bool) -> PolicyRead {
    let mut read = PolicyRead {
        document: None,
        mended: Mended::default(),
        findings: Vec::new(),
    };
    if !is_policy(value) {
        let kind = value.get("kind").and_then(Value::as_str).unwrap_or("none");
        read.findings.push(Finding::error(
            Code::InvalidValue,
            "kind",
            format!("A policy is of kind TrafficPolicy or TrafficPolicyVersion, not {kind}"),
        ));
        return read;
    }
    let faults = if anonymous {
        schema::check(&named(value))
    } else {
        schema::check(value)
    };
    read.findings = faults.iter().map(|fault| fault.finding.clone()).collect();
    let mut mended = value.clone();
    read.mended = mend::mend(&mut mended, &faults);
    match mended.pointer_mut("/spec/document").map(Value::take) {
        None | Some(Value::Null) if has_errors(&read.findings) => {}
        None | Some(Value::Null) => read.findings.push(Finding::error(
            Code::MissingField,
            DOCUMENT,
            "The policy has no document of its own: give one of its versions instead",
        )),
        Some(document) => match serde_json::from_value(document) {
            Ok(document) => read.document = Some(document),
            // The schema has said why, in its own words.
            Err(_) if has_errors(&read.findings) => {}
            Err(error) => read.findings.push(Finding::error(
                Code::InvalidValue,
                DOCUMENT,
                error.to_string(),
            )),
        },
    }
    read
}

/// The manifest with an API version and a name.
fn named(value: &Value) -> Value {
    let mut named = value.clone();
    if named.get("apiVersion").is_none() {
        named["apiVersion"] = watershed_crd::API_VERSION.into();
    }
    match named.get_mut("metadata") {
        None => named["metadata"] = json!({"name": "policy"}),
        Some(Value::Object(metadata)) => {
            metadata.entry("name").or_insert_with(|| "policy".into());
        }
        Some(_) => {}
    }
    named
}

/// A finding about a policy document, as one about its manifest.
pub(crate) fn finding(diagnostic: Diagnostic) -> Finding {
    let whole = diagnostic.path == Path::Document(None);
    let finding = Finding::from(diagnostic);
    if whole {
        Finding {
            path: DOCUMENT.to_owned(),
            ..finding
        }
    } else {
        finding.below(DOCUMENT)
    }
}

//! A policy in any form that users have it: a Route 53 document, or a
//! `TrafficPolicy` or `TrafficPolicyVersion` manifest.

use std::path::Path;

use serde_json::Value;
use watershed_compile::{ObjectAddress, References, compile_policy};
use watershed_crd::document::{ObjectReference, TrafficPolicyDocument};
use watershed_policy::{Code, Diagnostic, Limits, Policy};

use crate::cidr::CidrCollections;
use crate::finding::{Finding, has_errors};
use crate::input::{self, Source};
use crate::manifest::{self, Identity};
use crate::members::describe;
use crate::mend::Mended;

/// A policy as it was given, and what became of it.
#[derive(Debug, Default)]
pub struct PolicyInput {
    /// In which form it was given; `None` when there is no telling.
    pub origin: Option<Origin>,
    /// The document, where it could be read.
    pub document: Option<TrafficPolicyDocument>,
    /// The policy, where the document has no fault.
    pub policy: Option<Policy>,
    /// Faults and warnings, in the members of the form it was given in.
    pub findings: Vec<Finding>,
}

/// Whether a document is a policy by the look of it.
pub fn is_policy(value: &Value) -> bool {
    manifest::is_policy(value) || is_route53(value)
}

/// Whether a document is meant as one of Route 53, by itself or in the answer
/// of `aws route53 get-traffic-policy`.
pub fn is_route53(value: &Value) -> bool {
    let has = |name: &str| value.get(name).is_some();
    has("AWSPolicyFormatVersion")
        || (has("Endpoints") && (has("StartRule") || has("StartEndpoint") || has("Rules")))
        || value.pointer("/TrafficPolicy/Document").is_some()
}

/// In which form a policy was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A Route 53 traffic policy document.
    Route53,
    /// A manifest.
    Manifest(Identity),
}

impl PolicyInput {
    /// No policy at all; the fault is noted elsewhere.
    pub(crate) fn absent() -> Self {
        Self::default()
    }

    fn broken(fault: Finding) -> Self {
        Self {
            findings: vec![fault],
            ..Self::default()
        }
    }

    /// Reads a policy that is parsed already. `collections` are the CIDR
    /// collections that a manifest may refer to.
    pub fn from_value(value: &Value, collections: &CidrCollections) -> Self {
        if !value.is_object() {
            let message = format!(
                "A policy is expected here (a Route 53 document, or a TrafficPolicy or \
                 TrafficPolicyVersion manifest), not {}",
                describe(value)
            );
            return Self::broken(Finding::error(Code::InvalidValue, "policy", message));
        }
        if manifest::is_manifest(value) {
            Self::read_manifest(value, collections, true)
        } else {
            Self::from_import(watershed_route53::import_value(value))
        }
    }

    /// Reads the policy of a file. Besides the one policy it may hold other
    /// manifests; CIDR collections among them are used.
    pub fn load(path: &Path, collections: &CidrCollections) -> Self {
        let source = Source::File(path.to_owned());
        match source.read() {
            Ok(text) => Self::from_text(&text, source.syntax(), collections),
            Err(fault) => Self::broken(fault.below("policyFile")),
        }
    }

    /// As [`Self::load`], from the text of the file.
    pub fn from_text(text: &str, syntax: input::Syntax, collections: &CidrCollections) -> Self {
        let mut values = Vec::new();
        for parsed in input::documents(text, syntax) {
            match parsed {
                Ok(value) => values.push(value),
                Err(fault) => return Self::broken(fault),
            }
        }
        if let [only] = values.as_slice()
            && !manifest::is_manifest(only)
        {
            return Self::from_route53_text(text, only, collections);
        }
        let mut collections = collections.clone();
        for value in &values {
            manifest::add_collection(value, &mut collections);
        }
        let mut policies = values.iter().filter(|value| manifest::is_policy(value));
        match (policies.next(), policies.next()) {
            (Some(policy), None) => Self::from_value(policy, &collections),
            (None, _) => Self::broken(Finding::error(
                Code::MissingField,
                "",
                "The file has no policy: a Route 53 document, or a TrafficPolicy or \
                 TrafficPolicyVersion manifest",
            )),
            (Some(_), Some(_)) => Self::broken(Finding::error(
                Code::FieldConflict,
                "",
                "The file has several policies: keep the one that is meant in a file of its own",
            )),
        }
    }

    /// Text tells more than a value: which members occur twice.
    fn from_route53_text(text: &str, value: &Value, collections: &CidrCollections) -> Self {
        if serde_json::from_str::<Value>(text).is_ok() {
            Self::from_import(watershed_route53::import(text))
        } else {
            Self::from_value(value, collections)
        }
    }

    fn from_import(import: Result<watershed_route53::Import, Vec<Diagnostic>>) -> Self {
        let origin = Some(Origin::Route53);
        match import {
            Ok(import) => {
                // The import has checked the tree and says what it found in
                // Route 53's members.
                let none = CidrCollections::default();
                let (policy, found) = compile(&import.document, &none, &Limits::route53());
                let overlooked = found.into_iter().filter(|_| policy.is_none());
                Self {
                    origin,
                    findings: findings(import.findings.into_iter().chain(overlooked)),
                    policy,
                    document: Some(import.document),
                }
            }
            Err(faults) => Self {
                origin,
                findings: findings(faults),
                ..Self::default()
            },
        }
    }

    /// Reads a manifest as it stands in a cluster or a file of manifests: it
    /// must have a name.
    pub fn from_manifest(value: &Value, collections: &CidrCollections) -> Self {
        Self::read_manifest(value, collections, false)
    }

    fn read_manifest(value: &Value, collections: &CidrCollections, anonymous: bool) -> Self {
        let read = manifest::read_policy(value, anonymous);
        let mut input = Self {
            origin: Some(Origin::Manifest(manifest::identity(value))),
            findings: read.findings,
            ..Self::default()
        };
        if let Some(document) = read.document {
            let (policy, found) = compile(&document, collections, &Limits::api());
            input.add(found.into_iter().map(manifest::finding), &read.mended);
            input.policy = policy.filter(|_| !has_errors(&input.findings));
            input.document = Some(document);
        }
        input
    }

    /// Adds what was found in a document to what its schema refused. A mended
    /// document tells of its faults only, as a warning might be about the
    /// mending; and what both refuse is told once, by the one who knows what
    /// the value means.
    fn add(&mut self, found: impl Iterator<Item = Finding>, mended: &Mended) {
        let found = found.filter(|finding| !mended.cover(&finding.path));
        let found: Vec<Finding> = found
            .filter(|finding| finding.is_error() || mended.is_empty())
            .collect();
        let told = |refused: &Finding| {
            let mut errors = found.iter().filter(|finding| finding.is_error());
            errors.any(|finding| {
                refused.path == finding.path
                    || (refused.code == finding.code && is_child(&refused.path, &finding.path))
            })
        };
        self.findings.retain(|refused| !told(refused));
        self.findings.extend(found);
    }
}

/// Whether `path` is that of an item or a member of what is at `parent`.
fn is_child(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent)
        .is_some_and(|rest| rest.rfind(['[', '.']) == Some(0))
}

/// Compiles a document by itself. What it refers to outside is not at hand:
/// health checks go by their names, and an object or record by a name made
/// up for it, which is what its endpoint answers with.
fn compile(
    document: &TrafficPolicyDocument,
    collections: &CidrCollections,
    limits: &Limits,
) -> (Option<Policy>, Vec<Diagnostic>) {
    let collection = |name: &str| collections.get(name);
    let references = References {
        cidr_collections: &collection,
        objects: Some(&|object| Ok(vec![ObjectAddress::Hostname(stand_in(object))])),
        policy_records: &|name| Some(format!("{name}.policyrecord")),
        check_id: &str::to_owned,
    };
    compile_policy(document, &references, limits)
}

/// Such as `public.infra.gateway`.
fn stand_in(object: &ObjectReference) -> String {
    let parts = [
        Some(object.name.clone()),
        object.namespace.clone(),
        Some(format!("{:?}", object.kind).to_ascii_lowercase()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(".")
}

fn findings(diagnostics: impl IntoIterator<Item = Diagnostic>) -> Vec<Finding> {
    diagnostics.into_iter().map(Finding::from).collect()
}

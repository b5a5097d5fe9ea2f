//! Versions: from documents to policies that records can serve.

use std::collections::BTreeMap;
use std::sync::Arc;

use watershed_crd::document::{ObjectReference, TrafficPolicyDocument};
use watershed_policy::{Code, Diagnostic, Limits, Node, Policy};
use watershed_snapshot::PolicyVersion;

use crate::attached::owner_of;
use crate::document::{References, check_names, compile_policy};
use crate::object::{Kind, ObjectKey, ObjectRef};
use crate::object_address::addresses;
use crate::previous::Previous;
use crate::resources::{Object, Resources, Version};
use crate::verdict::{Problem, Reason, Report, Reports, errors};

/// Compiles a document of a namespace against the objects there are.
///
/// Health checks are called `namespace/name`. One that does not exist is no
/// fault of the document: it counts as healthy until it does.
pub fn check_document(
    resources: &Resources,
    namespace: &str,
    document: &TrafficPolicyDocument,
) -> (Option<Policy>, Vec<Diagnostic>) {
    let cidr_collections = |name: &str| {
        let key = ObjectKey::new(namespace, name);
        resources
            .cidr_collections
            .get(&key)
            .map(|found| &found.spec)
    };
    let policy_records = |name: &str| {
        let record = resources
            .policy_records
            .get(&ObjectKey::new(namespace, name))?;
        owner_of(resources, record).map(|owner| owner.to_string())
    };
    let in_cluster = resources.object_addresses.is_some();
    let objects = |object: &ObjectReference| addresses(resources, namespace, object);
    let references = References {
        cidr_collections: &cidr_collections,
        objects: in_cluster.then_some(&objects),
        policy_records: &policy_records,
        check_id: &|name| format!("{namespace}/{name}"),
    };
    let (policy, mut findings) = compile_policy(document, &references, &Limits::api());
    let names = check_names(document);
    let policy = policy.filter(|_| names.is_empty());
    findings.extend(names);
    findings.sort();
    findings.dedup();
    (policy, findings)
}

/// All versions that can be served.
#[derive(Clone, Debug, Default)]
pub(crate) struct Versions(BTreeMap<ObjectKey, Arc<PolicyVersion>>);

impl Versions {
    /// The version of that object name.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&Arc<PolicyVersion>> {
        self.0.get(key)
    }

    /// The highest version of a policy that can be served.
    pub(crate) fn latest(
        &self,
        resources: &Resources,
        policy: &ObjectKey,
    ) -> Option<&Arc<PolicyVersion>> {
        let versions = resources.versions_of(policy);
        let served = versions.filter_map(|(_, version)| self.get(&version.key));
        served.max_by_key(|version| version.number)
    }

    /// All of them, by object name.
    pub(crate) fn all(&self) -> &BTreeMap<ObjectKey, Arc<PolicyVersion>> {
        &self.0
    }

    /// Compiles every version, or takes what was compiled before where that
    /// cannot differ. A version that stops compiling, because what it refers
    /// to is gone, stays as it was compiled last.
    pub(crate) fn compile(
        resources: &Resources,
        previous: &Previous,
        reports: &mut Reports,
    ) -> Self {
        let mut versions = BTreeMap::new();
        for (key, version) in &resources.versions {
            let mut report = Report::new(version.generation);
            let before = previous.versions.get(key);
            if let Some(compiled) = compile_one(resources, version, before, &mut report) {
                versions.insert(key.clone(), compiled);
            }
            let object = ObjectRef::new(Kind::TrafficPolicyVersion, key.clone());
            reports.insert(object, report);
        }
        Self(versions)
    }
}

fn compile_one(
    resources: &Resources,
    version: &Object<Version>,
    before: Option<&Arc<PolicyVersion>>,
    report: &mut Report,
) -> Option<Arc<PolicyVersion>> {
    report.problems.extend(misnamed(version));
    report.problems.extend(changed(resources, version, before));
    let digest = version.spec.digest.to_string();
    // An older content under this number is what records go on serving.
    if before.is_some_and(|before| before.digest != digest) {
        return before.cloned();
    }
    let document = &version.spec.spec.document;
    let (policy, findings) = check_document(resources, &version.key.namespace, document);
    let (faults, warnings) = errors(findings);
    report.problems.extend(faults.into_iter().map(fault));
    report.warnings = warnings;
    let sound = report.problems.is_empty();
    let Some(policy) = policy.filter(|_| sound) else {
        return before.cloned();
    };
    report.accepted = summary(document, &policy);
    report.problems.extend(missing_checks(resources, &policy));
    // The same compilation under the same pointer: whoever compares snapshots
    // sees at once that nothing changed.
    let unchanged = before.filter(|before| before.policy == policy);
    Some(unchanged.cloned().unwrap_or_else(|| {
        Arc::new(PolicyVersion {
            namespace: version.key.namespace.clone(),
            policy_name: version.spec.spec.policy_name.clone(),
            number: version.spec.number(),
            digest,
            policy,
        })
    }))
}

/// A fault of a document as a problem of the object that holds it.
pub(crate) fn fault(finding: Diagnostic) -> Problem {
    let reason = match finding.code {
        Code::UnknownReference => Reason::ReferenceNotFound,
        _ => Reason::InvalidDocument,
    };
    Problem::document(reason, finding)
}

fn misnamed(version: &Object<Version>) -> Option<Problem> {
    let spec = &version.spec.spec;
    let expected = format!("{}-v{}", spec.policy_name, spec.version);
    if version.spec.number() == 0 {
        let message = format!("{} is not between 1 and 1000000", spec.version);
        return Some(Problem::new(Reason::InvalidSpec, "spec.version", message));
    }
    (version.key.name != expected).then(|| {
        let message = format!("must be `{expected}`, after the policy and the number");
        Problem::new(Reason::InvalidSpec, "metadata.name", message)
    })
}

fn changed(
    resources: &Resources,
    version: &Object<Version>,
    before: Option<&Arc<PolicyVersion>>,
) -> Option<Problem> {
    let applied = resources.refused_versions.contains_key(&version.key);
    let served = before.is_some_and(|before| before.digest != version.spec.digest.to_string());
    (applied || served).then(|| {
        let message = "a version may not change; make a new version under a new number";
        Problem::new(Reason::VersionConflict, "spec.document", message)
    })
}

/// Health checks that a policy names and that do not exist.
pub(crate) fn missing_checks(resources: &Resources, policy: &Policy) -> Option<Problem> {
    let missing = policy.checks().iter().filter(|id| {
        let key = id
            .split_once('/')
            .map(|(ns, name)| ObjectKey::new(ns, name));
        key.is_none_or(|key| !resources.health_checks.contains_key(&key))
    });
    let missing: Vec<&str> = missing.map(String::as_str).collect();
    (!missing.is_empty()).then(|| {
        let message = format!(
            "there is no HealthCheck {}; until there is, it counts as healthy",
            missing.join(", ")
        );
        Problem::new(Reason::HealthCheckNotFound, "spec.document", message)
    })
}

/// The size of a document in words.
pub(crate) fn summary(document: &TrafficPolicyDocument, policy: &Policy) -> String {
    let count = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let rules = count(document.rules.len(), "rule");
    let endpoints = count(document.endpoints.len(), "endpoint");
    format!("{rules}, {endpoints}, depth {}", depth(policy))
}

/// Rules on the longest way from the start to an endpoint.
fn depth(policy: &Policy) -> usize {
    let mut depths: Vec<usize> = Vec::with_capacity(policy.rules().len());
    let of = |node: Node, depths: &[usize]| match node {
        Node::Rule(id) => depths.get(id.index()).copied().unwrap_or(0),
        Node::Endpoint(_) => 0,
    };
    // A rule comes after every rule it leads to.
    for rule in policy.rules() {
        let below = rule
            .branches
            .iter()
            .map(|branch| of(branch.target, &depths));
        depths.push(1 + below.max().unwrap_or(0));
    }
    of(policy.start(), &depths)
}

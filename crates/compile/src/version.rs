//! Versions: from documents to policies that records can serve.

use std::sync::Arc;

use watershed_crd::document::TrafficPolicyDocument;
use watershed_policy::{Diagnostic, Node, Policy};
use watershed_snapshot::PolicyVersion;

use crate::followed::Objects;
use crate::object::ObjectKey;
use crate::resources::{Object, Resources, Version};
use crate::untargeted::untargeted;
use crate::verdict::{Problem, Reason, Report, errors};

/// Compiles a document of a namespace against the objects there are.
///
/// Health checks are called `namespace/name`. One that does not exist is no
/// fault of the document: it counts as healthy until it does.
pub fn check_document(
    resources: &Resources,
    namespace: &str,
    document: &TrafficPolicyDocument,
) -> (Option<Policy>, Vec<Diagnostic>) {
    Objects::new(resources, namespace, document, None).check()
}

/// What becomes of a version.
pub(crate) struct Compiled {
    /// What can be served of it.
    pub(crate) version: Option<Arc<PolicyVersion>>,
    pub(crate) report: Report,
}

/// Compiles a version, or takes what was compiled before where that cannot
/// differ. A version that stops compiling, because what it refers to is gone,
/// stays as it was compiled last.
pub(crate) fn compile(
    resources: &Resources,
    version: &Object<Version>,
    before: Option<&Arc<PolicyVersion>>,
) -> Compiled {
    let mut report = Report::new(version.generation);
    report.problems.extend(misnamed(version));
    report.problems.extend(changed(resources, version, before));
    let digest = version.spec.digest.to_string();
    // An older content under this number is what records go on serving.
    let version = if before.is_some_and(|before| before.digest != digest) {
        before.cloned()
    } else {
        read(resources, version, before, &mut report)
    };
    Compiled { version, report }
}

fn read(
    resources: &Resources,
    version: &Object<Version>,
    before: Option<&Arc<PolicyVersion>>,
    report: &mut Report,
) -> Option<Arc<PolicyVersion>> {
    let document = &version.spec.spec.document;
    let namespace = &version.key.namespace;
    let served = before.map(|before| &before.policy);
    let objects = Objects::new(resources, namespace, document, served);
    let (policy, findings) = objects.check();
    let (faults, warnings) = errors(findings);
    (report.problems).extend(faults.into_iter().map(|finding| objects.fault(finding)));
    report.warnings = warnings;
    let sound = report.problems.is_empty();
    let Some(policy) = policy.filter(|_| sound) else {
        return before.cloned();
    };
    report.accepted = summary(document, &policy);
    report.problems.extend(objects.lost());
    report.problems.extend(missing_checks(resources, &policy));
    report.warnings.extend(untargeted(resources, &policy));
    // The same compilation under the same pointer: whoever compares snapshots
    // sees at once that nothing changed.
    let unchanged = before.filter(|before| before.policy == policy);
    Some(unchanged.cloned().unwrap_or_else(|| {
        Arc::new(PolicyVersion {
            namespace: namespace.clone(),
            policy_name: version.spec.spec.policy_name.clone(),
            number: version.spec.number(),
            digest: version.spec.digest.to_string(),
            policy,
        })
    }))
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
    let missing = policy.check_ids().into_iter().filter(|id| {
        let key = id
            .split_once('/')
            .map(|(ns, name)| ObjectKey::new(ns, name));
        key.is_none_or(|key| !resources.health_checks.contains_key(&key))
    });
    let missing: Vec<&str> = missing.collect();
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

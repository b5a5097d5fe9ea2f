//! Checks that a policy uses where they have nothing to probe.

use watershed_policy::{CheckId, Code, Diagnostic, Node, Path, Policy};
use watershed_snapshot::addresses;

use crate::health_check::{is_made_at_an_address, members};
use crate::object::ObjectKey;
use crate::resources::Resources;

/// Warnings about checks that need an address where there is none: at a branch
/// that leads to a rule, or at an endpoint of other data than addresses. They
/// say healthy there.
pub(crate) fn untargeted(resources: &Resources, policy: &Policy) -> Vec<Diagnostic> {
    let needs = |check: Option<CheckId>| {
        check.is_some_and(|check| needs_address(resources, policy.check(check)))
    };
    let mut paths = Vec::new();
    for rule in policy.rules() {
        let branches = rule.branches.iter().enumerate();
        let bare = branches.filter(|(_, branch)| needs(branch.check));
        let bare = bare.filter(|(_, branch)| has_no_address(policy, branch.target));
        let path = |index| Path::Branch(rule.name.clone(), index, Some("healthCheckRef"));
        paths.extend(bare.map(|(index, _)| path(index)));
    }
    for endpoint in policy.endpoints() {
        if needs(endpoint.check) && has_other_data(endpoint) {
            let name = endpoint.name.clone();
            paths.push(Path::Endpoint(name, Some("healthCheckRef")));
        }
    }
    let message = "the check has no target here, and counts as healthy: give it `address`";
    let paths = paths.into_iter();
    paths
        .map(|path| Diagnostic::new(Code::Ignored, path, message))
        .collect()
}

fn has_no_address(policy: &Policy, target: Node) -> bool {
    match target {
        Node::Rule(_) => true,
        Node::Endpoint(id) => has_other_data(policy.endpoint(id)),
    }
}

/// An endpoint without any data may get addresses later.
fn has_other_data(endpoint: &watershed_policy::Endpoint) -> bool {
    !endpoint.values.is_empty() && addresses(endpoint).is_empty()
}

/// Whether a check, or a check that it is calculated from, has no address of
/// its own and needs one.
fn needs_address(resources: &Resources, id: &str) -> bool {
    let find = |namespace: &str, name: &str| {
        let key = ObjectKey::new(namespace, name);
        resources.health_checks.get(&key).map(|check| &check.spec)
    };
    let Some((namespace, name)) = id.split_once('/') else {
        return false;
    };
    let Some(spec) = find(namespace, name) else {
        return false;
    };
    let members = members(spec).filter_map(|name| find(namespace, name));
    std::iter::once(spec)
        .chain(members)
        .any(|spec| spec.address.is_none() && is_made_at_an_address(spec))
}

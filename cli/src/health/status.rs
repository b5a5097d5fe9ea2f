//! The health of targets from the status of objects in a cluster.
//!
//! A `HealthCheck` lists the targets that fail somewhere, with all that is known
//! of them. The others are found at the endpoints of the versions in use.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use watershed_crd::document::{LocalReference, TrafficPolicyDocument};
use watershed_crd::health_check::{FailingTarget, HealthCheckSpec, TargetHealth as Verdict};
use watershed_crd::traffic_policy_version::{EndpointHealth, EndpointStatus};
use watershed_crd::{HealthCheck, PolicyRecord, TrafficPolicyVersion};

use super::report::{Health, HeldRule, LocationHealth, Report, TargetHealth};

/// Targets by check and address.
type Targets = BTreeMap<(String, Option<String>), TargetHealth>;

/// What the status of these objects tells.
pub(super) fn report(
    checks: &[HealthCheck],
    versions: &[TrafficPolicyVersion],
    records: &[PolicyRecord],
    now: Timestamp,
) -> Report {
    let specs: BTreeMap<String, &HealthCheckSpec> = checks
        .iter()
        .map(|check| (id(check), &check.spec))
        .collect();
    let mut targets = Targets::new();
    for version in versions {
        add_endpoints(version, &specs, &mut targets);
    }
    // What a check says of its own targets counts more.
    for own in [false, true] {
        for check in checks {
            add_failing(check, own, &mut targets);
        }
    }
    for id in specs.keys() {
        if !targets.keys().any(|(of, _)| of == id) {
            targets.insert((id.clone(), None), TargetHealth::new(id, None));
        }
    }
    let targets = targets.into_values();
    let with_spec = targets.map(|target| match specs.get(&target.check) {
        Some(spec) => target.as_checked(spec, now),
        None => target,
    });
    Report {
        targets: with_spec.collect(),
        failover: records.iter().flat_map(held).collect(),
        ..Report::new(now)
    }
}

fn id(object: &impl ResourceExt) -> String {
    let namespace = object.namespace().unwrap_or_default();
    format!("{namespace}/{}", object.name_any())
}

/// The rules of a record that failback holds.
pub(crate) fn held(record: &PolicyRecord) -> Vec<HeldRule> {
    let status = record.status.iter();
    let rules = status.flat_map(|status| &status.failover);
    rules
        .map(|held| HeldRule {
            record: id(record),
            rule: held.rule.clone(),
            active: held.active.clone(),
            preferred: Some(held.preferred.clone()),
            since: Some(held.since.clone()),
            returns_at: held.returns_at.clone(),
        })
        .collect()
}

/// The targets at the endpoints of a version in use.
fn add_endpoints(
    version: &TrafficPolicyVersion,
    specs: &BTreeMap<String, &HealthCheckSpec>,
    targets: &mut Targets,
) {
    let namespace = version.namespace().unwrap_or_default();
    let statuses = version.status.iter().flat_map(|status| &status.endpoints);
    for endpoint in statuses {
        let names = checks_of(&version.spec.document, &endpoint.name);
        let members = names
            .iter()
            .flat_map(|name| probed(&namespace, name, specs));
        let members: BTreeSet<String> = members.collect();
        let is_only = members.len() == 1 && endpoint.addresses.len() <= 1;
        for check in members {
            let Some(spec) = specs.get(&check) else {
                continue;
            };
            for address in addresses(spec, endpoint) {
                let mut target = TargetHealth::new(&check, address.clone());
                target.health = Some(presumed(endpoint.health));
                if is_only {
                    take_endpoint(&mut target, endpoint);
                }
                targets.entry((check.clone(), address)).or_insert(target);
            }
        }
    }
}

/// What an endpoint tells of its only target.
fn take_endpoint(target: &mut TargetHealth, endpoint: &EndpointStatus) {
    target.since.clone_from(&endpoint.last_transition_time);
    target.healthy_checkers = count(endpoint.healthy_checkers);
    target.total_checkers = count(endpoint.total_checkers);
    target.last_result.clone_from(&endpoint.message);
}

/// Of a target that its check does not list: it fails nowhere.
fn presumed(health: EndpointHealth) -> Health {
    match health {
        EndpointHealth::Unknown | EndpointHealth::Unchecked => Health::Unknown,
        // By another check or address, or because the check is inverted.
        EndpointHealth::Unhealthy | EndpointHealth::Healthy => Health::Healthy,
    }
}

/// Names of the checks that an endpoint of a document has: its own, and those
/// of the branches that lead to it.
fn checks_of<'a>(document: &'a TrafficPolicyDocument, endpoint: &str) -> BTreeSet<&'a str> {
    let own = document.endpoints.get(endpoint);
    let own = own.and_then(|own| own.health_check_ref.as_ref());
    let branches = document.rules.values().flat_map(|rule| &rule.branches);
    let leading = branches.filter(|branch| branch.endpoint.as_deref() == Some(endpoint));
    let leading = leading.filter_map(|branch| branch.health_check_ref.as_ref());
    let names = own.into_iter().chain(leading);
    names.map(|LocalReference { name }| name.as_str()).collect()
}

/// The check, or the members of a calculated one.
fn probed(namespace: &str, name: &str, specs: &BTreeMap<String, &HealthCheckSpec>) -> Vec<String> {
    let id = format!("{namespace}/{name}");
    let calculated = specs.get(&id).and_then(|spec| spec.calculated.as_ref());
    match calculated {
        None => vec![id],
        Some(calculated) => (calculated.health_checks.iter())
            .chain(&calculated.must_be_healthy)
            .map(|member| format!("{namespace}/{member}"))
            .collect(),
    }
}

/// Where a check probes an endpoint.
fn addresses(spec: &HealthCheckSpec, endpoint: &EndpointStatus) -> Vec<Option<String>> {
    if spec.disabled || spec.calculated.is_some() {
        return Vec::new();
    }
    if !has_address(spec) {
        return vec![None];
    }
    match &spec.address {
        Some(address) => vec![Some(address.clone())],
        None => endpoint.addresses.iter().cloned().map(Some).collect(),
    }
}

/// The targets that a check lists: its own, or those of its members.
fn add_failing(check: &HealthCheck, own: bool, targets: &mut Targets) {
    let id = id(check);
    let failing = check.status.iter().flat_map(|status| &status.failing);
    for failing in failing {
        let (of, address) = listed_target(check, &failing.target);
        if (of == id) == own {
            let target = listed(&of, address.clone(), failing);
            targets.insert((of, address), target);
        }
    }
}

fn listed(check: &str, address: Option<String>, failing: &FailingTarget) -> TargetHealth {
    let error = failing.last_error.clone();
    let from = failing.last_error_from.as_deref();
    let locations = failing.locations.iter().map(|location| LocationHealth {
        name: location.name.clone(),
        healthy_checkers: location.healthy_checkers.unsigned_abs(),
        total_checkers: location.total_checkers.unsigned_abs(),
    });
    TargetHealth {
        health: Some(match failing.health {
            Verdict::Healthy => Health::Healthy,
            Verdict::Unhealthy => Health::Unhealthy,
            Verdict::Unknown => Health::Unknown,
        }),
        since: failing.last_transition_time.clone(),
        healthy_checkers: count(failing.healthy_checkers),
        total_checkers: count(failing.total_checkers),
        last_result: error.map(|error| match from {
            Some(node) => format!("{error} (from {node})"),
            None => error,
        }),
        certificate_expires: failing.certificate_expires.clone(),
        locations: locations.collect(),
        ..TargetHealth::new(check, address)
    }
}

fn count(number: Option<i32>) -> Option<u32> {
    number.map(i32::unsigned_abs)
}

/// Check and address of a target as the status of `check` writes it: the
/// address, behind the name of the check where that is a member; the name alone
/// where there is no address.
fn listed_target(check: &HealthCheck, target: &str) -> (String, Option<String>) {
    let spec = &check.spec;
    if spec.calculated.is_some() {
        let (member, address) = match target.split_once('@') {
            Some((member, address)) => (member, Some(address.to_owned())),
            None => (target, None),
        };
        let namespace = check.namespace().unwrap_or_default();
        return (format!("{namespace}/{member}"), address);
    }
    let address = has_address(spec).then(|| target.to_owned());
    (id(check), address)
}

/// Whether its targets are addresses.
fn has_address(spec: &HealthCheckSpec) -> bool {
    spec.prometheus.is_none() && spec.endpoint_slices.is_none()
}

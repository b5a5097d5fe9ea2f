//! What is said about health checks and CIDR collections.

use ipnet::IpNet;
use watershed_crd::health_check::HealthCheckSpec;

use crate::document::{CidrLocations, is_node_name};
use crate::resources::Object;
use crate::verdict::{Problem, Reason, Report};

/// Reports on a health check.
pub(crate) fn health_check(check: &Object<HealthCheckSpec>) -> Report {
    let mut report = Report::new(check.generation);
    report.problems = probe(&check.spec).into_iter().collect();
    report
}

/// Reports on a CIDR collection.
pub(crate) fn collection(collection: &Object<CidrLocations>) -> Report {
    let mut report = Report::new(collection.generation);
    report.problems = blocks(&collection.spec);
    report
}

/// A check is of exactly one kind.
fn probe(spec: &HealthCheckSpec) -> Option<Problem> {
    let kinds = [
        ("http", spec.http.is_some()),
        ("tcp", spec.tcp.is_some()),
        ("grpc", spec.grpc.is_some()),
        ("dns", spec.dns.is_some()),
        ("calculated", spec.calculated.is_some()),
        ("workload", spec.workload.is_some()),
        ("endpointSlices", spec.endpoint_slices.is_some()),
        ("prometheus", spec.prometheus.is_some()),
    ];
    let set: Vec<&str> = (kinds.iter().filter(|(_, set)| *set))
        .map(|(name, _)| *name)
        .collect();
    let message = match set.as_slice() {
        [_] => return None,
        [] => format!(
            "one of {} must be set",
            kinds.map(|(name, _)| name).join(", ")
        ),
        several => format!("{} exclude each other; keep one", several.join(" and ")),
    };
    Some(Problem::new(Reason::InvalidSpec, "spec", message))
}

fn blocks(locations: &CidrLocations) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, blocks) in locations {
        let field = format!("spec.locations.{name}");
        if !is_node_name(name) {
            let message =
                format!("`{name}` is not a location name: take letters, digits, `-` and `_`");
            problems.push(Problem::new(Reason::InvalidSpec, field.clone(), message));
        }
        for block in blocks
            .iter()
            .filter(|block| block.parse::<IpNet>().is_err())
        {
            let message = format!("`{block}` is not a block such as 192.0.2.0/24");
            problems.push(Problem::new(Reason::InvalidSpec, field.clone(), message));
        }
    }
    problems
}

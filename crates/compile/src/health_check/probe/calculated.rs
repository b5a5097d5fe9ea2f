//! Verdicts over other checks.

use watershed_crd::health_check as crd;
use watershed_health::{Calculated, ProbeKind};

use super::super::fields::Fields;
use crate::object::ObjectKey;
use crate::verdict::Reason;

/// The most members.
const MEMBERS: u32 = 64;

pub(super) fn read(check: &crd::Calculated, fields: &mut Fields<'_>) -> ProbeKind {
    let names = &check.health_checks;
    if names.is_empty() {
        let message = "is empty; name at least one check";
        fields.fault("calculated.healthChecks", message);
    }
    members("calculated.healthChecks", names, fields);
    members("calculated.mustBeHealthy", &check.must_be_healthy, fields);
    let min_healthy = fields.number("calculated.minHealthy", check.min_healthy, 0, MEMBERS);
    if usize::try_from(min_healthy).is_ok_and(|least| least > names.len()) {
        let message = format!(
            "{min_healthy} is more than the {} of healthChecks, so that these have no effect: \
             the check is always unhealthy",
            names.len()
        );
        fields.warn("calculated.minHealthy", message);
    }
    let ids = |names: &[String]| {
        names
            .iter()
            .map(|name| id(name, fields.namespace))
            .collect()
    };
    ProbeKind::Calculated(Calculated {
        members: ids(names),
        min_healthy,
        must_be_healthy: ids(&check.must_be_healthy),
    })
}

fn members(list: &str, names: &[String], fields: &mut Fields<'_>) {
    for (index, name) in names.iter().enumerate() {
        let field = format!("{list}[{index}]");
        if names.iter().take(index).any(|other| other == name) {
            fields.fault(&field, format!("`{name}` is there already"));
        } else {
            member(&field, name, fields);
        }
    }
}

/// One that does not exist counts as healthy, as it does in a policy; what is
/// calculated from what is calculated is nothing that a node could tell.
fn member(field: &str, name: &str, fields: &mut Fields<'_>) {
    let key = ObjectKey::new(fields.namespace, name);
    match fields.resources.health_checks.get(&key) {
        None => {
            let message =
                format!("there is no HealthCheck {name}; until there is, it counts as healthy");
            fields.problem(Reason::HealthCheckNotFound, field, message);
        }
        Some(member) if member.spec.calculated.is_some() => {
            let message =
                format!("`{name}` is calculated itself; name the checks that it is made of");
            fields.fault(field, message);
        }
        Some(_) => {}
    }
}

fn id(name: &str, namespace: &str) -> String {
    ObjectKey::new(namespace, name).to_string()
}

//! Health states by file: by hand, whatever probes say.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use watershed_snapshot::HealthStates;

/// The states file. What it does not list is healthy.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StatesFile {
    /// Health checks by `namespace/name`.
    #[serde(default)]
    health: BTreeMap<String, State>,
    /// Alias endpoints by `namespace/policy/endpoint`.
    #[serde(default)]
    endpoint_health: BTreeMap<String, State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Healthy,
    Unhealthy,
}

/// Reads a states file.
///
/// # Errors
/// Everything that is wrong with it, a sentence each.
pub(super) fn read(path: &Path) -> Result<HealthStates, Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(|error| vec![error.to_string()])?;
    parse(&text)
}

fn parse(text: &str) -> Result<HealthStates, Vec<String>> {
    if text.trim().is_empty() {
        return Ok(HealthStates::all_healthy());
    }
    let file: Option<StatesFile> =
        serde_yaml::from_str(text).map_err(|error| vec![error.to_string()])?;
    let file = file.unwrap_or_default();
    let mut states = HealthStates::all_healthy();
    let mut faults = Vec::new();
    for (id, state) in &file.health {
        if id.split('/').filter(|part| !part.is_empty()).count() == 2 {
            states.set_check(id, *state == State::Healthy);
        } else {
            faults.push(format!("health.{id}: name the check as namespace/name"));
        }
    }
    for (id, state) in &file.endpoint_health {
        if let [namespace, policy, endpoint] = id.splitn(3, '/').collect::<Vec<_>>()[..] {
            states.set_endpoint(namespace, policy, endpoint, *state == State::Healthy);
        } else {
            let message = "name the endpoint as namespace/policy/endpoint";
            faults.push(format!("endpointHealth.{id}: {message}"));
        }
    }
    if faults.is_empty() {
        Ok(states)
    } else {
        Err(faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read() {
        let text = "health: {shop/a: unhealthy, shop/b: healthy}\nendpointHealth: {shop/web/lb: unhealthy}";
        let states = parse(text).unwrap();
        assert!(!states.check("shop/a"));
        assert!(states.check("shop/b"));
        assert!(states.check("shop/c"));
        assert!(!states.endpoint("shop", "web", "lb"));
    }

    #[test]
    fn nothing_means_healthy() {
        assert_eq!(parse("").unwrap(), HealthStates::all_healthy());
        assert_eq!(parse("# none\n").unwrap(), HealthStates::all_healthy());
    }

    #[test]
    fn every_fault_is_said() {
        let text = "health: {a: unhealthy}\nendpointHealth: {shop/lb: unhealthy}";
        assert_eq!(
            parse(text).unwrap_err(),
            [
                "health.a: name the check as namespace/name",
                "endpointHealth.shop/lb: name the endpoint as namespace/policy/endpoint",
            ]
        );
        assert!(parse("healthy: {}").is_err());
        assert!(parse("health: {shop/a: down}").is_err());
    }
}

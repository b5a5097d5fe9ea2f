//! Verdicts on health checks and on the targets of alias endpoints.

use std::collections::HashSet;

/// What is unhealthy. Whatever was never reported counts as healthy, so that
/// a new check or an empty report never takes anything out of service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthStates {
    checks: HashSet<String>,
    endpoints: HashSet<String>,
}

impl HealthStates {
    /// Everything is healthy.
    pub fn all_healthy() -> Self {
        Self::default()
    }

    /// Records the verdict on the health check `namespace/name`.
    pub fn set_check(&mut self, id: impl Into<String>, healthy: bool) {
        set(&mut self.checks, id.into(), healthy);
    }

    /// Records the own status of an alias endpoint.
    pub fn set_endpoint(&mut self, namespace: &str, policy: &str, endpoint: &str, healthy: bool) {
        set(
            &mut self.endpoints,
            key(namespace, policy, endpoint),
            healthy,
        );
    }

    /// Whether the health check `namespace/name` is healthy.
    pub fn check(&self, id: &str) -> bool {
        !self.checks.contains(id)
    }

    /// Whether an alias endpoint is healthy by its own status.
    pub fn endpoint(&self, namespace: &str, policy: &str, endpoint: &str) -> bool {
        // Nearly always nothing is down: then no key need be made.
        self.endpoints.is_empty() || !self.endpoints.contains(&key(namespace, policy, endpoint))
    }

    /// Ids of the unhealthy checks, sorted.
    pub fn unhealthy_checks(&self) -> Vec<&str> {
        sorted(&self.checks)
    }

    /// The unhealthy alias endpoints as `namespace/policy/endpoint`, sorted.
    pub fn unhealthy_endpoints(&self) -> Vec<&str> {
        sorted(&self.endpoints)
    }
}

/// Namespaces and policy names have no slash, so the key is unambiguous
/// whatever an endpoint is called.
fn key(namespace: &str, policy: &str, endpoint: &str) -> String {
    format!("{namespace}/{policy}/{endpoint}")
}

fn set(unhealthy: &mut HashSet<String>, key: String, healthy: bool) {
    if healthy {
        unhealthy.remove(&key);
    } else {
        unhealthy.insert(key);
    }
}

fn sorted(keys: &HashSet<String>) -> Vec<&str> {
    let mut keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreported_is_healthy_and_recovery_forgets() {
        let mut states = HealthStates::all_healthy();
        assert!(states.check("shop/web") && states.endpoint("shop", "www", "lb"));
        states.set_check("shop/web", false);
        states.set_endpoint("shop", "www", "lb", false);
        assert!(!states.check("shop/web") && !states.endpoint("shop", "www", "lb"));
        assert!(states.endpoint("shop", "api", "lb"));
        assert_eq!(states.unhealthy_checks(), ["shop/web"]);
        assert_eq!(states.unhealthy_endpoints(), ["shop/www/lb"]);
        states.set_check("shop/web", true);
        states.set_endpoint("shop", "www", "lb", true);
        assert_eq!(states, HealthStates::all_healthy());
    }
}

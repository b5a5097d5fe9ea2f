//! Health of a policy's checks and endpoints at one moment.

use crate::document::EndpointKind;
use crate::policy::{CheckId, EndpointId, Policy};

/// The verdicts that one policy depends on, by its own ids. It is made when a
/// verdict changes, not when a query comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    checks: Box<[bool]>,
    endpoints: Box<[bool]>,
}

impl Health {
    /// Everything is healthy.
    pub fn all_healthy(policy: &Policy) -> Self {
        Self::new(policy, |_| true, |_| true)
    }

    /// Asks for every health check of the policy by id and for the own status
    /// of every alias endpoint by name; `true` is healthy.
    pub fn new(
        policy: &Policy,
        mut check: impl FnMut(&str) -> bool,
        mut alias: impl FnMut(&str) -> bool,
    ) -> Self {
        let checks: Box<[bool]> = policy.checks.iter().map(|id| check(id)).collect();
        let endpoints = policy
            .endpoints
            .iter()
            .map(|endpoint| {
                let own = endpoint.kind == EndpointKind::Value || alias(&endpoint.name);
                own && endpoint.check.is_none_or(|id| checks[id.index()])
            })
            .collect();
        Self { checks, endpoints }
    }

    /// Whether the check says healthy. A check of another policy counts as
    /// healthy.
    pub fn check(&self, id: CheckId) -> bool {
        self.checks.get(id.index()).copied().unwrap_or(true)
    }

    /// Whether the endpoint is healthy by itself: its check and, for an
    /// alias, its own status.
    pub fn endpoint(&self, id: EndpointId) -> bool {
        self.endpoints.get(id.index()).copied().unwrap_or(true)
    }
}

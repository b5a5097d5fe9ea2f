//! Health of a policy's checks and endpoints at one moment.

use crate::client::Client;
use crate::document::EndpointKind;
use crate::evaluate::{Evaluator, State, View};
use crate::policy::{CheckId, CheckUse, EndpointId, Policy, RuleId};

/// The verdicts that one policy depends on, by its own ids. It is made when a
/// verdict changes, not when a query comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    checks: Box<[bool]>,
    endpoints: Box<[bool]>,
    /// By rule: the branch that a failover rule tries first.
    first: Box<[u32]>,
    /// By rule: what follows from the above for every client, so that no query
    /// needs to work it out.
    states: Box<[Option<State>]>,
}

impl Health {
    /// Everything is healthy.
    pub fn all_healthy(policy: &Policy) -> Self {
        Self::new(policy, |_| true, |_| true)
    }

    /// Asks for every use of a health check in the policy and for the own
    /// status of every alias endpoint by name; `true` is healthy. Failover
    /// rules try their branches in order.
    pub fn new(
        policy: &Policy,
        check: impl FnMut(&CheckUse) -> bool,
        mut alias: impl FnMut(&str) -> bool,
    ) -> Self {
        let checks: Box<[bool]> = policy.checks.iter().map(check).collect();
        let endpoints = policy
            .endpoints
            .iter()
            .map(|endpoint| {
                let own = endpoint.kind == EndpointKind::Value || alias(&endpoint.name);
                own && endpoint.check.is_none_or(|id| checks[id.index()])
            })
            .collect();
        let mut health = Self {
            checks,
            endpoints,
            first: policy.rules.iter().map(|_| 0).collect(),
            states: Box::default(),
        };
        let nobody = Client::default();
        let view = View {
            client: &nobody,
            health: &health,
            latency: None,
        };
        health.states = Evaluator::fixed_states(policy, &view);
        health
    }

    /// The states of rules that are the same for every client. The order in
    /// which a failover rule tries its branches does not change them.
    pub(crate) fn states(&self) -> &[Option<State>] {
        &self.states
    }

    /// Makes a failover rule try this branch first and then the others in
    /// their order; 0 is the order of the document. Rules of other kinds do
    /// not look at it. A rule or branch that does not exist has no effect.
    pub fn set_first(&mut self, rule: RuleId, branch: usize) {
        let first = self.first.get_mut(rule.index());
        if let (Some(first), Ok(branch)) = (first, u32::try_from(branch)) {
            *first = branch;
        }
    }

    /// The branch that a failover rule tries first.
    pub fn first(&self, rule: RuleId) -> usize {
        self.first
            .get(rule.index())
            .map_or(0, |first| *first as usize)
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

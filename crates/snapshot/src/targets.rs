//! What the health checks of policies probe, and what their verdicts make of a
//! policy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watershed_health::{Address, Check, Checks, Target};
use watershed_policy::{CheckUse, Endpoint, Health, Value};

use crate::health::HealthStates;
use crate::policy_version::PolicyVersion;
use crate::snapshot::Snapshot;

/// The addresses at which an endpoint can be probed: its addresses and host
/// names, each once, in the order of its values. Host names are in lower case
/// and without a final dot, so that one host is one target.
pub fn addresses(endpoint: &Endpoint) -> Vec<Address> {
    let mut addresses = Vec::new();
    for value in &endpoint.values {
        let address = match value {
            Value::Ipv4(address) => Address::Ip((*address).into()),
            Value::Ipv6(address) => Address::Ip((*address).into()),
            Value::Hostname(host) => Address::Host(host.trim_end_matches('.').to_ascii_lowercase()),
            Value::Rdata { .. } => continue,
        };
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

impl PolicyVersion {
    /// What the health of the policy depends on.
    pub fn targets(&self, checks: &Checks) -> BTreeSet<Target> {
        let uses = self.policy.checks().iter();
        uses.flat_map(|used| checks.targets(&used.id, &self.addresses_of(used)))
            .collect()
    }

    /// The health of the policy at a time in Unix seconds. `verdict` tells of
    /// a target whether it is healthy, `None` while nothing is known; what is
    /// unhealthy in `by_hand` is unhealthy whatever the verdicts are.
    pub fn health(
        &self,
        checks: &Checks,
        now: i64,
        verdict: &dyn Fn(&Target) -> Option<bool>,
        by_hand: &HealthStates,
    ) -> Health {
        // So that calculated checks see it as well.
        let verdict = |target: &Target| {
            let down = !by_hand.check(&target.check);
            if down { Some(false) } else { verdict(target) }
        };
        let check = |used: &CheckUse| {
            by_hand.check(&used.id)
                && checks.is_healthy(&used.id, &self.addresses_of(used), now, &verdict)
        };
        let alias = |endpoint: &str| by_hand.endpoint(&self.namespace, &self.policy_name, endpoint);
        Health::new(&self.policy, check, alias)
    }

    /// Where a check is used.
    fn addresses_of(&self, used: &CheckUse) -> Vec<Address> {
        let endpoint = used.endpoint;
        endpoint.map_or_else(Vec::new, |id| addresses(self.policy.endpoint(id)))
    }
}

impl Snapshot {
    /// What the health of all policies that are served depends on, each with
    /// its check. However many policies depend on a target, it is here once.
    pub fn targets(&self) -> BTreeMap<Target, Arc<Check>> {
        let mut targets = BTreeMap::new();
        for version in self.versions.iter() {
            for target in version.targets(&self.checks) {
                if let Some(check) = self.checks.get(&target.check) {
                    targets.insert(target, Arc::clone(check));
                }
            }
        }
        targets
    }
}

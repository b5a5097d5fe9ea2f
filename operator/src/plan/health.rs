//! Health checks, and what their verdicts mean for others.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use watershed_compile::ObjectKey;
use watershed_crd::health_check::HealthCheckStatus;
use watershed_health::{Check, ProbeKind, Target};
use watershed_policy::EndpointId;
use watershed_snapshot::{PolicyVersion, ResourceKind, ResourceName};

use super::Planner;
use crate::fleet::FleetName;
use crate::health::{Seen, endpoint};
use crate::object::ObjectId;
use crate::status::{self, EndpointsSeen, Health, HealthCheckInput};
use crate::world::Facts;

impl<'a> Planner<'a> {
    pub(super) fn health_check(&mut self, id: &ObjectId, facts: &'a Facts) {
        let Some(look) = self.look::<HealthCheckStatus>(id, facts) else {
            return;
        };
        let name = id.key.to_string();
        let check = self.world.health.checks().get(&name);
        let targets = check.and_then(|check| self.targets(&id.key, check));
        let found = status::health_check(HealthCheckInput {
            before: &look.before,
            generation: facts.generation,
            verdict: &look.verdict,
            fault: look.fault,
            id: &name,
            check: check.map(AsRef::as_ref),
            targets: targets.as_deref(),
            now: self.now,
        });
        self.settle(id, facts, (&look.before, found), |s| &s.conditions, None);
    }

    /// The targets of a check in all fleets; `None` while some fleet cannot
    /// tell.
    fn targets(&self, key: &ObjectKey, check: &Check) -> Option<Vec<(Target, Seen)>> {
        let own = [key.to_string()];
        let ids = match &check.kind {
            ProbeKind::Calculated(calculated) => {
                let members = calculated.members.iter().chain(&calculated.must_be_healthy);
                members.cloned().collect::<BTreeSet<String>>()
            }
            _ => own.into(),
        };
        let mut all: BTreeMap<Target, Seen> = BTreeMap::new();
        for fleet in self.world.homes.fleets_of_namespace(&key.namespace) {
            if !self.fleets.health_settled(fleet) {
                return None;
            }
            for id in &ids {
                for (target, view) in self.fleets.targets_of(fleet, id) {
                    let seen = Seen::of(view);
                    let together = match all.remove(&target) {
                        Some(other) => other.with(seen),
                        None => seen,
                    };
                    all.insert(target, together);
                }
            }
        }
        Some(all.into_iter().collect())
    }

    /// The health of a version in all fleets that serve it.
    pub(super) fn health_of_version(&self, key: &ObjectKey) -> Health {
        let kind = ResourceKind::TrafficPolicyVersion;
        let name = ResourceName::new(kind, &key.namespace, &key.name);
        let fleets: Vec<&FleetName> = self.world.homes.fleets_of_version(&name).collect();
        self.health_in(key, &fleets)
    }

    /// The health of what a record serves, where its version is not shared by
    /// too many.
    pub(super) fn health_of_record(&self, record: &ResourceName, version: &ObjectKey) -> Health {
        match self.world.homes.fleet_of(record) {
            Some(fleet) if !self.world.is_crowded(version) => self.health_in(version, &[fleet]),
            _ => Health::None,
        }
    }

    fn health_in(&self, key: &ObjectKey, fleets: &[&FleetName]) -> Health {
        let Some(version) = self.world.serving.get(key) else {
            return Health::None;
        };
        if version.policy.checks().is_empty() {
            return Health::None;
        }
        if fleets
            .iter()
            .any(|fleet| !self.fleets.health_settled(fleet))
        {
            return Health::Kept;
        }
        let seen = |target: &Target| {
            let views = fleets
                .iter()
                .filter_map(|fleet| self.fleets.verdict(fleet, target));
            views.map(Seen::of).reduce(Seen::with)
        };
        Health::Seen(self.endpoints(version, &seen))
    }

    fn endpoints(
        &self,
        version: &PolicyVersion,
        seen: &dyn Fn(&Target) -> Option<Seen>,
    ) -> EndpointsSeen {
        let checks = (self.world.health.checks(), self.now.as_second());
        let used = version.policy.checks().iter();
        let ids: BTreeSet<EndpointId> = used.filter_map(|used| used.endpoint).collect();
        let views = ids.into_iter().map(|id| {
            let name = version.policy.endpoint(id).name.clone();
            (name, endpoint(version, id, checks, seen))
        });
        views.collect()
    }

    /// When the first verdict ends that somebody set by hand in a check of this
    /// version.
    pub(super) fn expiry(&self, key: &ObjectKey) -> Option<Timestamp> {
        let version = self.world.serving.get(key)?;
        let checks = self.world.health.checks();
        let now = self.now.as_second();
        let ids = version.policy.check_ids().into_iter();
        let ends = ids.filter_map(|id| checks.get(id)?.forced.as_ref()?.until);
        let next = ends.filter(|end| *end > now).min()?;
        Timestamp::from_second(next).ok()
    }
}

//! Names that serve something: `PolicyRecord` and `RecordSet`.

use watershed_compile::ObjectKey;
use watershed_crd::policy_record::{FailbackMode, PolicyRecordStatus};
use watershed_crd::record_set::RecordSetStatus;
use watershed_snapshot::{ResourceKind, ResourceName};

use super::planner::Look;
use super::{Notice, Planner};
use crate::object::ObjectId;
use crate::status::{self, Failover, Health, RecordInput, RecordSetInput};
use crate::world::Facts;

impl<'a> Planner<'a> {
    pub(super) fn policy_record(&mut self, id: &ObjectId, facts: &'a Facts) {
        let Some(look) = self.look::<PolicyRecordStatus>(id, facts) else {
            return;
        };
        let Look {
            before,
            verdict,
            fault,
            ..
        } = &look;
        let resources = self.world.compiler.resources();
        let spec = resources
            .policy_records
            .get(&id.key)
            .map(|record| &record.spec);
        let asked = self.world.compiler.asked(&id.key);
        let aimed = asked.as_ref().and_then(|(policy, _)| {
            let number = verdict.serving.as_ref()?.version;
            resources.version(policy, number)
        });
        let digest = aimed.map(|version| version.spec.digest.to_string());
        let name = ResourceName::new(ResourceKind::PolicyRecord, &id.key.namespace, &id.key.name);
        let rollout = spec.and_then(|spec| spec.rollout.as_ref());
        let percent = rollout.map(|rollout| rollout.min_programmed_percent);
        let mut report = self.report(std::slice::from_ref(&name), percent);
        if let Some(version) = aimed {
            self.add_refusals(&mut report, &name, &version.key);
        }
        let health = aimed.map_or(Health::None, |version| {
            self.health_of_record(&name, &version.key)
        });
        let automatic = spec.is_none_or(|spec| {
            let mode = spec.failback.as_ref().map(|failback| failback.mode);
            mode.is_none_or(|mode| mode == FailbackMode::Automatic)
        });
        let fleet = self.world.homes.fleet_of(&name);
        let held = fleet.and_then(|fleet| self.fleets.failover(fleet, &id.key.to_string()));
        let mut found = status::policy_record(RecordInput {
            before,
            spec,
            generation: facts.generation,
            verdict,
            fault: *fault,
            target: asked.map(|(_, number)| number),
            digest: digest.as_deref(),
            carried: report.carried(),
            health: &health,
            failover: match &held {
                _ if automatic => Failover::Automatic,
                Some(view) => Failover::Seen(view),
                None => Failover::Kept,
            },
            now: self.now,
        });
        if let (Health::Seen(_), Some(version)) = (&health, aimed) {
            let expiry = self.expiry(&version.key);
            found.again = [found.again, expiry].into_iter().flatten().min();
        }
        let served = served(before, &found.status);
        self.settle(id, facts, (before, found), |s| &s.conditions, served);
    }

    pub(super) fn record_set(&mut self, id: &ObjectId, facts: &'a Facts) {
        let Some(look) = self.look::<RecordSetStatus>(id, facts) else {
            return;
        };
        let fqdn = self.name_of_set(&id.key);
        let name = ResourceName::new(ResourceKind::RecordSet, &id.key.namespace, &id.key.name);
        let report = self.report(std::slice::from_ref(&name), None);
        let found = status::record_set(RecordSetInput {
            before: &look.before,
            generation: facts.generation,
            verdict: &look.verdict,
            fault: look.fault,
            fqdn: fqdn.as_deref(),
            published: self.world.homes.has(&name),
            carried: report.carried(),
            now: self.now,
        });
        self.settle(id, facts, (&look.before, found), |s| &s.conditions, None);
    }

    /// The absolute name of a record set in a zone that is known.
    fn name_of_set(&self, key: &ObjectKey) -> Option<String> {
        let resources = self.world.compiler.resources();
        let spec = &resources.record_sets.get(key)?.spec;
        let reference = &spec.hosted_zone_ref;
        let namespace = reference.namespace.as_ref().unwrap_or(&key.namespace);
        let zone = ObjectKey::new(namespace, &reference.name);
        let domain = &resources.hosted_zones.get(&zone)?.spec.domain;
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        match spec.name.trim_end_matches('.') {
            "@" | "" => Some(format!("{domain}.")),
            name => Some(format!("{}.{domain}.", name.to_ascii_lowercase())),
        }
    }
}

/// What people want to know of a record that serves something else.
fn served(before: &PolicyRecordStatus, now: &PolicyRecordStatus) -> Option<Notice> {
    let version = now
        .active_version
        .filter(|_| now.active_version != before.active_version)?;
    let name = now.fqdn.as_deref().unwrap_or("the name");
    let note = match before.active_version {
        None => format!("version {version} is served at {name}"),
        Some(former) => format!("version {version} is served at {name}, after version {former}"),
    };
    Some(Notice::normal("Served", note))
}

//! Health checks, who depends on them, and what monitors are told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use watershed_compile::ObjectKey;
use watershed_crd::policy_record::PolicyRecordStatus;
use watershed_health::{Check, Checks, ProbeKind, State, Target};
use watershed_policy::FailbackMode;
use watershed_snapshot::{Content as At, Resource, ResourceKind, ResourceName};

use super::World;
use crate::fleet::FleetName;
use crate::health::{Content, RecordContent, ServiceSlices, Written};
use crate::object::{ObjectId, ObjectKind};

/// Health checks, and who depends on them.
#[derive(Clone, Debug, Default)]
pub struct HealthIndex {
    /// All checks, by id (`namespace/name`), and the same to be shared.
    by_id: BTreeMap<String, Arc<Check>>,
    checks: Checks,
    /// The versions in service that use each check.
    users: BTreeMap<String, BTreeSet<ObjectKey>>,
    /// The checks that each version in service uses.
    uses: BTreeMap<ObjectKey, BTreeSet<String>>,
    /// Records whose clients do not return at once, with what they serve.
    failbacks: BTreeMap<ObjectKey, (ObjectKey, FailbackMode)>,
    /// Versions that more records share than may each tell its health.
    crowded: BTreeSet<ObjectKey>,
    /// Readiness of Services.
    pub slices: ServiceSlices,
    /// Whether monitors are to be told anything.
    pub(super) changed: bool,
    /// Whether readiness of Services changed.
    pub(super) slices_changed: bool,
}

impl HealthIndex {
    /// All checks.
    pub fn checks(&self) -> &Checks {
        &self.checks
    }

    /// Whether the clients of a record return at once.
    pub fn is_automatic(&self, record: &ObjectKey) -> bool {
        !self.failbacks.contains_key(record)
    }

    /// The versions in service that depend on a check, also through a
    /// calculated one.
    pub fn versions_with(&self, check: &str) -> BTreeSet<ObjectKey> {
        let parents = self.calculated_over(check);
        let checks = parents.iter().map(String::as_str).chain([check]);
        let users = checks.filter_map(|check| self.users.get(check));
        users.flatten().cloned().collect()
    }

    /// The calculated checks of which this one is a member.
    pub fn calculated_over(&self, check: &str) -> Vec<String> {
        let calculated = self.checks.iter().filter(|(_, other)| {
            matches!(&other.kind, ProbeKind::Calculated(calculated)
                if calculated.members.iter().any(|member| member == check)
                    || calculated.must_be_healthy.iter().any(|member| member == check))
        });
        calculated.map(|(id, _)| id.clone()).collect()
    }

    /// All of a compilation has been taken up.
    pub(super) fn renew(&mut self) {
        if !self.by_id.iter().eq(self.checks.iter()) {
            self.checks = self.by_id.clone().into_iter().collect();
        }
    }

    /// Takes up what became of a resource.
    pub(super) fn note(
        &mut self,
        key: &ObjectKey,
        kind: ResourceKind,
        resource: Option<&Resource>,
    ) {
        match (kind, resource) {
            (ResourceKind::HealthCheck, Some(Resource::Check(check))) => {
                self.by_id.insert(key.to_string(), Arc::clone(check));
            }
            (ResourceKind::HealthCheck, _) => {
                self.by_id.remove(&key.to_string());
            }
            (ResourceKind::TrafficPolicyVersion, resource) => {
                for check in self.uses.remove(key).unwrap_or_default() {
                    if let Some(users) = self.users.get_mut(&check) {
                        users.remove(key);
                        if users.is_empty() {
                            self.users.remove(&check);
                        }
                    }
                }
                if let Some(Resource::Version(version)) = resource {
                    let ids = version.policy.check_ids();
                    let ids: BTreeSet<String> = ids.into_iter().map(ToOwned::to_owned).collect();
                    for id in &ids {
                        let users = self.users.entry(id.clone()).or_default();
                        users.insert(key.clone());
                    }
                    if !ids.is_empty() {
                        self.uses.insert(key.clone(), ids);
                    }
                }
            }
            (ResourceKind::PolicyRecord, Some(Resource::Records(records))) => {
                let bound = records
                    .placed
                    .iter()
                    .find_map(|placed| match &placed.content {
                        At::Policy(binding) => {
                            let failback = binding.failback.as_ref()?;
                            let version = &binding.version;
                            let version = ObjectKey::new(version.namespace(), version.name());
                            Some((version, failback.mode))
                        }
                        At::Static(_) => None,
                    });
                match bound {
                    Some(bound) => self.failbacks.insert(key.clone(), bound),
                    None => self.failbacks.remove(key),
                };
            }
            (ResourceKind::PolicyRecord, _) => {
                self.failbacks.remove(key);
            }
            _ => {}
        }
    }
}

impl World {
    /// What monitors are to be told, if anything changed since the last time,
    /// or `anyway`.
    pub fn take_health(
        &mut self,
        now: Timestamp,
        anyway: bool,
    ) -> Option<BTreeMap<FleetName, Content>> {
        let changed = std::mem::take(&mut self.health.changed);
        (changed || anyway).then(|| {
            // A monitor may watch what it did not before.
            self.health.slices_changed = true;
            self.contents(now)
        })
    }

    /// What is known by itself of targets that nobody probes, if that changed
    /// since the last time.
    pub fn take_states(&mut self) -> Option<BTreeMap<Target, (State, String)>> {
        if !std::mem::take(&mut self.health.slices_changed) {
            return None;
        }
        let checks = self.health.checks.iter();
        let states = checks.filter_map(|(id, check)| self.health.slices.state(id, check));
        Some(states.collect())
    }

    fn contents(&self, now: Timestamp) -> BTreeMap<FleetName, Content> {
        let mut contents: BTreeMap<FleetName, Content> = BTreeMap::new();
        let empty = || Content {
            checks: self.health.checks.clone(),
            ..Content::default()
        };
        for key in self.health.uses.keys() {
            let Some(version) = self.serving.get(key) else {
                continue;
            };
            let targets = version.targets(&self.health.checks);
            let kind = ResourceKind::TrafficPolicyVersion;
            let name = ResourceName::new(kind, &key.namespace, &key.name);
            for fleet in self.homes.fleets_of_version(&name) {
                let content = contents.entry(fleet.clone()).or_insert_with(empty);
                content
                    .versions
                    .insert(key.to_string(), Arc::clone(version));
                for target in &targets {
                    if let Some(check) = self.health.checks.get(&target.check) {
                        content.targets.insert(target.clone(), Arc::clone(check));
                    }
                }
            }
        }
        for (record, (version, mode)) in &self.health.failbacks {
            let kind = ResourceKind::PolicyRecord;
            let name = ResourceName::new(kind, &record.namespace, &record.name);
            if let Some(fleet) = self.homes.fleet_of(&name)
                && let Some(content_of_record) = self.record(record, version, *mode, now)
            {
                let content = contents.entry(fleet.clone()).or_insert_with(empty);
                content
                    .records
                    .insert(record.to_string(), content_of_record);
            }
        }
        contents
    }

    fn record(
        &self,
        record: &ObjectKey,
        version: &ObjectKey,
        mode: FailbackMode,
        now: Timestamp,
    ) -> Option<RecordContent> {
        let version = Arc::clone(self.serving.get(version)?);
        let id = ObjectId::new(ObjectKind::PolicyRecord, record.clone());
        let facts = self.objects.get(&id);
        let status = facts.map(|facts| &facts.status);
        let status = status.and_then(|status| {
            use serde::Deserialize;
            PolicyRecordStatus::deserialize(status).ok()
        });
        let status = status.unwrap_or_default();
        let written = status.failover.into_iter().map(|held| -> Written {
            let age = now.duration_since(held.since.0);
            let age = Duration::try_from(age).unwrap_or_default();
            (held.rule, held.active, age)
        });
        Some(RecordContent {
            version,
            mode,
            written: written.collect(),
            release: facts.and_then(|facts| facts.failback.clone()),
            released: status.failback_released,
        })
    }

    /// A verdict of a fleet changed on a target of this check: whose status
    /// tells of it is to be looked at. `counts`: only numbers changed.
    pub fn look_at_users(&mut self, check: &str, counts: bool) {
        let mut checks = self.health.calculated_over(check);
        checks.push(check.to_owned());
        for id in checks {
            if let Some((namespace, name)) = id.split_once('/') {
                let key = ObjectKey::new(namespace, name);
                self.look_at(ObjectId::new(ObjectKind::HealthCheck, key));
            }
        }
        for version in self.health.versions_with(check) {
            if !counts {
                self.look_at_records(&version);
            }
            self.look_at(ObjectId::new(ObjectKind::TrafficPolicyVersion, version));
        }
    }

    /// Whatever tells of health is to be looked at.
    pub fn look_at_health(&mut self) {
        let checks = self.of_kind(ObjectKind::HealthCheck);
        let checks: Vec<ObjectId> = checks.map(|(id, _)| id.clone()).collect();
        for id in checks {
            self.look_at(id);
        }
        let versions: Vec<ObjectKey> = self.health.uses.keys().cloned().collect();
        for version in versions {
            self.look_at_records(&version);
            self.look_at(ObjectId::new(ObjectKind::TrafficPolicyVersion, version));
        }
        let records: Vec<ObjectKey> = self.health.failbacks.keys().cloned().collect();
        for record in records {
            self.look_at(ObjectId::new(ObjectKind::PolicyRecord, record));
        }
    }

    /// What a record serves whose clients do not return at once.
    pub fn version_of(&self, record: &ObjectKey) -> Option<&ObjectKey> {
        let (version, _) = self.health.failbacks.get(record)?;
        Some(version)
    }

    /// The records that serve a version and say each whether it is healthy.
    pub fn records_with(&self, version: &ObjectKey) -> BTreeSet<ObjectKey> {
        if self.is_crowded(version) {
            BTreeSet::new()
        } else {
            self.compiler.in_use(version).records
        }
    }

    /// Whether so many records serve a version that they do not say each whether
    /// it is healthy.
    pub fn is_crowded(&self, version: &ObjectKey) -> bool {
        self.health.crowded.contains(version)
    }

    fn look_at_records(&mut self, version: &ObjectKey) {
        for record in self.records_with(version) {
            self.look_at(ObjectId::new(ObjectKind::PolicyRecord, record));
        }
    }

    /// Others use these versions than before. When they are too many, or no
    /// longer, what each says of health changes.
    pub(super) fn watch_limit(&mut self, versions: &[ObjectKey]) {
        for version in versions {
            let records = self.compiler.in_use(version).records;
            let crowded = records.len() > self.fanout_limit;
            let was = if crowded {
                !self.health.crowded.insert(version.clone())
            } else {
                self.health.crowded.remove(version)
            };
            if was != crowded {
                for record in records {
                    self.look_at(ObjectId::new(ObjectKind::PolicyRecord, record));
                }
            }
        }
    }
}

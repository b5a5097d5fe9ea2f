//! What is to be looked at again after a change.

use std::collections::BTreeSet;

use super::Compiler;
use crate::allowed::asks_for_labels;
use crate::attached::{Attached, referred};
use crate::dependants::Dependency;
use crate::health_check::{is_made_at_an_address, members};
use crate::object::{Kind, ObjectKey, ObjectRef};
use crate::resources::{Object, Resources, policy_of};

/// What is to be looked at again.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    pub(crate) versions: BTreeSet<ObjectKey>,
    pub(crate) policies: BTreeSet<ObjectKey>,
    /// `RecordSet` and `PolicyRecord` objects.
    pub(crate) attached: BTreeSet<ObjectRef>,
    pub(crate) zones: BTreeSet<ObjectKey>,
    /// Whether to decide anew which zones are served.
    pub(crate) accept: bool,
    /// Objects that are looked at on their own.
    pub(crate) plain: BTreeSet<ObjectRef>,
    /// Zones whose serial number is another one.
    pub(crate) numbered: BTreeSet<ObjectKey>,
}

impl Dirty {
    /// All objects.
    pub(crate) fn everything(resources: &Resources) -> Self {
        let named = |kind| move |key: &ObjectKey| ObjectRef::new(kind, key.clone());
        let sets = resources.record_sets.keys();
        let records = resources.policy_records.keys();
        let checks = resources.health_checks.keys();
        let collections = resources.cidr_collections.keys();
        Self {
            versions: resources.versions.keys().cloned().collect(),
            policies: (resources.traffic_policies.keys().cloned())
                .chain(resources.versions.values().map(policy_of))
                .collect(),
            attached: (sets.map(named(Kind::RecordSet)))
                .chain(records.map(named(Kind::PolicyRecord)))
                .collect(),
            zones: resources.hosted_zones.keys().cloned().collect(),
            accept: true,
            plain: (checks.map(named(Kind::HealthCheck)))
                .chain(collections.map(named(Kind::CIDRCollection)))
                .collect(),
            numbered: BTreeSet::new(),
        }
    }
}

impl Compiler {
    /// Marks an object that changed, and what refers to it. `alike` tells
    /// whether it was there before and still is, and those who refer to it see
    /// no difference.
    pub(super) fn mark(&mut self, object: &ObjectRef, alike: bool) {
        let key = object.key.clone();
        match object.kind {
            Kind::HostedZone => {
                self.mark_names_of_records(&key);
                self.dirty.zones.insert(key);
                self.dirty.accept = true;
            }
            Kind::TrafficPolicy => {
                self.dirty.policies.insert(key);
            }
            Kind::TrafficPolicyVersion => {
                self.dirty.versions.insert(key);
                self.dirty.policies.extend(self.policy_of(object));
            }
            Kind::PolicyRecord => {
                self.dirty.attached.insert(object.clone());
                self.mark_dependants(&Dependency::PolicyRecord(key));
            }
            Kind::RecordSet => {
                self.dirty.attached.insert(object.clone());
            }
            Kind::HealthCheck => {
                self.dirty.plain.insert(object.clone());
                if !alike {
                    self.mark_users_of_check(&key);
                }
            }
            Kind::CIDRCollection => {
                self.dirty.plain.insert(object.clone());
                self.mark_dependants(&Dependency::Collection(key));
            }
        }
    }

    /// What those who refer to a health check see of it: whether it needs an
    /// address, and what it is calculated from. Nothing for other kinds.
    pub(super) fn seen_of_check(&self, object: &ObjectRef) -> Option<(bool, Vec<String>)> {
        let is_check = object.kind == Kind::HealthCheck;
        let check = self.resources.health_checks.get(&object.key);
        let spec = &check.filter(|_| is_check)?.spec;
        let needs_address = spec.address.is_none() && is_made_at_an_address(spec);
        Some((needs_address, members(spec).cloned().collect()))
    }

    /// Marks documents and calculated checks that refer to a check, and
    /// documents that refer to those.
    fn mark_users_of_check(&mut self, key: &ObjectKey) {
        let used = Dependency::HealthCheck(key.clone());
        let holders = self.dependants.of(&used);
        let checks = holders.filter(|holder| holder.kind == Kind::HealthCheck);
        let checks: Vec<ObjectKey> = checks.map(|holder| holder.key.clone()).collect();
        self.mark_dependants(&used);
        for check in checks {
            self.mark_dependants(&Dependency::HealthCheck(check));
        }
    }

    /// The policy of a version as it is now.
    pub(super) fn policy_of(&self, object: &ObjectRef) -> Option<ObjectKey> {
        let is_version = object.kind == Kind::TrafficPolicyVersion;
        let version = self.resources.versions.get(&object.key)?;
        is_version.then(|| policy_of(version))
    }

    pub(super) fn mark_dependants(&mut self, dependency: &Dependency) {
        for holder in self.dependants.of(dependency) {
            match holder.kind {
                Kind::TrafficPolicyVersion => self.dirty.versions.insert(holder.key.clone()),
                Kind::HealthCheck => self.dirty.plain.insert(holder.clone()),
                _ => self.dirty.policies.insert(holder.key.clone()),
            };
        }
    }

    /// Records that are endpoints have other names when their zone changes.
    fn mark_names_of_records(&mut self, zone: &ObjectKey) {
        let records = self.dependants.policy_records().map(|(record, _)| record);
        let of_zone = records.filter(|key| {
            let record = self.resources.policy_records.get(key);
            record.is_some_and(|record| zone_of(record) == *zone)
        });
        for record in of_zone.cloned().collect::<Vec<_>>() {
            self.mark_dependants(&Dependency::PolicyRecord(record));
        }
    }

    /// Marks objects of a namespace that are in zones which choose namespaces
    /// by their labels.
    pub(super) fn mark_labels(&mut self, namespace: &str) {
        let first = ObjectKey::new(namespace, "");
        let inside = |key: &ObjectKey| key.namespace == namespace;
        let resources = &self.resources;
        let asks = |zone: &ObjectKey| {
            let zone = resources.hosted_zones.get(zone);
            zone.is_some_and(|zone| asks_for_labels(&zone.spec.allowed_records))
        };
        let sets = resources.record_sets.range(first.clone()..);
        let sets = sets.take_while(|(key, _)| inside(key));
        let sets = sets.filter(|(_, set)| asks(&zone_of(set)));
        let sets = sets.map(|(key, _)| ObjectRef::new(Kind::RecordSet, key.clone()));
        self.dirty.attached.extend(sets);
        let records = resources.policy_records.range(first..);
        let records = records.take_while(|(key, _)| inside(key));
        let records = records.filter(|(_, record)| asks(&zone_of(record)));
        let records = records.map(|(key, _)| ObjectRef::new(Kind::PolicyRecord, key.clone()));
        self.dirty.attached.extend(records);
        self.dirty.accept = true;
    }

    /// Marks what refers to objects of a namespace from another.
    pub(super) fn mark_grants(&mut self, namespace: &str) {
        let objects = self.dependants.objects();
        let objects = objects.filter(|(object, _)| object.namespace == namespace);
        for holder in objects.flat_map(|(_, holders)| holders) {
            match holder.kind {
                Kind::TrafficPolicyVersion => self.dirty.versions.insert(holder.key.clone()),
                _ => self.dirty.policies.insert(holder.key.clone()),
            };
        }
        let records = self.asks.of_namespace(namespace);
        let foreign = records.filter(|(policy, record)| policy.namespace != record.namespace);
        let foreign = foreign.map(|(_, record)| ObjectRef::new(Kind::PolicyRecord, record.clone()));
        self.dirty.attached.extend(foreign);
    }
}

/// The zone that an attached object refers to.
fn zone_of<S: Attached>(object: &Object<S>) -> ObjectKey {
    referred(object.spec.place().0, &object.key.namespace)
}

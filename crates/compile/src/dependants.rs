//! Which documents and checks refer to what, so that a change of the latter finds them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use watershed_crd::document::TrafficPolicyDocument;
use watershed_crd::health_check::HealthCheckSpec;

use crate::health_check;
use crate::object::{ObjectKey, ObjectRef};
use crate::object_address::ObjectAddressKey;

/// Something that a document refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Dependency {
    Collection(ObjectKey),
    HealthCheck(ObjectKey),
    PolicyRecord(ObjectKey),
    Object(ObjectAddressKey),
}

/// Documents and calculated health checks by what they refer to. A document is
/// known by the `TrafficPolicy` or `TrafficPolicyVersion` that holds it.
#[derive(Debug, Default)]
pub(crate) struct Dependants {
    holders: BTreeMap<Dependency, BTreeSet<ObjectRef>>,
    dependencies: HashMap<ObjectRef, BTreeSet<Dependency>>,
}

impl Dependants {
    /// Tells what a document refers to; nothing when it is gone.
    pub(crate) fn set(&mut self, holder: &ObjectRef, dependencies: BTreeSet<Dependency>) {
        for old in self.dependencies.remove(holder).unwrap_or_default() {
            if let Some(holders) = self.holders.get_mut(&old) {
                holders.remove(holder);
                if holders.is_empty() {
                    self.holders.remove(&old);
                }
            }
        }
        for new in &dependencies {
            let holders = self.holders.entry(new.clone()).or_default();
            holders.insert(holder.clone());
        }
        if !dependencies.is_empty() {
            self.dependencies.insert(holder.clone(), dependencies);
        }
    }

    /// The documents that refer to something.
    pub(crate) fn of(&self, dependency: &Dependency) -> impl Iterator<Item = &ObjectRef> {
        self.holders.get(dependency).into_iter().flatten()
    }

    /// Kubernetes objects whose addresses are followed, with who follows them.
    pub(crate) fn objects(
        &self,
    ) -> impl Iterator<Item = (&ObjectAddressKey, &BTreeSet<ObjectRef>)> {
        self.holders.iter().filter_map(|(dependency, holders)| {
            let Dependency::Object(object) = dependency else {
                return None;
            };
            Some((object, holders))
        })
    }

    /// Records that are endpoints of policies, with the policies.
    pub(crate) fn policy_records(
        &self,
    ) -> impl Iterator<Item = (&ObjectKey, &BTreeSet<ObjectRef>)> {
        self.holders.iter().filter_map(|(dependency, holders)| {
            let Dependency::PolicyRecord(record) = dependency else {
                return None;
            };
            Some((record, holders))
        })
    }
}

/// The checks that a check of a namespace is calculated from.
pub(crate) fn members(namespace: &str, check: &HealthCheckSpec) -> BTreeSet<Dependency> {
    let keys = health_check::members(check).map(|name| ObjectKey::new(namespace, name));
    keys.map(Dependency::HealthCheck).collect()
}

/// What a document of a namespace refers to.
pub(crate) fn dependencies(
    namespace: &str,
    document: &TrafficPolicyDocument,
) -> BTreeSet<Dependency> {
    let local = |name: &String| ObjectKey::new(namespace, name);
    let mut found = BTreeSet::new();
    for rule in document.rules.values() {
        let collection = rule.cidr_collection_ref.iter();
        found.extend(collection.map(|r| Dependency::Collection(local(&r.name))));
        let checks = (rule.branches.iter()).filter_map(|branch| branch.health_check_ref.as_ref());
        found.extend(checks.map(|r| Dependency::HealthCheck(local(&r.name))));
    }
    for endpoint in document.endpoints.values() {
        let check = endpoint.health_check_ref.iter();
        found.extend(check.map(|r| Dependency::HealthCheck(local(&r.name))));
        let record = endpoint.policy_record_ref.iter();
        found.extend(record.map(|r| Dependency::PolicyRecord(local(&r.name))));
        let object = endpoint.object_ref.iter();
        found.extend(object.map(|r| Dependency::Object(ObjectAddressKey::of(r, namespace))));
    }
    found
}

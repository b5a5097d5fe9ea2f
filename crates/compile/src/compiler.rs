//! The incremental compiler: objects in, what changed out.

mod mark;
mod places;
mod queries;
mod restore;
mod round;
mod send;
mod serials;
mod zones;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use watershed_snapshot::{Resource as Served, ResourceName};

use crate::asks::Asks;
use crate::attached::Places;
use crate::changes::Changes;
use crate::contents::Contents;
use crate::dependants::{Dependants, Dependency};
use crate::grants::Grant;
use crate::health_checks::HealthChecks;
use crate::object::{Kind, ObjectKey, ObjectRef};
use crate::object_address::{ObjectAddress, ObjectAddressKey};
use crate::resources::{Applied, Resource, Resources};
use crate::slot::Active;
use crate::verdict::{Problem, Report, Verdict};
use crate::versions::Versions;
use crate::zone::ZoneHead;
use crate::zones::Zones;

use mark::Dirty;
use round::Round;
use send::Sent;

/// Holds all objects and what was made of them, and makes anew what a change
/// concerns: a version, a policy, a zone, or all that competes at one name.
///
/// Nothing fails as a whole. What is faulty, unresolved or refused is told in
/// the verdict of its object, and where that object served something before,
/// it goes on being served. It is not when a zone has withdrawn its
/// permission, a namespace its grant, or an older object has the name; nor
/// when the object itself is deleted.
///
/// At a name the zone's own records come first, then `RecordSet` and
/// `PolicyRecord` objects by age and name: the first to ask for a type has it.
///
/// What it makes is a function of the objects and of what was served before,
/// not of the order in which it was told.
#[derive(Debug, Default)]
pub struct Compiler {
    resources: Resources,
    versions: Versions,
    asks: Asks,
    dependants: Dependants,
    zones: Zones,
    places: Places,
    contents: Contents,
    health_checks: HealthChecks,
    /// What is said about zone objects apart from what is in the zones.
    zone_reports: BTreeMap<ObjectKey, Report>,
    /// What stands against the own records of zones.
    own_problems: HashMap<ObjectKey, Vec<Problem>>,
    verdicts: BTreeMap<ObjectRef, Verdict>,
    /// Heads of zones before a restart, until they have been looked at.
    restored_heads: HashMap<ObjectKey, ZoneHead>,
    /// Versions of records before a restart, likewise.
    active: HashMap<ObjectKey, Active>,
    sent: Sent,
    dirty: Dirty,
}

impl Compiler {
    /// A compiler in a cluster, without any objects yet.
    pub fn new() -> Self {
        let mut compiler = Self::default();
        compiler.resources.object_addresses = Some(BTreeMap::new());
        compiler
    }

    /// A compiler outside of any cluster: there are no objects whose addresses
    /// could be followed.
    pub fn standalone() -> Self {
        Self::default()
    }

    /// A compiler of these objects.
    pub fn of(resources: Resources) -> Self {
        let mut compiler = Self {
            dirty: Dirty::everything(&resources),
            ..Self::default()
        };
        compiler.resources = resources;
        compiler
    }

    /// Everything that it was told.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Adds an object or replaces the one of its kind, namespace and name.
    pub fn apply(&mut self, object: impl Into<Resource>) -> Applied {
        let object = object.into();
        let reference = object.reference();
        let existed = self.resources.contains(&reference);
        let number = match &object {
            Resource::TrafficPolicyVersion(version) => Some((
                ObjectKey::new(&reference.key.namespace, &version.spec.policy_name),
                u32::try_from(version.spec.version).unwrap_or(0),
            )),
            _ => None,
        };
        // Even a version that is refused uses up its number.
        if let Some((policy, number)) = number {
            self.note_number(&policy, number);
        }
        let policy = self.policy_of(&reference);
        let seen = self.seen_of_check(&reference);
        let mut applied = self.resources.apply(object);
        // What was refused has been taken back.
        let is_version = reference.kind == Kind::TrafficPolicyVersion;
        if is_version
            && applied != Applied::Immutable
            && (self.resources.refused_versions.remove(&reference.key)).is_some()
        {
            applied = Applied::Changed;
        }
        if applied != Applied::Unchanged {
            self.dirty.policies.extend(policy);
            let alike = existed && seen == self.seen_of_check(&reference);
            self.mark(&reference, alike);
        }
        applied
    }

    /// Removes an object; `false` when there was none.
    pub fn delete(&mut self, object: &ObjectRef) -> bool {
        let policy = self.policy_of(object);
        let existed = self.resources.delete(object);
        if existed {
            if let Some(policy) = &policy {
                self.forget_numbers(policy);
            }
            self.dirty.policies.extend(policy);
            self.mark(object, false);
        }
        existed
    }

    /// Numbers are not given again as long as there is a policy. Another one of
    /// its name begins after the versions that are left, or served.
    fn forget_numbers(&mut self, policy: &ObjectKey) {
        if !self.resources.traffic_policies.contains_key(policy) {
            let served = self.records_of_policy(policy);
            let served = served.keys().max().copied().unwrap_or(0);
            self.resources.forget_numbers(policy, served);
        }
    }

    /// Tells that a policy once had a version of this number, so that the
    /// number is not given again.
    pub fn note_number(&mut self, policy: &ObjectKey, number: u32) {
        if number > self.resources.highest_number(policy) {
            self.resources.note_number(policy, number);
            self.dirty.policies.insert(policy.clone());
        }
    }

    /// Tells the labels of a namespace, `None` when it is gone. Whether that
    /// is something new.
    pub fn set_namespace_labels(
        &mut self,
        namespace: &str,
        labels: Option<BTreeMap<String, String>>,
    ) -> bool {
        let held = &mut self.resources.namespace_labels;
        let new = set(held, namespace.to_owned(), labels);
        if new {
            self.mark_labels(namespace);
        }
        new
    }

    /// Tells what a `ReferenceGrant` gives, `None` when it is gone. Whether
    /// that is something new. What is served by a grant that is lost is
    /// withdrawn at once: a grace time is the caller's to give.
    pub fn set_grant(&mut self, key: ObjectKey, grant: Option<Grant>) -> bool {
        let namespace = key.namespace.clone();
        let new = set(&mut self.resources.grants, key, grant);
        if new {
            self.mark_grants(&namespace);
        }
        new
    }

    /// Tells the addresses of an object, an empty list when it has none and
    /// `None` when it is gone. Whether that is something new.
    pub fn set_object_addresses(
        &mut self,
        object: ObjectAddressKey,
        addresses: Option<Vec<ObjectAddress>>,
    ) -> bool {
        let objects = self.resources.object_addresses.get_or_insert_default();
        let new = set(objects, object.clone(), addresses);
        if new {
            self.mark_dependants(&Dependency::Object(object));
        }
        new
    }

    /// The objects whose addresses some version or working document follows,
    /// as of the last compilation.
    pub fn object_refs(&self) -> BTreeSet<ObjectAddressKey> {
        let objects = self.dependants.objects();
        objects.map(|(object, _)| object.clone()).collect()
    }

    /// Compiles what changed since the last call. A zone in which something
    /// differs gets the next serial number: one more than before, and no less
    /// than `serial_floor`, such as the time in Unix seconds.
    pub fn compile(&mut self, serial_floor: u32) -> Changes {
        let dirty = std::mem::take(&mut self.dirty);
        let mut round = Round::default();
        self.compile_versions(&dirty, &mut round);
        self.compile_policies(&dirty, &mut round);
        self.compile_plain(&dirty, &mut round);
        self.compile_zones(&dirty, &mut round);
        self.compile_names(dirty.attached, &mut round);
        self.end_restoration();
        self.renew_versions(&mut round);
        let contents = &self.contents;
        (self.versions).forget_orphans(|version| contents.serves(version));
        self.tell_attached(&mut round);
        round.heads.extend(dirty.numbered);
        self.send(serial_floor, &mut round);
        self.tell_zones(&mut round);
        self.finish(round)
    }

    /// Everything that a compiler which takes this one's place is to
    /// [restore](Self::restore): what is served, and what could be.
    pub fn held(&self) -> Vec<(ResourceName, Served)> {
        restore::held(self)
    }
}

/// Sets or removes an entry; whether that changed the map.
fn set<K: Ord, V: PartialEq>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> bool {
    if map.get(&key) == value.as_ref() {
        return false;
    }
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
    true
}

/// The zone object of that name.
fn zone_object(key: &ObjectKey) -> ObjectRef {
    ObjectRef::new(Kind::HostedZone, key.clone())
}

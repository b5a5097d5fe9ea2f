//! All objects, what is made of them, and what is to be looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use watershed_compile::{Compiler, ObjectKey, ObjectRef};
use watershed_crd::Manifest;
use watershed_crd::dns_fleet::DNSFleetSpec;
use watershed_snapshot::{PolicyVersion, Resource, ResourceKind, ResourceName};

use super::facts::Facts;
use super::grace::Grace;
use super::{HealthIndex, Homes, Pending};
use crate::fleet::{FleetName, Tagged};
use crate::object::{ObjectId, ObjectKind};
use crate::watch::{Change, Observed};

/// `--status-fanout-limit`, by default.
pub const FANOUT_LIMIT: usize = 200;

/// Everything that the operator knows.
pub struct World {
    /// The objects as compilation sees them, and what it made of them.
    pub compiler: Compiler,
    /// What the API says of each object.
    pub objects: BTreeMap<ObjectId, Facts>,
    /// Why an object cannot be understood.
    pub faults: BTreeMap<ObjectId, String>,
    /// The fleets.
    pub fleets: BTreeMap<ObjectKey, DNSFleetSpec>,
    /// Versions in service, compiled.
    pub serving: BTreeMap<ObjectKey, Arc<PolicyVersion>>,
    /// Which fleet serves what.
    pub homes: Homes,
    /// Health checks, and who depends on them.
    pub health: HealthIndex,
    /// Records that share a version say each whether it is healthy, up to so
    /// many.
    pub fanout_limit: usize,
    /// Writes under way.
    pub pending: Pending,
    /// Whose status, finalizers or versions are to be looked at.
    dirty: BTreeSet<ObjectId>,
    /// What publishers have not been told yet.
    unpublished: Vec<Tagged>,
    /// The synced watches.
    synced: BTreeSet<usize>,
    grace: Grace,
}

impl World {
    /// Nothing is known yet. Lost grants count for `grace`.
    pub fn new(grace: SignedDuration) -> Self {
        Self {
            compiler: Compiler::new(),
            objects: BTreeMap::new(),
            faults: BTreeMap::new(),
            fleets: BTreeMap::new(),
            serving: BTreeMap::new(),
            homes: Homes::default(),
            health: HealthIndex::default(),
            fanout_limit: FANOUT_LIMIT,
            pending: Pending::default(),
            dirty: BTreeSet::new(),
            unpublished: Vec::new(),
            synced: BTreeSet::new(),
            grace: Grace::new(grace),
        }
    }

    /// Takes up a change of the cluster. Whether it may matter.
    pub fn take(&mut self, change: Change, now: Timestamp) -> bool {
        match change {
            Change::Object(observed) => self.observe(*observed),
            Change::Gone(id) => self.forget(&id),
            Change::Namespace(name, labels) => self.compiler.set_namespace_labels(&name, labels),
            Change::Addresses(object, addresses) => {
                self.compiler.set_object_addresses(object, addresses)
            }
            Change::Grant(key, Some(grant)) => {
                self.grace.found(&key);
                self.compiler.set_grant(key, Some(grant))
            }
            Change::Grant(key, None) => {
                self.grace.lost(key, now);
                false
            }
            Change::Slice(key, slice) => {
                self.health.slices_changed |= self.health.slices.set(key, slice);
                false
            }
            Change::SlicesListed => {
                self.health.slices_changed |= self.health.slices.set_listed();
                false
            }
            Change::Synced(watch, _) => self.synced.insert(watch),
        }
    }

    /// How many watches have told all that they found when they began.
    pub fn synced(&self) -> usize {
        self.synced.len()
    }

    /// Ends grants whose grace time is over. Whether any did.
    pub fn end_grants(&mut self, now: Timestamp) -> bool {
        let over = self.grace.over(now);
        let mut ended = false;
        for grant in over {
            ended |= self.compiler.set_grant(grant, None);
        }
        ended
    }

    /// When the next grace time is over.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.grace.next()
    }

    fn observe(&mut self, observed: Observed) -> bool {
        let Observed {
            id,
            mut facts,
            manifest,
        } = observed;
        // Watches may tell of a form from before the last write.
        if self.pending.is_old(&id, facts.version)
            && let Some(known) = self.objects.get(&id)
        {
            facts.status = known.status.clone();
        }
        self.pending.seen(&id, facts.version);
        let former = self.objects.get(&id);
        let replaced = former.is_some_and(|former| former.uid != facts.uid);
        let matters = former.is_none_or(|former| differs(former, &facts));
        self.health.changed |= former.is_some_and(|former| former.failback != facts.failback);
        if replaced {
            self.forget(&id);
        }
        let leaving = facts.deleting && is_withdrawn(id.kind);
        self.objects.insert(id.clone(), facts);
        let changed = match manifest {
            Ok(_) if leaving => self.remove(&id),
            Ok(manifest) => {
                let healed = self.faults.remove(&id).is_some();
                self.apply(&id, manifest) || healed
            }
            Err(fault) => self.faults.insert(id.clone(), fault.clone()) != Some(fault),
        };
        if matters || changed {
            self.dirty.insert(id);
        }
        matters || changed
    }

    fn apply(&mut self, id: &ObjectId, manifest: Manifest) -> bool {
        use watershed_compile::Applied::Unchanged;
        let compiler = &mut self.compiler;
        match manifest {
            Manifest::CIDRCollection(object) => compiler.apply(*object) != Unchanged,
            Manifest::HealthCheck(object) => compiler.apply(*object) != Unchanged,
            Manifest::PolicyRecord(object) => compiler.apply(*object) != Unchanged,
            Manifest::RecordSet(object) => compiler.apply(*object) != Unchanged,
            Manifest::TrafficPolicyVersion(object) => compiler.apply(*object) != Unchanged,
            Manifest::HostedZone(object) => {
                let fleet = FleetName::new(object.spec.fleet_name.clone());
                let changed = compiler.apply(*object) != Unchanged;
                let tagged = self.homes.settle(&zone_name(&id.key), fleet);
                self.health.changed |= !tagged.is_empty();
                self.unpublished.extend(tagged);
                changed
            }
            Manifest::TrafficPolicy(object) => {
                let changed = compiler.apply(*object) != Unchanged;
                self.note_highest(id);
                changed
            }
            Manifest::DNSFleet(object) => {
                self.fleets.insert(id.key.clone(), object.spec) != self.fleets.get(&id.key).cloned()
            }
        }
    }

    /// Numbers that were given once are not given again, although nothing but
    /// the status may tell of them.
    fn note_highest(&mut self, id: &ObjectId) {
        let status = self.objects.get(id).map(|facts| &facts.status);
        let highest = status.and_then(|status| status.get("highestVersion")?.as_u64());
        if let Some(highest) = highest.and_then(|number| u32::try_from(number).ok()) {
            self.compiler.note_number(&id.key, highest);
        }
    }

    fn forget(&mut self, id: &ObjectId) -> bool {
        self.pending.forget(id);
        self.faults.remove(id);
        self.dirty.remove(id);
        self.objects.remove(id);
        self.remove(id)
    }

    /// Withdraws what an object asks for.
    fn remove(&mut self, id: &ObjectId) -> bool {
        match id.compiled() {
            Some(object) => self.compiler.delete(&object),
            None => self.fleets.remove(&id.key).is_some(),
        }
    }

    /// Compiles what changed, with serials of zones of at least `floor`.
    pub fn compile(&mut self, floor: u32) {
        let changes = self.compiler.compile(floor);
        for (name, resource) in &changes.resources {
            self.note_service(name, resource.as_ref());
        }
        self.health.renew();
        let tagged = self.homes.update(changes.resources);
        self.health.changed |= !tagged.is_empty();
        self.unpublished.extend(tagged);
        let verdicts = changes.verdicts.into_iter().map(|verdict| verdict.object);
        let objects = verdicts.map(ObjectId::from);
        self.dirty.extend(objects);
        let policies = changes.policies.into_iter();
        let policies = policies.map(|key| ObjectId::new(ObjectKind::TrafficPolicy, key));
        self.dirty.extend(policies);
        self.watch_limit(&changes.versions);
        let versions = changes.versions.into_iter();
        let versions = versions.map(|key| ObjectId::new(ObjectKind::TrafficPolicyVersion, key));
        self.dirty.extend(versions);
    }

    fn note_service(&mut self, name: &ResourceName, resource: Option<&Resource>) {
        let key = ObjectKey::new(name.namespace(), name.name());
        self.health.note(&key, name.kind(), resource);
        match name.kind() {
            ResourceKind::TrafficPolicyVersion => {
                match resource {
                    Some(Resource::Version(version)) => {
                        self.serving.insert(key.clone(), Arc::clone(version));
                    }
                    _ => {
                        self.serving.remove(&key);
                    }
                }
                self.look_at(ObjectId::new(ObjectKind::TrafficPolicyVersion, key));
            }
            // The serial is in status.
            ResourceKind::HostedZone | ResourceKind::ZoneRecords => {
                self.look_at(ObjectId::new(ObjectKind::HostedZone, key));
            }
            ResourceKind::RecordSet => self.look_at(ObjectId::new(ObjectKind::RecordSet, key)),
            ResourceKind::PolicyRecord => {
                self.look_at(ObjectId::new(ObjectKind::PolicyRecord, key));
            }
            ResourceKind::HealthCheck => {
                self.look_at(ObjectId::new(ObjectKind::HealthCheck, key));
            }
        }
    }

    /// What publishers have not been told yet.
    pub fn take_unpublished(&mut self) -> Vec<Tagged> {
        // Of several changes of one resource, the last holds.
        let mut last = BTreeMap::new();
        for tagged in std::mem::take(&mut self.unpublished) {
            last.insert(tagged.name.clone(), tagged);
        }
        last.into_values().collect()
    }

    /// An object is to be looked at.
    pub fn look_at(&mut self, id: ObjectId) {
        self.dirty.insert(id);
    }

    /// Every object is to be looked at.
    pub fn look_at_everything(&mut self) {
        self.dirty.extend(self.objects.keys().cloned());
    }

    /// Whether any object is to be looked at.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The objects that are to be looked at, as far as they exist.
    pub fn take_dirty(&mut self) -> BTreeSet<ObjectId> {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.retain(|id| self.objects.contains_key(id));
        dirty
    }

    /// The object that speaks for a fleet: the oldest of that name.
    pub fn fleet(&self, fleet: &FleetName) -> Option<(&ObjectKey, &DNSFleetSpec)> {
        let named = self
            .fleets
            .iter()
            .filter(|(key, _)| key.name == fleet.as_str());
        named.min_by_key(|(key, _)| {
            let id = ObjectId::new(ObjectKind::DNSFleet, (*key).clone());
            let created = self.objects.get(&id).and_then(|facts| facts.created);
            (created.is_none(), created, *key)
        })
    }

    /// The objects of a kind.
    pub fn of_kind(&self, kind: ObjectKind) -> impl Iterator<Item = (&ObjectId, &Facts)> {
        let first = ObjectId::new(kind, ObjectKey::new("", ""));
        (self.objects.range(first..)).take_while(move |(id, _)| id.kind == kind)
    }

    /// What is said about an object.
    pub fn verdict(&self, id: &ObjectId) -> Option<&watershed_compile::Verdict> {
        let object: ObjectRef = id.compiled()?;
        self.compiler.verdict(&object)
    }
}

/// What a zone object is called among resources.
pub(crate) fn zone_name(key: &ObjectKey) -> ResourceName {
    ResourceName::new(ResourceKind::HostedZone, &key.namespace, &key.name)
}

/// What is withdrawn as soon as its deletion is asked for; the other kinds are
/// held while they are in use, and stay as they are so long.
fn is_withdrawn(kind: ObjectKind) -> bool {
    matches!(kind, ObjectKind::PolicyRecord | ObjectKind::RecordSet)
}

/// Whether anything differs but the status, which the operator wrote itself,
/// and what changes with every write.
fn differs(former: &Facts, now: &Facts) -> bool {
    let Facts {
        uid,
        version: _,
        generation,
        created: _,
        deleting,
        finalizers,
        owner,
        managers,
        minted,
        author,
        change_ref,
        failback,
        status,
        spec: _,
    } = now;
    former.uid != *uid
        || former.generation != *generation
        || former.deleting != *deleting
        || former.finalizers != *finalizers
        || former.owner != *owner
        || former.managers != *managers
        || former.minted != *minted
        || former.author != *author
        || former.change_ref != *change_ref
        || former.failback != *failback
        || former.status != *status
}

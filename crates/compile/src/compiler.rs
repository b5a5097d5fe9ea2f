//! The compiler: objects in, what changed out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watershed_snapshot::{
    Records, Resource as Served, ResourceKind, ResourceName, VersionBinding, ZoneHead,
};

use crate::changes::{Changes, Usage, ZoneCounts};
use crate::grants::Grant;
use crate::object::{Kind, ObjectKey, ObjectRef};
use crate::object_address::{ObjectAddress, ObjectAddressKey};
use crate::previous::{Claimant, Content, Placed, Previous};
use crate::resources::{Applied, Resource, Resources, version_key};
use crate::snapshot::compile;
use crate::verdict::Verdict;

/// Holds all objects and what was made of them.
#[derive(Debug, Default)]
pub struct Compiler {
    resources: Resources,
    previous: Previous,
    served: BTreeMap<ResourceName, Served>,
    sent: BTreeMap<ResourceName, Served>,
    verdicts: BTreeMap<ObjectRef, Verdict>,
    usage: BTreeMap<ObjectKey, Usage>,
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

    /// Everything that it was told.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Adds an object or replaces the one of its kind, namespace and name.
    pub fn apply(&mut self, object: impl Into<Resource>) -> Applied {
        self.resources.apply(object)
    }

    /// Removes an object; `false` when there was none.
    pub fn delete(&mut self, object: &ObjectRef) -> bool {
        self.resources.delete(object)
    }

    /// Tells that a policy once had a version of this number.
    pub fn note_number(&mut self, policy: &ObjectKey, number: u32) {
        self.resources.note_number(policy, number);
    }

    /// Tells the labels of a namespace, `None` when it is gone. Whether that
    /// is something new.
    pub fn set_namespace_labels(
        &mut self,
        namespace: &str,
        labels: Option<BTreeMap<String, String>>,
    ) -> bool {
        set(
            &mut self.resources.namespace_labels,
            namespace.to_owned(),
            labels,
        )
    }

    /// Tells what a `ReferenceGrant` gives, `None` when it is gone. Whether
    /// that is something new. A grant that is lost is lost at once: a grace
    /// time is the caller's to give.
    pub fn set_grant(&mut self, key: ObjectKey, grant: Option<Grant>) -> bool {
        set(&mut self.resources.grants, key, grant)
    }

    /// Tells the addresses of an object, an empty list when it has none and
    /// `None` when it is gone. Whether that is something new.
    pub fn set_object_addresses(
        &mut self,
        object: ObjectAddressKey,
        addresses: Option<Vec<ObjectAddress>>,
    ) -> bool {
        let objects = self.resources.object_addresses.get_or_insert_default();
        set(objects, object, addresses)
    }

    /// The objects whose addresses some version or working document follows.
    pub fn object_refs(&self) -> BTreeSet<ObjectAddressKey> {
        let policies = self.resources.traffic_policies.values();
        let policies = policies.filter_map(|o| Some((&o.key, o.spec.document.as_ref()?)));
        let versions = self.resources.versions.values();
        let versions = versions.map(|o| (&o.key, &o.spec.spec.document));
        let documents = policies.chain(versions);
        let endpoints = documents
            .flat_map(|(key, document)| document.endpoints.values().map(move |e| (key, e)));
        endpoints
            .filter_map(|(key, e)| {
                Some(ObjectAddressKey::of(e.object_ref.as_ref()?, &key.namespace))
            })
            .collect()
    }

    /// Tells what was served before this compiler was made.
    pub fn restore(&mut self, resources: Vec<(ResourceName, Served)>) {
        for (name, resource) in &resources {
            if let Served::Version(version) = resource {
                let key = ObjectKey::new(&name.namespace, &name.name);
                let versions = &mut self.previous.versions;
                versions.entry(key).or_insert_with(|| Arc::clone(version));
            }
        }
        for (name, resource) in resources {
            let key = ObjectKey::new(&name.namespace, &name.name);
            match &resource {
                Served::Version(_) => {}
                Served::Zone(head) => {
                    if let Some(head) = crate::zone::ZoneHead::read(head) {
                        self.previous.zones.entry(key).or_insert(head);
                    }
                }
                Served::Records(records) => self.restore_records(name.kind, &key, records),
            }
            self.served.entry(name).or_insert(resource);
        }
    }

    fn restore_records(&mut self, kind: ResourceKind, key: &ObjectKey, records: &Records) {
        for placed in &records.placed {
            let content = match &placed.content {
                watershed_snapshot::Content::Static(set) => Content::Static(set.clone()),
                watershed_snapshot::Content::Policy(binding) => {
                    let version = ObjectKey::new(&binding.version.namespace, &binding.version.name);
                    let Some(version) = self.previous.versions.get(&version) else {
                        continue;
                    };
                    Content::Policy(watershed_snapshot::Binding {
                        version: Arc::clone(version),
                        record_types: binding.record_types.clone(),
                        ttl: binding.ttl,
                    })
                }
            };
            let claimant = match kind {
                ResourceKind::RecordSet => {
                    Claimant::Object(ObjectRef::new(Kind::RecordSet, key.clone()))
                }
                ResourceKind::PolicyRecord => {
                    Claimant::Object(ObjectRef::new(Kind::PolicyRecord, key.clone()))
                }
                _ => {
                    let kind = content.types().first().copied().unwrap_or_default();
                    Claimant::Zone(key.clone(), placed.owner.clone(), kind)
                }
            };
            let owner = placed.owner.clone();
            let data = &mut self.previous.data;
            data.entry(claimant).or_insert(Placed { owner, content });
        }
    }

    /// Tells which version a record served before this compiler was made.
    pub fn restore_active(&mut self, _record: &ObjectKey, _version: u32) {}

    /// Compiles what changed.
    pub fn compile(&mut self, serial_floor: u32) -> Changes {
        let compiled = compile(&self.resources, &self.previous, serial_floor);
        self.previous = compiled.previous;
        let served = self.resources_with_serials(serial_floor);
        let mut changes = Changes {
            resources: differences(&self.sent, &served),
            policies: self.resources.traffic_policies.keys().cloned().collect(),
            versions: self.resources.versions.keys().cloned().collect(),
            ..Changes::default()
        };
        self.sent.clone_from(&served);
        self.served = served;
        let verdicts: BTreeMap<_, _> = (compiled.verdicts.into_iter())
            .map(|verdict| (verdict.object.clone(), verdict))
            .collect();
        for (object, verdict) in differences(&self.verdicts, &verdicts) {
            match verdict {
                Some(verdict) => changes.verdicts.push(verdict),
                None => changes.gone.push(object),
            }
        }
        self.verdicts = verdicts;
        self.count_use();
        changes
    }

    fn resources_with_serials(&self, floor: u32) -> BTreeMap<ResourceName, Served> {
        let mut resources = BTreeMap::new();
        for (key, head) in &self.previous.zones {
            let mut of_zone = self.records_below(&head.apex);
            let name = ResourceName::new(ResourceKind::HostedZone, &key.namespace, &key.name);
            let with = |serial| {
                Served::Zone(ZoneHead {
                    apex: head.apex.clone(),
                    soa: head.soa(serial),
                    ns: head.ns.clone(),
                })
            };
            let before = match self.served.get(&name) {
                Some(Served::Zone(head)) => crate::zone::ZoneHead::serial(head),
                _ => None,
            };
            let in_zone =
                |resource: &Served| matches!(resource, Served::Records(r) if r.zone == head.apex);
            let had = self.served.iter().filter(|(_, r)| in_zone(r));
            let same = had.eq(of_zone.iter());
            let serial = match before {
                Some(serial) if same && self.served.get(&name) == Some(&with(serial)) => serial,
                Some(serial) => floor.max(serial.wrapping_add(1)),
                None => floor,
            };
            resources.insert(name, with(serial));
            resources.append(&mut of_zone);
        }
        for version in self.previous.served_versions() {
            let policy = ObjectKey::new(&version.namespace, &version.policy_name);
            let name = version_name(&version_key(&policy, version.number));
            resources.insert(name, Served::Version(Arc::clone(version)));
        }
        resources
    }

    fn records_below(
        &self,
        apex: &watershed_snapshot::OwnerName,
    ) -> BTreeMap<ResourceName, Served> {
        let mut records = BTreeMap::new();
        for (claimant, placed) in &self.previous.data {
            let zones = self.previous.zones.values();
            let above = zones.filter(|zone| placed.owner.is_at_or_below(&zone.apex));
            if above
                .max_by_key(|zone| zone.apex.label_count())
                .map(|z| &z.apex)
                != Some(apex)
            {
                continue;
            }
            let (kind, key) = match claimant {
                Claimant::Zone(zone, ..) => (ResourceKind::ZoneRecords, zone),
                Claimant::Object(object) if object.kind == Kind::RecordSet => {
                    (ResourceKind::RecordSet, &object.key)
                }
                Claimant::Object(object) => (ResourceKind::PolicyRecord, &object.key),
            };
            let name = ResourceName::new(kind, &key.namespace, &key.name);
            let content = match &placed.content {
                Content::Static(set) => watershed_snapshot::Content::Static(set.clone()),
                Content::Policy(binding) => {
                    let policy =
                        ObjectKey::new(&binding.version.namespace, &binding.version.policy_name);
                    watershed_snapshot::Content::Policy(VersionBinding {
                        version: version_name(&version_key(&policy, binding.version.number)),
                        record_types: binding.record_types.clone(),
                        ttl: binding.ttl,
                    })
                }
            };
            let entry = records.entry(name).or_insert_with(|| {
                Served::Records(Records {
                    zone: apex.clone(),
                    placed: Vec::new(),
                })
            });
            if let Served::Records(records) = entry {
                records.placed.push(watershed_snapshot::Placed {
                    owner: placed.owner.clone(),
                    content,
                });
            }
        }
        records
    }

    fn count_use(&mut self) {
        self.usage.clear();
        for (claimant, placed) in &self.previous.data {
            let Content::Policy(binding) = &placed.content else {
                continue;
            };
            let policy = ObjectKey::new(&binding.version.namespace, &binding.version.policy_name);
            let usage = self
                .usage
                .entry(version_key(&policy, binding.version.number));
            let usage = usage.or_default();
            match claimant {
                Claimant::Object(object) if object.kind == Kind::PolicyRecord => {
                    usage.records.insert(object.key.clone());
                }
                claimant => {
                    usage.aliases.insert(crate::filling::reporter(claimant));
                }
            }
        }
    }

    /// What is said about an object.
    pub fn verdict(&self, object: &ObjectRef) -> Option<&Verdict> {
        self.verdicts.get(object)
    }

    /// What is said about every object, by object.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.values()
    }

    /// Who needs a version.
    pub fn in_use(&self, version: &ObjectKey) -> Usage {
        self.usage.get(version).cloned().unwrap_or_default()
    }

    /// The numbers of a policy's versions that records serve or ask for.
    pub fn versions_in_use(&self, policy: &ObjectKey) -> BTreeSet<u32> {
        let numbers = self.resources.versions_of(policy).map(|(number, _)| number);
        let used = |number: &u32| self.in_use(&version_key(policy, *number)).is_used();
        numbers.filter(used).collect()
    }

    /// How many records serve each version of a policy.
    pub fn records_of_policy(&self, policy: &ObjectKey) -> BTreeMap<u32, usize> {
        let numbers = self.resources.versions_of(policy).map(|(number, _)| number);
        let count = |number| {
            (
                number,
                self.in_use(&version_key(policy, number)).records.len(),
            )
        };
        numbers.map(count).collect()
    }

    /// How many sets of records a zone serves.
    pub fn records_of_zone(&self, _zone: &ObjectKey) -> ZoneCounts {
        ZoneCounts::default()
    }

    /// The serial of a zone that is served.
    pub fn serial(&self, zone: &ObjectKey) -> Option<u32> {
        let name = ResourceName::new(ResourceKind::HostedZone, &zone.namespace, &zone.name);
        match self.served.get(&name)? {
            Served::Zone(head) => crate::zone::ZoneHead::serial(head),
            _ => None,
        }
    }
}

fn version_name(key: &ObjectKey) -> ResourceName {
    ResourceName::new(
        ResourceKind::TrafficPolicyVersion,
        &key.namespace,
        &key.name,
    )
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

fn differences<K: Ord + Clone, V: PartialEq + Clone>(
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
) -> Vec<(K, Option<V>)> {
    let new = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value));
    let new = new.map(|(key, value)| (key.clone(), Some(value.clone())));
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    new.chain(gone.map(|key| (key.clone(), None))).collect()
}

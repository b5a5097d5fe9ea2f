//! All objects that compilation looks at, by kind, namespace and name.

use std::collections::BTreeMap;

use watershed_crd::cidr_collection::CIDRCollectionSpec;
use watershed_crd::health_check::HealthCheckSpec;
use watershed_crd::hosted_zone::HostedZoneSpec;
use watershed_crd::policy_record::PolicyRecordSpec;
use watershed_crd::record_set::RecordSetSpec;
use watershed_crd::traffic_policy::TrafficPolicySpec;
use watershed_crd::traffic_policy_version::{Origin, TrafficPolicyVersionSpec};
use watershed_crd::{
    CIDRCollection, HealthCheck, HostedZone, PolicyRecord, RecordSet, TrafficPolicy,
    TrafficPolicyVersion,
};

use crate::digest::{Digest, digest};
use crate::document::CidrLocations;
use crate::grants::Grant;
use crate::object::{Age, Kind, ObjectKey, ObjectRef};
use crate::object_address::{ObjectAddress, ObjectAddressKey};

/// Namespace of objects that name none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// The parts of an object that matter here.
#[derive(Clone, Debug, PartialEq)]
pub struct Object<S> {
    /// Namespace and name.
    pub key: ObjectKey,
    /// When it was created.
    pub age: Age,
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// What is asked for.
    pub spec: S,
}

/// Objects of one kind.
pub type Table<S> = BTreeMap<ObjectKey, Object<S>>;

/// A version with what follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// As written.
    pub spec: TrafficPolicyVersionSpec,
    /// Digest of its document.
    pub digest: Digest,
    /// Who made it: minted versions are owned by their policy.
    pub origin: Origin,
}

impl Version {
    /// The number; 0, which no version has, for a negative one.
    pub fn number(&self) -> u32 {
        u32::try_from(self.spec.version).unwrap_or(0)
    }
}

/// An object of any kind, for [`Resources::apply`].
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names of the kinds")]
pub enum Resource {
    HostedZone(Box<HostedZone>),
    TrafficPolicy(Box<TrafficPolicy>),
    TrafficPolicyVersion(Box<TrafficPolicyVersion>),
    PolicyRecord(Box<PolicyRecord>),
    RecordSet(Box<RecordSet>),
    HealthCheck(Box<HealthCheck>),
    CIDRCollection(Box<CIDRCollection>),
}

impl Resource {
    /// What it is called.
    pub fn reference(&self) -> ObjectRef {
        let (kind, metadata) = match self {
            Self::HostedZone(o) => (Kind::HostedZone, &o.metadata),
            Self::TrafficPolicy(o) => (Kind::TrafficPolicy, &o.metadata),
            Self::TrafficPolicyVersion(o) => (Kind::TrafficPolicyVersion, &o.metadata),
            Self::PolicyRecord(o) => (Kind::PolicyRecord, &o.metadata),
            Self::RecordSet(o) => (Kind::RecordSet, &o.metadata),
            Self::HealthCheck(o) => (Kind::HealthCheck, &o.metadata),
            Self::CIDRCollection(o) => (Kind::CIDRCollection, &o.metadata),
        };
        let namespace = metadata.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        let name = metadata.name.as_deref().unwrap_or_default();
        ObjectRef::new(kind, ObjectKey::new(namespace, name))
    }
}

/// What became of an applied object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The index holds something new.
    Changed,
    /// It held the same already.
    Unchanged,
    /// It holds another content under this immutable version, and keeps it.
    Immutable,
}

/// The index. The same objects give the same index in whatever order they
/// were applied, but for two contents of one version: there the first stays,
/// and a minted one is never replaced.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    /// Zones.
    pub hosted_zones: Table<HostedZoneSpec>,
    /// Working documents.
    pub traffic_policies: Table<TrafficPolicySpec>,
    /// Versions, minted and authored.
    pub versions: Table<Version>,
    /// Names that serve policies.
    pub policy_records: Table<PolicyRecordSpec>,
    /// Static sets outside of zone objects.
    pub record_sets: Table<RecordSetSpec>,
    /// Health checks.
    pub health_checks: Table<HealthCheckSpec>,
    /// Blocks by location.
    pub cidr_collections: Table<CidrLocations>,
    /// Labels of namespaces, for the selectors of zones. A namespace that is
    /// not listed has but the label `kubernetes.io/metadata.name`.
    pub namespace_labels: BTreeMap<String, BTreeMap<String, String>>,
    /// Permissions to refer to objects of another namespace.
    pub grants: BTreeMap<ObjectKey, Grant>,
    /// Addresses of Kubernetes objects, an empty list for an object that has
    /// none; no map at all where there is no cluster.
    pub object_addresses: Option<BTreeMap<ObjectAddressKey, Vec<ObjectAddress>>>,
    /// Digests of versions that were applied with another content than the
    /// one held.
    pub refused_versions: BTreeMap<ObjectKey, Digest>,
    /// By policy: the highest number that any version of it ever had.
    highest: BTreeMap<ObjectKey, u32>,
}

/// Reads the parts that all kinds have.
macro_rules! object {
    ($object:expr, $spec:expr) => {{
        let metadata = &$object.metadata;
        let created = metadata.creation_timestamp.as_ref();
        Object {
            key: ObjectKey {
                namespace: (metadata.namespace.clone())
                    .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
                name: metadata.name.clone().unwrap_or_default(),
            },
            age: Age(created.map(|time| time.0.as_second())),
            generation: metadata.generation,
            spec: $spec,
        }
    }};
}

impl Resources {
    /// An empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an object or replaces the one of its kind, namespace and name.
    pub fn apply(&mut self, resource: impl Into<Resource>) -> Applied {
        match resource.into() {
            Resource::HostedZone(o) => put(&mut self.hosted_zones, object!(o, o.spec)),
            Resource::TrafficPolicy(o) => put(&mut self.traffic_policies, object!(o, o.spec)),
            Resource::TrafficPolicyVersion(o) => self.apply_version(*o),
            Resource::PolicyRecord(o) => put(&mut self.policy_records, object!(o, o.spec)),
            Resource::RecordSet(o) => put(&mut self.record_sets, object!(o, o.spec)),
            Resource::HealthCheck(o) => put(&mut self.health_checks, object!(o, o.spec)),
            Resource::CIDRCollection(o) => {
                put(&mut self.cidr_collections, object!(o, locations(o.spec)))
            }
        }
    }

    fn apply_version(&mut self, version: TrafficPolicyVersion) -> Applied {
        let origin = match &version.metadata.owner_references {
            Some(owners) if !owners.is_empty() => Origin::Minted,
            _ => Origin::Authored,
        };
        let digest = digest(&version.spec.document);
        let spec = version.spec;
        let new = object!(
            version,
            Version {
                spec,
                digest,
                origin
            }
        );
        self.note_number(&policy_of(&new), new.spec.number());
        match self.versions.get(&new.key) {
            Some(held) if held.spec.digest != digest => {
                self.refused_versions.insert(new.key, digest);
                Applied::Immutable
            }
            // Applying a file equal to a minted version adopts it.
            Some(held) if held.spec.origin == Origin::Authored => Applied::Unchanged,
            _ => put(&mut self.versions, new),
        }
    }

    /// Whether there is an object of that kind, namespace and name.
    pub fn contains(&self, object: &ObjectRef) -> bool {
        let key = &object.key;
        match object.kind {
            Kind::HostedZone => self.hosted_zones.contains_key(key),
            Kind::TrafficPolicy => self.traffic_policies.contains_key(key),
            Kind::TrafficPolicyVersion => self.versions.contains_key(key),
            Kind::PolicyRecord => self.policy_records.contains_key(key),
            Kind::RecordSet => self.record_sets.contains_key(key),
            Kind::HealthCheck => self.health_checks.contains_key(key),
            Kind::CIDRCollection => self.cidr_collections.contains_key(key),
        }
    }

    /// Removes an object; `false` when there was none.
    pub fn delete(&mut self, object: &ObjectRef) -> bool {
        let key = &object.key;
        match object.kind {
            Kind::HostedZone => self.hosted_zones.remove(key).is_some(),
            Kind::TrafficPolicy => self.traffic_policies.remove(key).is_some(),
            Kind::TrafficPolicyVersion => {
                self.refused_versions.remove(key);
                self.versions.remove(key).is_some()
            }
            Kind::PolicyRecord => self.policy_records.remove(key).is_some(),
            Kind::RecordSet => self.record_sets.remove(key).is_some(),
            Kind::HealthCheck => self.health_checks.remove(key).is_some(),
            Kind::CIDRCollection => self.cidr_collections.remove(key).is_some(),
        }
    }

    /// Tells that a policy once had a version of this number, so that the
    /// number is not given again.
    pub fn note_number(&mut self, policy: &ObjectKey, number: u32) {
        let highest = self.highest.entry(policy.clone()).or_default();
        *highest = number.max(*highest);
    }

    /// The highest number of a policy's versions is that of those which are
    /// left, and no less than `served`.
    pub(crate) fn forget_numbers(&mut self, policy: &ObjectKey, served: u32) {
        let left = self.versions_of(policy).map(|(number, _)| number).max();
        match left.unwrap_or(0).max(served) {
            0 => self.highest.remove(policy),
            highest => self.highest.insert(policy.clone(), highest),
        };
    }

    /// The highest number that any version of a policy ever had; 0 for none.
    pub fn highest_number(&self, policy: &ObjectKey) -> u32 {
        self.highest.get(policy).copied().unwrap_or(0)
    }

    /// The versions of a policy by number.
    pub fn versions_of<'a>(
        &'a self,
        policy: &'a ObjectKey,
    ) -> impl Iterator<Item = (u32, &'a Object<Version>)> {
        // Versions are named after their policy, so they are neighbours.
        let first = ObjectKey::new(&policy.namespace, format!("{}-v", policy.name));
        let prefix = first.name.clone();
        (self.versions.range(first..))
            .take_while(move |(key, _)| {
                key.namespace == policy.namespace && key.name.starts_with(&prefix)
            })
            .filter(|(_, version)| version.spec.spec.policy_name == policy.name)
            .map(|(_, version)| (version.spec.number(), version))
    }

    /// The version of that number of a policy.
    pub fn version(&self, policy: &ObjectKey, number: u32) -> Option<&Object<Version>> {
        self.versions.get(&version_key(policy, number))
    }
}

/// Key of the version of that number of a policy.
pub fn version_key(policy: &ObjectKey, number: u32) -> ObjectKey {
    ObjectKey::new(&policy.namespace, format!("{}-v{number}", policy.name))
}

/// Key of the policy that a version belongs to.
pub(crate) fn policy_of(version: &Object<Version>) -> ObjectKey {
    ObjectKey::new(&version.key.namespace, &version.spec.spec.policy_name)
}

fn locations(spec: CIDRCollectionSpec) -> CidrLocations {
    let locations = spec.locations.into_iter();
    locations.map(|(name, blocks)| (name, blocks.0)).collect()
}

fn put<S: PartialEq>(table: &mut Table<S>, object: Object<S>) -> Applied {
    if table.get(&object.key) == Some(&object) {
        return Applied::Unchanged;
    }
    table.insert(object.key.clone(), object);
    Applied::Changed
}

macro_rules! from {
    ($($kind:ident)+) => {$(
        impl From<$kind> for Resource {
            fn from(object: $kind) -> Self {
                Self::$kind(Box::new(object))
            }
        }
    )+};
}

from!(HostedZone TrafficPolicy TrafficPolicyVersion PolicyRecord RecordSet HealthCheck CIDRCollection);

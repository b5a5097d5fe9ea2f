//! The kinds of the group, and what tells their objects apart.

use std::fmt;

use kube::core::{ApiResource, GroupVersionKind};
use watershed_compile::{Kind, ObjectKey, ObjectRef};

/// The API group of every kind here.
pub const GROUP: &str = "watershed.dev";

/// Its version.
pub const VERSION: &str = "v1alpha1";

/// Under this name the operator writes, whatever it writes.
pub const FIELD_MANAGER: &str = "watershed-operator";

/// Keeps objects in use from being deleted.
pub const IN_USE: &str = "watershed.dev/in-use";

macro_rules! kinds {
    ($($kind:ident $plural:literal,)+) => {
        /// A kind of the group.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "the names of the kinds")]
        pub enum ObjectKind { $($kind,)+ }

        impl ObjectKind {
            /// Every kind, in alphabetical order.
            pub const ALL: [Self; 8] = [$(Self::$kind),+];

            /// The kind as manifests write it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => stringify!($kind),)+ }
            }

            /// Its name in paths of the API.
            pub fn plural(self) -> &'static str {
                match self { $(Self::$kind => $plural,)+ }
            }

            /// The kind of that name.
            pub fn of(name: &str) -> Option<Self> {
                match name { $(stringify!($kind) => Some(Self::$kind),)+ _ => None }
            }
        }
    };
}

kinds! {
    CIDRCollection "cidrcollections",
    DNSFleet "dnsfleets",
    HealthCheck "healthchecks",
    HostedZone "hostedzones",
    PolicyRecord "policyrecords",
    RecordSet "recordsets",
    TrafficPolicy "trafficpolicies",
    TrafficPolicyVersion "trafficpolicyversions",
}

impl ObjectKind {
    /// The kind as compilation calls it; fleets take no part in that.
    pub fn compiled(self) -> Option<Kind> {
        match self {
            Self::CIDRCollection => Some(Kind::CIDRCollection),
            Self::DNSFleet => None,
            Self::HealthCheck => Some(Kind::HealthCheck),
            Self::HostedZone => Some(Kind::HostedZone),
            Self::PolicyRecord => Some(Kind::PolicyRecord),
            Self::RecordSet => Some(Kind::RecordSet),
            Self::TrafficPolicy => Some(Kind::TrafficPolicy),
            Self::TrafficPolicyVersion => Some(Kind::TrafficPolicyVersion),
        }
    }

    /// How the API is asked for it.
    pub fn resource(self) -> ApiResource {
        let kind = GroupVersionKind::gvk(GROUP, VERSION, self.as_str());
        ApiResource::from_gvk_with_plural(&kind, self.plural())
    }
}

impl From<Kind> for ObjectKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::CIDRCollection => Self::CIDRCollection,
            Kind::HealthCheck => Self::HealthCheck,
            Kind::HostedZone => Self::HostedZone,
            Kind::PolicyRecord => Self::PolicyRecord,
            Kind::RecordSet => Self::RecordSet,
            Kind::TrafficPolicy => Self::TrafficPolicy,
            Kind::TrafficPolicyVersion => Self::TrafficPolicyVersion,
        }
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One object of the group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its namespace and name.
    pub key: ObjectKey,
}

impl ObjectId {
    /// The object of that kind, namespace and name.
    pub fn new(kind: ObjectKind, key: ObjectKey) -> Self {
        Self { kind, key }
    }

    /// The object as compilation calls it.
    pub fn compiled(&self) -> Option<ObjectRef> {
        Some(ObjectRef::new(self.kind.compiled()?, self.key.clone()))
    }
}

impl From<ObjectRef> for ObjectId {
    fn from(object: ObjectRef) -> Self {
        Self::new(object.kind.into(), object.key)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.key)
    }
}

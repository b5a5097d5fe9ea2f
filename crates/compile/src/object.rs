//! What tells objects apart, and which of two came first.

use std::fmt;

/// Namespace and name of an object of a known kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// The object of that namespace and name.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A kind of the group `watershed.dev` that takes part in compilation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names of the kinds")]
pub enum Kind {
    HostedZone,
    TrafficPolicy,
    TrafficPolicyVersion,
    PolicyRecord,
    RecordSet,
    HealthCheck,
    CIDRCollection,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::HostedZone,
        Self::TrafficPolicy,
        Self::TrafficPolicyVersion,
        Self::PolicyRecord,
        Self::RecordSet,
        Self::HealthCheck,
        Self::CIDRCollection,
    ];

    /// The kind as manifests write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HostedZone => "HostedZone",
            Self::TrafficPolicy => "TrafficPolicy",
            Self::TrafficPolicyVersion => "TrafficPolicyVersion",
            Self::PolicyRecord => "PolicyRecord",
            Self::RecordSet => "RecordSet",
            Self::HealthCheck => "HealthCheck",
            Self::CIDRCollection => "CIDRCollection",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace and name.
    pub key: ObjectKey,
}

impl ObjectRef {
    /// The object of that kind, namespace and name.
    pub fn new(kind: Kind, key: ObjectKey) -> Self {
        Self { kind, key }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.key)
    }
}

/// Creation time in Unix seconds, as far as it is known. The order is that of
/// precedence in conflicts: older objects first, those without a time last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age(pub Option<i64>);

impl Ord for Age {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let rank = |age: &Self| (age.0.is_none(), age.0);
        rank(self).cmp(&rank(other))
    }
}

impl PartialOrd for Age {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

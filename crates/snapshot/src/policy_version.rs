//! Compiled policies and where they are served.

use std::sync::Arc;

use smallvec::SmallVec;
use watershed_policy::{FailbackMode, Policy};

/// One immutable version of a traffic policy, stored once however many names
/// serve it.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyVersion {
    /// Namespace of the policy.
    pub namespace: String,
    /// Name of the policy.
    pub policy_name: String,
    /// Number of the version, from 1.
    pub number: u32,
    /// Digest of the document, `sha256:…`.
    pub digest: String,
    /// The checked tree. Its health check ids are `namespace/name`.
    pub policy: Policy,
}

/// IANA numbers of record types. As many as there are to serve lie in place.
pub type RecordTypes = SmallVec<[u16; 8]>;

/// A policy served at a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// What is served.
    pub version: Arc<PolicyVersion>,
    /// IANA numbers of the types served here; a part of the policy's.
    pub record_types: RecordTypes,
    /// TTL of the answers in seconds.
    pub ttl: u32,
    /// The least and the greatest TTL in seconds, where it follows the health
    /// checks of the policy; the least is not greater.
    pub ttl_range: Option<(u32, u32)>,
    /// How clients return after a failover; `None`: at once.
    pub failback: Option<Arc<RecordFailback>>,
}

/// How the clients of a policy record return after a failover. A `RecordSet`
/// that is an alias of the record has the same, and so the same state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordFailback {
    /// The `PolicyRecord`: `namespace/name`.
    pub record: String,
    /// How; never [`FailbackMode::Automatic`], which needs no state.
    pub mode: FailbackMode,
}

impl Binding {
    /// Whether a query of that type is answered by this binding.
    pub fn serves(&self, record_type: u16) -> bool {
        self.record_types.contains(&record_type)
    }
}

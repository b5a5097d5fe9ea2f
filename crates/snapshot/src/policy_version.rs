//! Compiled policies and where they are served.

use std::sync::Arc;

use watershed_policy::Policy;

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

/// A policy served at a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// What is served.
    pub version: Arc<PolicyVersion>,
    /// IANA numbers of the types served here; a part of the policy's.
    pub record_types: Vec<u16>,
    /// TTL of the answers in seconds.
    pub ttl: u32,
}

impl Binding {
    /// Whether a query of that type is answered by this binding.
    pub fn serves(&self, record_type: u16) -> bool {
        self.record_types.contains(&record_type)
    }
}

//! What is at a name.

use crate::policy_version::Binding;
use crate::rrset::RrSet;

/// What a zone has at one name. Without any data it is an empty non-terminal:
/// the name exists because something exists below it (RFC 4592 section 2.2.2).
///
/// The order of both lists follows from what is in them, so that equal nodes
/// are equal whatever their history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Static data, one set per type, by type.
    pub rrsets: Vec<RrSet>,
    /// Policies served here, by lowest type; no type is served twice.
    pub policies: Vec<Binding>,
}

impl Node {
    /// The static data of a type.
    pub fn rrset(&self, record_type: u16) -> Option<&RrSet> {
        self.rrsets
            .iter()
            .find(|set| set.record_type == record_type)
    }

    /// The policy that answers a type.
    pub fn policy(&self, record_type: u16) -> Option<&Binding> {
        self.policies
            .iter()
            .find(|policy| policy.serves(record_type))
    }

    /// Whether static data or a policy answers the type.
    pub fn has(&self, record_type: u16) -> bool {
        self.rrset(record_type).is_some() || self.policy(record_type).is_some()
    }

    /// Whether nothing is here: an empty non-terminal.
    pub fn is_empty(&self) -> bool {
        self.rrsets.is_empty() && self.policies.is_empty()
    }

    /// Adds a set of a type that is not here yet.
    pub(crate) fn insert(&mut self, rrset: RrSet) {
        let at = self
            .rrsets
            .partition_point(|held| held.record_type < rrset.record_type);
        self.rrsets.insert(at, rrset);
    }

    /// Adds a binding of types that are not here yet.
    pub(crate) fn bind(&mut self, binding: Binding) {
        let lowest = |binding: &Binding| binding.record_types.iter().min().copied();
        let at = self
            .policies
            .partition_point(|held| lowest(held) < lowest(&binding));
        self.policies.insert(at, binding);
    }

    /// Takes away the static data of a type.
    pub(crate) fn remove(&mut self, record_type: u16) {
        self.rrsets.retain(|set| set.record_type != record_type);
    }

    /// Takes away the policy that serves exactly these types.
    pub(crate) fn unbind(&mut self, record_types: &[u16]) {
        self.policies
            .retain(|binding| binding.record_types != record_types);
    }
}

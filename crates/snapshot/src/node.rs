//! What is at a name.

use std::ops::Deref;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::name::OwnerName;
use crate::policy_version::Binding;
use crate::rrset::RrSet;
use crate::table::Entry;

/// What a zone has at one name. Without any data it is an empty non-terminal:
/// the name exists because something exists below it (RFC 4592 section 2.2.2).
///
/// The order of both lists follows from what is in them, so that equal nodes
/// are equal whatever their history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Static data.
    pub rrsets: RrSets,
    /// Policies served here, by lowest type; no type is served twice. Names at
    /// which the same is served may share it.
    pub policies: SmallVec<[Arc<Binding>; 2]>,
}

/// Static data at a name: one set per type, by type.
///
/// A name with a policy mostly has none, so without any this is no larger than
/// a pointer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RrSets(Option<Box<SmallVec<[RrSet; 1]>>>);

impl RrSets {
    /// Adds a set of a type that is not here yet.
    fn insert(&mut self, rrset: RrSet) {
        let sets = self.0.get_or_insert_default();
        let at = sets.partition_point(|held| held.record_type < rrset.record_type);
        sets.insert(at, rrset);
    }

    fn remove(&mut self, record_type: u16) {
        if let Some(sets) = &mut self.0 {
            sets.retain(|set| set.record_type != record_type);
            if sets.is_empty() {
                self.0 = None;
            }
        }
    }
}

impl Deref for RrSets {
    type Target = [RrSet];

    fn deref(&self) -> &[RrSet] {
        self.0.as_deref().map_or(&[], |sets| sets)
    }
}

/// A name that exists: the first line of a processor's cache has what it is
/// compared by, the next what is there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    pub(crate) owner: OwnerName,
    pub(crate) node: Node,
    /// How many names exist directly below: with none, and no data, the name
    /// itself ceases to exist.
    pub(crate) below: u32,
}

impl Named {
    /// A name without data.
    pub(crate) fn empty(owner: OwnerName, below: u32) -> Self {
        Self {
            owner,
            node: Node::default(),
            below,
        }
    }
}

impl Entry for Arc<Named> {
    type Key = [u8];

    fn key(&self) -> &[u8] {
        self.owner.as_wire()
    }
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
        let mut policies = self.policies.iter();
        let found = policies.find(|policy| policy.serves(record_type));
        found.map(|binding| &**binding)
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
        self.rrsets.insert(rrset);
    }

    /// Adds a binding of types that are not here yet.
    pub(crate) fn bind(&mut self, binding: Arc<Binding>) {
        let lowest = |binding: &Binding| binding.record_types.iter().min().copied();
        let at = self
            .policies
            .partition_point(|held| lowest(held) < lowest(&binding));
        self.policies.insert(at, binding);
    }

    /// Takes away the static data of a type.
    pub(crate) fn remove(&mut self, record_type: u16) {
        self.rrsets.remove(record_type);
    }

    /// Takes away the policy that serves exactly these types.
    pub(crate) fn unbind(&mut self, record_types: &[u16]) {
        self.policies
            .retain(|binding| *binding.record_types != *record_types);
    }
}

//! What was served before: the ground that a failing change falls back to.

use std::collections::BTreeMap;
use std::sync::Arc;

use watershed_snapshot::{Binding, OwnerName, PolicyVersion, RrSet};

use crate::object::{ObjectKey, ObjectRef};
use crate::zone::ZoneHead;

/// What the last compilation served, by the object that asked for it. An
/// object that is gone is no longer looked up here, so that deleting it, and
/// nothing else, withdraws what it served.
#[derive(Clone, Debug, Default)]
pub struct Previous {
    /// Every version that could be served or was.
    pub(crate) versions: BTreeMap<ObjectKey, Arc<PolicyVersion>>,
    /// What zones have of their own.
    pub(crate) zones: BTreeMap<ObjectKey, ZoneHead>,
    /// What was at the names of zones.
    pub(crate) data: BTreeMap<Claimant, Placed>,
}

impl Previous {
    /// Nothing was served yet.
    pub fn none() -> Self {
        Self::default()
    }

    /// The versions that records serve, each once.
    pub fn served_versions(&self) -> impl Iterator<Item = &Arc<PolicyVersion>> {
        let mut seen = std::collections::HashSet::new();
        let placed = self.data.values();
        placed
            .filter_map(|placed| match &placed.content {
                Content::Policy(binding) => Some(&binding.version),
                Content::Static(_) => None,
            })
            .filter(move |version| seen.insert(Arc::as_ptr(version)))
    }
}

/// Who asks for data at a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Claimant {
    /// A zone's own record, by the zone, the name and the type.
    Zone(ObjectKey, OwnerName, u16),
    /// A `RecordSet` or `PolicyRecord`.
    Object(ObjectRef),
}

/// Data at a name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Placed {
    pub(crate) owner: OwnerName,
    pub(crate) content: Content,
}

/// What is at a name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Static(RrSet),
    Policy(Binding),
}

impl Content {
    /// The types it answers.
    pub(crate) fn types(&self) -> Vec<u16> {
        match self {
            Self::Static(set) => vec![set.record_type],
            Self::Policy(binding) => binding.record_types.clone(),
        }
    }

    /// The part of it that answers one type.
    pub(crate) fn of_type(&self, record_type: u16) -> Option<Self> {
        match self {
            Self::Static(set) if set.record_type == record_type => Some(self.clone()),
            Self::Policy(binding) if binding.serves(record_type) => Some(Self::Policy(Binding {
                version: Arc::clone(&binding.version),
                record_types: vec![record_type],
                ttl: binding.ttl,
            })),
            _ => None,
        }
    }
}

//! Resources put together.

mod edit;
mod held;

use std::sync::Arc;

use crate::map::CowMap;
use crate::name::OwnerName;
use crate::resource::{Fault, Resource, ResourceName};
use crate::snapshot::Snapshot;

use held::Held;

/// Decoded resources and the snapshot that they make.
///
/// It is a function of the resources alone: whatever the order of the
/// changes that led to them, the snapshot is equal. A clone is cheap, and a
/// change costs in proportion to itself rather than to the zones. Zones and
/// policy versions that a change does not touch stay the same in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assembly {
    resources: CowMap<Arc<ResourceName>, Held>,
    /// By apex: the resource that makes the zone.
    heads: CowMap<OwnerName, Arc<ResourceName>>,
    /// By version: the resources that serve it. Never empty.
    users: CowMap<Arc<ResourceName>, CowMap<Arc<ResourceName>, ()>>,
    snapshot: Arc<Snapshot>,
}

impl Assembly {
    /// No resources.
    pub fn new() -> Self {
        Self::default()
    }

    /// The assembly with these resources put (`Some`) or removed (`None`).
    /// Their order does not matter, but that of two changes of one resource
    /// the later counts. A removal of what is not there changes nothing. Names
    /// that are shared already stay so.
    ///
    /// # Errors
    /// All faults of the result, when it is not sound: then nothing of the
    /// change is made. A fault is put down to a resource of the change. They
    /// are in the order of the resources.
    pub fn apply<N: Into<Arc<ResourceName>>>(
        &self,
        changes: Vec<(N, Option<Resource>)>,
    ) -> Result<Self, Vec<Fault>> {
        self.clone().into_applied(changes)
    }

    /// As [`Assembly::apply`], for one that is not needed any longer: what
    /// nobody else has is changed where it is.
    ///
    /// # Errors
    /// As for [`Assembly::apply`].
    pub fn into_applied<N: Into<Arc<ResourceName>>>(
        self,
        changes: Vec<(N, Option<Resource>)>,
    ) -> Result<Self, Vec<Fault>> {
        let changes = changes.into_iter();
        let changes = changes.map(|(name, resource)| (name.into(), resource));
        edit::Edit::make(self, changes.collect())
    }

    /// What the resources make.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The resource of that name.
    pub fn resource(&self, name: &ResourceName) -> Option<Resource> {
        self.resources.get(name).map(Held::resource)
    }

    /// Number of resources.
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether there are no resources.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }
}

//! Resources put together.

mod assembled;
mod edit;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::map::CowMap;
use crate::resource::{Fault, Resource, ResourceName};
use crate::snapshot::Snapshot;

pub use assembled::Assembled;

/// Decoded resources and the snapshot that they make.
///
/// It is a function of the resources alone: whatever the order of the
/// changes that led to them, the snapshot is equal. A clone is cheap, and a
/// change costs in proportion to itself rather than to the zones. Zones and
/// policy versions that a change does not touch stay the same in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assembly {
    resources: CowMap<ResourceName, Arc<Resource>>,
    assembled: Assembled,
}

impl Assembly {
    /// No resources.
    pub fn new() -> Self {
        Self::default()
    }

    /// The assembly with these resources put (`Some`) or removed (`None`).
    /// Their order does not matter, but that of two changes of one resource
    /// the later counts. A removal of what is not there changes nothing.
    ///
    /// # Errors
    /// All faults of the result, when it is not sound: then nothing of the
    /// change is made. A fault is put down to a resource of the change. They
    /// are in the order of the resources.
    pub fn apply(
        &self,
        changes: Vec<(ResourceName, Option<Resource>)>,
    ) -> Result<Self, Vec<Fault>> {
        let changes: BTreeMap<_, _> = changes.into_iter().collect();
        let list = changes.clone().into_iter().collect();
        let assembled = self.assembled.clone();
        let assembled = assembled.apply(list, &|name| self.resource(name))?;
        let mut resources = self.resources.clone();
        for (name, resource) in changes {
            let held = resources.get(&name).map(|held| &**held);
            match resource {
                // What is the same stays the same in memory.
                Some(resource) if held == Some(&resource) => {}
                Some(resource) => {
                    resources.insert(name, Arc::new(resource));
                }
                None => {
                    resources.remove(&name);
                }
            }
        }
        Ok(Self {
            resources,
            assembled,
        })
    }

    /// What the resources make.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        self.assembled.snapshot()
    }

    /// The resource of that name.
    pub fn resource(&self, name: &ResourceName) -> Option<Resource> {
        self.resources.get(name).map(|held| Resource::clone(held))
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

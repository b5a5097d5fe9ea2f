//! A set from many resources.

use super::ResourceSet;
use super::block::Block;
use crate::resource::ResourceName;

/// Makes a [`ResourceSet`] of resources that are in memory one at a time, as
/// those read from a disk.
///
/// What it takes lies in a few large pieces of memory until the set is built,
/// so a process that begins with it has no holes in its memory afterwards.
#[derive(Default)]
pub struct ResourceSetBuilder {
    /// In the order in which they came.
    resources: Block,
}

impl ResourceSetBuilder {
    /// A builder without resources.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a resource, or replaces it.
    pub fn put(&mut self, name: ResourceName<&str>, content: &[u8]) {
        self.resources.push((name, content));
    }

    /// The set of all resources.
    pub fn build(self) -> ResourceSet {
        let mut set = ResourceSet::new();
        let resources = self.resources.entries();
        set.change(resources.map(|(name, content)| (name, Some(content))));
        set
    }
}

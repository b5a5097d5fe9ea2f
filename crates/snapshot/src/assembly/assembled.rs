//! What resources make, without the resources.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::edit::Edit;
use crate::map::CowMap;
use crate::name::OwnerName;
use crate::policy_version::PolicyVersion;
use crate::resource::{Fault, Resource, ResourceName};
use crate::snapshot::Snapshot;

/// What resources make, without the resources: for those who have these in
/// encoded form already, and a hundred thousand of them.
///
/// As an [`Assembly`](super::Assembly), but whoever changes it says what the
/// resources are that it was made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assembled {
    /// By apex: the resource that makes the zone.
    pub(super) heads: CowMap<OwnerName, ResourceName>,
    /// By name: the versions there are.
    pub(super) versions: CowMap<ResourceName, Version>,
    pub(super) snapshot: Arc<Snapshot>,
}

/// A version, and at how many places it is served. Which ones they are is
/// searched in the zones when it changes: that is seldom, and a list of them
/// would be a tenth of the memory of a node with many names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Version {
    /// `None` only in the middle of a change.
    pub(super) content: Option<Arc<PolicyVersion>>,
    pub(super) places: usize,
}

impl Assembled {
    /// Of no resources.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the resources make with these put (`Some`) or removed (`None`).
    /// Their order does not matter, but that of two changes of one resource
    /// the later counts. A removal of what is not there changes nothing.
    ///
    /// `before` gives the resource of a name as it was until now. What nobody
    /// else has is changed where it is.
    ///
    /// # Errors
    /// All faults of the result, when it is not sound. A fault is put down to
    /// a resource of the change. They are in the order of the resources.
    pub fn apply(
        self,
        changes: Vec<(ResourceName, Option<Resource>)>,
        before: &dyn Fn(&ResourceName) -> Option<Resource>,
    ) -> Result<Self, Vec<Fault>> {
        let changes: BTreeMap<_, _> = changes.into_iter().collect();
        let mut edit = Edit::begin(self, before);
        edit.change(changes.into_iter().collect());
        edit.finish()
    }

    /// What these resources make: first the `heads` that others refer to
    /// (zones, versions, checks), then `records`, about `expected` of them, in
    /// parts, so that they need not be in memory all at once. Each comes once.
    ///
    /// # Errors
    /// As for [`Assembled::apply`].
    pub fn of(
        heads: Vec<(ResourceName, Resource)>,
        expected: usize,
        records: impl IntoIterator<Item = Vec<(ResourceName, Resource)>>,
    ) -> Result<Self, Vec<Fault>> {
        let put = |part: Vec<(ResourceName, Resource)>| {
            let part = part.into_iter();
            part.map(|(name, resource)| (name, Some(resource)))
                .collect()
        };
        let mut edit = Edit::begin(Self::new(), &|_| None);
        edit.change(put(heads));
        edit.expect(expected);
        for part in records {
            edit.change(put(part));
        }
        edit.finish()
    }

    /// What the resources make.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }
}

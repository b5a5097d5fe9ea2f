//! What an assembly remembers of resources: enough to take them out again and
//! to tell whether one changes, and little of each where there are many.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::name::OwnerName;
use crate::resource::{Content, Placed, Records, Resource, VersionBinding};
use crate::rrset::RrSet;

/// A resource as it is remembered.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Held {
    /// A zone, version or health check, of which there are few.
    Whole(Arc<Resource>),
    Records(Arc<HeldRecords>),
}

/// What one object puts into a zone.
#[derive(Debug, PartialEq)]
pub(super) struct HeldRecords {
    pub(super) zone: Arc<OwnerName>,
    pub(super) placed: SmallVec<[HeldPlaced; 1]>,
}

/// Something at a name.
#[derive(Debug, PartialEq)]
pub(super) struct HeldPlaced {
    pub(super) owner: OwnerName,
    pub(super) content: HeldContent,
}

#[derive(Debug, PartialEq)]
pub(super) enum HeldContent {
    Static(Box<RrSet>),
    Policy(Arc<VersionBinding>),
}

/// What resources of one edit have in common.
#[derive(Default)]
pub(super) struct Shared {
    zones: HashSet<Arc<OwnerName>>,
    bindings: HashSet<Arc<VersionBinding>>,
}

impl Shared {
    pub(super) fn hold(&mut self, resource: &Resource) -> Held {
        match resource {
            Resource::Zone(_) | Resource::Version(_) | Resource::Check(_) => {
                Held::Whole(Arc::new(resource.clone()))
            }
            Resource::Records(records) => Held::Records(Arc::new(HeldRecords {
                zone: share(&mut self.zones, &records.zone),
                placed: records.placed.iter().map(|one| self.placed(one)).collect(),
            })),
        }
    }

    fn placed(&mut self, placed: &Placed) -> HeldPlaced {
        HeldPlaced {
            owner: placed.owner.clone(),
            content: match &placed.content {
                Content::Static(set) => HeldContent::Static(Box::new(set.clone())),
                Content::Policy(binding) => HeldContent::Policy(share(&mut self.bindings, binding)),
            },
        }
    }
}

fn share<T: Clone + Eq + Hash>(shared: &mut HashSet<Arc<T>>, value: &T) -> Arc<T> {
    if let Some(held) = shared.get(value) {
        return Arc::clone(held);
    }
    let held = Arc::new(value.clone());
    shared.insert(Arc::clone(&held));
    held
}

impl Held {
    /// Whether the resource is this one.
    pub(super) fn is(&self, resource: &Resource) -> bool {
        match (self, resource) {
            (Self::Whole(held), resource) => **held == *resource,
            (Self::Records(held), Resource::Records(records)) => held.are(records),
            (Self::Records(_), _) => false,
        }
    }

    /// The resource in full.
    pub(super) fn resource(&self) -> Resource {
        match self {
            Self::Whole(resource) => Resource::clone(resource),
            Self::Records(held) => Resource::Records(Records {
                zone: OwnerName::clone(&held.zone),
                placed: held.placed.iter().map(HeldPlaced::placed).collect(),
            }),
        }
    }
}

impl HeldRecords {
    fn are(&self, records: &Records) -> bool {
        let Records { zone, placed } = records;
        *self.zone == *zone
            && self.placed.len() == placed.len()
            && self
                .placed
                .iter()
                .zip(placed)
                .all(|(held, placed)| held.is(placed))
    }

    /// The policies among them.
    pub(super) fn bindings(&self) -> impl Iterator<Item = &VersionBinding> {
        self.placed
            .iter()
            .filter_map(|placed| match &placed.content {
                HeldContent::Policy(binding) => Some(&**binding),
                HeldContent::Static(_) => None,
            })
    }
}

impl HeldPlaced {
    fn is(&self, placed: &Placed) -> bool {
        let Placed { owner, content } = placed;
        let same = match (&self.content, content) {
            (HeldContent::Static(held), Content::Static(set)) => **held == *set,
            (HeldContent::Policy(held), Content::Policy(binding)) => **held == *binding,
            _ => false,
        };
        same && self.owner == *owner
    }

    fn placed(&self) -> Placed {
        Placed {
            owner: self.owner.clone(),
            content: match &self.content {
                HeldContent::Static(set) => Content::Static(RrSet::clone(set)),
                HeldContent::Policy(binding) => Content::Policy(VersionBinding::clone(binding)),
            },
        }
    }
}

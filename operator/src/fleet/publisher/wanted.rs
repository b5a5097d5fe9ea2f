//! What a new leader is to know of what nodes serve.

use std::collections::BTreeSet;

use watershed_proto::decode;
use watershed_snapshot::{OwnerName, Resource, ResourceKind, ResourceName, ResourceSet};

use super::Publisher;
use super::desired::versions_bound;

impl Publisher {
    /// Resources of `set` that are wanted and that `target` has otherwise or
    /// not at all, with the versions that they bind. The head of a zone is
    /// among them when anything in the zone differs: its serial number has to
    /// be exceeded.
    pub(super) fn wanted_of(
        &self,
        set: &ResourceSet,
        target: &ResourceSet,
    ) -> Vec<(ResourceName, Resource)> {
        let differing = Differing::between(set, target);
        let mut names: BTreeSet<ResourceName> = BTreeSet::new();
        for name in &self.wanted {
            let Some(content) = set.get(name) else {
                continue;
            };
            if differing.names.contains(name) {
                let versions = versions_bound(name.kind(), content).into_iter();
                names.extend(versions.filter(|version| differing.names.contains(version)));
                names.insert(name.clone());
            } else if differing.has_zone(name, set) {
                names.insert(name.clone());
            }
        }
        let read = names.into_iter();
        read.filter_map(|name| read_from(set, &name).map(|resource| (name, resource)))
            .collect()
    }
}

/// What two sets do not have in common.
struct Differing {
    names: BTreeSet<ResourceName>,
    /// Apexes of zones that differ in something.
    zones: BTreeSet<OwnerName>,
}

impl Differing {
    fn between(set: &ResourceSet, target: &ResourceSet) -> Self {
        let changes = set.changes_to(target);
        let names: BTreeSet<ResourceName> = changes.map(|(name, _)| name.to_shared()).collect();
        let places =
            (names.iter()).filter(|name| name.kind() != ResourceKind::TrafficPolicyVersion);
        let forms = places.flat_map(|name| [read_from(set, name), read_from(target, name)]);
        let zones = forms.flatten().filter_map(|resource| apex(&resource));
        Self {
            zones: zones.collect(),
            names,
        }
    }

    fn has_zone(&self, name: &ResourceName, set: &ResourceSet) -> bool {
        name.kind() == ResourceKind::HostedZone
            && !self.zones.is_empty()
            && read_from(set, name)
                .and_then(|resource| apex(&resource))
                .is_some_and(|apex| self.zones.contains(&apex))
    }
}

fn apex(resource: &Resource) -> Option<OwnerName> {
    match resource {
        Resource::Zone(head) => Some(head.apex.clone()),
        Resource::Records(records) => Some(records.zone.clone()),
        Resource::Version(_) | Resource::Check(_) => None,
    }
}

fn read_from(set: &ResourceSet, name: &ResourceName) -> Option<Resource> {
    match decode(name.kind(), set.get(name)?) {
        Ok(resource) => Some(resource),
        Err(error) => {
            tracing::warn!(resource = %name, %error, "cannot read a resource");
            None
        }
    }
}

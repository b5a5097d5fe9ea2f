//! What lies in zones.

use std::sync::Arc;

use super::versions::alien_type;
use super::{Changes, Edit};
use crate::name::OwnerName;
use crate::policy_version::{Binding, PolicyVersion, RecordTypes};
use crate::resource::{Content, Placed, Resource, VersionBinding};
use crate::zone::Zone;

impl Edit<'_> {
    pub(super) fn put_records(&mut self, changes: &Changes) {
        // Those that follow each other are mostly of one zone.
        let mut found: Option<&OwnerName> = None;
        for (name, resource) in changes {
            let Some(Resource::Records(records)) = resource else {
                continue;
            };
            let apex = &records.zone;
            if found == Some(apex) || self.has_zone(apex) {
                found = Some(apex);
                for placed in &records.placed {
                    if let Err(message) = self.place(apex, placed) {
                        self.fault(name, message);
                    }
                }
            } else if !records.placed.is_empty() && !self.doubtful.contains(apex) {
                self.fault(name, format!("its zone {apex} does not exist"));
            }
        }
    }

    fn has_zone(&self, apex: &OwnerName) -> bool {
        self.snapshot.zones.contains_key(apex) && !self.orphans.contains_key(apex)
    }

    /// Makes room for so many names, as if they were spread over all zones, so
    /// that tables need not grow step by step.
    pub(in crate::assembly) fn expect(&mut self, names: usize) {
        let apexes: Vec<OwnerName> = self.snapshot.zones.keys().cloned().collect();
        for apex in &apexes {
            if let Some(zone) = self.zone_mut(apex) {
                zone.reserve(names / apexes.len());
            }
        }
    }

    fn place(&mut self, apex: &OwnerName, placed: &Placed) -> Result<(), String> {
        let Placed { owner, content } = placed;
        let placed = match content {
            Content::Static(set) if !set.is_well_formed() => {
                return Err(format!(
                    "the data of type {} at {owner} are malformed",
                    set.record_type
                ));
            }
            Content::Static(set) => {
                let zone = self.zone_mut(apex);
                zone.map(|zone| zone.insert(owner, set.clone()))
            }
            Content::Policy(binding) => {
                let version = self.version_of(binding, owner)?;
                let bound = self.bindings.shared(bound(binding, version));
                self.zone_mut(apex).map(|zone| zone.bind(owner, bound))
            }
        };
        placed.unwrap_or(Ok(())).map_err(|error| error.to_string())
    }

    /// The version that `binding` serves at `owner`.
    fn version_of(
        &mut self,
        binding: &VersionBinding,
        owner: &OwnerName,
    ) -> Result<Arc<PolicyVersion>, String> {
        let name = &binding.version;
        let Some(version) = self.used_version(name) else {
            return Err(format!("{owner} serves {name}, which does not exist"));
        };
        match alien_type(&binding.record_types, &version) {
            Some(alien) => Err(format!(
                "{owner} serves type {alien}, which {name} does not have"
            )),
            None => Ok(version),
        }
    }
}

/// The binding with its version at hand.
fn bound(binding: &VersionBinding, version: Arc<PolicyVersion>) -> Binding {
    Binding {
        version,
        record_types: RecordTypes::from_slice(&binding.record_types),
        ttl: binding.ttl,
        ttl_range: binding.ttl_range,
        failback: binding.failback.clone(),
    }
}

/// Takes everything that was placed out of a zone.
pub(super) fn remove_all(zone: &mut Zone, placed: &[Placed]) {
    for Placed { owner, content } in placed {
        zone.edit(owner, |node| match content {
            Content::Static(set) => node.remove(set.record_type),
            Content::Policy(binding) => node.unbind(&binding.record_types),
        });
    }
}

//! What lies in zones.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::versions::alien_type;
use super::{Changes, Edit, bindings};
use crate::name::OwnerName;
use crate::policy_version::PolicyVersion;
use crate::resource::{Content, Placed, Resource, VersionBinding};
use crate::zone::Zone;

/// Names of a zone in one change that are worth making room for.
const MANY: usize = 1000;

impl Edit<'_> {
    pub(super) fn put_records(&mut self, changes: &Changes) {
        self.make_room(changes);
        for (name, resource) in changes {
            let Some(Resource::Records(records)) = resource else {
                continue;
            };
            for binding in bindings(records) {
                self.remember_user(&binding.version, name);
            }
            let apex = &records.zone;
            let exists = self.snapshot.zones.contains_key(apex) && !self.orphans.contains_key(apex);
            if exists {
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

    /// Lets tables grow once rather than step by step.
    fn make_room(&mut self, changes: &Changes) {
        let mut names: BTreeMap<&OwnerName, usize> = BTreeMap::new();
        for (_, resource) in changes {
            if let Some(Resource::Records(records)) = resource {
                *names.entry(&records.zone).or_default() += records.placed.len();
            }
        }
        for (apex, names) in names {
            if names >= MANY
                && let Some(zone) = self.zone_mut(apex)
            {
                zone.reserve(names);
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
                let bound = self.bindings.bound(binding, &version);
                self.zone_mut(apex).map(|zone| zone.bind(owner, bound))
            }
        };
        placed.unwrap_or(Ok(())).map_err(|error| error.to_string())
    }

    /// The version that `binding` serves at `owner`.
    fn version_of(
        &self,
        binding: &VersionBinding,
        owner: &OwnerName,
    ) -> Result<Arc<PolicyVersion>, String> {
        let name = &binding.version;
        let Some(version) = self.held_version(name) else {
            return Err(format!("{owner} serves {name}, which does not exist"));
        };
        match alien_type(binding, version) {
            Some(alien) => Err(format!(
                "{owner} serves type {alien}, which {name} does not have"
            )),
            None => Ok(Arc::clone(version)),
        }
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

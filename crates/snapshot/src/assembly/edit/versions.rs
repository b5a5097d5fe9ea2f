//! Policy versions and who serves them.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::held::{HeldContent, HeldPlaced};
use super::{Changes, Edit, Held, list};
use crate::map::CowMap;
use crate::policy_version::{Binding, PolicyVersion, RecordTypes};
use crate::resource::{Resource, ResourceName, VersionBinding};

impl Edit {
    /// Leads the resources that serve a changed version, and do not change
    /// themselves, to what it has become.
    pub(super) fn put_versions(&mut self, changes: &Changes) {
        for (name, resource) in changes {
            let Some(users) = self.after.users.get(name).cloned() else {
                continue;
            };
            self.versions_changed = true;
            match resource {
                Some(Resource::Version(version)) => {
                    for user in users.keys() {
                        self.rebind(user, name, version);
                    }
                }
                // Its content is of another kind, and said to be at fault.
                Some(_) => {}
                None => self.fault(
                    name,
                    format!(
                        "cannot go: {} still serves it",
                        list(users.keys().map(|user| &**user))
                    ),
                ),
            }
        }
    }

    fn rebind(&mut self, user: &ResourceName, name: &ResourceName, version: &Arc<PolicyVersion>) {
        let Some(Held::Records(records)) = self.after.resources.get(user).cloned() else {
            return;
        };
        for HeldPlaced { owner, content } in &records.placed {
            let HeldContent::Policy(binding) = content else {
                continue;
            };
            if binding.version != *name {
                continue;
            }
            if let Some(alien) = alien_type(binding, version) {
                let message = format!("no longer has type {alien}, which {user} serves at {owner}");
                self.fault(name, message);
            }
            let bound = self.bindings.bound(binding, version);
            if let Some(zone) = self.zone_mut(&records.zone) {
                zone.edit(owner, |node| {
                    node.unbind(&binding.record_types);
                    node.bind(bound);
                });
            }
        }
    }

    pub(super) fn remember_user(&mut self, version: &ResourceName, user: &Arc<ResourceName>) {
        if let Some(users) = self.after.users.get_mut(version) {
            users.insert(Arc::clone(user), ());
        } else {
            let users = CowMap::from_iter([(Arc::clone(user), ())]);
            self.after.users.insert(Arc::new(version.clone()), users);
            self.versions_changed = true;
        }
    }

    pub(super) fn forget_user(&mut self, version: &ResourceName, user: &ResourceName) {
        let Some(users) = self.after.users.get_mut(version) else {
            return;
        };
        users.remove(user);
        if users.is_empty() {
            self.after.users.remove(version);
            self.versions_changed = true;
        }
    }

    pub(super) fn served_versions(&self) -> Vec<Arc<PolicyVersion>> {
        let served = self.after.users.keys();
        served.filter_map(|name| self.held_version(name)).collect()
    }

    /// The version of that name, if there is one.
    pub(super) fn held_version(&self, name: &ResourceName) -> Option<Arc<PolicyVersion>> {
        match self.after.resources.get(name)? {
            Held::Whole(resource) => match &**resource {
                Resource::Version(version) => Some(Arc::clone(version)),
                _ => None,
            },
            Held::Records(_) => None,
        }
    }
}

/// Bindings that were made in an edit, so that names which are served alike
/// share one. What has a state of its own is not shared.
#[derive(Default)]
pub(super) struct Bindings(HashMap<Alike, Arc<Binding>>);

/// What bindings have in common that are shared: the address of the version,
/// types, TTL, limits of the TTL.
type Alike = (usize, RecordTypes, u32, Option<(u32, u32)>);

impl Bindings {
    pub(super) fn bound(
        &mut self,
        binding: &VersionBinding,
        version: &Arc<PolicyVersion>,
    ) -> Arc<Binding> {
        let VersionBinding {
            version: _,
            record_types,
            ttl,
            ttl_range,
            failback,
        } = binding;
        let record_types = RecordTypes::from_slice(record_types);
        let make = |record_types| {
            Arc::new(Binding {
                version: Arc::clone(version),
                record_types,
                ttl: *ttl,
                ttl_range: *ttl_range,
                failback: failback.clone(),
            })
        };
        if failback.is_some() {
            return make(record_types);
        }
        let address = Arc::as_ptr(version).addr();
        let alike = (address, record_types.clone(), *ttl, *ttl_range);
        let shared = self.0.entry(alike).or_insert_with(|| make(record_types));
        Arc::clone(shared)
    }
}

/// A type of the binding that the version does not have.
pub(super) fn alien_type(binding: &VersionBinding, version: &PolicyVersion) -> Option<u16> {
    let has = version.policy.record_types();
    let mut types = binding.record_types.iter().copied();
    types.find(|record_type| !has.contains(record_type))
}

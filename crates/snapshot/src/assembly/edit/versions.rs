//! Policy versions and who serves them.

use std::sync::Arc;

use super::{Changes, Edit, list};
use crate::map::CowMap;
use crate::policy_version::{Binding, PolicyVersion};
use crate::resource::{Content, Placed, Resource, ResourceName, VersionBinding};

impl Edit {
    /// Leads the resources that serve a changed version, and do not change
    /// themselves, to what it has become.
    pub(super) fn put_versions(&mut self, changes: &Changes) {
        for (name, resource) in changes {
            let Some(users) = self.after.users.get(name).cloned() else {
                continue;
            };
            self.versions_changed = true;
            match resource.as_deref() {
                Some(Resource::Version(version)) => {
                    for user in users.keys() {
                        self.rebind(user, name, version);
                    }
                }
                // Its content is of another kind, and said to be at fault.
                Some(_) => {}
                None => self.fault(
                    name,
                    format!("cannot go: {} still serves it", list(users.keys())),
                ),
            }
        }
    }

    fn rebind(&mut self, user: &ResourceName, name: &ResourceName, version: &Arc<PolicyVersion>) {
        let user_resource = self.after.resources.get(user).cloned();
        let Some(Resource::Records(records)) = user_resource.as_deref() else {
            return;
        };
        for Placed { owner, content } in &records.placed {
            let Content::Policy(binding) = content else {
                continue;
            };
            if binding.version != *name {
                continue;
            }
            if let Some(alien) = alien_type(binding, version) {
                let message = format!("no longer has type {alien}, which {user} serves at {owner}");
                self.fault(name, message);
            }
            if let Some(zone) = self.zone_mut(&records.zone) {
                zone.edit(owner, |node| {
                    node.unbind(&binding.record_types);
                    node.bind(bound(binding, version));
                });
            }
        }
    }

    pub(super) fn remember_user(&mut self, version: &ResourceName, user: &ResourceName) {
        if let Some(users) = self.after.users.get_mut(version) {
            users.insert(user.clone(), ());
        } else {
            let users = CowMap::from_iter([(user.clone(), ())]);
            self.after.users.insert(version.clone(), users);
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
        let resources = &self.after.resources;
        let served = self
            .after
            .users
            .keys()
            .filter_map(|name| resources.get(name));
        let versions = served.filter_map(|resource| match &**resource {
            Resource::Version(version) => Some(Arc::clone(version)),
            _ => None,
        });
        versions.collect()
    }
}

pub(super) fn bound(binding: &VersionBinding, version: &Arc<PolicyVersion>) -> Binding {
    Binding {
        version: Arc::clone(version),
        record_types: binding.record_types.clone(),
        ttl: binding.ttl,
        ttl_range: binding.ttl_range,
        failback: binding.failback.clone(),
    }
}

/// A type of the binding that the version does not have.
pub(super) fn alien_type(binding: &VersionBinding, version: &PolicyVersion) -> Option<u16> {
    let has = version.policy.record_types();
    let mut types = binding.record_types.iter().copied();
    types.find(|record_type| !has.contains(record_type))
}

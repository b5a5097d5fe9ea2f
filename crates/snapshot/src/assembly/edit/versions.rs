//! Policy versions and who serves them.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::assembled::Version;
use super::{Changes, Edit, list};
use crate::policy_version::{Binding, PolicyVersion, RecordTypes};
use crate::resource::{Content, Placed, Resource, ResourceKind, ResourceName, VersionBinding};

impl Edit<'_> {
    /// Puts and removes versions, and leads the resources that serve a changed
    /// one, and do not change themselves, to what it has become.
    pub(super) fn put_versions(&mut self, changes: &Changes) {
        for (name, resource) in changes {
            if name.kind() != ResourceKind::TrafficPolicyVersion {
                continue;
            }
            let content = match resource {
                Some(Resource::Version(version)) => Some(Arc::clone(version)),
                // Content of another kind is said to be at fault.
                Some(_) | None => None,
            };
            let mut version = self.after.versions.remove(name).unwrap_or_default();
            version.content.clone_from(&content);
            let users = version.users.clone();
            if content.is_some() || !users.is_empty() {
                self.after.versions.insert(name.clone(), version);
            }
            if users.is_empty() {
                continue;
            }
            self.versions_changed = true;
            match (content, resource) {
                (Some(version), _) => {
                    for user in users.keys() {
                        self.rebind(user, name, &version);
                    }
                }
                (None, Some(_)) => {}
                (None, None) => {
                    let message = format!("cannot go: {} still serves it", list(users.keys()));
                    self.fault(name, message);
                }
            }
        }
    }

    fn rebind(&mut self, user: &ResourceName, name: &ResourceName, version: &Arc<PolicyVersion>) {
        let Some(Resource::Records(records)) = (self.before)(user) else {
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
            let bound = self.bindings.bound(binding, version);
            if let Some(zone) = self.zone_mut(&records.zone) {
                zone.edit(owner, |node| {
                    node.unbind(&binding.record_types);
                    node.bind(bound);
                });
            }
        }
    }

    /// The version of that name, if there is one, which `user` serves from now
    /// on.
    pub(super) fn used_version(
        &mut self,
        name: &ResourceName,
        user: &ResourceName,
    ) -> Option<Arc<PolicyVersion>> {
        let Version { content, users } = self.after.versions.get_mut(name)?;
        self.versions_changed |= users.is_empty();
        users.insert(user.clone(), ());
        content.clone()
    }

    pub(super) fn forget_user(&mut self, version: &ResourceName, user: &ResourceName) {
        if let Some(version) = self.after.versions.get_mut(version) {
            version.users.remove(user);
            self.versions_changed |= version.users.is_empty();
        }
    }

    pub(super) fn served_versions(&self) -> Vec<Arc<PolicyVersion>> {
        let versions = self.after.versions.values();
        let served = versions.filter(|version| !version.users.is_empty());
        served
            .filter_map(|version| version.content.clone())
            .collect()
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

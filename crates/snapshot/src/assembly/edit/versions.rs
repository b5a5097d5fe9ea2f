//! Policy versions and where they are served.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::super::assembled::Version;
use super::{Changes, Edit, list};
use crate::name::OwnerName;
use crate::policy_version::{Binding, PolicyVersion, RecordTypes};
use crate::resource::{Resource, ResourceKind, ResourceName};

/// What becomes of a version that is served.
struct Moved {
    name: ResourceName,
    before: Arc<PolicyVersion>,
    /// `None`: it is removed.
    after: Option<Arc<PolicyVersion>>,
}

/// A name, and the apex of its zone.
struct Place {
    apex: OwnerName,
    owner: OwnerName,
}

impl Edit<'_> {
    /// Puts and removes versions, and leads the names that serve a changed
    /// one, and do not change themselves, to what it has become.
    pub(super) fn put_versions(&mut self, changes: &Changes) {
        let mut moved = Vec::new();
        for (name, resource) in changes {
            if name.kind() == ResourceKind::TrafficPolicyVersion {
                moved.extend(self.put_version(name, resource.as_ref()));
            }
        }
        if moved.is_empty() {
            return;
        }
        self.versions_changed = true;
        for (moved, places) in moved.iter().zip(self.places_of(&moved)) {
            if let Some(version) = &moved.after {
                self.rebind(moved, version, &places);
            } else {
                let owners = list(places.iter().map(|place| &place.owner));
                self.fault(&moved.name, format!("cannot go: it is served at {owners}"));
            }
        }
    }

    /// Puts or removes one version. Gives what becomes of it if it is served.
    fn put_version(&mut self, name: &ResourceName, resource: Option<&Resource>) -> Option<Moved> {
        let content = match resource {
            Some(Resource::Version(version)) => Some(Arc::clone(version)),
            // Content of another kind is said to be at fault.
            Some(_) | None => None,
        };
        let Version {
            content: before,
            places,
        } = self.after.versions.remove(name).unwrap_or_default();
        if content.is_some() || places > 0 {
            let version = Version {
                content: content.clone(),
                places,
            };
            self.after.versions.insert(name.clone(), version);
        }
        let is_at_fault = resource.is_some() && content.is_none();
        let before = before.filter(|_| places > 0 && !is_at_fault)?;
        Some(Moved {
            name: name.clone(),
            before,
            after: content,
        })
    }

    /// Where each of these was served before. All zones are searched, once
    /// for all of them.
    fn places_of(&self, moved: &[Moved]) -> Vec<Vec<Place>> {
        let befores = moved.iter().map(|moved| Arc::as_ptr(&moved.before));
        let numbers: HashMap<_, _> = befores.zip(0_usize..).collect();
        let mut places: Vec<Vec<Place>> = moved.iter().map(|_| Vec::new()).collect();
        for zone in self.snapshot.zones.values() {
            for (owner, node) in zone.names() {
                let versions = node.policies.iter().map(|binding| &binding.version);
                let served: BTreeSet<usize> = versions
                    .filter_map(|version| numbers.get(&Arc::as_ptr(version)).copied())
                    .collect();
                for number in served {
                    let (apex, owner) = (zone.apex.clone(), owner.clone());
                    places[number].push(Place { apex, owner });
                }
            }
        }
        places
    }

    /// Leads names to what a version has become.
    fn rebind(&mut self, moved: &Moved, version: &Arc<PolicyVersion>, places: &[Place]) {
        let mut aliens: BTreeMap<u16, Vec<&OwnerName>> = BTreeMap::new();
        for Place { apex, owner } in places {
            let Some(zone) = self.snapshot.zones.get_mut(apex) else {
                continue;
            };
            let bindings = &mut self.bindings;
            Arc::make_mut(zone).edit(owner, |node| {
                let policies = node.policies.iter_mut();
                for held in policies.filter(|held| Arc::ptr_eq(&held.version, &moved.before)) {
                    if let Some(alien) = alien_type(&held.record_types, version) {
                        aliens.entry(alien).or_default().push(owner);
                    }
                    *held = bindings.shared(Binding {
                        version: Arc::clone(version),
                        ..Binding::clone(held)
                    });
                }
            });
        }
        for (alien, owners) in aliens {
            let owners = list(owners.into_iter());
            let message = format!("no longer has type {alien}, which is served at {owners}");
            self.fault(&moved.name, message);
        }
    }

    /// The version of that name, if there is one, which is served at one place
    /// more from now on.
    pub(super) fn used_version(&mut self, name: &ResourceName) -> Option<Arc<PolicyVersion>> {
        let version = self.after.versions.get_mut(name)?;
        self.versions_changed |= version.places == 0;
        version.places += 1;
        version.content.clone()
    }

    /// It is served at one place less.
    pub(super) fn forget_use(&mut self, version: &ResourceName) {
        if let Some(version) = self.after.versions.get_mut(version) {
            version.places -= 1;
            self.versions_changed |= version.places == 0;
        }
    }

    pub(super) fn served_versions(&self) -> Vec<Arc<PolicyVersion>> {
        let versions = self.after.versions.values();
        let served = versions.filter(|version| version.places > 0);
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
    /// One like it that others have, too, if it can be.
    pub(super) fn shared(&mut self, binding: Binding) -> Arc<Binding> {
        if binding.failback.is_some() {
            return Arc::new(binding);
        }
        let address = Arc::as_ptr(&binding.version).addr();
        let types = binding.record_types.clone();
        let alike = (address, types, binding.ttl, binding.ttl_range);
        let shared = self.0.entry(alike).or_insert_with(|| Arc::new(binding));
        Arc::clone(shared)
    }
}

/// One of these types that the version does not have.
pub(super) fn alien_type(record_types: &[u16], version: &PolicyVersion) -> Option<u16> {
    let has = version.policy.record_types();
    let mut types = record_types.iter().copied();
    types.find(|record_type| !has.contains(record_type))
}

//! One change of an assembly.
//!
//! The steps have an order that makes the order of the changes irrelevant:
//! everything old is taken out, then zones are put, then versions, then what
//! lies in zones and refers to versions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Assembly;
use crate::map::CowMap;
use crate::name::OwnerName;
use crate::policy_version::{Binding, PolicyVersion};
use crate::record_type::{NS, SOA};
use crate::resource::{
    Content, Fault, Placed, Records, Resource, ResourceKind, ResourceName, VersionBinding, ZoneHead,
};
use crate::snapshot::{Snapshot, in_order};
use crate::zone::Zone;

/// How many resources a fault names at most.
const NAMED: usize = 3;

/// By name: what it becomes, or `None` for a removal.
pub(super) type Changes = BTreeMap<ResourceName, Option<Arc<Resource>>>;

/// A change being made.
pub(super) struct Edit {
    after: Assembly,
    snapshot: Snapshot,
    /// Apexes of zones that nothing makes any longer, with what made them.
    orphans: BTreeMap<OwnerName, ResourceName>,
    /// Apexes of zones at fault, of which nothing more need be said.
    doubtful: BTreeSet<OwnerName>,
    /// Whether other versions may be served than before.
    versions_changed: bool,
    faults: Vec<Fault>,
}

impl Edit {
    /// Makes `changes` to `before`.
    pub(super) fn make(before: &Assembly, mut changes: Changes) -> Result<Assembly, Vec<Fault>> {
        changes.retain(|name, resource| before.resources.get(name) != resource.as_ref());
        let mut edit = Self {
            after: before.clone(),
            snapshot: Snapshot::clone(&before.snapshot),
            orphans: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            versions_changed: false,
            faults: Vec::new(),
        };
        edit.check_kinds(&changes);
        for (name, resource) in &changes {
            edit.take_out(name);
            edit.store(name, resource.as_ref());
        }
        edit.put_heads(&changes);
        edit.put_versions(&changes);
        edit.put_records(&changes);
        edit.remove_orphans();
        edit.finish()
    }

    fn fault(&mut self, resource: &ResourceName, message: impl Into<String>) {
        self.faults.push(Fault {
            resource: resource.clone(),
            message: message.into(),
        });
    }

    fn check_kinds(&mut self, changes: &Changes) {
        for (name, resource) in changes {
            let fits = match resource.as_deref() {
                None => true,
                Some(Resource::Zone(_)) => name.kind == ResourceKind::HostedZone,
                Some(Resource::Version(_)) => name.kind == ResourceKind::TrafficPolicyVersion,
                Some(Resource::Records(_)) => !matches!(
                    name.kind,
                    ResourceKind::HostedZone | ResourceKind::TrafficPolicyVersion
                ),
            };
            if !fits {
                self.fault(name, format!("the content is not that of a {}", name.kind));
            }
        }
    }

    /// Takes what a resource has given so far out of the zones and indexes.
    fn take_out(&mut self, name: &ResourceName) {
        let Some(old) = self.after.resources.get(name).cloned() else {
            return;
        };
        match &*old {
            Resource::Version(_) => {}
            Resource::Zone(head) => {
                self.after.heads.remove(&head.apex);
                self.orphans.insert(head.apex.clone(), name.clone());
                if let Some(zone) = self.zone_mut(&head.apex) {
                    zone.edit(&head.apex, |node| node.remove(NS));
                }
            }
            Resource::Records(records) => {
                if let Some(zone) = self.zone_mut(&records.zone) {
                    remove_all(zone, &records.placed);
                }
                for binding in bindings(records) {
                    self.forget_user(&binding.version, name);
                }
            }
        }
    }

    fn store(&mut self, name: &ResourceName, resource: Option<&Arc<Resource>>) {
        match resource {
            Some(resource) => {
                let resource = Arc::clone(resource);
                self.after.resources.insert(name.clone(), resource);
            }
            None => {
                self.after.resources.remove(name);
            }
        }
    }

    /// The zone of that apex, to be changed: a copy that shares what does not
    /// change.
    fn zone_mut(&mut self, apex: &OwnerName) -> Option<&mut Zone> {
        self.snapshot.zones.get_mut(apex).map(Arc::make_mut)
    }

    fn put_heads(&mut self, changes: &Changes) {
        for (name, resource) in changes {
            let Some(Resource::Zone(head)) = resource.as_deref() else {
                continue;
            };
            if let Some(other) = self.after.heads.get(&head.apex) {
                let message = format!("{other} makes the zone {} already", head.apex);
                self.fault(name, message);
                continue;
            }
            self.after.heads.insert(head.apex.clone(), name.clone());
            self.orphans.remove(&head.apex);
            if let Err(message) = self.put_head(head) {
                self.fault(name, message);
                self.doubtful.insert(head.apex.clone());
            }
        }
    }

    /// Makes the zone, or changes what makes it.
    fn put_head(&mut self, head: &ZoneHead) -> Result<(), String> {
        let ZoneHead { apex, soa, ns } = head;
        if ns.record_type != NS || !ns.is_well_formed() {
            return Err(format!("the name servers of {apex} are malformed"));
        }
        if let Some(zone) = self.zone_mut(apex) {
            zone.set_soa(soa.clone()).map_err(|e| e.to_string())?;
        } else {
            let zone = Zone::new(apex.clone(), soa.clone()).map_err(|e| e.to_string())?;
            self.snapshot.zones.insert(apex.clone(), Arc::new(zone));
        }
        match self.zone_mut(apex) {
            Some(zone) => zone.insert(apex, ns.clone()).map_err(|e| e.to_string()),
            None => Ok(()),
        }
    }

    /// Leads the resources that serve a changed version, and do not change
    /// themselves, to what it has become.
    fn put_versions(&mut self, changes: &Changes) {
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

    fn put_records(&mut self, changes: &Changes) {
        for (name, resource) in changes {
            let Some(Resource::Records(records)) = resource.as_deref() else {
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
                let bound = bound(binding, &self.version_of(binding, owner)?);
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
        let Some(Resource::Version(version)) = self.after.resources.get(name).map(|r| &**r) else {
            return Err(format!("{owner} serves {name}, which does not exist"));
        };
        match alien_type(binding, version) {
            Some(alien) => Err(format!(
                "{owner} serves type {alien}, which {name} does not have"
            )),
            None => Ok(Arc::clone(version)),
        }
    }

    /// Removes the zones that nothing makes any longer. Whatever changed is
    /// not in them, so data in them are of resources that stay.
    fn remove_orphans(&mut self) {
        for (apex, maker) in std::mem::take(&mut self.orphans) {
            let bare = self.snapshot.zones.get(&apex).is_none_or(|zone| {
                let only_soa = |node: &crate::Node| {
                    node.policies.is_empty() && node.rrsets.iter().all(|set| set.record_type == SOA)
                };
                zone.names()
                    .all(|(name, node)| *name == apex && only_soa(node))
            });
            if bare {
                self.snapshot.zones.remove(&apex);
            } else {
                let left = list(self.records_in(&apex));
                self.fault(
                    &maker,
                    format!("the zone {apex} cannot go: {left} lies in it"),
                );
            }
        }
    }

    /// What places data in a zone. It looks at every resource, which only a
    /// fault pays for.
    fn records_in(&self, apex: &OwnerName) -> impl Iterator<Item = &ResourceName> {
        let resources = self.after.resources.iter();
        resources.filter_map(move |(name, resource)| match &**resource {
            Resource::Records(records) if records.zone == *apex && !records.placed.is_empty() => {
                Some(name)
            }
            _ => None,
        })
    }

    fn remember_user(&mut self, version: &ResourceName, user: &ResourceName) {
        if let Some(users) = self.after.users.get_mut(version) {
            users.insert(user.clone(), ());
        } else {
            let users = CowMap::from_iter([(user.clone(), ())]);
            self.after.users.insert(version.clone(), users);
            self.versions_changed = true;
        }
    }

    fn forget_user(&mut self, version: &ResourceName, user: &ResourceName) {
        let Some(users) = self.after.users.get_mut(version) else {
            return;
        };
        users.remove(user);
        if users.is_empty() {
            self.after.users.remove(version);
            self.versions_changed = true;
        }
    }

    fn finish(mut self) -> Result<Assembly, Vec<Fault>> {
        if !self.faults.is_empty() {
            self.faults.sort();
            self.faults.dedup();
            return Err(self.faults);
        }
        if self.versions_changed {
            self.snapshot.versions = in_order(self.served_versions());
        }
        self.after.snapshot = Arc::new(self.snapshot);
        Ok(self.after)
    }

    fn served_versions(&self) -> Vec<Arc<PolicyVersion>> {
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

fn bindings(records: &Records) -> impl Iterator<Item = &VersionBinding> {
    records
        .placed
        .iter()
        .filter_map(|placed| match &placed.content {
            Content::Policy(binding) => Some(binding),
            Content::Static(_) => None,
        })
}

fn bound(binding: &VersionBinding, version: &Arc<PolicyVersion>) -> Binding {
    Binding {
        version: Arc::clone(version),
        record_types: binding.record_types.clone(),
        ttl: binding.ttl,
    }
}

/// A type of the binding that the version does not have.
fn alien_type(binding: &VersionBinding, version: &PolicyVersion) -> Option<u16> {
    let has = version.policy.record_types();
    let mut types = binding.record_types.iter().copied();
    types.find(|record_type| !has.contains(record_type))
}

fn remove_all(zone: &mut Zone, placed: &[Placed]) {
    for Placed { owner, content } in placed {
        zone.edit(owner, |node| match content {
            Content::Static(set) => node.remove(set.record_type),
            Content::Policy(binding) => node.unbind(&binding.record_types),
        });
    }
}

/// `A, B, C and 7 more`, in order.
fn list<'n>(names: impl Iterator<Item = &'n ResourceName>) -> String {
    let mut names: Vec<&ResourceName> = names.collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let named: Vec<String> = names.into_iter().map(ToString::to_string).collect();
    match more {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

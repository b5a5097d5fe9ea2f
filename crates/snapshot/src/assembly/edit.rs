//! One change of an assembly.
//!
//! The steps have an order that makes the order of the changes irrelevant:
//! everything old is taken out, then zones are put, then versions, then what
//! lies in zones and refers to versions.

mod checks;
mod heads;
mod records;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::records::remove_all;
use self::versions::Bindings;
use super::Assembly;
use super::held::{Held, Shared};
use crate::name::OwnerName;
use crate::record_type::NS;
use crate::resource::{Content, Fault, Records, Resource, ResourceName, VersionBinding};
use crate::snapshot::{Snapshot, in_order};
use crate::zone::Zone;

/// How many resources a fault names at most.
const NAMED: usize = 3;

/// By name: what it becomes, or `None` for a removal.
pub(super) type Changes = BTreeMap<Arc<ResourceName>, Option<Resource>>;

/// A change being made.
pub(super) struct Edit {
    after: Assembly,
    snapshot: Snapshot,
    /// Apexes of zones that nothing makes any longer, with what made them.
    orphans: BTreeMap<OwnerName, Arc<ResourceName>>,
    /// Apexes of zones at fault, of which nothing more need be said.
    doubtful: BTreeSet<OwnerName>,
    shared: Shared,
    bindings: Bindings,
    /// Whether other versions may be served than before.
    versions_changed: bool,
    faults: Vec<Fault>,
}

impl Edit {
    /// Makes `changes` to `before`.
    pub(super) fn make(mut before: Assembly, mut changes: Changes) -> Result<Assembly, Vec<Fault>> {
        let mut old = Vec::new();
        changes.retain(|name, resource| {
            let held = before.resources.get(name);
            let changes = match (held, resource) {
                (Some(held), Some(resource)) => !held.is(resource),
                (held, resource) => held.is_some() || resource.is_some(),
            };
            let held = held.filter(|_| changes).cloned();
            old.extend(held.map(|held| (Arc::clone(name), held)));
            changes
        });
        let mut edit = Self {
            snapshot: Arc::unwrap_or_clone(std::mem::take(&mut before.snapshot)),
            after: before,
            shared: Shared::default(),
            orphans: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            bindings: Bindings::default(),
            versions_changed: false,
            faults: Vec::new(),
        };
        edit.check_kinds(&changes);
        for (name, held) in old {
            edit.take_out(&name, held);
        }
        for (name, resource) in &changes {
            edit.store(name, resource.as_ref());
        }
        edit.put_heads(&changes);
        edit.put_versions(&changes);
        edit.put_records(&changes);
        edit.put_checks(&changes);
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
            let fits = |resource: &Resource| resource.is_of(name.kind);
            if !resource.as_ref().is_none_or(fits) {
                self.fault(name, format!("the content is not that of a {}", name.kind));
            }
        }
    }

    /// Takes what a resource has given so far out of the zones and indexes.
    fn take_out(&mut self, name: &Arc<ResourceName>, old: Held) {
        match old {
            Held::Whole(old) => {
                let Resource::Zone(head) = &*old else { return };
                self.after.heads.remove(&head.apex);
                self.orphans.insert(head.apex.clone(), Arc::clone(name));
                if let Some(zone) = self.zone_mut(&head.apex) {
                    zone.edit(&head.apex, |node| node.remove(NS));
                }
            }
            Held::Records(records) => {
                if let Some(zone) = self.zone_mut(&records.zone) {
                    remove_all(zone, &records.placed);
                }
                for binding in records.bindings() {
                    self.forget_user(&binding.version, name);
                }
            }
        }
    }

    fn store(&mut self, name: &Arc<ResourceName>, resource: Option<&Resource>) {
        match resource {
            Some(resource) => {
                let held = self.shared.hold(resource);
                self.after.resources.insert(Arc::clone(name), held);
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

/// `A, B, C and 7 more`, in order.
fn list<'n>(names: impl Iterator<Item = &'n ResourceName>) -> String {
    let mut names: Vec<&ResourceName> = names.collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let texts: Vec<String> = names.into_iter().map(ToString::to_string).collect();
    match more {
        0 => texts.join(", "),
        more => format!("{} and {more} more", texts.join(", ")),
    }
}

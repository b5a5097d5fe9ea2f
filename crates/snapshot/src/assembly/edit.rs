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
use super::assembled::Assembled;
use crate::name::OwnerName;
use crate::record_type::NS;
use crate::resource::{Content, Fault, Records, Resource, ResourceName, VersionBinding};
use crate::snapshot::{Snapshot, in_order};
use crate::zone::Zone;

/// How many resources a fault names at most.
const NAMED: usize = 3;

/// Names, each once, with what they become, or `None` for a removal.
pub(super) type Changes = Vec<(ResourceName, Option<Resource>)>;

/// A change being made.
pub(super) struct Edit<'b> {
    after: Assembled,
    snapshot: Snapshot,
    /// The resources as they were.
    before: &'b dyn Fn(&ResourceName) -> Option<Resource>,
    /// Apexes of zones that nothing makes any longer, with what made them.
    orphans: BTreeMap<OwnerName, ResourceName>,
    /// Apexes of zones at fault, of which nothing more need be said.
    doubtful: BTreeSet<OwnerName>,
    bindings: Bindings,
    /// Whether other versions may be served than before.
    versions_changed: bool,
    faults: Vec<Fault>,
}

impl<'b> Edit<'b> {
    /// Begins to change what was assembled from resources of which `before`
    /// gives each.
    pub(super) fn begin(
        mut assembled: Assembled,
        before: &'b dyn Fn(&ResourceName) -> Option<Resource>,
    ) -> Self {
        Self {
            snapshot: Arc::unwrap_or_clone(std::mem::take(&mut assembled.snapshot)),
            after: assembled,
            before,
            orphans: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            bindings: Bindings::default(),
            versions_changed: false,
            faults: Vec::new(),
        }
    }

    /// Makes these changes.
    pub(super) fn change(&mut self, mut changes: Changes) {
        let mut old = Vec::new();
        changes.retain(|(name, resource)| {
            let held = (self.before)(name);
            let is_change = held != *resource;
            old.extend(held.filter(|_| is_change).map(|held| (name.clone(), held)));
            is_change
        });
        self.check_kinds(&changes);
        for (name, resource) in &old {
            self.take_out(name, resource);
        }
        self.put_heads(&changes);
        self.put_versions(&changes);
        self.put_records(&changes);
        self.put_checks(&changes);
        self.remove_orphans();
    }

    fn fault(&mut self, resource: &ResourceName, message: impl Into<String>) {
        self.faults.push(Fault {
            resource: resource.clone(),
            message: message.into(),
        });
    }

    fn check_kinds(&mut self, changes: &Changes) {
        for (name, resource) in changes {
            let fits = |resource: &Resource| resource.is_of(name.kind());
            if !resource.as_ref().is_none_or(fits) {
                self.fault(
                    name,
                    format!("the content is not that of a {}", name.kind()),
                );
            }
        }
    }

    /// Takes what a resource has given so far out of the zones and indexes.
    fn take_out(&mut self, name: &ResourceName, old: &Resource) {
        match old {
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
                    self.forget_use(&binding.version);
                }
            }
            // Those who serve a version are led to what it becomes.
            Resource::Version(_) | Resource::Check(_) => {}
        }
    }

    /// The zone of that apex, to be changed: a copy that shares what does not
    /// change.
    fn zone_mut(&mut self, apex: &OwnerName) -> Option<&mut Zone> {
        self.snapshot.zones.get_mut(apex).map(Arc::make_mut)
    }

    /// What has come of it.
    pub(super) fn finish(mut self) -> Result<Assembled, Vec<Fault>> {
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
fn list<'n, N: Ord + ToString + 'n>(names: impl Iterator<Item = &'n N>) -> String {
    let mut names: Vec<&N> = names.collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let texts: Vec<String> = names.into_iter().map(ToString::to_string).collect();
    match more {
        0 => texts.join(", "),
        more => format!("{} and {more} more", texts.join(", ")),
    }
}

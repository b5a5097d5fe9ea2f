//! How far contents have come: kept per resource, by what changed only.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use watershed_snapshot::{ResourceName, SnapshotId};

use crate::fleet::NodeName;

/// When the desired content of each resource came, was published and was
/// served by all. Resources that did not change under this publisher are not
/// in here.
#[derive(Default)]
pub(super) struct Carried {
    resources: HashMap<ResourceName, Entry>,
    /// Resources by the first generation that carries them, while some node
    /// does not serve it.
    pending: BTreeMap<SnapshotId, Vec<ResourceName>>,
    /// The generation of what was published before this publisher.
    origin: Option<SnapshotId>,
}

struct Entry {
    arrived: Instant,
    first: Option<SnapshotId>,
    complete_after: Option<Duration>,
}

impl Carried {
    /// What does not change was published by `id` at the latest.
    pub(super) fn begin(&mut self, id: SnapshotId) {
        self.origin = Some(id);
    }

    /// The desired content of `name` is another one since `now`.
    pub(super) fn arrived(&mut self, name: &ResourceName, now: Instant) {
        let entry = Entry {
            arrived: now,
            first: None,
            complete_after: None,
        };
        self.resources.insert(name.clone(), entry);
    }

    /// `id` is the first generation that carries the desired content.
    pub(super) fn published(&mut self, name: &ResourceName, id: SnapshotId, now: Instant) {
        let entry = self.resources.entry(name.clone()).or_insert(Entry {
            arrived: now,
            first: None,
            complete_after: None,
        });
        entry.first = Some(id);
        self.pending.entry(id).or_default().push(name.clone());
    }

    /// The newest generation no longer carries the desired content.
    pub(super) fn withdrawn(&mut self, name: &ResourceName, now: Instant) {
        let entry = self.resources.entry(name.clone()).or_insert(Entry {
            arrived: now,
            first: None,
            complete_after: None,
        });
        entry.first = None;
        entry.complete_after = None;
    }

    /// The resource is no longer desired.
    pub(super) fn removed(&mut self, name: &ResourceName) {
        self.resources.remove(name);
    }

    /// Every live node serves `id` or a later generation.
    pub(super) fn complete(&mut self, id: SnapshotId, now: Instant) {
        while let Some(entry) = self.pending.first_entry() {
            if *entry.key() > id {
                break;
            }
            let (first, names) = entry.remove_entry();
            for name in names {
                let Some(entry) = self.resources.get_mut(&name) else {
                    continue;
                };
                if entry.first == Some(first) && entry.complete_after.is_none() {
                    entry.complete_after = Some(now.saturating_duration_since(entry.arrived));
                }
            }
        }
    }

    /// The first generation that carries the desired content, and how long it
    /// took to come to all.
    pub(super) fn get(&self, name: &ResourceName) -> (Option<SnapshotId>, Option<Duration>) {
        match self.resources.get(name) {
            Some(entry) => (entry.first, entry.complete_after),
            None => (self.origin, None),
        }
    }
}

/// Live nodes, counted by what they serve.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) live: usize,
    /// Nodes by the generation that they serve; those that serve a content
    /// unknown here are not in it.
    pub(super) serving: BTreeMap<SnapshotId, usize>,
    /// Nodes that reject everything later than what they serve.
    pub(super) rejecting: Vec<(NodeName, Option<SnapshotId>, String)>,
    /// Resources that nodes refuse and the fleet goes on with.
    pub(super) refusing: HashMap<ResourceName, Vec<(NodeName, String)>>,
}

impl Tally {
    /// How many live nodes serve `id` or a later generation.
    pub(super) fn serving(&self, id: SnapshotId) -> usize {
        self.serving.range(id..).map(|(_, nodes)| nodes).sum()
    }

    /// The generation that every live node has reached.
    pub(super) fn reached_by_all(&self) -> Option<SnapshotId> {
        let counted: usize = self.serving.values().sum();
        let all = self.live > 0 && counted == self.live;
        all.then(|| self.serving.keys().next().copied()).flatten()
    }
}

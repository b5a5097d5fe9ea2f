//! What counts for the answers of a node.

use std::collections::{BTreeMap, BTreeSet};

use watershed_health::{Hold, Target};

/// What counts for the answers of a node at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// What is known of targets. Nothing is known of those that are not here.
    pub targets: BTreeMap<Target, Known>,
    /// The branches that failback holds; all others are tried in order.
    pub holds: Vec<Hold>,
}

/// What is known of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Whether it is healthy; `None`: not known, which counts as healthy.
    pub healthy: Option<bool>,
    /// Whether that may soon change.
    pub changing: bool,
}

impl Verdicts {
    /// What is known of a target.
    pub fn of(&self, target: &Target) -> Known {
        self.targets.get(target).copied().unwrap_or_default()
    }

    /// The targets of which these know something else than `before`.
    pub(super) fn differing<'a>(&'a self, before: &'a Self) -> BTreeSet<&'a Target> {
        let targets = self.targets.keys().chain(before.targets.keys());
        let differing = targets.filter(|target| self.of(target) != before.of(target));
        differing.collect()
    }
}

//! What a compilation tells its caller.

use std::collections::BTreeSet;

use watershed_snapshot::{Resource, ResourceName};

use crate::object::{ObjectKey, ObjectRef};
use crate::verdict::Verdict;

/// What changed since the compilation before. The first tells everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// What the nodes are to serve, `None` for what they are to serve no
    /// longer; by name. A version is there while something serves it.
    pub resources: Vec<(ResourceName, Option<Resource>)>,
    /// What is said about objects, by object.
    pub verdicts: Vec<Verdict>,
    /// Objects that something was said about and that are gone.
    pub gone: Vec<ObjectRef>,
    /// Policies whose document, versions, references or use changed: they may
    /// have versions to make or to remove.
    pub policies: Vec<ObjectKey>,
    /// Versions of which other objects make use than before.
    pub versions: Vec<ObjectKey>,
}

/// Who needs a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Records that serve it or ask for it.
    pub records: BTreeSet<ObjectKey>,
    /// Zones and `RecordSet` objects that serve it through an alias.
    pub aliases: BTreeSet<ObjectRef>,
    /// Channels of its policy that point at it.
    pub channels: BTreeSet<String>,
}

impl Usage {
    /// Whether anything serves it or is about to.
    pub fn is_used(&self) -> bool {
        !self.records.is_empty() || !self.aliases.is_empty()
    }
}

/// How many sets of records a zone serves, by who gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZoneCounts {
    /// The zone object itself.
    pub own: usize,
    /// `RecordSet` objects.
    pub record_sets: usize,
    /// `PolicyRecord` objects.
    pub policy_records: usize,
}

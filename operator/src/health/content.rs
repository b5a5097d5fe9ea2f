//! What a fleet serves, as far as health concerns it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use watershed_health::{Check, Checks, Target};
use watershed_policy::FailbackMode;
use watershed_snapshot::PolicyVersion;

/// What a fleet serves, as far as health concerns it.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// All health checks.
    pub checks: Checks,
    /// What is watched: the targets of all versions that the fleet serves.
    pub targets: BTreeMap<Target, Arc<Check>>,
    /// The versions with checks, by their objects' `namespace/name`.
    pub versions: BTreeMap<String, Arc<PolicyVersion>>,
    /// Records whose clients do not return at once, as `namespace/name`.
    pub records: BTreeMap<String, RecordContent>,
}

/// A record whose clients do not return at once.
#[derive(Clone, Debug)]
pub struct RecordContent {
    /// What it serves.
    pub version: Arc<PolicyVersion>,
    /// When clients return.
    pub mode: FailbackMode,
    /// The active branches, as the record's status has them. It counts when
    /// the record is seen for the first time.
    pub written: Vec<Written>,
    /// What the annotation asks for, and what was carried out last.
    pub release: Option<String>,
    /// The release that the record's status says was carried out.
    pub released: Option<String>,
}

/// An active branch, as it was written down: rule, branch, and for how long.
pub type Written = (String, String, Duration);

//! What is known of targets and records, for status.

use std::time::Duration;

use watershed_health::fleet::Verdict;

/// A target, as its fleet sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetView {
    /// The verdict.
    pub verdict: Verdict,
    /// For how long it is that one.
    pub age: Option<Duration>,
}

/// The failover of a record whose clients do not return at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailoverView {
    /// Rules whose active branch is not their first.
    pub rules: Vec<HeldView>,
    /// The release that was carried out last.
    pub released: Option<String>,
}

/// A rule whose active branch is not its first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldView {
    /// Name of the rule.
    pub rule: String,
    /// Where clients are sent.
    pub active: String,
    /// Where they would be sent if they returned at once.
    pub preferred: String,
    /// For how long the active branch is active.
    pub age: Duration,
    /// When they return, if nothing happens.
    pub returns_in: Option<Duration>,
}

//! What the health of a fleet has to tell to the rest of the operator.

use std::time::Duration;

use watershed_health::Target;

/// What the health of a fleet has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Verdicts are formed from now on: whatever was written before may be
    /// written anew.
    Settled,
    /// The verdict on a target is another one.
    Verdict(Transition),
    /// Clients are sent elsewhere.
    Failover(Failover),
    /// What there is to say of a record's failover is something else, although
    /// its active branches stay.
    Record(String),
    /// Numbers or words about targets of these checks changed.
    Counts(Vec<String>),
}

/// A change of a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Of what.
    pub target: Target,
    /// From; `None`: nothing was known.
    pub before: Option<bool>,
    /// To; `None`: it is no longer watched.
    pub healthy: Option<bool>,
    /// Fresh reports that say healthy, of how many.
    pub checkers: (u32, u32),
    /// What a failing checker said last, and which.
    pub error: Option<(String, String)>,
    /// From the first report that contradicted the former verdict.
    pub delay: Option<Duration>,
}

/// Whose clients are sent elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Those of this record, `namespace/name`, which do not return at once.
    Record(String),
    /// Those of all other records of this version, `namespace/name`.
    Version(String),
}

/// Clients are sent elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// Whose clients.
    pub whose: Whose,
    /// Name of the rule.
    pub rule: String,
    /// Where clients were sent.
    pub from: String,
    /// Where they are sent.
    pub to: String,
    /// Whether that is a more preferred branch.
    pub is_return: bool,
}

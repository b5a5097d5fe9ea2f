//! The fleet's verdict on every target, from what its checkers report.

mod ballot;
mod panel;

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::time::Instant;

use siphasher::sip::SipHasher13;

use crate::assignment::hash_target;
use crate::target::Target;
use crate::tracker::State;

pub use panel::Panel;

/// What a node reports of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What.
    pub target: Target,
    /// What its own probes say.
    pub state: State,
    /// Whether its last results point to another state.
    pub changing: bool,
    /// For how long the state is this one, in milliseconds.
    pub age_ms: u64,
    /// What the last probe said.
    pub message: String,
    /// When the certificate ends, in Unix seconds.
    pub certificate_expires: Option<i64>,
    /// What the node answers by: after a change of leader the verdict begins
    /// with this.
    pub served: Option<bool>,
}

/// The fleet's verdict on a target, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `None`: not enough is known; counts as healthy.
    pub healthy: Option<bool>,
    /// Whether it may soon change.
    pub changing: bool,
    /// Since when it is this one.
    pub since: Option<Instant>,
    /// Fresh reports that say healthy.
    pub healthy_checkers: u32,
    /// Fresh reports that say healthy or unhealthy.
    pub fresh_checkers: u32,
    /// Nodes that probe it.
    pub assigned_checkers: u32,
    /// By location: fresh reports that say healthy, and all fresh ones.
    pub locations: BTreeMap<String, (u32, u32)>,
    /// What a failing checker said last, and which.
    pub last_error: Option<(String, String)>,
    /// The earliest end of a certificate that a checker saw.
    pub certificate_expires: Option<i64>,
}

/// A verdict that differs from before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Of what.
    pub target: Target,
    /// From; `None`: nothing was known.
    pub before: Option<bool>,
    /// To; `None`: no longer watched.
    pub healthy: Option<bool>,
    /// Whether it may soon change.
    pub changing: bool,
}

/// A digest of what a node reports, for [`Panel::beat`]: of targets, states
/// and `changing`, each target once, in any order. The same on every machine.
pub fn digest<'a>(reports: impl Iterator<Item = (&'a Target, State, bool)>) -> u64 {
    let terms = reports.map(|(target, state, changing)| digest_term(target, state, changing));
    terms.fold(0, u64::wrapping_add)
}

/// What one report adds to a digest.
fn digest_term(target: &Target, state: State, changing: bool) -> u64 {
    let state = match state {
        State::Unknown => 0,
        State::Healthy => 1,
        State::Unhealthy => 2,
    };
    let mut hasher = SipHasher13::new_with_keys(hash_target(target), 0);
    hasher.write(&[state, u8::from(changing)]);
    hasher.finish()
}

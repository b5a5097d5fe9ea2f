//! What a Lease says.

use std::time::Duration;

use jiff::Timestamp;

/// Annotation of the Lease: host and port where nodes reach the leader.
pub const ADDRESS: &str = "watershed.dev/address";

/// What a Lease says. Its times are by its holder's clock: they tell one claim
/// from another, and are compared with no other clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it; empty: nobody.
    pub holder: String,
    /// Host and port where nodes reach the holder.
    pub address: Option<String>,
    /// How long it lasts after each renewal; zero when it does not say.
    pub duration: Duration,
    /// How many holders it had before this one.
    pub transitions: u32,
    /// When the holder acquired it.
    pub acquired: Option<Timestamp>,
    /// When the holder wrote it last.
    pub renewed: Option<Timestamp>,
}

/// A Lease that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it says.
    pub lease: Lease,
    /// Changes with every write to it (`resourceVersion`).
    pub version: String,
}

/// What is written with every acquisition and stays with every renewal. No two
/// acquisitions have the same: each has a higher number than the one before,
/// and the time tells those apart that begin to count anew, because somebody
/// deleted the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    holder: String,
    transitions: u32,
    acquired: Option<Timestamp>,
}

impl Claim {
    /// When it was acquired.
    pub(super) fn acquired(&self) -> Option<Timestamp> {
        self.acquired
    }
}

impl Lease {
    /// Whose it is; `None`: nobody's.
    pub(super) fn claim(&self) -> Option<Claim> {
        (!self.holder.is_empty()).then(|| Claim {
            holder: self.holder.clone(),
            transitions: self.transitions,
            acquired: self.acquired,
        })
    }
}

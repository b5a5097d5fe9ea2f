//! Whether the node wants queries.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What readiness depends on: only on the node itself. A node without an
/// operator answers from what it has, so it is as ready as any.
#[derive(Debug, Default)]
pub struct Status {
    zones: AtomicUsize,
    leaving: AtomicBool,
}

/// Whether queries should come here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// No zone is served yet: every query would be refused.
    NoZones,
    /// The node is about to stop.
    Leaving,
}

impl Status {
    /// Sets how many zones are served.
    pub fn set_zones(&self, zones: usize) {
        self.zones.store(zones, Ordering::Relaxed);
    }

    /// Sends queries elsewhere from now on. They are still answered.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether queries should come here.
    pub fn readiness(&self) -> Readiness {
        if self.leaving.load(Ordering::Relaxed) {
            Readiness::Leaving
        } else if self.zones.load(Ordering::Relaxed) == 0 {
            Readiness::NoZones
        } else {
            Readiness::Ready
        }
    }
}

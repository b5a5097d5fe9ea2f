//! Whether the node wants queries.

use std::sync::atomic::{AtomicBool, Ordering};

/// What readiness depends on: only on the node itself. A node without an
/// operator answers from what it has, so it is as ready as any.
#[derive(Debug, Default)]
pub struct Status {
    filled: AtomicBool,
    leaving: AtomicBool,
}

/// Whether queries should come here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// There is no state of the fleet yet: every query would be refused.
    Empty,
    /// The node is about to stop.
    Leaving,
}

impl Status {
    /// A state of the fleet is served from now on, also one without zones: in
    /// a fleet that has none yet, this node knows all that there is to know.
    pub fn fill(&self) {
        self.filled.store(true, Ordering::Relaxed);
    }

    /// Sends queries elsewhere from now on. They are still answered.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether queries should come here.
    pub fn readiness(&self) -> Readiness {
        if self.leaving.load(Ordering::Relaxed) {
            Readiness::Leaving
        } else if self.filled.load(Ordering::Relaxed) {
            Readiness::Ready
        } else {
            Readiness::Empty
        }
    }
}

//! How a publisher behaves.

use std::time::Duration;

use watershed_proto::NEWEST_FORMAT;
use watershed_snapshot::Term;

/// How a publisher behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Name of this replica, for nodes to log.
    pub operator: String,
    /// Lowest term to lead with: `leaseTransitions` of the Lease, plus 1. The
    /// term in use is higher when the record or a node knows a higher one.
    pub term: Term,
    /// Seconds since 1970 at the start of the publisher: the least epoch when
    /// the history of generations was lost.
    pub unix_seconds: u64,
    /// Highest format of resources to write.
    pub newest_format: u32,
    /// Each side of a stream sends something at least this often.
    pub heartbeat: Duration,
    /// How long a new generation waits for nodes to stage it before it is
    /// activated with those that have.
    pub staging_deadline: Duration,
    /// A node that has not answered an offer for so long loses its stream: it
    /// can only be stuck, and a new stream begins from what it truly holds.
    pub answer_deadline: Duration,
    /// A silent node stops counting as live after this
    /// (`DNSFleet.spec.nodeStaleSeconds`).
    pub stale_after: Duration,
    /// A node that ended its stream in good order stops counting after this:
    /// long enough to reconnect, short enough for a deleted pod.
    pub leave_after: Duration,
    /// How long a new leader waits for a node that knows what is served,
    /// before it publishes anything.
    pub restore_window: Duration,
    /// Nodes that reconnect to a new leader should all have done so by then;
    /// see [`crate::fleet::Publisher::settled`].
    pub settle: Duration,
    /// First pause before a failed step is tried again; doubled each time up
    /// to 64 times itself.
    pub retry: Duration,
    /// How many nodes catch up at a time: those that come with nothing, or with
    /// a state that this replica does not know. They are sent up to everything
    /// there is; the others wait for their turn, so that each is served within
    /// its deadline and what is on its way stays within bounds.
    pub catching_up: usize,
    /// How many of the latest states are remembered, to know what a node
    /// holds by its digest alone. States share what they have in common.
    pub remembered: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            operator: String::new(),
            term: Term(1),
            unix_seconds: 0,
            newest_format: NEWEST_FORMAT,
            heartbeat: Duration::from_secs(5),
            staging_deadline: Duration::from_secs(2),
            answer_deadline: Duration::from_mins(2),
            stale_after: Duration::from_mins(2),
            leave_after: Duration::from_secs(5),
            restore_window: Duration::from_secs(3),
            settle: Duration::from_secs(5),
            retry: Duration::from_secs(1),
            catching_up: 32,
            remembered: 16,
        }
    }
}

impl Config {
    /// The pause before attempt number `attempts` + 1.
    pub(crate) fn pause(&self, attempts: u32) -> Duration {
        self.retry.saturating_mul(1 << attempts.min(6))
    }
}

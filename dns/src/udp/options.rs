//! How UDP is served.

use std::num::NonZeroUsize;

/// How UDP is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpOptions {
    /// Threads, each with a socket of its own; by default as many as there are
    /// cores to run on.
    pub workers: Option<NonZeroUsize>,
    /// Whether each thread stays on a core of its own.
    pub pin_cpus: bool,
    /// Octets of datagrams that may wait at each socket. The system may allow
    /// less (`net.core.rmem_max`).
    pub receive_buffer: usize,
}

impl UdpOptions {
    /// How many threads there will be.
    pub(super) fn worker_count(self) -> usize {
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.workers.unwrap_or_else(cores).get()
    }
}

impl Default for UdpOptions {
    /// A quarter of a second of queries fits 4 MiB at 30,000 a second and core.
    fn default() -> Self {
        Self {
            workers: None,
            pin_cpus: false,
            receive_buffer: 4 << 20,
        }
    }
}

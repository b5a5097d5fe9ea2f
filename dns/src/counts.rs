//! How many queries were answered, and how.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::handler::Transport;
use crate::reply::Rcode;

const TRANSPORTS: [Transport; 2] = [Transport::Udp, Transport::Tcp];
const RCODES: [Rcode; 7] = [
    Rcode::NoError,
    Rcode::FormErr,
    Rcode::ServFail,
    Rcode::NxDomain,
    Rcode::NotImp,
    Rcode::Refused,
    Rcode::BadVers,
];

/// Counts by transport and response code. Aligned, so that two threads never
/// write to one cache line, nor to a pair of them.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counters([[AtomicU64; RCODES.len()]; TRANSPORTS.len()]);

impl Counters {
    fn of(&self, transport: Transport, rcode: Rcode) -> &AtomicU64 {
        // Both enums are counted from 0, in the order above.
        &self.0[transport as usize][rcode as usize]
    }
}

/// Counts of queries since the start, by transport and response code.
#[derive(Debug, Default)]
pub struct QueryCounts {
    shared: Counters,
    /// Those of threads at work.
    own: Mutex<Vec<Arc<Counters>>>,
}

impl QueryCounts {
    pub(crate) fn add(&self, transport: Transport, rcode: Rcode) {
        let count = self.shared.of(transport, rcode);
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts for one thread alone, which are among [`QueryCounts::all`].
    pub(crate) fn of_thread(self: &Arc<Self>) -> ThreadCounts {
        let own = Arc::<Counters>::default();
        self.lock().push(Arc::clone(&own));
        ThreadCounts {
            own,
            all: Arc::clone(self),
        }
    }

    /// All counts, also those that are 0.
    pub fn all(&self) -> impl Iterator<Item = (Transport, Rcode, u64)> {
        let own = self.lock();
        let sum = |transport, rcode| {
            let counters = own.iter().map(|own| &**own).chain([&self.shared]);
            let counts = counters.map(|c| c.of(transport, rcode).load(Ordering::Relaxed));
            (transport, rcode, counts.sum())
        };
        let sums = TRANSPORTS.map(|transport| RCODES.map(|rcode| sum(transport, rcode)));
        sums.into_iter().flatten()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Counters>>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The counts of one thread. Nobody else writes to them, so counting takes
/// neither a lock nor an atomic addition. When dropped, they go over into the
/// shared ones.
#[derive(Debug)]
pub(crate) struct ThreadCounts {
    own: Arc<Counters>,
    all: Arc<QueryCounts>,
}

impl ThreadCounts {
    pub(crate) fn add(&mut self, transport: Transport, rcode: Rcode) {
        let count = self.own.of(transport, rcode);
        let before = count.load(Ordering::Relaxed);
        count.store(before.wrapping_add(1), Ordering::Relaxed);
    }
}

impl Drop for ThreadCounts {
    fn drop(&mut self) {
        let mut own = self.all.lock();
        own.retain(|counters| !Arc::ptr_eq(counters, &self.own));
        for (transport, rcode) in TRANSPORTS
            .into_iter()
            .flat_map(|transport| RCODES.map(|rcode| (transport, rcode)))
        {
            let count = self.own.of(transport, rcode).load(Ordering::Relaxed);
            let shared = self.all.shared.of(transport, rcode);
            shared.fetch_add(count, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(counts: &QueryCounts) -> Vec<u64> {
        counts.all().map(|(_, _, count)| count).collect()
    }

    #[test]
    fn every_kind_has_a_count_of_its_own() {
        let counts = QueryCounts::default();
        for (times, (transport, rcode, _)) in (1..).zip(QueryCounts::default().all()) {
            for _ in 0..times {
                counts.add(transport, rcode);
            }
        }
        assert_eq!(found(&counts), (1..=14).collect::<Vec<u64>>());
    }

    #[test]
    fn counts_of_threads_are_among_all_and_outlive_them() {
        let counts = Arc::new(QueryCounts::default());
        let (mut first, mut second) = (counts.of_thread(), counts.of_thread());
        for own in [&mut first, &mut second] {
            own.add(Transport::Udp, Rcode::NoError);
        }
        counts.add(Transport::Udp, Rcode::NoError);
        assert_eq!(found(&counts)[0], 3);
        drop(first);
        assert_eq!(found(&counts)[0], 3);
        second.add(Transport::Udp, Rcode::NoError);
        drop(second);
        assert_eq!(found(&counts)[0], 4);
    }
}

//! How many queries were answered, and how.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::handler::Transport;
use crate::reply::Rcode;
use crate::udp::Limited;

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
const LIMITED: [Limited; 2] = [Limited::Slipped, Limited::Dropped];

/// Counts by transport and response code, and of what was over the limit.
/// Aligned, so that two threads never write to one cache line, nor to a pair of
/// them.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counters {
    answered: [[AtomicU64; RCODES.len()]; TRANSPORTS.len()],
    limited: [AtomicU64; LIMITED.len()],
}

impl Counters {
    // The enums are counted from 0, in the order above.

    fn of(&self, transport: Transport, rcode: Rcode) -> &AtomicU64 {
        &self.answered[transport as usize][rcode as usize]
    }

    fn of_limited(&self, limited: Limited) -> &AtomicU64 {
        &self.limited[limited as usize]
    }

    fn each(&self) -> impl Iterator<Item = &AtomicU64> {
        self.answered.iter().flatten().chain(&self.limited)
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
    /// Counts a query: what is dropped is not answered.
    pub(crate) fn add(&self, kind: (Transport, Rcode), limited: Option<Limited>) {
        if limited != Some(Limited::Dropped) {
            let count = self.shared.of(kind.0, kind.1);
            count.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(limited) = limited {
            self.add_limited(limited);
        }
    }

    pub(crate) fn add_limited(&self, limited: Limited) {
        let count = self.shared.of_limited(limited);
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
            let count = self.sum(&own, |counters| counters.of(transport, rcode));
            (transport, rcode, count)
        };
        let sums = TRANSPORTS.map(|transport| RCODES.map(|rcode| sum(transport, rcode)));
        sums.into_iter().flatten()
    }

    /// Counts of queries by UDP whose answers were over the rate limit, by what
    /// became of these.
    pub fn limited(&self) -> impl Iterator<Item = (Limited, u64)> {
        let own = self.lock();
        let sum = |limited| self.sum(&own, |counters| counters.of_limited(limited));
        LIMITED.map(|limited| (limited, sum(limited))).into_iter()
    }

    fn sum(&self, own: &[Arc<Counters>], count: impl Fn(&Counters) -> &AtomicU64) -> u64 {
        let counters = own.iter().map(|own| &**own).chain([&self.shared]);
        counters.map(|c| count(c).load(Ordering::Relaxed)).sum()
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
    pub(crate) fn add(&mut self, kind: (Transport, Rcode), limited: Option<Limited>) {
        if limited != Some(Limited::Dropped) {
            count(self.own.of(kind.0, kind.1));
        }
        if let Some(limited) = limited {
            count(self.own.of_limited(limited));
        }
    }
}

/// Adds one, where nobody else does.
fn count(counter: &AtomicU64) {
    let before = counter.load(Ordering::Relaxed);
    counter.store(before.wrapping_add(1), Ordering::Relaxed);
}

impl Drop for ThreadCounts {
    fn drop(&mut self) {
        let mut own = self.all.lock();
        own.retain(|counters| !Arc::ptr_eq(counters, &self.own));
        for (own, shared) in self.own.each().zip(self.all.shared.each()) {
            shared.fetch_add(own.load(Ordering::Relaxed), Ordering::Relaxed);
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
                counts.add((transport, rcode), None);
            }
        }
        assert_eq!(found(&counts), (1..=14).collect::<Vec<u64>>());
    }

    #[test]
    fn counts_of_threads_are_among_all_and_outlive_them() {
        let counts = Arc::new(QueryCounts::default());
        let (mut first, mut second) = (counts.of_thread(), counts.of_thread());
        for own in [&mut first, &mut second] {
            own.add((Transport::Udp, Rcode::NoError), None);
        }
        counts.add((Transport::Udp, Rcode::NoError), None);
        assert_eq!(found(&counts)[0], 3);
        drop(first);
        assert_eq!(found(&counts)[0], 3);
        second.add((Transport::Udp, Rcode::NoError), None);
        drop(second);
        assert_eq!(found(&counts)[0], 4);
    }

    #[test]
    fn what_is_limited_is_counted_besides_unless_it_is_dropped() {
        let counts = Arc::new(QueryCounts::default());
        let mut own = counts.of_thread();
        let kind = (Transport::Udp, Rcode::NoError);
        own.add(kind, Some(Limited::Slipped));
        own.add(kind, Some(Limited::Dropped));
        counts.add(kind, Some(Limited::Dropped));
        let expected = [(Limited::Slipped, 1), (Limited::Dropped, 2)];
        assert!(counts.limited().eq(expected));
        drop(own);
        assert!(counts.limited().eq(expected));
        assert_eq!(found(&counts)[0], 1);
    }
}

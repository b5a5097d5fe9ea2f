//! How many queries were answered, and how.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// Counts of queries since the start, by transport and response code.
#[derive(Debug, Default)]
pub struct QueryCounts([[AtomicU64; RCODES.len()]; TRANSPORTS.len()]);

impl QueryCounts {
    pub(crate) fn add(&self, transport: Transport, rcode: Rcode) {
        // Both enums are counted from 0, in the order above.
        self.0[transport as usize][rcode as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// All counts, also those that are 0.
    pub fn all(&self) -> impl Iterator<Item = (Transport, Rcode, u64)> {
        TRANSPORTS.into_iter().flat_map(move |transport| {
            RCODES.into_iter().map(move |rcode| {
                let count = &self.0[transport as usize][rcode as usize];
                (transport, rcode, count.load(Ordering::Relaxed))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_count_of_its_own() {
        let counts = QueryCounts::default();
        for (times, (transport, rcode, _)) in (1..).zip(QueryCounts::default().all()) {
            for _ in 0..times {
                counts.add(transport, rcode);
            }
        }
        let found: Vec<u64> = counts.all().map(|(_, _, count)| count).collect();
        assert_eq!(found, (1..=14).collect::<Vec<u64>>());
    }
}

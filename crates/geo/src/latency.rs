//! Measured latency between client areas and regions.

use watershed_policy::{Client, LatencySource};

/// Latency by area of the client and region.
#[derive(Clone, Debug, Default)]
pub struct LatencyTable;

/// A fault in a latency table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct LatencyFault {
    /// The line (CSV) or the path (YAML).
    pub at: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl LatencySource for LatencyTable {
    fn latency_micros(&self, _client: &Client, _region: &str) -> Option<u32> {
        None
    }

    fn scope_prefix_len(&self, _client: &Client) -> u8 {
        0
    }
}

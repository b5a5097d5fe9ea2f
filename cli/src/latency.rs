//! Latencies that a scenario gives for its client.

use std::collections::BTreeMap;

use watershed_policy::{Client, LatencySource};

/// Latency of one client by region name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FixedLatency(BTreeMap<String, u32>);

impl FixedLatency {
    /// Sets the latency to `region` in milliseconds; negative counts as 0.
    pub fn insert(&mut self, region: &str, millis: f64) {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates, which is what is wanted at both ends"
        )]
        let micros = (millis * 1000.0).round() as u32;
        self.0.insert(qualified(region), micros);
    }
}

impl LatencySource for FixedLatency {
    fn latency_micros(&self, _client: &Client, region: &str) -> Option<u32> {
        self.0.get(&qualified(region)).copied()
    }

    /// The latencies are this client's, wherever it is.
    fn scope_prefix_len(&self, _client: &Client) -> u8 {
        0
    }
}

/// One spelling for `us-east-1` and `aws/us-east-1`; a name that no provider
/// has stays as it is.
fn qualified(region: &str) -> String {
    match watershed_geo::region(region) {
        Some(known) => known.qualified_name(),
        None => region.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_one_latency_however_it_is_written() {
        let mut latency = FixedLatency::default();
        latency.insert("us-east-1", 10.5);
        latency.insert("rack-7", 0.2);
        let to = |region| latency.latency_micros(&Client::default(), region);
        assert_eq!(to("us-east-1"), Some(10_500));
        assert_eq!(to("aws/us-east-1"), Some(10_500));
        assert_eq!(to("rack-7"), Some(200));
        assert_eq!(to("eu-west-1"), None);
    }
}

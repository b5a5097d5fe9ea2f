//! Latencies in a table of constant size.

/// Counts of latencies, in steps of at most 3 % of the value.
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
}

/// Steps in each power of two.
const STEPS: u64 = 32;

impl Default for Latencies {
    fn default() -> Self {
        let last = bucket(u64::MAX);
        Self {
            buckets: vec![0; last + 1],
            count: 0,
        }
    }
}

impl Latencies {
    /// Counts one latency.
    pub fn add(&mut self, nanoseconds: u64) {
        self.buckets[bucket(nanoseconds)] += 1;
        self.count += 1;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The latency in nanoseconds below which `percent` of all are.
    pub fn percentile(&self, percent: u64) -> u64 {
        let mut left = self.count * percent / 100;
        for (bucket, count) in self.buckets.iter().enumerate() {
            if *count > left {
                return lower(bucket);
            }
            left -= count;
        }
        0
    }
}

fn bucket(value: u64) -> usize {
    let shift = (64 - value.leading_zeros()).saturating_sub(6);
    // The highest index is 58 * 32 + 63.
    usize::try_from(u64::from(shift) * STEPS + (value >> shift)).unwrap_or(usize::MAX)
}

fn lower(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / STEPS).saturating_sub(1);
    (bucket - shift * STEPS) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_no_wider_than_a_thirtieth_of_its_values() {
        for value in (0..60)
            .map(|bit| 1_u64 << bit)
            .flat_map(|v| [v - 1, v, v + v / 3])
        {
            let low = lower(bucket(value));
            assert!(low <= value && value - low <= value / 30, "{value} {low}");
        }
        bucket(u64::MAX);
    }

    #[test]
    fn percentiles_are_of_what_was_counted() {
        let mut latencies = Latencies::default();
        (1..=100).for_each(|micros| latencies.add(micros * 1000));
        let median = latencies.percentile(50);
        assert!((48_000..=51_000).contains(&median), "{median}");
        assert!(latencies.percentile(99) >= 96_000);
    }
}

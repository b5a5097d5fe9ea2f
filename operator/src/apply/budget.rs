//! How many writes the API server is asked for in a time.

use std::time::{Duration, Instant};

/// So many writes a second on average, and two seconds' worth at once.
#[derive(Clone, Debug)]
pub struct Budget {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Budget {
    /// A budget that nothing has been taken from yet; at least 1 a second.
    pub fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self {
            per_second,
            left: per_second * 2.0,
            at: now,
        }
    }

    /// Takes one write, if there is one left.
    pub fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.left = (self.left + passed * self.per_second).min(self.per_second * 2.0);
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }

    /// How long until there is one again, as of the last attempt.
    pub fn wait(&self) -> Duration {
        let missing = (1.0 - self.left).max(0.0);
        Duration::from_secs_f64(missing / self.per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_rate_in_the_long_run() {
        let start = Instant::now();
        let mut budget = Budget::new(10, start);
        let mut taken = 0;
        for millisecond in 0..10_000 {
            let now = start + Duration::from_millis(millisecond);
            while budget.take(now) {
                taken += 1;
            }
        }
        assert!(
            (115..=120).contains(&taken),
            "20 at once and 10 a second: {taken}"
        );
    }

    #[test]
    fn it_says_how_long_to_wait() {
        let start = Instant::now();
        let mut budget = Budget::new(4, start);
        while budget.take(start) {}
        assert_eq!(budget.wait(), Duration::from_millis(250));
        assert!(!budget.take(start + Duration::from_millis(249)));
        assert!(budget.take(start + Duration::from_millis(251)));
    }
}

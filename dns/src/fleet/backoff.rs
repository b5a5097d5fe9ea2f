//! How long to wait before trying again.

use std::time::Duration;

/// The wait after the first failure.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(10);

/// Waits that double, each shortened by chance so that the nodes of a fleet
/// do not come back all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The next wait: between half of it and all, as `chance` in 0.0..=1.0
    /// says.
    pub(super) fn wait(&mut self, chance: f64) -> Duration {
        let wait = self.next.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
        self.next = (self.next * 2).min(LONGEST);
        wait.max(FIRST)
    }

    /// Begins anew, after a stream that was of use.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_begin_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..8).map(|_| backoff.wait(1.0).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(backoff.wait(0.0), LONGEST / 2);
        backoff.reset();
        assert_eq!(backoff.wait(0.0), FIRST);
        assert_eq!(backoff.wait(0.5), Duration::from_millis(300));
    }
}

//! How long to wait before trying again.

use std::time::Duration;

/// The shortest wait.
pub(super) const SHORTEST: Duration = Duration::from_millis(200);
/// The longest wait. A new leader counts its nodes after five seconds.
const LONGEST: Duration = Duration::from_secs(4);

/// Waits of a random length up to a limit that doubles: the nodes of a fleet
/// lose an operator at the same moment, and should not all come back at one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backoff {
    limit: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            limit: SHORTEST * 2,
        }
    }
}

impl Backoff {
    /// The next wait: between the shortest and the limit, as `chance` in
    /// 0.0..=1.0 says.
    pub(super) fn wait(&mut self, chance: f64) -> Duration {
        let range = self.limit.saturating_sub(SHORTEST);
        self.limit = (self.limit * 2).min(LONGEST);
        SHORTEST + range.mul_f64(chance.clamp(0.0, 1.0))
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
        assert_eq!(waits, [400, 800, 1600, 3200, 4000, 4000, 4000, 4000]);
        assert_eq!(backoff.wait(0.0), SHORTEST);
        backoff.reset();
        assert_eq!(backoff.wait(0.5), Duration::from_millis(300));
    }
}

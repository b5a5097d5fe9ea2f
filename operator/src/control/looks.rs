//! When it is planned, and when it is looked at what nodes reported.

use std::time::{Duration, Instant};

/// Between two looks at what nodes reported, at least.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// And at most, however long they take: somebody waits for them.
const LONGEST_BETWEEN: Duration = Duration::from_secs(2);

/// Planning takes at most half of the time, and waits no longer than this for
/// the other half to pass: thousands of targets may have new verdicts every
/// few milliseconds, and each time all of their check is counted.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// The times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    rests_until: Instant,
    next: Instant,
}

impl Looks {
    /// At once.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            rests_until: now,
            next: now,
        }
    }

    /// When planning may begin again.
    pub(super) fn rests_until(&self) -> Instant {
        self.rests_until
    }

    /// When it may be looked again at what nodes reported.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// It has been planned, from a time on, for so long; also about what nodes
    /// reported, or not. Of many objects every look takes long, so these are
    /// fewer; but plans about other changes do not put them off, or changes
    /// without a pause would put them off for ever.
    pub(super) fn planned(&mut self, began: Instant, took: Duration, about_nodes: bool) {
        self.rests_until = began + took + took.min(LONGEST_REST);
        if about_nodes {
            let between = (took * 5).clamp(BETWEEN_LOOKS, LONGEST_BETWEEN);
            self.next = began + between;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn changes_without_a_pause_do_not_put_looks_off() {
        let start = Instant::now();
        let mut looks = Looks::new(start);
        looks.planned(start, milliseconds(60), true);
        assert_eq!(looks.next(), start + milliseconds(300));
        for number in 1..10 {
            let began = start + milliseconds(120 * number);
            looks.planned(began, milliseconds(60), false);
            assert_eq!(looks.rests_until(), began + milliseconds(120));
        }
        assert_eq!(looks.next(), start + milliseconds(300));
    }

    #[test]
    fn looks_at_many_objects_are_fewer_but_come() {
        let start = Instant::now();
        let mut looks = Looks::new(start);
        looks.planned(start, milliseconds(1), true);
        assert_eq!(looks.next(), start + BETWEEN_LOOKS);
        looks.planned(start, Duration::from_secs(20), true);
        assert_eq!(looks.next(), start + LONGEST_BETWEEN);
        let rested = start + Duration::from_secs(20) + LONGEST_REST;
        assert_eq!(looks.rests_until(), rested);
    }
}

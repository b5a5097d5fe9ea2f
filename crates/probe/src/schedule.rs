//! When a target is probed.
//!
//! Turns lie on a grid of the wall clock, so that the checkers of a target
//! take turns without talking to each other, a restart makes no storm, and
//! nothing drifts.

use std::hash::Hasher;
use std::time::Duration;

use siphasher::sip::SipHasher13;
use watershed_health::Target;

/// The shortest interval.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest interval.
const LONGEST: Duration = Duration::from_hours(24);
/// The largest jitter.
const JITTER: Duration = Duration::from_millis(100);

/// The turns of a target at one of its checkers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turns {
    interval: Duration,
    phase: Duration,
}

impl Turns {
    /// The checker of place `rank` among `of` probes once in an interval, a
    /// `1/of` of it after the one before; different targets have different
    /// turns.
    pub(crate) fn new(target: &Target, interval: Duration, rank: u32, of: u32) -> Self {
        let interval = interval.clamp(SHORTEST, LONGEST);
        let own = u128::from(hash(target));
        let place = (u128::from(rank) << 64) / u128::from(of.max(1));
        let part = (own + place) & u128::from(u64::MAX);
        // Less than 2^47 nanoseconds in a day, times 2^64.
        let phase = (interval.as_nanos() * part) >> 64;
        Self {
            interval,
            phase: nanoseconds(phase),
        }
    }

    /// The first turn after this time since the Unix epoch.
    pub(crate) fn first(&self, now: Duration) -> Duration {
        let interval = self.interval.as_nanos();
        let (now, phase) = (now.as_nanos(), self.phase.as_nanos());
        let since = (now + interval - phase) % interval;
        nanoseconds(now + interval - since)
    }

    /// The turn after the one that is taken at this time: at least half an
    /// interval later. A clock that is set, or a timer that is early, leads to
    /// neither two probes at once nor a long wait.
    pub(crate) fn next(&self, now: Duration) -> Duration {
        self.first(now + self.interval / 2)
    }

    /// How much later than its turn a probe may begin, at most.
    pub(crate) fn jitter(&self) -> Duration {
        (self.interval / 50).min(JITTER)
    }
}

fn nanoseconds(count: u128) -> Duration {
    Duration::from_nanos_u128(count)
}

/// The same on every machine.
fn hash(target: &Target) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(target.to_string().as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Duration = Duration::from_secs(10);
    const NOW: Duration = Duration::from_hours(500_000);

    fn target(number: u32) -> Target {
        Target {
            check: format!("shop/check-{number}"),
            address: None,
        }
    }

    #[test]
    fn checkers_of_a_target_take_turns_evenly() {
        for of in 1..=7_u32 {
            let mut turns: Vec<_> = (0..of)
                .map(|rank| Turns::new(&target(1), TEN, rank, of).first(NOW))
                .collect();
            turns.sort();
            turns.push(turns[0] + TEN);
            for pair in turns.windows(2) {
                let gap = pair[1].checked_sub(pair[0]).unwrap();
                let off = gap.abs_diff(TEN / of);
                assert!(off < Duration::from_micros(1), "{of}: {gap:?}");
            }
        }
    }

    #[test]
    fn a_thousand_rounds_do_not_drift() {
        let turns = Turns::new(&target(2), TEN, 1, 3);
        let first = turns.first(NOW);
        let mut due = first;
        for round in 1..=1000 {
            // Probes begin late by jitter and whatever the machine adds.
            let late = Duration::from_millis(u64::from(round) * 7919 % 2000);
            due = turns.next(due + late);
            assert_eq!(due, first + TEN * round);
        }
    }

    #[test]
    fn a_turn_comes_within_the_interval_and_none_twice() {
        for number in 0..200 {
            let turns = Turns::new(&target(number), TEN, 0, 1);
            let first = turns.first(NOW);
            assert!(first > NOW && first <= NOW + TEN);
            assert_eq!(turns.first(first), first + TEN);
            // A timer that is early by a little.
            let early = first.checked_sub(Duration::from_millis(3)).unwrap();
            assert_eq!(turns.next(early), first + TEN);
        }
    }

    #[test]
    fn a_clock_that_is_set_delays_by_an_interval_and_a_half_at_most() {
        let turns = Turns::new(&target(3), TEN, 0, 1);
        for hours in [1, 24] {
            let set = NOW.checked_sub(Duration::from_secs(hours * 3600)).unwrap();
            let wait = turns.next(set).checked_sub(set).unwrap();
            assert!(wait >= TEN / 2 && wait <= TEN * 3 / 2, "{wait:?}");
        }
    }

    #[test]
    fn a_start_makes_no_storm() {
        let mut begun = [0_u32; 100];
        for number in 0..5000 {
            let first = Turns::new(&target(number), TEN, 0, 1).first(NOW);
            let wait = first.checked_sub(NOW).unwrap();
            let slot = usize::try_from(wait.as_millis() / 100).unwrap();
            begun[slot.min(99)] += 1;
        }
        // 50 on average in each tenth of a second.
        assert!(
            begun.iter().all(|&count| (15..=100).contains(&count)),
            "{begun:?}"
        );
    }

    #[test]
    fn jitter_is_small() {
        let jitter = |seconds| Turns::new(&target(1), Duration::from_secs(seconds), 0, 1).jitter();
        assert_eq!(jitter(1), Duration::from_millis(20));
        assert_eq!(jitter(30), Duration::from_millis(100));
    }

    #[test]
    fn odd_arguments_are_bounded() {
        let turns = Turns::new(&target(1), Duration::ZERO, 9, 0);
        assert_eq!(turns.interval, Duration::from_secs(1));
        let turns = Turns::new(&target(1), Duration::MAX, 0, 1);
        assert_eq!(turns.interval, LONGEST);
        assert!(turns.first(Duration::ZERO) <= LONGEST * 2);
    }
}

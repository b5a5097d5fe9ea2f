//! Counting, in a table of fixed size that all threads share without locks.
//!
//! Each account has a time at which all that it took is paid for, at one answer
//! each `interval`; the time ahead of now is its debt. An answer is over the limit
//! when it would make the debt more than a second. That is the generic cell rate
//! algorithm (ITU-T I.371, virtual scheduling): a leaky bucket in one number,
//! which nobody has to drain.
//!
//! An account without debt is like a new one, so forgetting it changes nothing.
//! Where there is no room, the account with the least debt is forgotten: a flood
//! of forged sources pushes out its own accounts, and each new source gets its
//! answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Entries of a set: as many as a line of the processor's cache has.
const WAYS: usize = 8;
/// Sets, a power of two: 1 MiB for 131,072 accounts. At a million answers a
/// second to forged sources and a limit of 10, that many have debt at a time.
const SETS: usize = 1 << 14;
/// Microseconds that an account may be in debt.
const SECOND: u32 = 1_000_000;
/// Times so much ahead are debt; others are in the past. Threads do not read
/// the clock at the same moment, so what one wrote may be more than a second
/// ahead for another.
const AHEAD: u32 = 2 * SECOND;

/// A moment, in microseconds. It wraps around after 71 minutes, so an account
/// that was idle for just so long may be taken for one with debt: for two
/// seconds at most, once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Time(pub(super) u32);

impl Time {
    /// The moment so long after the first.
    pub(crate) fn after(time: Duration) -> Self {
        let micros = time.as_micros() & u128::from(u32::MAX);
        Self(u32::try_from(micros).unwrap_or_default())
    }
}

/// Counts what accounts take.
pub(super) struct Table {
    sets: Box<[Set]>,
    /// Microseconds that pay for one answer.
    interval: u32,
}

/// Entries that some hashes have to share.
#[derive(Default)]
#[repr(align(64))]
struct Set([AtomicU64; WAYS]);

/// What is kept of an account.
#[derive(Clone, Copy)]
struct Entry {
    /// Bits of the hash that did not choose the set.
    tag: u32,
    /// When it has no debt any more.
    paid: u32,
}

impl Entry {
    fn packed(self) -> u64 {
        u64::from(self.tag) << 32 | u64::from(self.paid)
    }

    fn unpacked(packed: u64) -> Self {
        Self {
            tag: low_half(packed >> 32),
            paid: low_half(packed),
        }
    }

    fn debt(self, now: Time) -> u32 {
        match self.paid.wrapping_sub(now.0) {
            ahead @ ..=AHEAD => ahead.min(SECOND),
            _ => 0,
        }
    }
}

fn low_half(octets: u64) -> u32 {
    u32::try_from(octets & u64::from(u32::MAX)).unwrap_or_default()
}

impl Table {
    /// For so many answers a second, which is at least one.
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            sets: (0..SETS).map(|_| Set::default()).collect(),
            interval: (SECOND / per_second.max(1)).max(1),
        }
    }

    /// Takes one answer of the account with this hash; false when that is over
    /// the limit.
    pub(super) fn take(&self, hash: u64, now: Time) -> bool {
        let Entry { tag, paid: place } = Entry::unpacked(hash);
        let set = &self.sets[place as usize % SETS];
        loop {
            let (slot, held, debt) = set.find(tag, now);
            if debt > SECOND - self.interval {
                return false;
            }
            let paid = now.0.wrapping_add(debt + self.interval);
            let new = Entry { tag, paid }.packed();
            let replaced =
                slot.compare_exchange_weak(held, new, Ordering::Relaxed, Ordering::Relaxed);
            if replaced.is_ok() {
                return true;
            }
            // Another thread was faster, and so got on.
        }
    }
}

impl Set {
    /// The entry of the account, what is in it, and the debt; for a new one the
    /// entry that is needed least.
    fn find(&self, tag: u32, now: Time) -> (&AtomicU64, u64, u32) {
        let [first, ..] = &self.0;
        let (mut least, mut found) = (u32::MAX, (first, 0));
        for slot in &self.0 {
            let held = slot.load(Ordering::Relaxed);
            let entry = Entry::unpacked(held);
            let debt = entry.debt(now);
            if entry.tag == tag {
                return (slot, held, debt);
            }
            if debt < least {
                (least, found) = (debt, (slot, held));
            }
        }
        let (slot, held) = found;
        (slot, held, 0)
    }
}

//! Grants that are lost count for a while, so that a grant that is replaced,
//! or deleted by mistake, does not take answers away. Then they end: a grant
//! that is taken back must have an effect.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use watershed_compile::ObjectKey;

/// Grants that were lost lately.
#[derive(Clone, Debug)]
pub(super) struct Grace {
    time: SignedDuration,
    ends: BTreeMap<ObjectKey, Timestamp>,
}

impl Grace {
    /// Lost grants count for `time`.
    pub(super) fn new(time: SignedDuration) -> Self {
        Self {
            time,
            ends: BTreeMap::new(),
        }
    }

    pub(super) fn lost(&mut self, grant: ObjectKey, now: Timestamp) {
        let end = now.saturating_add(self.time).unwrap_or(now);
        self.ends.entry(grant).or_insert(end);
    }

    pub(super) fn found(&mut self, grant: &ObjectKey) {
        self.ends.remove(grant);
    }

    /// The grants whose time is over.
    pub(super) fn over(&mut self, now: Timestamp) -> Vec<ObjectKey> {
        let over: Vec<ObjectKey> = (self.ends.iter())
            .filter(|(_, end)| **end <= now)
            .map(|(grant, _)| grant.clone())
            .collect();
        for grant in &over {
            self.ends.remove(grant);
        }
        over
    }

    /// When the next time is over.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.ends.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_grant_ends_after_its_time_unless_it_comes_back() {
        let start = Timestamp::UNIX_EPOCH;
        let at = |seconds| start + SignedDuration::from_secs(seconds);
        let (a, b) = (ObjectKey::new("infra", "a"), ObjectKey::new("infra", "b"));
        let mut grace = Grace::new(SignedDuration::from_secs(300));
        grace.lost(a.clone(), at(0));
        grace.lost(b.clone(), at(10));
        grace.lost(a.clone(), at(20));
        assert_eq!(grace.next(), Some(at(300)));
        assert!(grace.over(at(299)).is_empty());
        grace.found(&b);
        assert_eq!(grace.over(at(400)), [a]);
        assert_eq!(grace.next(), None);
    }
}

//! Objects that are to be looked at again at a time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::object::ObjectId;

/// One time for each object: the latest that was asked for.
#[derive(Debug, Default)]
pub(super) struct Wakeups {
    times: BTreeMap<ObjectId, Timestamp>,
    order: BTreeSet<(Timestamp, ObjectId)>,
}

impl Wakeups {
    /// The object is to be looked at again at `time`, or not again.
    pub(super) fn set(&mut self, id: &ObjectId, time: Option<Timestamp>) {
        if let Some(former) = self.times.remove(id) {
            self.order.remove(&(former, id.clone()));
        }
        if let Some(time) = time {
            self.times.insert(id.clone(), time);
            self.order.insert((time, id.clone()));
        }
    }

    /// The object is to be looked at again at `time` at the latest.
    pub(super) fn no_later_than(&mut self, id: &ObjectId, time: Timestamp) {
        if self.times.get(id).is_none_or(|known| *known > time) {
            self.set(id, Some(time));
        }
    }

    /// The objects whose time has come; they are not in here any more.
    pub(super) fn take(&mut self, now: Timestamp) -> Vec<ObjectId> {
        let mut taken = Vec::new();
        while let Some((time, _)) = self.order.first()
            && *time <= now
            && let Some((_, id)) = self.order.pop_first()
        {
            self.times.remove(&id);
            taken.push(id);
        }
        taken
    }

    /// When the next time comes.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.order.first().map(|(time, _)| *time)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use watershed_compile::ObjectKey;

    use super::*;
    use crate::object::ObjectKind;

    #[test]
    fn an_object_has_one_time() {
        let id = |name: &str| ObjectId::new(ObjectKind::PolicyRecord, ObjectKey::new("shop", name));
        let at = |seconds| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        let mut wakeups = Wakeups::default();
        wakeups.set(&id("a"), Some(at(10)));
        wakeups.set(&id("b"), Some(at(20)));
        wakeups.no_later_than(&id("b"), at(30));
        wakeups.no_later_than(&id("a"), at(5));
        assert_eq!(wakeups.next(), Some(at(5)));
        assert_eq!(wakeups.take(at(20)), [id("a"), id("b")]);
        assert_eq!(wakeups.next(), None);
        wakeups.set(&id("a"), Some(at(40)));
        wakeups.set(&id("a"), None);
        assert_eq!(wakeups.next(), None);
    }
}

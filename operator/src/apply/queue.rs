//! Writes that wait for their turn: the latest for each part of an object.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::object::{ObjectId, ObjectKind};
use crate::plan::{Part, Write};

/// What a write is about. Of two writes about the same, the later holds.
pub type Subject = (ObjectId, Part);

/// Writes that wait. No two about the same subject are under way at once.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: BTreeMap<Subject, Waiting>,
    /// Those whose time has come, in their order.
    due: BTreeSet<(Rank, u64, Subject)>,
    /// Those that wait for a time.
    later: BTreeSet<(Instant, Subject)>,
    running: BTreeSet<Subject>,
    count: u64,
}

#[derive(Debug)]
struct Waiting {
    write: Write,
    /// Its place among those that are due; `None` while it is for later or
    /// another about its subject is under way.
    place: Option<(Rank, u64)>,
    time: Instant,
}

/// What goes first when there is not enough for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Versions to make: everything else follows from them.
    Making,
    /// What protects objects.
    Holding,
    /// What people wait for.
    Status,
    /// Numbers.
    Minor,
}

impl Rank {
    fn of(write: &Write) -> Self {
        match write {
            Write::Configuration(write) if write.uid.is_none() => Self::Making,
            Write::Configuration(_) => Self::Holding,
            Write::Status(write) if write.is_minor => Self::Minor,
            Write::Status(write) if write.id.kind == ObjectKind::DNSFleet => Self::Minor,
            Write::Status(_) => Self::Status,
            Write::Deletion(_) => Self::Minor,
        }
    }
}

impl Queue {
    /// Puts a write in the place of an earlier one about its subject. It
    /// begins at `time`, or when the earlier one would have.
    pub fn put(&mut self, write: Write, time: Instant) {
        let subject = (write.id().clone(), write.part());
        let former = self.remove(&subject);
        let time = former.map_or(time, |former| former.time.min(time));
        if !self.running.contains(&subject) {
            self.later.insert((time, subject.clone()));
        }
        let waiting = Waiting {
            write,
            place: None,
            time,
        };
        self.waiting.insert(subject, waiting);
    }

    /// The write to begin now. It is under way until [`finish`](Self::finish).
    pub fn next(&mut self, now: Instant) -> Option<Write> {
        while let Some((time, _)) = self.later.first()
            && *time <= now
            && let Some((_, subject)) = self.later.pop_first()
        {
            self.place(subject);
        }
        let (_, _, subject) = self.due.pop_first()?;
        let waiting = self.waiting.remove(&subject)?;
        self.running.insert(subject);
        Some(waiting.write)
    }

    /// When the next write may begin; `None` when none waits. Earlier than
    /// `now` when one is due.
    pub fn next_time(&self, now: Instant) -> Option<Instant> {
        if !self.due.is_empty() {
            return Some(now);
        }
        self.later.first().map(|(time, _)| *time)
    }

    /// A write has ended.
    pub fn finish(&mut self, subject: &Subject) {
        self.running.remove(subject);
        if let Some(waiting) = self.waiting.get(subject) {
            self.later.insert((waiting.time, subject.clone()));
        }
    }

    /// Forgets what waits. What is under way goes on.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.due.clear();
        self.later.clear();
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn place(&mut self, subject: Subject) {
        let Some(waiting) = self.waiting.get_mut(&subject) else {
            return;
        };
        self.count += 1;
        let place = (Rank::of(&waiting.write), self.count);
        waiting.place = Some(place);
        self.due.insert((place.0, place.1, subject));
    }

    fn remove(&mut self, subject: &Subject) -> Option<Waiting> {
        let waiting = self.waiting.remove(subject)?;
        self.later.remove(&(waiting.time, subject.clone()));
        if let Some((rank, number)) = waiting.place {
            self.due.remove(&(rank, number, subject.clone()));
        }
        Some(waiting)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use watershed_compile::ObjectKey;

    use super::*;
    use crate::plan::{Configuration, StatusWrite};

    fn id(name: &str) -> ObjectId {
        ObjectId::new(ObjectKind::PolicyRecord, ObjectKey::new("shop", name))
    }

    fn status(name: &str, value: u32, is_minor: bool) -> Write {
        Write::Status(StatusWrite {
            id: id(name),
            uid: "u".to_owned(),
            status: json!({"value": value}),
            notices: Vec::new(),
            is_minor,
        })
    }

    fn make(name: &str) -> Write {
        Write::Configuration(Configuration {
            id: id(name),
            uid: None,
            in_use: false,
            minted: None,
            notice: None,
        })
    }

    fn name(write: Option<Write>) -> String {
        write.map_or_else(
            || "none".to_owned(),
            |write| match write {
                Write::Status(write) => format!("{} {}", write.id.key.name, write.status["value"]),
                other => other.id().key.name.clone(),
            },
        )
    }

    #[test]
    fn the_latest_holds_and_keeps_its_turn() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.put(status("a", 1, false), now);
        queue.put(status("b", 1, false), now + Duration::from_secs(1));
        queue.put(status("a", 2, false), now + Duration::from_secs(9));
        assert_eq!(name(queue.next(now)), "a 2");
        assert_eq!(name(queue.next(now)), "none");
        assert_eq!(queue.next_time(now), Some(now + Duration::from_secs(1)));
        assert_eq!(name(queue.next(now + Duration::from_secs(1))), "b 1");
        assert_eq!(queue.next_time(now), None);
    }

    #[test]
    fn what_others_depend_on_goes_first() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.put(status("numbers", 1, true), now);
        queue.put(status("news", 1, false), now);
        queue.put(make("web-v2"), now);
        let order: Vec<String> = (0..4).map(|_| name(queue.next(now))).collect();
        assert_eq!(order, ["web-v2", "news 1", "numbers 1", "none"]);
    }

    #[test]
    fn one_subject_is_written_once_at_a_time() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.put(status("a", 1, false), now);
        assert_eq!(name(queue.next(now)), "a 1");
        queue.put(status("a", 2, false), now);
        assert_eq!(name(queue.next(now)), "none");
        assert_eq!(queue.next_time(now), None);
        queue.finish(&(id("a"), Part::Status));
        assert_eq!(name(queue.next(now)), "a 2");
    }
}

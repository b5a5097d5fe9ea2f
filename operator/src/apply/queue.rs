//! Writes that wait for their turn: the latest for each part of an object.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::turns::{Place, Rank, Turns};
use crate::object::ObjectId;
use crate::plan::{Part, Write};

/// What a write is about. Of two writes about the same, the later holds.
pub type Subject = (ObjectId, Part);

/// Writes that are under way at once.
const AT_ONCE: usize = 16;

/// Writes that wait. No two about the same subject are under way at once.
///
/// Namespaces take turns. One begins another write only while at least as many
/// places are free as it would then have: alone it has half of them, the next
/// one half of what is left, and so on; the sixth waits for the next write that
/// ends. So writes that take long, as those of large documents do, hold up
/// their own team first of all.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: BTreeMap<Subject, Waiting>,
    /// Those whose time has come.
    due: Turns,
    /// Those that wait for a time.
    later: BTreeSet<(Instant, Subject)>,
    running: BTreeSet<Subject>,
}

#[derive(Debug)]
struct Waiting {
    write: Write,
    /// Its place among those that are due; `None` while it is for later or
    /// another about its subject is under way.
    place: Option<Place>,
    time: Instant,
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

    /// Whether there is a write to begin now.
    pub fn has_next(&mut self, now: Instant) -> bool {
        while let Some((time, _)) = self.later.first()
            && *time <= now
            && let Some((_, subject)) = self.later.pop_first()
        {
            self.place(subject);
        }
        self.due.has_next(may_begin(&self.running))
    }

    /// The write to begin now. It is under way until [`finish`](Self::finish).
    pub fn next(&mut self, now: Instant) -> Option<Write> {
        if !self.has_next(now) {
            return None;
        }
        let subject = self.due.next(may_begin(&self.running))?;
        let waiting = self.waiting.remove(&subject)?;
        self.running.insert(subject);
        Some(waiting.write)
    }

    /// When the next write may begin, unless others end before; `None` when
    /// none waits for a time. `now` when one can begin.
    pub fn next_time(&self, now: Instant) -> Option<Instant> {
        if self.due.has_next(may_begin(&self.running)) {
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
        let rank = Rank::of(&waiting.write);
        waiting.place = Some(self.due.add(rank, subject));
    }

    fn remove(&mut self, subject: &Subject) -> Option<Waiting> {
        let waiting = self.waiting.remove(subject)?;
        self.later.remove(&(waiting.time, subject.clone()));
        if let Some(place) = waiting.place {
            self.due.remove(place, subject);
        }
        Some(waiting)
    }
}

/// Whether a namespace may begin another write, beside those under way.
fn may_begin(running: &BTreeSet<Subject>) -> impl Fn(&str) -> bool {
    let free = AT_ONCE.saturating_sub(running.len());
    move |namespace| {
        let of_it = running.iter();
        let of_it = of_it.filter(|(id, _)| id.key.namespace == namespace);
        free > of_it.count()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use watershed_compile::ObjectKey;

    use super::*;
    use crate::object::ObjectKind;
    use crate::plan::{Configuration, StatusWrite};

    fn id(name: &str) -> ObjectId {
        in_namespace("shop", name)
    }

    fn in_namespace(namespace: &str, name: &str) -> ObjectId {
        ObjectId::new(ObjectKind::PolicyRecord, ObjectKey::new(namespace, name))
    }

    fn status(name: &str, value: u32, is_minor: bool) -> Write {
        status_of(id(name), value, is_minor)
    }

    fn status_of(id: ObjectId, value: u32, is_minor: bool) -> Write {
        Write::Status(StatusWrite {
            id,
            uid: "u".to_owned(),
            status: json!({"value": value}),
            notices: Vec::new(),
            is_minor,
        })
    }

    fn make(name: &str) -> Write {
        make_of(id(name))
    }

    fn make_of(id: ObjectId) -> Write {
        Write::Configuration(Configuration {
            id,
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

    /// The namespaces of the writes that may begin, each of which ends at once.
    fn turns(queue: &mut Queue, now: Instant) -> String {
        let mut turns = String::new();
        while let Some(write) = queue.next(now) {
            turns += &write.id().key.namespace;
            queue.finish(&(write.id().clone(), write.part()));
        }
        turns
    }

    #[test]
    fn namespaces_take_turns_whatever_they_want() {
        let now = Instant::now();
        let mut queue = Queue::default();
        for number in 0..6 {
            queue.put(make_of(in_namespace("b", &format!("web-v{number}"))), now);
        }
        queue.put(status_of(in_namespace("a", "www"), 1, false), now);
        queue.put(status_of(in_namespace("c", "www"), 1, false), now);
        queue.put(status_of(in_namespace("c", "cart"), 1, false), now);
        assert_eq!(turns(&mut queue, now), "abcbcbbbb");
    }

    #[test]
    fn numbers_wait_for_news_but_not_for_ever() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.put(status_of(in_namespace("n", "www"), 1, true), now);
        for number in 0..10 {
            let id = in_namespace("b", &format!("r{number}"));
            queue.put(status_of(id, 1, false), now);
        }
        assert_eq!(turns(&mut queue, now), "bbbbbbbnbbb");
    }

    #[test]
    fn a_place_is_left_for_who_has_none() {
        let now = Instant::now();
        let mut queue = Queue::default();
        let mut begun = String::new();
        for namespace in ["a", "b", "c"] {
            for number in 0..AT_ONCE {
                let id = in_namespace(namespace, &format!("r{number}"));
                queue.put(status_of(id, 1, false), now);
            }
            while let Some(write) = queue.next(now) {
                begun += &write.id().key.namespace;
            }
            assert_eq!(queue.next_time(now), None, "something must end before");
        }
        assert_eq!(begun, "aaaaaaaabbbbcc");
        let (ended, _) = queue.running.first().cloned().expect("some are under way");
        queue.finish(&(ended, Part::Status));
        let next = queue.next(now);
        let namespace = next.map(|write| write.id().key.namespace.clone());
        assert_eq!(namespace.as_deref(), Some("c"), "who has least");
    }
}

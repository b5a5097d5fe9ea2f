//! Whose turn it is: namespaces come one after the other, so that however much
//! one team asks for, it keeps no other waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included, Unbounded};

use super::queue::Subject;
use crate::object::ObjectKind;
use crate::plan::Write;

/// Of so many turns numbers have one, while there is news as well.
const FOR_NUMBERS: u64 = 8;

/// What goes first of a namespace when there is not enough for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
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
    pub(super) fn of(write: &Write) -> Self {
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

/// Where a subject stands in its namespace.
pub(super) type Place = (Rank, u64);

/// Subjects that are due.
#[derive(Debug, Default)]
pub(super) struct Turns {
    news: Ring,
    numbers: Ring,
    placed: u64,
    given: u64,
}

impl Turns {
    /// Adds a subject; where it stands.
    pub(super) fn add(&mut self, rank: Rank, subject: Subject) -> Place {
        self.placed += 1;
        let place = (rank, self.placed);
        self.ring(rank).add(place, subject);
        place
    }

    /// Takes a subject out that stands at a place.
    pub(super) fn remove(&mut self, place: Place, subject: &Subject) {
        self.ring(place.0).remove(place, subject);
    }

    /// The subject whose turn it is, of a namespace that `may` go on.
    pub(super) fn next(&mut self, may: impl Fn(&str) -> bool) -> Option<Subject> {
        let mut rings = [&mut self.news, &mut self.numbers];
        if (self.given + 1).is_multiple_of(FOR_NUMBERS) {
            rings.reverse();
        }
        let subject = rings.into_iter().find_map(|ring| ring.next(&may))?;
        self.given += 1;
        Some(subject)
    }

    /// Whether there is one of a namespace that `may` go on.
    pub(super) fn has_next(&self, may: impl Fn(&str) -> bool) -> bool {
        let rings = [&self.news, &self.numbers];
        rings.into_iter().any(|ring| ring.whose(&may).is_some())
    }

    /// Forgets all subjects.
    pub(super) fn clear(&mut self) {
        self.news.waiting.clear();
        self.numbers.waiting.clear();
    }

    fn ring(&mut self, rank: Rank) -> &mut Ring {
        match rank {
            Rank::Minor => &mut self.numbers,
            Rank::Making | Rank::Holding | Rank::Status => &mut self.news,
        }
    }
}

/// Namespaces in a circle.
#[derive(Debug, Default)]
struct Ring {
    /// Never with an empty set.
    waiting: BTreeMap<String, BTreeSet<(Place, Subject)>>,
    /// Whose turn it was last.
    last: String,
}

impl Ring {
    fn add(&mut self, place: Place, subject: Subject) {
        let namespace = subject.0.key.namespace.clone();
        let waiting = self.waiting.entry(namespace).or_default();
        waiting.insert((place, subject));
    }

    fn remove(&mut self, place: Place, subject: &Subject) {
        let namespace = &subject.0.key.namespace;
        if let Some(waiting) = self.waiting.get_mut(namespace) {
            waiting.remove(&(place, subject.clone()));
            if waiting.is_empty() {
                self.waiting.remove(namespace);
            }
        }
    }

    /// The first namespace after the last one, around the circle.
    fn whose(&self, may: impl Fn(&str) -> bool) -> Option<&str> {
        let after = (Excluded(self.last.as_str()), Unbounded);
        let after = self.waiting.range::<str, _>(after);
        let until = (Unbounded, Included(self.last.as_str()));
        let others = self.waiting.range::<str, _>(until);
        let mut circle = after.chain(others).map(|(namespace, _)| namespace.as_str());
        circle.find(|namespace| may(namespace))
    }

    fn next(&mut self, may: impl Fn(&str) -> bool) -> Option<Subject> {
        let namespace = self.whose(may)?.to_owned();
        let (place, subject) = self.waiting.get(&namespace)?.first()?.clone();
        self.remove(place, &subject);
        self.last = namespace;
        Some(subject)
    }
}

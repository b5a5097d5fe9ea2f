//! What a watch has told so far, so that a restarted one tells what is gone.

use std::collections::BTreeSet;

use kube::core::DynamicObject;
use kube::runtime::watcher::Event;
use watershed_compile::ObjectKey;

use super::source::key;
use super::{Change, Source};

/// The objects that one watch knows of.
pub(super) struct Listing {
    source: Source,
    watch: usize,
    known: BTreeSet<ObjectKey>,
    /// While the watch lists: what it has listed.
    listed: BTreeSet<ObjectKey>,
}

impl Listing {
    /// Nothing is known yet by this watch.
    pub(super) fn new(watch: usize, source: Source) -> Self {
        Self {
            source,
            watch,
            known: BTreeSet::new(),
            listed: BTreeSet::new(),
        }
    }

    /// What an event tells.
    pub(super) fn take(&mut self, event: Event<DynamicObject>) -> Vec<Change> {
        match event {
            Event::Init => {
                self.listed.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                self.listed.insert(key(&object));
                vec![self.source.present(object)]
            }
            Event::InitDone => self.listed(),
            Event::Apply(object) => {
                self.known.insert(key(&object));
                vec![self.source.present(object)]
            }
            Event::Delete(object) => {
                let key = key(&object);
                self.known.remove(&key);
                vec![self.source.gone(key)]
            }
        }
    }

    /// Whatever was not listed went while nobody watched.
    fn listed(&mut self) -> Vec<Change> {
        let listed = std::mem::take(&mut self.listed);
        let gone = self.known.difference(&listed).cloned();
        let mut changes: Vec<Change> = gone.map(|key| self.source.gone(key)).collect();
        changes.push(match self.source {
            // Nothing waits for them: names are answered without.
            Source::EndpointSlices => Change::SlicesListed,
            source => Change::Synced(self.watch, source),
        });
        self.known = listed;
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(name: &str) -> DynamicObject {
        DynamicObject::new(name, &Source::Namespaces.resource(None))
    }

    fn told(changes: Vec<Change>) -> Vec<String> {
        let told = changes.into_iter().map(|change| match change {
            Change::Namespace(name, Some(_)) => format!("+{name}"),
            Change::Namespace(name, None) => format!("-{name}"),
            Change::Synced(..) => "synced".to_owned(),
            other => format!("{other:?}"),
        });
        told.collect()
    }

    #[test]
    fn what_went_during_an_interruption_is_told() {
        let mut listing = Listing::new(0, Source::Namespaces);
        let mut take = |event| told(listing.take(event));
        assert!(take(Event::Init).is_empty());
        assert_eq!(take(Event::InitApply(namespace("a"))), ["+a"]);
        assert_eq!(take(Event::InitApply(namespace("b"))), ["+b"]);
        assert_eq!(take(Event::InitDone), ["synced"]);
        assert_eq!(take(Event::Apply(namespace("c"))), ["+c"]);
        assert_eq!(take(Event::Delete(namespace("a"))), ["-a"]);

        assert!(take(Event::Init).is_empty());
        assert_eq!(take(Event::InitApply(namespace("c"))), ["+c"]);
        assert_eq!(take(Event::InitDone), ["-b", "synced"]);
    }

    #[test]
    fn a_listing_that_breaks_off_takes_nothing_away() {
        let mut listing = Listing::new(0, Source::Namespaces);
        let mut take = |event| told(listing.take(event));
        take(Event::Init);
        take(Event::InitApply(namespace("a")));
        take(Event::InitDone);
        take(Event::Init);
        assert!(take(Event::Init).is_empty());
        take(Event::InitApply(namespace("a")));
        assert_eq!(take(Event::InitDone), ["synced"]);
    }
}

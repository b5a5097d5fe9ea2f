//! A generation record that remembers all that it ever was.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use watershed_operator::fleet::FleetName;
use watershed_operator::generation::{
    ClaimError, GenerationStore, MemoryStore, Record, StoreError,
};
use watershed_snapshot::{Digest, Held, SnapshotId};

/// The contents of all generations that were ever recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    contents: BTreeMap<SnapshotId, Digest>,
}

impl History {
    /// `next` took the place of `expected`: ids grow, whatever was lost before.
    pub(crate) fn record(&mut self, expected: Option<&Record>, next: &Record) {
        let known = expected.is_some_and(|expected| expected.held == next.held);
        // Generation 0 has no content.
        if known || next.held.id.generation == 0 {
            return;
        }
        if let Some(newest) = self.newest() {
            assert!(
                newest.id < next.held.id || newest == next.held,
                "{} is recorded after {}",
                next.held.id,
                newest.id
            );
        }
        self.contents.insert(next.held.id, next.held.digest);
    }

    pub(crate) fn newest(&self) -> Option<Held> {
        let (id, digest) = self.contents.last_key_value()?;
        Some(Held {
            id: *id,
            digest: *digest,
        })
    }

    /// What was recorded under an id.
    pub(crate) fn content(&self, id: SnapshotId) -> Option<Digest> {
        self.contents.get(&id).copied()
    }
}

/// A store that keeps its history.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    store: MemoryStore,
    history: Arc<Mutex<History>>,
}

impl Recorder {
    pub(crate) fn newest(&self) -> Option<Held> {
        self.history.lock().unwrap().newest()
    }
}

impl GenerationStore for Recorder {
    fn read<'a>(
        &'a self,
        fleet: &'a FleetName,
    ) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        self.store.read(fleet)
    }

    fn claim<'a>(
        &'a self,
        fleet: &'a FleetName,
        expected: Option<&'a Record>,
        next: &'a Record,
    ) -> BoxFuture<'a, Result<(), ClaimError>> {
        async move {
            self.store.swap(fleet, expected, next)?;
            self.history.lock().unwrap().record(expected, next);
            Ok(())
        }
        .boxed()
    }
}

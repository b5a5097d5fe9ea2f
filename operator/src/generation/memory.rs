//! A record in memory, for tests and for trying things out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{ClaimError, GenerationStore, Record, StoreError};
use crate::fleet::FleetName;

/// Records in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    records: Arc<Mutex<HashMap<FleetName, Record>>>,
}

impl MemoryStore {
    /// What is recorded for `fleet`.
    pub fn get(&self, fleet: &FleetName) -> Option<Record> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.get(fleet).cloned()
    }

    /// Puts `next` in the place of `expected`.
    ///
    /// # Errors
    /// [`ClaimError::Lost`] when something else is recorded.
    pub fn swap(
        &self,
        fleet: &FleetName,
        expected: Option<&Record>,
        next: &Record,
    ) -> Result<(), ClaimError> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.get(fleet) != expected {
            return Err(ClaimError::Lost(records.get(fleet).cloned()));
        }
        records.insert(fleet.clone(), next.clone());
        Ok(())
    }

    /// Forgets what is recorded for `fleet`.
    pub fn forget(&self, fleet: &FleetName) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.remove(fleet);
    }
}

impl GenerationStore for MemoryStore {
    fn read<'a>(
        &'a self,
        fleet: &'a FleetName,
    ) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        async move { Ok(self.get(fleet)) }.boxed()
    }

    fn claim<'a>(
        &'a self,
        fleet: &'a FleetName,
        expected: Option<&'a Record>,
        next: &'a Record,
    ) -> BoxFuture<'a, Result<(), ClaimError>> {
        async move { self.swap(fleet, expected, next) }.boxed()
    }
}

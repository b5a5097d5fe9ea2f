//! A lease in memory.

use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::lease::{Found, Lease};
use super::store::{Failure, LeaseStore};

/// A lease in memory, for tests. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryLease {
    found: Arc<Mutex<Option<Found>>>,
}

impl MemoryLease {
    /// The lease as it is now.
    pub fn found(&self) -> Option<Found> {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Writes as the API server does, at once.
    ///
    /// # Errors
    /// [`Failure::Conflict`] when the lease has another version.
    pub fn swap(&self, lease: &Lease, version: Option<&str>) -> Result<String, Failure> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let present = found.as_ref().map(|found| found.version.as_str());
        if present != version {
            return Err(Failure::Conflict);
        }
        let next = present
            .and_then(|version| version.parse().ok())
            .unwrap_or(0_u64)
            + 1;
        let version = next.to_string();
        *found = Some(Found {
            lease: lease.clone(),
            version: version.clone(),
        });
        Ok(version)
    }
}

impl LeaseStore for MemoryLease {
    fn read(&self) -> BoxFuture<'_, Result<Option<Found>, Failure>> {
        async move { Ok(self.found()) }.boxed()
    }

    fn write<'a>(
        &'a self,
        lease: &'a Lease,
        version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<String, Failure>> {
        async move { self.swap(lease, version) }.boxed()
    }
}

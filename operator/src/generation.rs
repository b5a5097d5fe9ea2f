//! The record of generations: compare-and-swap, so that whatever the order of
//! events no generation is ever given to two contents, or lowered.

use std::fmt;

use futures::future::BoxFuture;
use watershed_snapshot::{Held, Term};

use crate::fleet::FleetName;

mod configmap;
mod memory;

pub use configmap::{ConfigMapStore, RECORD_NAME};
pub use memory::MemoryStore;

/// What is recorded for a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The newest generation and its content.
    pub held: Held,
    /// The term of the leader that recorded it.
    pub term: Term,
}

/// Where generations are recorded.
pub trait GenerationStore: Send + Sync {
    /// What is recorded for `fleet`; `None` when nothing ever was.
    ///
    /// # Errors
    /// When the store does not answer, or what it holds is no record.
    fn read<'a>(
        &'a self,
        fleet: &'a FleetName,
    ) -> BoxFuture<'a, Result<Option<Record>, StoreError>>;

    /// Puts `next` in the place of `expected`, in one step.
    ///
    /// # Errors
    /// When something else is recorded, and as for `read`. After an error of
    /// the store it is not known whether `next` was recorded.
    fn claim<'a>(
        &'a self,
        fleet: &'a FleetName,
        expected: Option<&'a Record>,
        next: &'a Record,
    ) -> BoxFuture<'a, Result<(), ClaimError>>;
}

/// Why a claim did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Somebody else recorded something.
    #[error("another record was written meanwhile: {}", Found(.0.as_ref()))]
    Lost(Option<Record>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a store could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It did not answer, or refused. Trying again may help.
    #[error("{place} cannot be reached: {message}")]
    Unavailable {
        /// What was asked for.
        place: String,
        /// The answer.
        message: String,
    },
    /// What is there is no record. It is left alone: a record written over it
    /// could lower a generation.
    #[error(
        "{place} is not a generation record: {message}; correct it, or delete it to begin a new epoch"
    )]
    Unreadable {
        /// What was read.
        place: String,
        /// What is wrong with it.
        message: String,
    },
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of term {}", self.held.id, self.term.0)
    }
}

struct Found<'a>(Option<&'a Record>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(record) => record.fmt(f),
            None => f.write_str("none"),
        }
    }
}

//! What to write about objects, as a pure function of what is known.
//!
//! A plan holds only what differs from what is there or already under way, so
//! that a world in which nothing changes plans nothing.

mod configuration;
mod fleets;
mod foresight;
mod health;
mod notices;
mod planner;
mod policies;
mod records;
mod text;
mod versions;
mod write;
mod zones;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

pub use fleets::Fleets;
pub use foresight::foresee;
pub use planner::Planner;
pub use write::{Configuration, Deletion, Minted, Notice, Part, StatusWrite, Write};

use crate::object::ObjectId;

/// What to write, and when to look again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// What to write.
    pub writes: Vec<Write>,
    /// Objects to be looked at again at a time, although nothing changes.
    pub again: BTreeMap<ObjectId, Timestamp>,
    /// Objects about which nodes may still report something.
    pub awaiting: BTreeSet<ObjectId>,
}

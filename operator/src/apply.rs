//! Writes to the API: which goes next, how many, and what becomes of each.

mod announcer;
mod budget;
mod queue;
mod turns;
mod writer;

pub use announcer::Announcer;
pub use budget::Budget;
pub use queue::{Queue, Subject};
pub use writer::{Outcome, Writer};

//! What the API server tells: one watch for each kind, all of them feeding one
//! stream of changes.

mod addresses;
mod change;
mod gateway;
mod grants;
mod listing;
mod slices;
mod source;
mod task;

pub use change::{Change, Observed};
pub use source::{Source, observe};
pub use task::{Watches, WatchesConfig};

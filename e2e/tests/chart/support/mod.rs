//! What all tests of the suite use.

mod site;

use std::time::Duration;

pub use site::{HOME, NEXT, Site};
pub use watershed_e2e::page::Page;

/// Longest time for anything that should take no more than some seconds. On a
/// busy machine with two processors a pod takes a while to start.
pub const SOON: Duration = Duration::from_mins(2);

//! What all tests of the suite use.

pub use watershed_e2e::fleet::{Fleet, HOME, SOON, Setup};

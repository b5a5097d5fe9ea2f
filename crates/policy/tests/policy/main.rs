//! Tests of the decision core through its public interface.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bounded;
mod checks;
mod failback;
mod properties;
mod support;

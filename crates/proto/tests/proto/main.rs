//! The protocol through the public interface.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod checks;
mod health;
mod hostile;
mod messages;
mod resources;
mod stages;
mod support;

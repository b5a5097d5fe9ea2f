//! Tests of the compiler: manifests in, findings, plans and snapshots out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod arrival;
mod checks;
mod digest;
mod documents;
mod follower;
mod incremental;
mod minting;
mod properties;
mod restart;
mod serving;
mod support;
mod universe;

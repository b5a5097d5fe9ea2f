//! Tests of the compiler: manifests in, findings, plans and snapshots out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod digest;
mod documents;
mod incremental;
mod minting;
mod properties;
mod serving;
mod support;
mod universe;

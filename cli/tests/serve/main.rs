//! `watershed serve` as its users meet it: the real binary, a real directory,
//! real queries.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod changes;
mod hostnames;
#[path = "../support/http.rs"]
mod http;
mod inputs;
mod limit;
mod probes;
mod server;
mod start;
mod versions;

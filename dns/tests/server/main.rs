//! The DNS node from outside: packets in, packets out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod answers;
mod clients;
mod common;
mod limit;
mod paths;
mod protocol;
mod udp;
mod wire;

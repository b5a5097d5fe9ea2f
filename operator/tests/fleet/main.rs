//! The publisher of a fleet against real nodes' state machines, on a network
//! that loses, delays and cuts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod cases;
mod content;
mod enrol;
mod health;
mod history;
mod network;
mod partitions;
mod schedules;
mod world;

//! The DNS node as a member of a fleet: the state machine under any order of
//! messages, the store, and the program against an operator.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod enrol;
mod health;
mod page;
mod program;
mod schedules;
mod store;
mod subscriber;
mod support;
mod trouble;

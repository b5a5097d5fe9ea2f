//! The corpus of decisions under `cases/`, run three ways: against the
//! library, the command line and a real DNS node.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken corpus or node ends the test"
)]

mod command;
mod corpus;
mod expect;
mod library;
mod page;
mod sticky;
mod wire;

/// Fails with all the mismatches of a run, each with its case.
fn assert_none(mismatches: &[String], cases: usize) {
    assert!(
        mismatches.is_empty(),
        "{} mismatches in {cases} cases:\n{}",
        mismatches.len(),
        mismatches.join("\n")
    );
}

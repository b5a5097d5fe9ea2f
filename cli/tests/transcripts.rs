//! The files in `transcripts/` are what the program prints.
//!
//! Each holds commands (`$ watershed …`, run in the root of the repository)
//! with their output, both streams together. `make generate` writes the
//! output anew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{Format, check};

#[test]
fn the_program_prints_what_the_transcripts_say() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let entries = fs::read_dir(directory).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let commands = check(&files, Format::Transcript, |_| true);
    assert!(commands >= files.len(), "a transcript has no command");
}

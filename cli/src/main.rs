//! The `watershed` command.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    watershed::run(watershed::args::Cli::parse())
}

//! The programs as they were built beside the tests.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::tree;

/// A command that runs the `watershed` program in the root of the workspace,
/// without colours.
///
/// # Errors
/// The program was not built: `cargo test --workspace` builds it, a test of
/// this package alone does not.
pub fn watershed() -> Result<Command> {
    let mut command = Command::new(path("watershed")?);
    command.current_dir(tree::root()).env("NO_COLOR", "1");
    Ok(command)
}

/// What `PROGRAM ARGS --help` prints, whatever the environment is.
///
/// # Errors
/// As [`output`].
pub fn help(program: &str, args: &[&str]) -> Result<String> {
    let mut command = Command::new(path(program)?);
    let output = command.env_clear().args(args).arg("--help").output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program} {} --help failed:\n{error}",
        args.join(" ")
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// What `watershed ARGS` prints, when it succeeds.
///
/// # Errors
/// The program cannot be run, or fails; its own words are in the error.
pub fn output(args: &[&str]) -> Result<String> {
    let output = watershed()?.args(args).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "watershed {} failed:\n{error}",
        args.join(" ")
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Tests run from `target/PROFILE/deps`; programs are one directory up.
fn path(program: &str) -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let profile = this
        .parent()
        .and_then(|deps| deps.parent())
        .context("no target directory")?;
    let program = profile.join(format!("{program}{}", std::env::consts::EXE_SUFFIX));
    ensure!(
        program.exists(),
        "{} is missing: run `cargo test --workspace`",
        program.display()
    );
    Ok(program)
}

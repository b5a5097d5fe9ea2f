//! What does not show in a transcript: colours, pipes, completions.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::io::Read;
use std::process::{Command as Process, Stdio};

use assert_cmd::Command;
use predicates::prelude::*;

const SCENARIO: &str = "../examples/getting-started/scenarios/japan-primary-down.yaml";

fn watershed(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watershed"));
    command.args(args).env_remove("NO_COLOR");
    command
}

#[test]
fn colours_are_for_terminals_unless_asked_for() {
    let coloured = predicate::str::contains("\u{1b}[");
    let explain = |color: &str| watershed(&["explain", SCENARIO, "--color", color]);
    explain("auto")
        .assert()
        .success()
        .stdout(coloured.clone().not());
    explain("never")
        .assert()
        .success()
        .stdout(coloured.clone().not());
    explain("always").assert().success().stdout(coloured);
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let mut child = Process::new(env!("CARGO_BIN_EXE_watershed"))
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Less than the script, more than nothing: then the pipe is closed.
    let mut start = [0; 16];
    child.stdout.take().unwrap().read_exact(&mut start).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(output.status.success());
}

#[test]
fn completions_are_scripts_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = watershed(&["completions", shell]).assert().success();
        script.stdout(predicate::str::contains("simulate"));
    }
}

#[test]
fn every_command_has_help_with_examples() {
    let commands: [&[&str]; 11] = [
        &["serve"],
        &["validate"],
        &["simulate"],
        &["explain"],
        &["graph"],
        &["import"],
        &["import", "route53"],
        &["export", "route53"],
        &["health"],
        &["failback"],
        &["completions"],
    ];
    for command in commands {
        let help = watershed(command).arg("--help").assert().success();
        help.stdout(predicate::str::contains("Examples:\n  watershed"));
    }
}

#[test]
fn version_is_that_of_the_package() {
    let version = watershed(&["--version"]).assert().success();
    version.stdout(format!("watershed {}\n", env!("CARGO_PKG_VERSION")));
}

//! The page with all options of the programs is what their `--help` prints.
//! `scripts/generate` sets `WATERSHED_GENERATE`: then it is written instead of
//! compared.

use std::fmt::Write;
use std::fs;

use anyhow::{Result, ensure};
use watershed_checks::{binary, tree};

const PAGE: &str = "docs/cli-reference.md";

const INTRODUCTION: &str = "# All options

<!-- Written by `make generate`. -->

What `--help` prints, for every command of the three programs. What the commands of `watershed` \
are for is in [command line](cli.md); more about the flags of the others is in \
[the operator](operator.md#running-it) and [a node](fleet.md#a-node-watershed-dns).
";

#[test]
fn the_page_has_the_help_of_every_command() -> Result<()> {
    let mut page = INTRODUCTION.to_owned();
    for program in ["watershed", "watershed-operator", "watershed-dns"] {
        describe(program, &[], &mut page)?;
    }
    let path = tree::root().join(PAGE);
    if std::env::var_os("WATERSHED_GENERATE").is_some() {
        fs::write(path, page)?;
        return Ok(());
    }
    let written = fs::read_to_string(path)?;
    ensure!(written == page, "{PAGE} is stale: run `make generate`");
    Ok(())
}

/// A command, and then each one below it.
fn describe(program: &str, command: &[&str], page: &mut String) -> Result<()> {
    let help = binary::help(program, command)?;
    let title = [&[program], command].concat().join(" ");
    let level = if command.is_empty() { "##" } else { "###" };
    write!(
        page,
        "\n{level} {title}\n\n```text\n{}\n```\n",
        trimmed(&help)
    )?;
    for below in commands(&help) {
        describe(program, &[command, &[below]].concat(), page)?;
    }
    Ok(())
}

/// The names in the list of commands.
fn commands(help: &str) -> Vec<&str> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let list = list.take_while(|line| !line.is_empty());
    // What goes on in a second line is indented further.
    let entries = list.filter_map(|line| line.strip_prefix("  "));
    let entries = entries.filter(|entry| !entry.starts_with(' '));
    let names = entries.filter_map(|entry| entry.split(' ').next());
    names.filter(|name| *name != "help").collect()
}

/// Lines without blanks at their ends.
fn trimmed(help: &str) -> String {
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n")
}

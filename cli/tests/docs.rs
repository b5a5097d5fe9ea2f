//! Every `watershed` command in the documentation prints what the page says.
//!
//! In the Markdown pages of the repository, a block fenced as `console` holds
//! commands (`$ watershed …`, run in the root of the repository by `sh`) and
//! what they print, both streams together. Blocks with more than that word
//! behind the fence are for others, see `checks/tests/commands.rs`. Besides
//! `watershed` only `cat`, `echo` and `printf` are run here; `dig` and `watershed
//! serve` have tests of their own, in `checks/tests/queries.rs`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{Format, check, rewrite, root};

/// Programs that a block may run.
const RUN: [&str; 4] = ["watershed", "cat", "echo", "printf"];
/// Programs that other tests run.
const TESTED_ELSEWHERE: [&str; 1] = ["dig"];

#[test]
fn documented_commands_print_what_the_pages_say() {
    let commands = check(&pages(&root()), Format::Markdown, is_run);
    assert!(commands > 5, "only {commands} commands found in the pages");
}

/// The Markdown pages of the repository, sorted.
fn pages(directory: &Path) -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with('.') || name == "target" || name == "node_modules" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            pages.extend(self::pages(&entry.path()));
        } else if Path::new(&name).extension().is_some_and(|e| e == "md") {
            pages.push(entry.path());
        }
    }
    pages.sort();
    pages
}

/// Whether a command is run here. One of an unknown program must be in a
/// block that says that it is not run, or it would silently go untested.
fn is_run(command: &str) -> bool {
    let program = command.split_whitespace().next().unwrap_or_default();
    let known = RUN.contains(&program);
    assert!(
        known || TESTED_ELSEWHERE.contains(&program),
        "`{command}` is not run by any test: say in its fence who runs it, see checks/tests/commands.rs"
    );
    known && !command.starts_with("watershed serve")
}

#[test]
fn output_is_replaced_command_by_command() {
    let page = "$ watershed a\n```console\n$ watershed x\nold\n$ dig y\nkept\n$ watershed z\n```\nb\n\
                ```console no-run: why\n$ rm\n```\n";
    let mut run = |command: &str| format!("<{command}>\n");
    assert_eq!(
        rewrite(page, Format::Markdown, is_run, &mut run),
        "$ watershed a\n```console\n$ watershed x\n<watershed x>\n$ dig y\nkept\n$ watershed z\n\
         <watershed z>\n```\nb\n```console no-run: why\n$ rm\n```\n"
    );
}

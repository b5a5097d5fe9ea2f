//! Every `watershed` command in the documentation prints what the page says.
//!
//! In the Markdown pages of the repository, a block fenced as `console` holds
//! commands (`$ watershed …`, run in the root of the repository by `sh`) and
//! what they print, both streams together. A block that is not to be run is
//! fenced as `console no-run`. Of other programs only `cat`, `echo` and
//! `printf` are run here; `dig` and `make` have tests of their own.
//!
//! `WATERSHED_GENERATE=1 cargo test --test docs` writes the output into the
//! pages instead of comparing it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs that a block may run.
const RUN: [&str; 4] = ["watershed", "cat", "echo", "printf"];
/// Programs that other tests run.
const TESTED_ELSEWHERE: [&str; 2] = ["dig", "make"];

#[test]
fn documented_commands_print_what_the_pages_say() {
    let generate = std::env::var_os("WATERSHED_GENERATE").is_some();
    let mut stale = Vec::new();
    let mut commands = 0;
    for path in pages(&root()) {
        let text = fs::read_to_string(&path).unwrap();
        let (actual, run) = rewrite(&text, &run);
        commands += run;
        if actual != text && generate {
            fs::write(&path, actual).unwrap();
        } else if actual != text {
            stale.push(difference(&path, &text, &actual));
        }
    }
    assert!(commands > 0, "no command found in any page");
    assert!(
        stale.is_empty(),
        "the documentation does not say what the program prints; if the program is right, run \
         `make generate`\n\n{}",
        stale.join("\n")
    );
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
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

/// The page with the output of its commands as `run` gives it, and how many
/// were run.
fn rewrite(page: &str, run: &impl Fn(&str) -> String) -> (String, usize) {
    let mut actual = String::with_capacity(page.len());
    let mut commands = 0;
    let mut lines = page.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        actual.push_str(line);
        if line.trim_end() != "```console" {
            continue;
        }
        while let Some(line) = lines.next_if(|line| line.trim_end() != "```") {
            let command = line.strip_prefix("$ ").map(str::trim_end);
            let Some(command) = command.filter(|command| is_run(command)) else {
                actual.push_str(line);
                continue;
            };
            commands += 1;
            actual.push_str(line);
            actual.push_str(&run(command));
            // What the page says is left out.
            while lines
                .next_if(|line| !line.starts_with("$ ") && line.trim_end() != "```")
                .is_some()
            {}
        }
    }
    (actual, commands)
}

/// Whether a command is run here. One of an unknown program must be in a
/// block that says that it is not run, or it would silently go untested.
fn is_run(command: &str) -> bool {
    let program = command.split_whitespace().next().unwrap_or_default();
    let known = RUN.contains(&program);
    assert!(
        known || TESTED_ELSEWHERE.contains(&program),
        "`{command}` is not run by any test: fence its block as `console no-run`"
    );
    known
}

/// What a command prints on both streams.
fn run(command: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_watershed"));
    let mut path = OsString::from(program.parent().unwrap());
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let output = Command::new("sh")
        .args(["-c", &format!("{{ {command}\n}} 2>&1")])
        .current_dir(root())
        .env("PATH", path)
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The first line that differs, with its place.
fn difference(path: &Path, expected: &str, actual: &str) -> String {
    let page = path.strip_prefix(root()).unwrap_or(path).display();
    let mut lines = expected.lines().zip(actual.lines()).enumerate();
    match lines.find(|(_, (expected, actual))| expected != actual) {
        Some((index, (expected, actual))) => format!(
            "{page}:{}\n  page:    {expected}\n  program: {actual}",
            index + 1
        ),
        None => format!("{page}: one is shorter than the other"),
    }
}

#[test]
fn output_is_replaced_command_by_command() {
    let page = "a\n```console\n$ watershed x\nold\n$ dig y\nkept\n$ watershed z\n```\nb\n```console no-run\n$ rm\n```\n";
    let (actual, commands) = rewrite(page, &|command| format!("<{command}>\n"));
    assert_eq!(commands, 2);
    assert_eq!(
        actual,
        "a\n```console\n$ watershed x\n<watershed x>\n$ dig y\nkept\n$ watershed z\n<watershed z>\n```\nb\n```console no-run\n$ rm\n```\n"
    );
}

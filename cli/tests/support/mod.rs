//! Commands with their output, in files: run, and compared or written anew.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository, in which the commands run.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Whether files are written instead of compared: `make generate` sets
/// `WATERSHED_GENERATE`.
pub(crate) fn generating() -> bool {
    std::env::var_os("WATERSHED_GENERATE").is_some()
}

/// Where output stands in a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// In blocks of Markdown that are fenced as `console`.
    Markdown,
    /// Everywhere.
    Transcript,
}

/// Runs the commands of `files` and compares, or writes, their output.
/// Returns how many were run.
pub(crate) fn check(files: &[PathBuf], format: Format, is_run: impl Fn(&str) -> bool) -> usize {
    let mut stale = Vec::new();
    let mut commands = 0;
    for path in files {
        let text = fs::read_to_string(path).unwrap();
        let mut run = |command: &str| {
            commands += 1;
            run(command)
        };
        let actual = rewrite(&text, format, &is_run, &mut run);
        if actual != text && generating() {
            fs::write(path, actual).unwrap();
        } else if actual != text {
            stale.push(difference(path, &text, &actual));
        }
    }
    assert!(
        stale.is_empty(),
        "not what the program prints; if the program is right, run `make generate`\n\n{}",
        stale.join("\n")
    );
    commands
}

/// The text with the output of its commands as `run` gives it.
pub(crate) fn rewrite(
    text: &str,
    format: Format,
    is_run: impl Fn(&str) -> bool,
    run: &mut impl FnMut(&str) -> String,
) -> String {
    let mut actual = String::with_capacity(text.len());
    let mut inside = format == Format::Transcript;
    let mut skipping = false;
    for line in text.split_inclusive('\n') {
        if format == Format::Markdown && line.starts_with("```") {
            inside = line.trim_end() == "```console";
            skipping = false;
        }
        match line.strip_prefix("$ ").map(str::trim_end) {
            Some(command) if inside => {
                actual.push_str(line);
                skipping = is_run(command);
                if skipping {
                    actual.push_str(&run(command));
                }
            }
            _ if skipping => {}
            _ => actual.push_str(line),
        }
    }
    actual
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
    let name = path.strip_prefix(root()).unwrap_or(path).display();
    let mut lines = expected.lines().zip(actual.lines()).enumerate();
    match lines.find(|(_, (expected, actual))| expected != actual) {
        Some((index, (expected, actual))) => format!(
            "{name}:{}\n  file:    {expected}\n  program: {actual}",
            index + 1
        ),
        None => format!("{name}: one is shorter than the other"),
    }
}

//! Commands and manifests as pages of the documentation have them.
//!
//! A block fenced as `console suite=NAME` is run by the suite of that name; what
//! it shows must be what is printed, but for numbers and the width of columns.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::tools::{self, Tools, Version, repository};
use crate::{Cluster, binaries, eventually};

/// Longest time until a command prints what the page shows, such as that all is
/// ready.
const SOON: Duration = Duration::from_mins(1);

/// A page.
pub struct Page {
    blocks: Vec<Block>,
}

/// A fenced block.
struct Block {
    /// The heading that it is under.
    heading: String,
    /// What follows the fence, such as `console suite=operator`.
    info: String,
    text: String,
}

/// A command, and what the page shows as printed.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    command: String,
    shown: Vec<String>,
}

impl Step {
    /// Whether it only looks at a cluster, which may not be as it should at once:
    /// new kinds are served after a moment, too.
    fn reads(&self) -> bool {
        let reading = ["get", "describe", "explain"].map(|verb| format!("kubectl {verb} "));
        reading.iter().any(|verb| self.command.starts_with(verb))
    }
}

/// Where commands are run: with the tools and programs in the path.
pub struct Shell {
    directory: PathBuf,
    path: OsString,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Page {
    /// Reads a page, named from the root of the checkout.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(path: &str) -> Result<Self> {
        let text = fs::read_to_string(repository().join(path)).context(path.to_owned())?;
        Ok(Self {
            blocks: blocks(&text),
        })
    }

    /// Does what a section says: applies its manifests and runs its commands, in
    /// their order, as somebody does who follows the page at the root of the
    /// checkout. Returns what the commands printed.
    ///
    /// # Errors
    /// When the section has nothing to do, or a command fails.
    pub async fn follow(&self, heading: &str, cluster: &Cluster) -> Result<String> {
        self.follow_in(repository(), heading, cluster).await
    }

    /// The same in another directory.
    ///
    /// # Errors
    /// As for [`Page::follow`].
    pub async fn follow_in(
        &self,
        directory: impl AsRef<Path>,
        heading: &str,
        cluster: &Cluster,
    ) -> Result<String> {
        let shell = Shell::at(directory, cluster)?;
        let mut printed = String::new();
        let section = self.blocks.iter().filter(|block| block.heading == heading);
        let mut done = 0;
        for block in section {
            match block.info.split(' ').next() {
                Some("yaml") => cluster.apply(&block.text).await?,
                Some("console") if !block.info.contains(" no-run:") => {
                    for step in steps(&block.text) {
                        printed += &shell.run(&step.command).await?;
                    }
                }
                _ => continue,
            }
            done += 1;
        }
        ensure!(done > 0, "{heading:?} has nothing to do");
        Ok(printed)
    }

    /// Runs all blocks of the page that are for this suite, and compares what is
    /// shown. Returns how many commands there were.
    ///
    /// # Errors
    /// When a command fails, or does not print in time what the page shows.
    pub async fn run_all(&self, suite: &str, shell: &Shell) -> Result<usize> {
        let info = format!("console suite={suite}");
        let mut run = 0;
        for block in self.blocks.iter().filter(|block| block.info == info) {
            for step in steps(&block.text) {
                shell.does(&step).await?;
                run += 1;
            }
        }
        Ok(run)
    }
}

impl Shell {
    /// In a directory, with the rights of an administrator of the cluster.
    ///
    /// # Errors
    /// When a tool or program is not built.
    pub fn at(directory: impl AsRef<Path>, cluster: &Cluster) -> Result<Self> {
        let kubectl = Tools::find(Version::Newest)?.kubectl();
        let mut programs = vec![kubectl, binaries::operator()?];
        // The one tool that not every suite has.
        programs.extend(tools::helm().ok());
        let mut path = OsString::new();
        for directory in programs.iter().filter_map(|program| program.parent()) {
            path.push(directory);
            path.push(":");
        }
        path.push(std::env::var_os("PATH").unwrap_or_default());
        Ok(Self {
            directory: directory.as_ref().to_owned(),
            path,
            environment: cluster.environment(),
        })
    }

    /// Runs a command; where it only reads, or shows something, as often as it
    /// takes until it prints that.
    async fn does(&self, step: &Step) -> Result<()> {
        if step.shown.is_empty() && !step.reads() {
            self.run(&step.command).await?;
            return Ok(());
        }
        let what = format!("what the page shows for {}", step.command);
        eventually(&what, SOON, async || {
            let printed = self.run(&step.command).await?;
            let lines: Vec<String> = printed.lines().map(comparable).collect();
            for line in &step.shown {
                ensure!(
                    lines.contains(&comparable(line)),
                    "there is no line `{line}` in\n{printed}"
                );
            }
            Ok(())
        })
        .await
    }

    /// Runs a command, and returns what it printed.
    ///
    /// # Errors
    /// When it fails; with what it said.
    pub async fn run(&self, command: &str) -> Result<String> {
        let output = self.output(command).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        let printed = String::from_utf8(output.stdout)?;
        // It is how diff says that it found something.
        let differs = command.starts_with("diff ") && output.status.code() == Some(1);
        ensure!(
            output.status.success() || differs,
            "{command}: {}: {said}{printed}",
            output.status
        );
        Ok(printed)
    }

    async fn output(&self, command: &str) -> Result<Output> {
        let mut shell = Command::new("bash");
        shell
            .args(["-euo", "pipefail", "-c", command])
            .current_dir(&self.directory)
            .env("PATH", &self.path)
            .envs(self.environment.clone())
            .stdin(Stdio::null());
        Ok(tokio::task::spawn_blocking(move || shell.output()).await??)
    }
}

/// The fenced blocks of a page, with the headings that they are under.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut heading = String::new();
    let mut inside = false;
    for line in page.lines() {
        if let Some(info) = line.strip_prefix("```") {
            inside = !inside;
            if inside {
                blocks.push(Block {
                    heading: heading.clone(),
                    info: info.to_owned(),
                    text: String::new(),
                });
            }
        } else if let Some(block) = blocks.last_mut().filter(|_| inside) {
            block.text += line;
            block.text.push('\n');
        } else if line.starts_with('#') {
            line.trim_start_matches('#').trim().clone_into(&mut heading);
        }
    }
    blocks
}

/// The commands after `$ `, with the lines that continue them: after a
/// backslash, or behind `> `.
fn steps(block: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut continues = false;
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                command: command.to_owned(),
                shown: Vec::new(),
            });
        } else if let Some(step) = steps.last_mut() {
            let more = line.strip_prefix("> ");
            // A line that diff prints begins so, too, but not right after it.
            let more = more.filter(|_| step.shown.is_empty());
            match more.or(continues.then_some(line)) {
                Some(more) => {
                    step.command.push('\n');
                    step.command.push_str(more);
                }
                None => step.shown.push(line.to_owned()),
            }
        }
        continues = line.ends_with('\\');
    }
    steps
}

/// A line without what differs from one time to the next: each number is one
/// digit, and columns are one blank apart.
fn comparable(line: &str) -> String {
    let mut plain = String::new();
    for word in line.split_whitespace() {
        if !plain.is_empty() {
            plain.push(' ');
        }
        for letter in word.chars() {
            let digit = letter.is_ascii_digit();
            if !(digit && plain.ends_with('0')) {
                plain.push(if digit { '0' } else { letter });
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_their_continuations_and_what_is_shown() {
        let block = "$ a \\\n    b # why\n$ for x in y; do\n>   c\n> done\n$ d\n1c1\n> e\n";
        let step = |command: &str, shown: &[&str]| Step {
            command: command.to_owned(),
            shown: shown.iter().map(|&line| line.to_owned()).collect(),
        };
        let expected = [
            step("a \\\n    b # why", &[]),
            step("for x in y; do\n  c\ndone", &[]),
            step("d", &["1c1", "> e"]),
        ];
        assert_eq!(steps(block), expected);
    }

    #[test]
    fn numbers_and_widths_do_not_matter() {
        assert_eq!(comparable("a-1   3/3  12s "), comparable("a-22 0/3 4s"));
        assert_ne!(comparable("a True"), comparable("a False"));
    }
}

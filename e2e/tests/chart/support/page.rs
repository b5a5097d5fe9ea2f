//! Commands and manifests as pages of the documentation have them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use watershed_e2e::tools::{self, Tools, Version, repository};
use watershed_e2e::{Cluster, binaries};

/// A page.
pub struct Page {
    text: String,
}

/// A fenced block.
struct Block<'p> {
    kind: &'p str,
    text: String,
}

impl Page {
    /// Reads a page, named from the root of the checkout.
    pub fn read(path: &str) -> Result<Self> {
        let text = fs::read_to_string(repository().join(path)).context(path.to_owned())?;
        Ok(Self { text })
    }

    /// Does what a section says: applies its manifests and runs its commands, in
    /// their order, as somebody does who follows the page at the root of the
    /// checkout. Returns what the commands printed.
    pub async fn follow(&self, heading: &str, cluster: &Cluster) -> Result<String> {
        self.follow_in(&repository(), heading, cluster).await
    }

    /// The same in another directory.
    pub async fn follow_in(
        &self,
        directory: &Path,
        heading: &str,
        cluster: &Cluster,
    ) -> Result<String> {
        let mut printed = String::new();
        for block in self.blocks(heading)? {
            match block.kind {
                "yaml" => cluster.apply(&block.text).await?,
                "console" => {
                    for command in commands(&block.text) {
                        printed += &run(&command, directory, cluster).await?;
                    }
                }
                _ => {}
            }
        }
        Ok(printed)
    }

    /// The blocks between a heading and the next one.
    fn blocks(&self, heading: &str) -> Result<Vec<Block<'_>>> {
        let mut lines = self.text.lines();
        lines
            .find(|line| line.starts_with('#') && line.trim_start_matches('#').trim() == heading)
            .with_context(|| format!("the page has no heading {heading:?}"))?;
        let mut blocks: Vec<Block<'_>> = Vec::new();
        let mut inside = false;
        for line in lines {
            if let Some(kind) = line.strip_prefix("```") {
                inside = !inside;
                if inside {
                    let kind = kind.split_whitespace().next().unwrap_or_default();
                    let text = String::new();
                    blocks.push(Block { kind, text });
                }
            } else if inside {
                let block = blocks.last_mut().context("no block")?;
                block.text += line;
                block.text.push('\n');
            } else if line.starts_with('#') {
                break;
            }
        }
        ensure!(!blocks.is_empty(), "{heading:?} has nothing to do");
        Ok(blocks)
    }
}

/// The commands after `$ `, with the lines that continue them.
fn commands(block: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut continues = false;
    for line in block.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push(command.to_owned()),
            (None, Some(command)) if continues => {
                command.push('\n');
                command.push_str(line);
            }
            // What the page shows as printed.
            _ => {}
        }
        continues = line.ends_with('\\');
    }
    commands
}

/// As a person in a directory, with the tools in the path.
async fn run(command: &str, directory: &Path, cluster: &Cluster) -> Result<String> {
    let kubectl = Tools::find(Version::Newest)?.kubectl();
    let programs = [kubectl, tools::helm()?, binaries::operator()?];
    let mut path = std::ffi::OsString::new();
    for directory in programs.iter().filter_map(|program| program.parent()) {
        path.push(directory);
        path.push(":");
    }
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut shell = Command::new("bash");
    shell
        .args(["-euo", "pipefail", "-c", command])
        .current_dir(directory)
        .env("PATH", path)
        .envs(cluster.environment())
        .stdin(std::process::Stdio::null());
    let output = tokio::task::spawn_blocking(move || shell.output()).await??;
    let said = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8(output.stdout)?;
    ensure!(
        output.status.success(),
        "{command}: {}: {said}{printed}",
        output.status
    );
    Ok(printed)
}

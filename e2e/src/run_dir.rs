//! Where a run leaves its logs: `target/e2e/<suite>-<time>-<process>/`.
//!
//! They are kept whether the tests pass or fail, of the newest runs only, and
//! each test says on standard error where its own are: `cargo test` shows that
//! for the tests that fail.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

/// So many runs are kept.
const KEPT: usize = 12;

static RUN: OnceLock<PathBuf> = OnceLock::new();

/// A new directory with this name, or one like it, in this run's directory.
///
/// # Errors
/// When it cannot be made.
pub fn new_dir(name: &str) -> Result<PathBuf> {
    let run = run_dir()?;
    for attempt in 1..1000 {
        let dir = match attempt {
            1 => run.join(name),
            _ => run.join(format!("{name}-{attempt}")),
        };
        match fs::create_dir(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).context(dir.display().to_string()),
        }
    }
    bail!("{} has too many directories {name}", run.display());
}

/// The directory of this run.
///
/// # Errors
/// When it cannot be made.
pub fn run_dir() -> Result<&'static Path> {
    if RUN.get().is_none() {
        let parent = target_dir()?.join("e2e");
        let dir = parent.join(run_name()?);
        fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        if RUN.set(dir).is_ok() {
            prune(&parent)?;
        }
    }
    RUN.get().map(PathBuf::as_path).context("no run directory")
}

/// Cargo's target directory: the one that this program was built into.
///
/// # Errors
/// When this program is not where cargo put it.
pub fn target_dir() -> Result<PathBuf> {
    let bin = crate::binaries::built_dir()?;
    let target = bin.parent().context("no target directory")?;
    Ok(target.to_owned())
}

fn run_name() -> Result<String> {
    let exe = env::current_exe()?;
    let stem = exe.file_stem().context("no program name")?;
    let stem = stem.to_string_lossy();
    let time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(format!("{}-{time}-{}", suite(&stem), std::process::id()))
}

/// Cargo names a test's program by the suite and a hash.
fn suite(stem: &str) -> &str {
    match stem.rsplit_once('-') {
        Some((suite, hash)) if hash.len() == 16 => suite,
        _ => stem,
    }
}

/// Removes all but the newest runs, and none that still goes on.
fn prune(parent: &Path) -> Result<()> {
    let mut runs = Vec::new();
    for entry in fs::read_dir(parent)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let mut parts = name.rsplitn(3, '-');
        let process = parts.next().unwrap_or_default().to_owned();
        let time: u64 = parts.next().unwrap_or_default().parse().unwrap_or(u64::MAX);
        runs.push((time, process, name));
    }
    runs.sort();
    let old = runs.len().saturating_sub(KEPT);
    for (_, process, name) in runs.into_iter().take(old) {
        if !Path::new("/proc").join(process).exists() {
            // Another suite may be at it, too.
            let _ = fs::remove_dir_all(parent.join(name));
        }
    }
    Ok(())
}

//! The files of the checkout.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where the repository is on the web.
pub const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// Directories that hold what was built or fetched, not what was written.
const NOT_OURS: [&str; 6] = [
    ".git",
    "target",
    "node_modules",
    "corpus",
    "artifacts",
    "vendor",
];

/// The root of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Every file below `dir`, sorted, without what was built or fetched.
///
/// # Errors
/// A directory that cannot be read.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_path_buf()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))? {
            let entry = entry?;
            let ours = !NOT_OURS.iter().any(|name| entry.file_name() == *name);
            match entry.file_type()? {
                kind if kind.is_dir() && ours => pending.push(entry.path()),
                kind if kind.is_file() && ours => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Every file below `dir` whose name ends in `.extension`, sorted.
///
/// # Errors
/// A directory that cannot be read.
pub fn files_with(dir: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = files(dir)?;
    found.retain(|path| path.extension().is_some_and(|e| e == extension));
    Ok(found)
}

/// The directories of the examples, each of which can be served alone, sorted.
///
/// # Errors
/// The directory of examples cannot be read.
pub fn examples() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("examples"))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// `path` as seen from the root of the workspace, for messages.
pub fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

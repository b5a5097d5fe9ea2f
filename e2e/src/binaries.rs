//! The programs under test.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// Names another directory with the programs under test.
pub const BIN_DIR: &str = "WATERSHED_BIN_DIR";

/// `watershed-operator`.
///
/// # Errors
/// When it is not built.
pub fn operator() -> Result<PathBuf> {
    binary("watershed-operator")
}

/// `watershed-dns`.
///
/// # Errors
/// When it is not built.
pub fn dns() -> Result<PathBuf> {
    binary("watershed-dns")
}

/// `watershed`.
///
/// # Errors
/// When it is not built.
pub fn cli() -> Result<PathBuf> {
    binary("watershed")
}

fn binary(name: &str) -> Result<PathBuf> {
    let dir = match env::var_os(BIN_DIR) {
        Some(dir) => PathBuf::from(dir),
        None => built_dir()?,
    };
    let path = dir.join(name);
    if !path.is_file() {
        bail!(
            "{} is not there. Build it: make e2e-binaries, or name another directory with {BIN_DIR}",
            path.display()
        );
    }
    Ok(path)
}

/// Where cargo puts programs of the profile that this one was built with.
pub(crate) fn built_dir() -> Result<PathBuf> {
    let exe = env::current_exe().context("where is this program?")?;
    let dir = exe.parent().context("where is this program?")?;
    let dir = match dir.file_name() {
        Some(name) if name == "deps" => dir.parent().context("where is this program?")?,
        _ => dir,
    };
    Ok(dir.to_owned())
}

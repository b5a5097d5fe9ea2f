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

/// Names another directory with the images under test.
pub const IMAGE_DIR: &str = "WATERSHED_IMAGE_DIR";

/// The images of the three programs, as OCI archives.
///
/// # Errors
/// When one is not built.
pub fn images() -> Result<Vec<PathBuf>> {
    images_in("")
}

/// The images of another build of them, with the version and the tag `next`.
///
/// # Errors
/// When one is not built.
pub fn next_images() -> Result<Vec<PathBuf>> {
    images_in("next")
}

fn images_in(build: &str) -> Result<Vec<PathBuf>> {
    let dir = match env::var_os(IMAGE_DIR) {
        Some(dir) => PathBuf::from(dir),
        None => built_dir()?.join("images"),
    };
    let names = ["watershed-operator", "watershed-dns", "watershed"];
    let archives = names.map(|name| dir.join(build).join(format!("{name}.tar")));
    if let Some(missing) = archives.iter().find(|archive| !archive.is_file()) {
        bail!(
            "{} is not there. Build it: make e2e-images, or name another directory with {IMAGE_DIR}",
            missing.display()
        );
    }
    Ok(archives.into())
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

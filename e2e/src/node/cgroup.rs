//! Cgroups of a node: what its pods may use is counted below one directory of
//! each hierarchy.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::reaper;

const MOUNT: &str = "/sys/fs/cgroup";

/// How long processes that were killed may take to be gone.
const GONE: Duration = Duration::from_secs(10);

/// A directory in each hierarchy, removed with this value.
pub(super) struct Cgroup {
    name: String,
}

impl Cgroup {
    /// A new one, whose name is no other's on this machine.
    pub(super) fn new(node: &str) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let cgroup = Self {
            name: format!("watershed-e2e-{process}-{number}-{node}"),
        };
        reaper::remove_cgroup(&cgroup.name)?;
        cgroup.make()?;
        Ok(cgroup)
    }

    /// Its name in each hierarchy.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its path within a hierarchy, as the kubelet wants it.
    pub(super) fn root(&self) -> String {
        format!("/{}", self.name)
    }

    /// Removes what pods have left below it.
    pub(super) fn empty(&self) -> Result<()> {
        self.remove()?;
        self.make()
    }

    fn make(&self) -> Result<()> {
        for hierarchy in hierarchies()? {
            let dir = hierarchy.join(&self.name);
            fs::create_dir_all(&dir)
                .and_then(|()| delegate(&hierarchy, &dir))
                .with_context(|| format!("cannot make {}: this needs root", dir.display()))?;
        }
        Ok(())
    }

    /// Processes that were killed leave their cgroups a little later.
    fn remove(&self) -> Result<()> {
        let start = Instant::now();
        for hierarchy in hierarchies()? {
            let dir = hierarchy.join(&self.name);
            while let Err(error) = remove_tree(&dir) {
                if start.elapsed() > GONE {
                    return Err(error).with_context(|| format!("removing {}", dir.display()));
                }
                sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("{error:#}");
        }
    }
}

/// Whether cgroups can be made at all.
pub(super) fn check() -> Result<()> {
    Cgroup::new("check").map(drop)
}

/// The hierarchies of this machine: one for version 2, one for each controller
/// for version 1.
fn hierarchies() -> Result<Vec<PathBuf>> {
    let mount = Path::new(MOUNT);
    if mount.join("cgroup.controllers").exists() {
        return Ok(vec![mount.to_owned()]);
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(mount).context(MOUNT)? {
        let entry = entry?;
        // Links are second names.
        if entry.file_type()?.is_dir() {
            all.push(entry.path());
        }
    }
    if all.is_empty() {
        bail!("{MOUNT} is empty: no cgroups are mounted on this machine");
    }
    Ok(all)
}

/// Makes a hierarchy's controllers work below a new directory.
fn delegate(hierarchy: &Path, dir: &Path) -> std::io::Result<()> {
    let controllers = hierarchy.join("cgroup.controllers");
    if controllers.exists() {
        let controllers = fs::read_to_string(controllers)?;
        for controller in controllers.split_whitespace() {
            // Some can be had by no more than one part of the tree.
            let _ = fs::write(
                hierarchy.join("cgroup.subtree_control"),
                format!("+{controller}"),
            );
        }
        return Ok(());
    }
    // In version 1 a new directory of this controller has no processor at all.
    for values in ["cpuset.cpus", "cpuset.mems"] {
        if hierarchy.join(values).exists() {
            fs::write(dir.join(values), fs::read(hierarchy.join(values))?)?;
        }
    }
    Ok(())
}

/// A cgroup's directory goes when its children have gone; its files do not count.
fn remove_tree(dir: &Path) -> std::io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

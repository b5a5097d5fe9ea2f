//! What a machine must have and allow before a node can run on it.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::unistd::Uid;

use super::cgroup;
use crate::netns::Namespace;

/// Programs that a node calls, and that the distribution has.
const PROGRAMS: [&str; 8] = [
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "runc",
    "nft",
    "ip",
    "unshare",
    "mount",
];

/// Where distributions and others put the plugins of CNI.
const CNI: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/// Where programs are that an ordinary user's PATH may lack.
const MORE_PATH: [&str; 2] = ["/usr/sbin", "/sbin"];

/// Says all that is missing on this machine.
///
/// # Errors
/// With what to do about it.
pub fn check() -> Result<()> {
    let mut missing: Vec<String> = Vec::new();
    if !Uid::effective().is_root() {
        missing.push("root: namespaces, mounts and cgroups are made (run it with sudo)".to_owned());
    }
    let absent: Vec<_> = PROGRAMS.into_iter().filter(|name| !found(name)).collect();
    if !absent.is_empty() {
        let absent = absent.join(", ");
        missing.push(format!("{absent}: install them with scripts/node-packages"));
    }
    if let Err(error) = cni_plugins() {
        missing.push(format!("{error:#}"));
    }
    if missing.is_empty() {
        let allowed = Namespace::new().and_then(|_| cgroup::check());
        return allowed.context("a node cannot run on this machine");
    }
    bail!(
        "a node cannot run on this machine; what is missing:\n- {}",
        missing.join("\n- ")
    );
}

/// The directory of the plugins that connect pods.
pub(super) fn cni_plugins() -> Result<PathBuf> {
    let plugins = ["bridge", "host-local", "loopback", "portmap"];
    let has_all = |dir: &Path| plugins.iter().all(|plugin| dir.join(plugin).is_file());
    let dir = CNI.into_iter().map(PathBuf::from).find(|dir| has_all(dir));
    dir.context("the plugins of CNI: install them with scripts/node-packages")
}

fn found(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let more = MORE_PATH.iter().map(PathBuf::from);
    env::split_paths(&path)
        .chain(more)
        .any(|dir| dir.join(program).is_file())
}

//! Who depends on whom, from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, NodeDep, PackageId};

use crate::tree;

/// The dependencies that end up in what the packages build, without those of
/// tests and build scripts.
pub struct Graph {
    members: BTreeMap<String, PackageId>,
    directories: BTreeSet<String>,
    names: BTreeMap<PackageId, String>,
    edges: BTreeMap<PackageId, Vec<PackageId>>,
}

impl Graph {
    /// Asks cargo, with the dependencies as they are locked.
    ///
    /// # Errors
    /// Cargo cannot be run or refuses the workspace.
    pub fn load() -> Result<Self> {
        let metadata = MetadataCommand::new()
            .manifest_path(tree::root().join("Cargo.toml"))
            .other_options(vec!["--locked".to_owned()])
            .exec()?;
        Self::from_metadata(&metadata)
    }

    fn from_metadata(metadata: &Metadata) -> Result<Self> {
        let resolve = metadata
            .resolve
            .as_ref()
            .context("cargo metadata resolved nothing")?;
        let edges = resolve.nodes.iter().map(|node| {
            let normal = node.deps.iter().filter(|dep| is_normal(dep));
            (node.id.clone(), normal.map(|dep| dep.pkg.clone()).collect())
        });
        let members = metadata.workspace_packages();
        let directories = members.iter().filter_map(|package| {
            let directory = package.manifest_path.parent()?;
            Some(
                directory
                    .strip_prefix(&metadata.workspace_root)
                    .ok()?
                    .to_string(),
            )
        });
        Ok(Self {
            directories: directories.collect(),
            members: members
                .iter()
                .map(|p| (p.name.to_string(), p.id.clone()))
                .collect(),
            names: metadata
                .packages
                .iter()
                .map(|p| (p.id.clone(), p.name.to_string()))
                .collect(),
            edges: edges.collect(),
        })
    }

    /// The packages of the workspace.
    pub fn members(&self) -> BTreeSet<&str> {
        self.members.keys().map(String::as_str).collect()
    }

    /// The directories of the packages, relative to the root of the workspace.
    pub fn directories(&self) -> impl Iterator<Item = &str> {
        self.directories.iter().map(String::as_str)
    }

    /// The packages of the workspace that `member` names in its manifest.
    pub fn direct_members(&self, member: &str) -> BTreeSet<&str> {
        let ids = self.members.get(member).and_then(|id| self.edges.get(id));
        let names = ids.into_iter().flatten().filter_map(|id| self.name(id));
        names
            .filter(|name| self.members.contains_key(*name))
            .collect()
    }

    /// Every package that `member` pulls in, directly or through others, when
    /// it is built by itself: features that only its neighbours in the
    /// workspace ask for do not count, as they do in `cargo metadata`.
    ///
    /// # Errors
    /// Cargo cannot be run, or does not know the package.
    pub fn closure(member: &str) -> Result<BTreeSet<String>> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["tree", "--locked", "--edges", "normal", "--prefix", "none"])
            .args(["--format", "{p}", "--package", member])
            .current_dir(tree::root())
            .output()?;
        let problem = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cargo tree of {member}: {problem}");
        let lines = String::from_utf8(output.stdout)?;
        let names = lines.lines().filter_map(|line| line.split(' ').next());
        Ok(names
            .filter(|name| *name != member)
            .map(str::to_owned)
            .collect())
    }

    fn name(&self, id: &PackageId) -> Option<&str> {
        self.names.get(id).map(String::as_str)
    }
}

fn is_normal(dep: &NodeDep) -> bool {
    dep.dep_kinds
        .iter()
        .any(|kind| kind.kind == DependencyKind::Normal)
}

//! Who depends on whom, from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
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

    /// Every package that `member` pulls in, directly or through others.
    pub fn closure(&self, member: &str) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut pending: Vec<_> = self.members.get(member).into_iter().collect();
        while let Some(id) = pending.pop() {
            for dep in self.edges.get(id).into_iter().flatten() {
                if seen.insert(dep) {
                    pending.push(dep);
                }
            }
        }
        seen.into_iter().filter_map(|id| self.name(id)).collect()
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

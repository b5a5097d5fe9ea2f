//! Files beside the manifests: location, latency and health.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::bail;
use watershed_dns::Node;
use watershed_geo::GeoDatabase;

use super::probing::Probing;
use super::{ServeArgs, health};
use crate::finding::Finding;
use crate::walk::{read_geo, read_latency};

/// The files, and what was last seen of them.
pub(super) struct Inputs {
    geo_database: Option<Watched>,
    latency: Option<Watched>,
    health: Option<Watched>,
}

/// A file, and its state when it was last read.
struct Watched {
    path: PathBuf,
    seen: Option<(SystemTime, u64)>,
}

impl Inputs {
    pub(super) fn new(args: &ServeArgs) -> Self {
        let watched =
            |path: &Option<PathBuf>| path.clone().map(|path| Watched { path, seen: None });
        Self {
            geo_database: watched(&args.geo_database),
            latency: watched(&args.latency),
            health: watched(&args.health),
        }
    }

    /// Reads the files for the first time.
    ///
    /// # Errors
    /// When one cannot be used: a server that starts with another database
    /// than it was told to would answer wrongly in silence.
    pub(super) fn start(&mut self, node: &Node, probing: &Probing) -> anyhow::Result<()> {
        if self.geo_database.is_none() {
            tracing::info!(
                "locating clients by the {}",
                GeoDatabase::builtin().describe()
            );
        }
        let faults = self.read(node, probing);
        if faults.is_empty() {
            Ok(())
        } else {
            bail!("{}", faults.join("\n  "))
        }
    }

    /// Reads the files that changed; what cannot be used leaves in place what
    /// is in use.
    pub(super) fn look(&mut self, node: &Node, probing: &Probing) {
        for fault in self.read(node, probing) {
            tracing::error!("{fault}; what was read before stays in use");
        }
    }

    fn read(&mut self, node: &Node, probing: &Probing) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(path) = changed(&mut self.geo_database) {
            match read_geo(path) {
                Ok(database) => {
                    tracing::info!("locating clients by the {}", database.describe());
                    node.set_geo(database);
                }
                Err(fault) => faults.push(fault.message),
            }
        }
        if let Some(path) = changed(&mut self.latency) {
            match read_latency(path) {
                Ok(table) => {
                    tracing::info!("latency: {}", table.describe());
                    node.set_latency(Some(table));
                }
                Err(found) => faults.extend(found.iter().map(Finding::to_string)),
            }
        }
        if let Some(path) = changed(&mut self.health) {
            match health::read(path) {
                Ok(states) => {
                    let unhealthy = [states.unhealthy_checks(), states.unhealthy_endpoints()];
                    tracing::info!(unhealthy = ?unhealthy.concat(), "health states");
                    probing.set_health(states);
                }
                Err(found) => {
                    let path = path.display();
                    faults.extend(found.iter().map(|fault| format!("{path}: {fault}")));
                }
            }
        }
        faults
    }
}

/// The file, if it is not as it was when it was last read.
fn changed(watched: &mut Option<Watched>) -> Option<&Path> {
    let watched = watched.as_mut()?;
    let state = |metadata: Metadata| Some((metadata.modified().ok()?, metadata.len()));
    let now = std::fs::metadata(&watched.path).ok().and_then(state);
    // A file that is gone is reported at every look until it is back.
    if now.is_some() && now == watched.seen {
        return None;
    }
    watched.seen = now;
    Some(&watched.path)
}

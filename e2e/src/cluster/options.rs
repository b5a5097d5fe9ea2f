//! What a test asks of its cluster.

use crate::tools::Version;

/// How to start a cluster.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of its directory of logs.
    pub name: String,
    /// Which Kubernetes.
    pub version: Version,
    /// Whether to start the controller manager: service accounts, their tokens,
    /// deletion of namespaces, garbage collection, aggregated roles and
    /// deployments are its work.
    pub controller_manager: bool,
    /// Whether to install the definitions of `crds/`.
    pub crds: bool,
    /// Which requests to record.
    pub audit: Audit,
    /// How many nodes, see [`crate::node`]. With any, there are a scheduler and
    /// the cluster's DNS, too, and controllers are needed.
    pub nodes: u8,
    /// More flags for the API server.
    pub api_server_args: Vec<String>,
}

impl Default for Options {
    /// The newest Kubernetes with the definitions, with controllers, and with
    /// all writes recorded.
    fn default() -> Self {
        Self {
            name: "cluster".to_owned(),
            version: Version::Newest,
            controller_manager: true,
            crds: true,
            audit: Audit::Writes,
            nodes: 0,
            api_server_args: Vec::new(),
        }
    }
}

impl Options {
    /// An API server and nothing else, no definitions either.
    pub fn bare(version: Version) -> Self {
        Self {
            version,
            controller_manager: false,
            crds: false,
            audit: Audit::Off,
            ..Self::default()
        }
    }

    /// The options with nodes, so that pods run.
    #[must_use]
    pub fn with_nodes(mut self, nodes: u8) -> Self {
        self.nodes = nodes;
        self
    }

    /// The options with another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }
}

/// Which requests the API server records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audit {
    /// None.
    Off,
    /// All that may change something.
    Writes,
    /// All, reads and watches too.
    All,
}

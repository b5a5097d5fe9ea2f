//! What a publisher knows, for status and metrics.

use std::time::{Duration, Instant};

use watershed_proto::Location;
use watershed_snapshot::{Held, ResourceName, SnapshotId};

use crate::fleet::NodeName;

/// A fleet, seen from its publisher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetView {
    /// The newest generation that was claimed, activated or not.
    pub current: Option<SnapshotId>,
    /// Whether the newest generation has been activated.
    pub active: bool,
    /// Every node that is live, in order of name.
    pub nodes: Vec<NodeView>,
    /// Nodes that were live under the former leader, have not come to this one
    /// and are not stale yet. They count as live.
    pub missing: usize,
    /// Resources not carried as desired, in order of name.
    pub quarantined: Vec<Quarantined>,
    /// Why nothing can be published at the moment.
    pub problem: Option<String>,
}

/// A node of a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// Its name.
    pub name: NodeName,
    /// Where it says that it is.
    pub location: Location,
    /// Name and version of its program.
    pub software: String,
    /// The newest format that it reads.
    pub newest_format: u32,
    /// Whether it has a stream.
    pub connected: bool,
    /// What it serves.
    pub applied: Option<Held>,
    /// What it has built and not yet served.
    pub staged: Option<SnapshotId>,
    /// Why it does not take the newest generation.
    pub rejected: Option<String>,
    /// Whether it missed a deadline and has not caught up.
    pub lagging: bool,
    /// When it was last heard.
    pub last_seen: Instant,
}

/// A resource that is not carried as desired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Which.
    pub name: ResourceName,
    /// Why.
    pub cause: Cause,
    /// Whether its last acknowledged form is carried instead; otherwise there
    /// is none, and the resource is not served at all.
    pub kept: bool,
}

/// Why a resource is not carried as desired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// These nodes refuse it, with these messages.
    Refused(Vec<(NodeName, String)>),
    /// It needs a newer format than somebody has.
    Format {
        /// The format that it needs.
        needed: u32,
        /// The newest format that the operator writes.
        operator: u32,
        /// Nodes that read only up to this format.
        nodes: Vec<(NodeName, u32)>,
    },
}

/// How far the desired content of one resource has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The first generation that carried the content; `None` while it waits
    /// or is quarantined.
    pub id: Option<SnapshotId>,
    /// Nodes that count: connected, or silent for less than the stale time,
    /// under a former leader too.
    pub live: usize,
    /// Live nodes that serve the content.
    pub programmed: usize,
    /// Nodes that refuse the content, with their messages.
    pub rejected: Vec<(NodeName, String)>,
    /// From the arrival of the content until the last live node served it.
    /// `None` while some do not, and for content from before this leader.
    pub complete_after: Option<Duration>,
}

//! What planning asks the fleets.

use watershed_health::Target;
use watershed_snapshot::{ResourceName, SnapshotId};

use crate::fleet::{Cause, FleetName, FleetView, Hub, NodeName, Progress, Quarantined};
use crate::health::{FailoverView, TargetView};

/// What planning asks the fleets.
pub trait Fleets {
    /// A fleet as a whole; `None` when nothing is known of it.
    fn view(&self, fleet: &FleetName) -> Option<FleetView>;
    /// How far a resource has come; `None` when nothing is known of the fleet.
    fn progress(&self, fleet: &FleetName, name: &ResourceName) -> Option<Progress>;
    /// Whether the counts of nodes mean something yet.
    fn settled(&self, fleet: &FleetName) -> bool;
    /// Whether verdicts on targets mean something yet.
    fn health_settled(&self, fleet: &FleetName) -> bool;
    /// A target; `None` when the fleet does not watch it.
    fn verdict(&self, fleet: &FleetName, target: &Target) -> Option<TargetView>;
    /// The targets of a check, `namespace/name`.
    fn targets_of(&self, fleet: &FleetName, check: &str) -> Vec<(Target, TargetView)>;
    /// Where the clients of a record are, `namespace/name`, that do not return
    /// at once; `None` when nothing is known.
    fn failover(&self, fleet: &FleetName, record: &str) -> Option<FailoverView>;
}

impl Fleets for Hub {
    fn view(&self, fleet: &FleetName) -> Option<FleetView> {
        Hub::view(self, fleet)
    }

    fn progress(&self, fleet: &FleetName, name: &ResourceName) -> Option<Progress> {
        Hub::progress(self, fleet, name)
    }

    fn settled(&self, fleet: &FleetName) -> bool {
        Hub::settled(self, fleet)
    }

    fn health_settled(&self, fleet: &FleetName) -> bool {
        Hub::health_settled(self, fleet)
    }

    fn verdict(&self, fleet: &FleetName, target: &Target) -> Option<TargetView> {
        Hub::verdict(self, fleet, target)
    }

    fn targets_of(&self, fleet: &FleetName, check: &str) -> Vec<(Target, TargetView)> {
        Hub::targets_of(self, fleet, check)
    }

    fn failover(&self, fleet: &FleetName, record: &str) -> Option<FailoverView> {
        Hub::failover(self, fleet, record)
    }
}

/// No fleet at all: for a plan that nobody carries out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NoFleets;

impl Fleets for NoFleets {
    fn view(&self, _: &FleetName) -> Option<FleetView> {
        None
    }

    fn progress(&self, _: &FleetName, _: &ResourceName) -> Option<Progress> {
        None
    }

    fn settled(&self, _: &FleetName) -> bool {
        false
    }

    fn health_settled(&self, _: &FleetName) -> bool {
        false
    }

    fn verdict(&self, _: &FleetName, _: &Target) -> Option<TargetView> {
        None
    }

    fn targets_of(&self, _: &FleetName, _: &str) -> Vec<(Target, TargetView)> {
        Vec::new()
    }

    fn failover(&self, _: &FleetName, _: &str) -> Option<FailoverView> {
        None
    }
}

/// How far several resources have come together.
pub(super) fn together(parts: Vec<Progress>) -> Option<Progress> {
    let mut parts = parts.into_iter();
    let first = parts.next()?;
    Some(parts.fold(first, |all, part| Progress {
        id: later(all.id, part.id),
        live: all.live.max(part.live),
        programmed: all.programmed.min(part.programmed),
        rejected: united(all.rejected, part.rejected),
        // What this leader did not change says nothing about the others.
        complete_after: all.complete_after.max(part.complete_after),
    }))
}

fn later(a: Option<SnapshotId>, b: Option<SnapshotId>) -> Option<SnapshotId> {
    Some(a?.max(b?))
}

fn united(
    mut all: Vec<(NodeName, String)>,
    more: Vec<(NodeName, String)>,
) -> Vec<(NodeName, String)> {
    for (node, message) in more {
        if !all.iter().any(|(other, _)| *other == node) {
            all.push((node, message));
        }
    }
    all
}

/// Why a fleet holds one of these resources back, if it is for its format.
pub(super) fn held_back(view: &FleetView, names: &[ResourceName]) -> Option<String> {
    let found = view
        .quarantined
        .iter()
        .filter(|entry| names.contains(&entry.name));
    found.into_iter().find_map(format_needed)
}

fn format_needed(entry: &Quarantined) -> Option<String> {
    let Cause::Format {
        needed,
        operator,
        nodes,
    } = &entry.cause
    else {
        return None;
    };
    let instead = if entry.kept {
        "its former content is served"
    } else {
        "it is not served yet"
    };
    let who = match nodes.first() {
        Some((node, format)) if nodes.len() == 1 => format!("node {node} reads up to {format}"),
        Some((node, format)) => {
            let more = nodes.len() - 1;
            format!("node {node} reads up to {format}, and {more} more are like it")
        }
        None => format!("this operator writes up to {operator}"),
    };
    Some(format!(
        "{} needs snapshot format {needed}, {who}; {instead}",
        entry.name
    ))
}

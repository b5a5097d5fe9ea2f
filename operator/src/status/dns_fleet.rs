//! Status of a `DNSFleet`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use watershed_crd::dns_fleet::{
    DNSFleetSpec, DNSFleetStatus, LocationNodes, NodeCounts, NodeProblem, SnapshotNodes,
};

use super::{Draft, Found, Subject, Waiting, count, counted};
use crate::fleet::{Cause, FleetView, NodeView};

/// How many entries the lists of a status take.
const SNAPSHOTS: usize = 8;
const LOCATIONS: usize = 64;
const PROBLEMS: usize = 16;

/// What the status of a fleet is made of.
#[derive(Clone, Copy, Debug)]
pub struct FleetInput<'a> {
    /// The status as it is.
    pub before: &'a DNSFleetStatus,
    /// What is asked for.
    pub spec: &'a DNSFleetSpec,
    /// `metadata.generation`.
    pub generation: i64,
    /// Why the object cannot be understood, if so.
    pub fault: Option<&'a str>,
    /// The namespace of an older fleet that has the same name.
    pub taken: bool,
    /// The fleet as its publisher sees it.
    pub view: Option<&'a FleetView>,
    /// Whether the counts mean something yet.
    pub settled: bool,
    /// The present.
    pub now: Timestamp,
}

/// The status of a fleet.
pub fn dns_fleet(input: FleetInput<'_>) -> Found<DNSFleetStatus> {
    let before = input.before;
    let accepted = accepted(&input);
    let view = input.view.filter(|_| input.settled && accepted.holds);
    let drafts = vec![accepted, programmed(&input, view)];
    let ready = Draft::holds("Ready", "Programmed", drafts[1].message.clone());
    let subject = Subject::new(&before.conditions, input.generation, input.now);
    let (conditions, again) = subject.conditions(drafts, ready, None);
    let mut status = DNSFleetStatus {
        observed_generation: Some(input.generation),
        conditions,
        ..before.clone()
    };
    if let Some(view) = view {
        status.snapshot = view.current.map(|id| id.to_string());
        status.nodes = Some(counts(view));
        status.snapshots = snapshots(view);
        status.locations = locations(view);
        status.problems = problems(view, &before.problems, input.now);
    }
    Found {
        status,
        again,
        awaits_nodes: true,
    }
}

fn accepted(input: &FleetInput<'_>) -> Draft {
    if let Some(fault) = input.fault {
        return Draft::fault(fault);
    }
    if input.taken {
        let message = "an older DNSFleet of another namespace has this name; choose another";
        return Draft::fails("Accepted", "NameConflict", message, Waiting::InVain);
    }
    Draft::holds("Accepted", "Accepted", "")
}

fn programmed(input: &FleetInput<'_>, view: Option<&FleetView>) -> Draft {
    let fails =
        |reason, message: String| Draft::fails("Programmed", reason, message, Waiting::Helps);
    let Some(view) = view else {
        return fails("Pending", "waiting for the nodes to report".to_owned());
    };
    if let Some(problem) = &view.problem {
        return fails("Pending", problem.clone());
    }
    let (live, programmed) = (live(view), serving(view));
    if live == 0 {
        return fails("TooFewNodes", "no DNS node is connected".to_owned());
    }
    let share = format!("{programmed} of {}", counted(live, "node"));
    let percent = usize::try_from(input.spec.min_programmed_percent.clamp(1, 100)).unwrap_or(100);
    match programmed {
        all if all == live => Draft::holds("Programmed", "Programmed", share),
        enough if enough * 100 >= live * percent => Draft::holds(
            "Programmed",
            "QuorumProgrammed",
            format!("{share} ({percent}% needed)"),
        ),
        _ => fails("Pending", share),
    }
}

/// Nodes that count.
fn live(view: &FleetView) -> usize {
    view.nodes.len() + view.missing
}

/// Nodes that serve the newest generation.
fn serving(view: &FleetView) -> usize {
    let serves = |node: &&NodeView| {
        let applied = node.applied.as_ref().map(|held| held.id);
        applied.is_some() && applied == view.current
    };
    view.nodes.iter().filter(serves).count()
}

fn counts(view: &FleetView) -> NodeCounts {
    let nodes = &view.nodes;
    let programmed = serving(view);
    NodeCounts {
        connected: count(nodes.iter().filter(|node| node.connected).count()),
        programmed: count(programmed),
        rejected: count(nodes.iter().filter(|node| node.rejected.is_some()).count()),
        stale: count(nodes.iter().filter(|node| !node.connected).count() + view.missing),
        summary: format!("{programmed}/{}", live(view)),
    }
}

/// The newest first.
fn snapshots(view: &FleetView) -> Vec<SnapshotNodes> {
    let mut counts = BTreeMap::new();
    for held in view.nodes.iter().filter_map(|node| node.applied.as_ref()) {
        *counts.entry(held.id).or_insert(0_usize) += 1;
    }
    let status = |(id, nodes): (_, usize)| SnapshotNodes {
        id: watershed_snapshot::SnapshotId::to_string(&id),
        nodes: count(nodes),
    };
    counts
        .into_iter()
        .rev()
        .take(SNAPSHOTS)
        .map(status)
        .collect()
}

/// Nodes by region, or by cluster where they say no region.
fn locations(view: &FleetView) -> Vec<LocationNodes> {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for node in &view.nodes {
        let place = &node.location;
        let names = [&place.region, &place.cluster];
        let name = names.into_iter().find(|name| !name.is_empty());
        let name = name
            .map_or("unknown", String::as_str)
            .chars()
            .take(63)
            .collect();
        let entry = counts.entry(name).or_default();
        entry.0 += 1;
        entry.1 += usize::from(!node.connected);
    }
    let status = |(name, (nodes, stale))| LocationNodes {
        name,
        nodes: count(nodes),
        stale: Some(count(stale)),
        queries_per_second: None,
    };
    counts.into_iter().take(LOCATIONS).map(status).collect()
}

fn problems(view: &FleetView, before: &[NodeProblem], now: Timestamp) -> Vec<NodeProblem> {
    let mut found: BTreeMap<String, (&'static str, String)> = BTreeMap::new();
    for node in &view.nodes {
        let problem = if let Some(message) = &node.rejected {
            Some(("Rejected", message.clone()))
        } else if !node.connected {
            Some(("Stale", "no contact".to_owned()))
        } else if node.lagging {
            Some(("Lagging", "did not stage in time".to_owned()))
        } else {
            None
        };
        if let Some(problem) = problem {
            found.insert(node.name.to_string(), problem);
        }
    }
    for quarantined in &view.quarantined {
        let Cause::Format { needed, nodes, .. } = &quarantined.cause else {
            continue;
        };
        for (node, format) in nodes {
            let message = format!("reads format {format}, {} needs {needed}", quarantined.name);
            found.entry(node.to_string()).or_insert(("Format", message));
        }
    }
    let since = |node: &str, reason: &str| {
        let former = before
            .iter()
            .find(|former| former.node == node && former.reason == reason);
        former
            .and_then(|former| former.since.clone())
            .unwrap_or(Time(now))
    };
    let status = |(node, (reason, message)): (String, (&'static str, String))| NodeProblem {
        since: Some(since(&node, reason)),
        node,
        reason: reason.to_owned(),
        message: Some(message.chars().take(512).collect()),
    };
    found.into_iter().take(PROBLEMS).map(status).collect()
}

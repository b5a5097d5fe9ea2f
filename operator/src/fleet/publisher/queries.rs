//! What a publisher answers.

use std::time::Instant;

use watershed_health::Checker;
use watershed_proto::Location;
use watershed_snapshot::ResourceName;

use super::node::{Node, Work};
use super::offer::OfferState;
use super::progress::Tally;
use super::{Phase, Publisher};
use crate::fleet::NodeName;
use crate::fleet::view::{Cause, FleetView, NodeView, Progress, Quarantined};

impl Publisher {
    /// The fleet as a whole. Costs in proportion to its nodes and to what is
    /// quarantined.
    pub fn view(&self) -> FleetView {
        let current = self.offers.current.as_ref();
        FleetView {
            current: current.map(|offer| offer.held.id),
            active: current.is_some_and(|offer| offer.state == OfferState::Active),
            nodes: self
                .nodes
                .iter()
                .map(|(name, node)| seen(name, node))
                .collect(),
            missing: self.missing(),
            quarantined: self.quarantined(),
            problem: self.ledger.problem.clone(),
        }
    }

    /// The nodes that probe, in order of name: also those that lost their
    /// stream and count as live yet, so that a reconnection moves nothing.
    pub fn checkers(&self) -> Vec<Checker> {
        let probing = self.nodes.iter().filter(|(_, node)| node.hello.health);
        let checkers = probing.map(|(name, node)| Checker {
            node: name.as_str().to_owned(),
            location: place(&node.hello.location),
        });
        checkers.collect()
    }

    /// How far the desired content of `name` has come. Costs next to nothing,
    /// however many resources there are.
    pub fn progress(&self, name: &ResourceName) -> Progress {
        let tally = self.tally();
        let carried = self.desired.is_carried(name);
        let (id, complete_after) = if carried {
            self.carried.get(name)
        } else {
            (None, None)
        };
        let mut rejected = self.refused_by(name);
        if let Some(nodes) = tally.refusing.get(name) {
            rejected.extend(nodes.iter().cloned());
        }
        if let Some(id) = id {
            for (node, serves, message) in &tally.rejecting {
                let named = rejected.iter().any(|(other, _)| other == node);
                if *serves < Some(id) && !named {
                    rejected.push((node.clone(), message.clone()));
                }
            }
        }
        Progress {
            id,
            live: tally.live,
            programmed: id.map_or(0, |id| tally.serving(id)),
            rejected,
            complete_after,
        }
    }

    /// Whether the counts of nodes mean something yet: for some seconds after
    /// a leader began, its nodes are still connecting.
    pub fn settled(&self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.started);
        matches!(self.phase, Phase::Leading) && since >= self.config.settle
    }

    fn refused_by(&self, name: &ResourceName) -> Vec<(NodeName, String)> {
        let Some(refusal) = self.desired.refused().get(name) else {
            return Vec::new();
        };
        let nodes = refusal.nodes.iter();
        nodes
            .map(|(node, (_, message))| (node.clone(), message.clone()))
            .collect()
    }

    fn quarantined(&self) -> Vec<Quarantined> {
        let kept = |name: &ResourceName| self.desired.target_form(name).is_some();
        let refused = self.desired.refused().keys().map(|name| Quarantined {
            name: name.clone(),
            cause: Cause::Refused(self.refused_by(name)),
            kept: kept(name),
        });
        let held_back = self.desired.held_back(&self.offers.acked);
        let held_back = held_back.map(|(name, needed)| Quarantined {
            name: name.clone(),
            cause: Cause::Format {
                needed,
                operator: self.config.newest_format,
                nodes: self.reading_less_than(needed),
            },
            kept: kept(name),
        });
        let mut all: Vec<Quarantined> = refused.chain(held_back).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    fn reading_less_than(&self, format: u32) -> Vec<(NodeName, u32)> {
        let nodes = self.nodes.iter();
        nodes
            .map(|(name, node)| (name.clone(), *node.hello.formats.end()))
            .filter(|(_, newest)| *newest < format)
            .collect()
    }

    pub(super) fn tally(&self) -> &Tally {
        self.tally.get_or_init(|| {
            let mut tally = Tally {
                live: self.missing(),
                ..Tally::default()
            };
            for (name, node) in &self.nodes {
                tally.add(name, node);
            }
            tally
        })
    }
}

impl Tally {
    fn add(&mut self, name: &NodeName, node: &Node) {
        self.live += 1;
        if let Some(id) = node.lineage {
            *self.serving.entry(id).or_default() += 1;
        }
        let Some(rejection) = &node.rejection else {
            return;
        };
        let message = rejection.message.clone();
        self.rejecting.push((name.clone(), node.lineage, message));
        for (resource, _, message) in &rejection.faults {
            let nodes = self.refusing.entry(resource.clone()).or_default();
            nodes.push((name.clone(), message.clone()));
        }
    }
}

/// Where a node is, as closely as regions tell.
fn place(location: &Location) -> String {
    let parts = [&location.region, &location.cluster, &location.zone];
    let known = parts.into_iter().find(|part| !part.is_empty());
    known.cloned().unwrap_or_default()
}

fn seen(name: &NodeName, node: &Node) -> NodeView {
    NodeView {
        name: name.clone(),
        location: node.hello.location.clone(),
        software: node.hello.software.clone(),
        newest_format: *node.hello.formats.end(),
        connected: node.is_connected(),
        applied: node.held,
        staged: match &node.work {
            Work::Staged { offer } => Some(offer.id),
            _ => None,
        },
        rejected: node
            .rejection
            .as_ref()
            .map(|rejection| rejection.message.clone()),
        lagging: node.lagging,
        last_seen: node.last_seen,
    }
}

//! Metrics of the fleet side.

use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};
use watershed_proto::{NodeMessage, OperatorMessage};

use crate::fleet::FleetName;
use crate::fleet::view::FleetView;
use crate::parts::{Parts, Together};

/// Counters and gauges of the fleet side. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    messages: IntCounterVec,
    pushed: IntCounter,
    nacks: IntCounterVec,
    dropped: IntCounterVec,
    refused: IntCounter,
    enrolments: IntCounterVec,
    claims: IntCounterVec,
    nodes: IntGaugeVec,
    quarantined: IntGaugeVec,
}

impl Metrics {
    /// Makes the metrics and registers them.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self::new()?;
        registry.register(Box::new(Together(metrics.clone())))?;
        Ok(metrics)
    }

    fn new() -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(format!("watershed_fleet_{name}"), help), labels)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            IntGaugeVec::new(Opts::new(format!("watershed_fleet_{name}"), help), labels)
        };
        Ok(Self {
            messages: counter(
                "messages_total",
                "Messages of the streams of nodes, in or out.",
                &["direction", "kind"],
            )?,
            pushed: IntCounter::new(
                "watershed_fleet_pushed_bytes_total",
                "Octets of resources sent to nodes.",
            )?,
            nacks: counter("nacks_total", "States that nodes refused.", &["reason"])?,
            dropped: counter(
                "streams_dropped_total",
                "Streams that the operator ended: closed, or with a full queue.",
                &["cause"],
            )?,
            refused: IntCounter::new(
                "watershed_fleet_refused_total",
                "Streams that were refused for the identity of the node.",
            )?,
            enrolments: counter(
                "enrolments_total",
                "Requests of nodes for a certificate: issued, refused or failed.",
                &["outcome"],
            )?,
            claims: counter(
                "claims_total",
                "Writes of the generation record: recorded, lost or failed.",
                &["outcome"],
            )?,
            nodes: gauge(
                "nodes",
                "Nodes of a fleet that are live, connected, programmed, lagging or rejecting; on the leader.",
                &["fleet", "state"],
            )?,
            quarantined: gauge(
                "quarantined_resources",
                "Resources that are not carried as desired.",
                &["fleet"],
            )?,
        })
    }

    pub(crate) fn sent(&self, message: &OperatorMessage) {
        let kind = match message {
            OperatorMessage::Welcome { .. } => "welcome",
            OperatorMessage::Redirect { .. } => "redirect",
            OperatorMessage::Inquire(_) => "inquire",
            OperatorMessage::Stage(part) => {
                let bytes: usize = part.delta.put.iter().map(|(_, bytes)| bytes.len()).sum();
                self.pushed.inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
                "stage"
            }
            OperatorMessage::Activate { .. } => "activate",
            OperatorMessage::Recall(_) => "recall",
            OperatorMessage::Heartbeat => "heartbeat",
            OperatorMessage::Checkers(_) => "checkers",
            OperatorMessage::Verdicts { .. } => "verdicts",
            OperatorMessage::HealthInquire => "health_inquire",
        };
        self.messages.with_label_values(&["out", kind]).inc();
    }

    pub(crate) fn heard(&self, message: &NodeMessage) {
        let kind = match message {
            NodeMessage::Hello(_) => "hello",
            NodeMessage::Holdings(_) => "holdings",
            NodeMessage::Staged(_) => "staged",
            NodeMessage::Applied { .. } => "applied",
            NodeMessage::Nack(nack) => {
                self.nacks.with_label_values(&[nack.reason.as_str()]).inc();
                "nack"
            }
            NodeMessage::Recalled(_) => "recalled",
            NodeMessage::Heartbeat => "heartbeat",
            NodeMessage::HealthReport { .. } => "health_report",
            NodeMessage::HealthBeat { .. } => "health_beat",
            NodeMessage::OwnHolds(_) => "own_holds",
        };
        self.messages.with_label_values(&["in", kind]).inc();
    }

    /// The operator ended a stream.
    pub(crate) fn dropped(&self, cause: &str) {
        self.dropped.with_label_values(&[cause]).inc();
    }

    /// A stream was refused for its identity.
    pub(crate) fn refused(&self) {
        self.refused.inc();
    }

    /// A node asked for a certificate.
    pub(crate) fn enrolled(&self, outcome: &str) {
        self.enrolments.with_label_values(&[outcome]).inc();
    }

    pub(crate) fn claimed(&self, outcome: &str) {
        self.claims.with_label_values(&[outcome]).inc();
    }

    pub(crate) fn observe(&self, fleet: &FleetName, view: &FleetView) {
        let set = |state: &str, count: usize| {
            let gauge = self.nodes.with_label_values(&[fleet.as_str(), state]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        };
        let nodes = &view.nodes;
        set("live", nodes.len() + view.missing);
        set(
            "connected",
            nodes.iter().filter(|node| node.connected).count(),
        );
        set(
            "rejecting",
            nodes.iter().filter(|node| node.rejected.is_some()).count(),
        );
        set("lagging", nodes.iter().filter(|node| node.lagging).count());
        let current = |id| view.current == Some(id);
        let programmed = nodes.iter().filter_map(|node| node.applied);
        set(
            "programmed",
            programmed.filter(|held| current(held.id)).count(),
        );
        let quarantined = i64::try_from(view.quarantined.len()).unwrap_or(i64::MAX);
        self.quarantined
            .with_label_values(&[fleet.as_str()])
            .set(quarantined);
    }
}

impl Parts for Metrics {
    fn parts(&self) -> Vec<&dyn Collector> {
        vec![
            &self.messages,
            &self.pushed,
            &self.nacks,
            &self.dropped,
            &self.refused,
            &self.enrolments,
            &self.claims,
            &self.nodes,
            &self.quarantined,
        ]
    }
}

//! Messages in the terms of the two state machines.

mod from_wire;
mod health;
mod to_wire;

use std::ops::RangeInclusive;
use std::sync::Arc;

use watershed_health::fleet::Report;
use watershed_health::{Checker, Hold, Target};
use watershed_snapshot::{BUCKETS, Delta, Digest, Fault, Held, ResourceName, SnapshotId, Term};

/// What a node says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeMessage {
    /// Who it is and what it holds; the first message.
    Hello(Hello),
    /// The answer to [`OperatorMessage::Inquire`]: every resource in these
    /// buckets, with SHA-256 of its content.
    Holdings(Vec<(ResourceName, Digest)>),
    /// It has built the state, and it works.
    Staged(Held),
    /// It serves the state.
    Applied {
        /// The state.
        held: Held,
        /// Microseconds from `Activate` to the swap.
        apply_us: u32,
    },
    /// It refuses a state, and goes on with what it serves.
    Nack(Nack),
    /// The answer to [`OperatorMessage::Recall`]: those that it holds.
    Recalled(Vec<(ResourceName, Arc<[u8]>)>),
    /// It is alive.
    Heartbeat,
    /// What its probes say. Messages longer than 256 characters are cut.
    HealthReport {
        /// Of every target that it is about.
        reports: Vec<Report>,
        /// What is not in here the node knows nothing of.
        whole: bool,
    },
    /// It probes, and what it reported last holds.
    HealthBeat {
        /// [`watershed_health::fleet::digest`] of all its reports.
        digest: u64,
    },
    /// What it holds by its own decision, from a time when it was alone.
    OwnHolds(Vec<Hold>),
}

/// Who a node is and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The fleet it belongs to.
    pub fleet: String,
    /// Its name; unique in the fleet.
    pub node: String,
    /// Where it runs.
    pub location: Location,
    /// Name and version of the program, for people.
    pub software: String,
    /// The formats of resources that it reads.
    pub formats: RangeInclusive<u32>,
    /// What it serves; `None` when it serves nothing yet.
    pub held: Option<Held>,
    /// The digests of the buckets of what it serves, if it tells them.
    pub bucket_digests: Option<Box<[Digest; BUCKETS]>>,
    /// The highest term that it has seen.
    pub term: Term,
    /// Changes with every start of the program.
    pub boot: u64,
    /// Whether it probes, and so takes part in the messages about health.
    pub health: bool,
}

/// Where a node runs. Empty parts are not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// Name of the Kubernetes cluster.
    pub cluster: String,
    /// Region of the cluster.
    pub region: String,
    /// Failure zone within the region.
    pub zone: String,
}

/// Why a node refuses a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nack {
    /// The state.
    pub id: SnapshotId,
    /// Why, and so what helps.
    pub reason: NackReason,
    /// The resources at fault, for [`NackReason::Resource`].
    pub faults: Vec<Fault>,
    /// For people.
    pub message: String,
    /// What the node serves, where the reason compares with that.
    pub held: Option<SnapshotId>,
}

/// Why a node refuses a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NackReason {
    /// Some resources cannot be read, or do not fit together: leave them out.
    Resource,
    /// The difference is not against what the node holds: send all.
    Base,
    /// The result has another digest: send all.
    Digest,
    /// The node serves a later generation.
    Stale,
    /// The node serves this generation with another content.
    Conflict,
    /// The node serves a later epoch.
    Epoch,
    /// The node has seen a later term: the sender no longer leads.
    Term,
    /// The state does not answer what it should.
    SelfTest,
    /// The node cannot afford the state.
    Capacity,
}

impl NackReason {
    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Base => "base",
            Self::Digest => "digest",
            Self::Stale => "stale",
            Self::Conflict => "conflict",
            Self::Epoch => "epoch",
            Self::Term => "term",
            Self::SelfTest => "self-test",
            Self::Capacity => "capacity",
        }
    }
}

/// What an operator says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorMessage {
    /// It leads; the first message of a leader.
    Welcome {
        /// Name of the replica, for people.
        operator: String,
        /// The term that it leads in.
        term: Term,
        /// The format of everything that is sent.
        format: u32,
        /// Each side sends something at least this often, in milliseconds.
        heartbeat_ms: u32,
        /// Whether it takes part in the messages about health.
        health: bool,
    },
    /// It does not lead; the last message.
    Redirect {
        /// `host:port` of the leader, if one is known.
        leader: Option<String>,
        /// For people.
        reason: String,
    },
    /// Asks what the node holds in these buckets.
    Inquire(Vec<u8>),
    /// A part of a new state.
    Stage(StagePart),
    /// Serve this state, which the node has staged.
    Activate {
        /// The state.
        id: SnapshotId,
        /// The term of the sender.
        term: Term,
    },
    /// Asks for the content of resources.
    Recall(Vec<ResourceName>),
    /// It is alive.
    Heartbeat,
    /// The nodes that probe.
    Checkers(Vec<Checker>),
    /// The fleet's verdicts.
    Verdicts {
        /// Of each target: whether it is healthy, and whether that may soon
        /// change.
        verdicts: Vec<(Target, bool, bool)>,
        /// All that failback holds; they replace those of before.
        holds: Vec<Hold>,
        /// Nothing is known of targets that are not in here.
        whole: bool,
    },
    /// Asks for a whole [`NodeMessage::HealthReport`].
    HealthInquire,
}

/// A part of a new state, as a difference. Made by [`split`](crate::split).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagePart {
    /// The state after the whole difference.
    pub offer: Held,
    /// The term of the sender.
    pub term: Term,
    /// Digest of the state that the difference is against; `None`: of
    /// nothing at all.
    pub base: Option<Digest>,
    /// Number of this part, from 0.
    pub part: u32,
    /// How many parts there are; more than `part`.
    pub parts: u32,
    /// This part of the difference; shared, for many nodes are sent the same.
    pub delta: Arc<Delta>,
}

//! A policy document as it is written: names, not yet checked.
//!
//! Converters from other formats (custom resources, Route 53 documents) make
//! this. They check what only they can see, such as member names and number
//! formats; everything about the tree is checked by
//! [`Policy::build`](crate::Policy::build).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::client::{Coordinates, Place};

/// A traffic policy as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// DNS types served, as IANA type numbers in the order written. A and
    /// AAAA may stand together, any other type stands alone.
    pub record_types: Vec<u16>,
    /// Where evaluation starts; `None` when the converter reported it as
    /// missing or malformed.
    pub start: Option<Start>,
    /// The rules.
    pub rules: Vec<RuleSpec>,
    /// The endpoints.
    pub endpoints: Vec<EndpointSpec>,
}

/// Where evaluation of a document starts.
pub type Start = Target;

/// A reference to a rule or an endpoint by name. The two have separate name
/// spaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The rule of that name.
    Rule(String),
    /// The endpoint of that name.
    Endpoint(String),
}

/// A rule as written.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSpec {
    /// Unique among the rules.
    pub name: String,
    /// How the rule chooses.
    pub kind: RuleKind,
    /// Below this percentage (1..=100) of healthy branches the rule counts
    /// all of them as healthy. `None`: only when none is healthy.
    pub min_healthy_percent: Option<u8>,
    /// The branches, in order of priority where order matters.
    pub branches: Vec<BranchSpec>,
}

/// How a rule chooses among its branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// The first healthy branch in order.
    Failover,
    /// At random by weight.
    Weighted {
        /// What the choice sticks to.
        affinity: Affinity,
    },
    /// The region of lowest latency.
    Latency,
    /// The smallest place that holds the client.
    Geolocation,
    /// The nearest position after bias.
    Geoproximity,
    /// Several endpoints in one answer.
    MultiValue {
        /// How many at most, 1..=8.
        max_answers: u8,
    },
    /// The longest block that holds the client's network.
    Cidr,
}

impl RuleKind {
    /// The name in a `TrafficPolicy` document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failover => "Failover",
            Self::Weighted { .. } => "Weighted",
            Self::Latency => "Latency",
            Self::Geolocation => "Geolocation",
            Self::Geoproximity => "Geoproximity",
            Self::MultiValue { .. } => "MultiValue",
            Self::Cidr => "CIDR",
        }
    }
}

/// What a weighted choice sticks to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Affinity {
    /// Every query draws anew.
    #[default]
    None,
    /// A client network keeps its branch (weighted rendezvous hashing over
    /// the /24 or /48).
    Client,
}

/// A branch of a rule as written.
#[derive(Clone, Debug, PartialEq)]
pub struct BranchSpec {
    /// Where it leads; `None` when the converter reported it as missing.
    pub target: Option<Target>,
    /// Id of a health check of the branch itself, considered besides the
    /// target's health.
    pub check: Option<String>,
    /// Whether the target's own health counts.
    pub evaluate_target_health: bool,
    /// When the branch applies.
    pub selector: Selector,
}

/// When a branch applies. Which variant a branch needs follows from the kind
/// of its rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Selector {
    /// Always (failover, multivalue answer).
    Always,
    /// With this weight (weighted).
    Weight(u32),
    /// By latency to this region (latency).
    Region(Region),
    /// For clients in these places (geolocation).
    Places(Vec<Place>),
    /// By distance to this position, with a bias of -99..=99 (geoproximity).
    Position {
        /// The position.
        coordinates: Coordinates,
        /// Percentage by which the area grows or shrinks.
        bias: i32,
    },
    /// For clients in these blocks (CIDR).
    Blocks(Vec<IpNet>),
    /// For everyone else (geolocation, CIDR).
    Default,
    /// The converter reported what the rule needs as missing or malformed.
    Missing,
}

/// A region as a latency branch names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// The name as written, such as `us-east-1` or `gcp/europe-west1`.
    pub name: String,
    /// Its position, if known.
    pub coordinates: Option<Coordinates>,
}

/// An endpoint as written.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointSpec {
    /// Unique among the endpoints.
    pub name: String,
    /// Whether it has a status of its own.
    pub kind: EndpointKind,
    /// What it answers with. Empty when the converter reported the value as
    /// malformed, or when it is not resolved yet.
    pub values: Vec<Value>,
    /// Id of the endpoint's health check.
    pub check: Option<String>,
    /// No new clients while anything else is left.
    pub drain: bool,
}

/// Whether an endpoint has a health status of its own, besides checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointKind {
    /// Plain values: "evaluate target health" sees only a check of the
    /// endpoint, if it has one.
    Value,
    /// An alias of something that has a status, such as a load balancer.
    Alias,
}

/// One value of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// For A.
    Ipv4(Ipv4Addr),
    /// For AAAA.
    Ipv6(Ipv6Addr),
    /// A host name: the target of a CNAME, or of an alias that is resolved
    /// when an A or AAAA answer is made.
    Hostname(String),
    /// Record data of any other type.
    Rdata {
        /// Presentation form, as written (`10 mx1.example.net.`).
        text: String,
        /// Wire form, uncompressed.
        wire: Arc<[u8]>,
    },
}

impl Value {
    /// Whether this value can answer a query of an IANA type number, given
    /// that its policy serves that type.
    pub fn serves(&self, record_type: u16) -> bool {
        match self {
            Self::Ipv4(_) => record_type == 1,
            Self::Ipv6(_) => record_type == 28,
            Self::Hostname(_) => matches!(record_type, 1 | 5 | 28),
            Self::Rdata { .. } => !matches!(record_type, 1 | 5 | 28),
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ipv4(address) => address.fmt(f),
            Self::Ipv6(address) => address.fmt(f),
            Self::Hostname(text) | Self::Rdata { text, .. } => f.write_str(text),
        }
    }
}

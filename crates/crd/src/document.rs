//! The traffic policy document: rules and endpoints by name.
//!
//! Nothing in it has a schema default: absence is the default, and its
//! meaning is fixed in code, so that an old immutable version never changes
//! under a newer schema.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A tree of routing rules over named endpoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficPolicyDocument {
    /// DNS types served: one type, or A and AAAA together.
    pub record_types: Vec<RecordType>,
    /// Rule at which evaluation starts. Exactly one of `startRule` and
    /// `startEndpoint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_rule: Option<String>,
    /// Endpoint that answers everyone, for a policy without rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_endpoint: Option<String>,
    /// Rules by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, Rule>,
    /// Endpoints by name.
    #[serde(default)]
    pub endpoints: BTreeMap<String, Endpoint>,
}

/// A DNS record type.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[allow(
    clippy::upper_case_acronyms,
    missing_docs,
    reason = "the names of RFC 1035 and later"
)]
pub enum RecordType {
    A,
    AAAA,
    CNAME,
    MX,
    TXT,
    SRV,
    CAA,
    HTTPS,
    SVCB,
    NAPTR,
    PTR,
    SPF,
    NS,
    DS,
    TLSA,
    SSHFP,
}

impl RecordType {
    /// Every type.
    pub const ALL: [Self; 16] = [
        Self::A,
        Self::AAAA,
        Self::CNAME,
        Self::MX,
        Self::TXT,
        Self::SRV,
        Self::CAA,
        Self::HTTPS,
        Self::SVCB,
        Self::NAPTR,
        Self::PTR,
        Self::SPF,
        Self::NS,
        Self::DS,
        Self::TLSA,
        Self::SSHFP,
    ];

    /// The IANA type number.
    pub fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::NS => 2,
            Self::CNAME => 5,
            Self::PTR => 12,
            Self::MX => 15,
            Self::TXT => 16,
            Self::AAAA => 28,
            Self::SRV => 33,
            Self::NAPTR => 35,
            Self::DS => 43,
            Self::SSHFP => 44,
            Self::TLSA => 52,
            Self::SVCB => 64,
            Self::HTTPS => 65,
            Self::SPF => 99,
            Self::CAA => 257,
        }
    }

    /// The type of an IANA number.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// The name, upper case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::AAAA => "AAAA",
            Self::CNAME => "CNAME",
            Self::MX => "MX",
            Self::TXT => "TXT",
            Self::SRV => "SRV",
            Self::CAA => "CAA",
            Self::HTTPS => "HTTPS",
            Self::SVCB => "SVCB",
            Self::NAPTR => "NAPTR",
            Self::PTR => "PTR",
            Self::SPF => "SPF",
            Self::NS => "NS",
            Self::DS => "DS",
            Self::TLSA => "TLSA",
            Self::SSHFP => "SSHFP",
        }
    }

    /// Whether a policy may serve it. NS and DS take part in delegation, which
    /// does not vary by client.
    pub fn is_routed(self) -> bool {
        !matches!(self, Self::NS | Self::DS)
    }
}

impl FromStr for RecordType {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(())
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a rule chooses among its branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RuleType {
    /// The first healthy branch in order.
    Failover,
    /// At random in proportion to weights.
    Weighted,
    /// The region of lowest latency.
    Latency,
    /// The smallest place that holds the client.
    Geolocation,
    /// The nearest position after bias.
    Geoproximity,
    /// Several endpoints in one answer.
    MultiValue,
    /// The longest CIDR block that holds the client's network.
    CIDR,
}

impl RuleType {
    /// The name in a document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failover => "Failover",
            Self::Weighted => "Weighted",
            Self::Latency => "Latency",
            Self::Geolocation => "Geolocation",
            Self::Geoproximity => "Geoproximity",
            Self::MultiValue => "MultiValue",
            Self::CIDR => "CIDR",
        }
    }
}

/// A routing rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// How the rule chooses.
    #[serde(rename = "type")]
    pub type_: RuleType,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Weighted: `Client` keeps a client network at its branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// MultiValue: endpoints in one answer, 1 to 8; 8 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_answers: Option<i32>,
    /// Below this percentage of healthy branches, 1 to 100, all count as
    /// healthy. When absent, only when none is healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_healthy_percent: Option<i32>,
    /// CIDR: the collection that `cidrLocation` of branches refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr_collection_ref: Option<LocalReference>,
    /// The branches; their order is the priority of a Failover rule.
    pub branches: Vec<Branch>,
}

/// What a weighted choice sticks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Affinity {
    /// Every query draws anew.
    None,
    /// A client network keeps its branch.
    Client,
}

/// A branch of a rule: where it leads, and when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Branch {
    /// Rule that the branch leads to. Exactly one of `rule` and `endpoint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Endpoint that the branch leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Whether the health of the target counts; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate_target_health: Option<bool>,
    /// Health check of the branch itself, besides the target's health.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check_ref: Option<LocalReference>,
    /// Weighted: 0 to 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<i32>,
    /// Latency, Geoproximity: a cloud region, such as `us-east-1` or
    /// `gcp/europe-west1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Geolocation: places such as `continent/EU`, `country/NO` and
    /// `country/US-CA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locations: Option<Vec<String>>,
    /// Geoproximity: a position instead of a region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinates: Option<BranchCoordinates>,
    /// Geoproximity: -99 to 99; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias: Option<i32>,
    /// CIDR: blocks of client addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidrs: Option<Vec<String>>,
    /// CIDR: a location of the rule's collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr_location: Option<String>,
    /// Geolocation, CIDR: `true` on the branch for everyone else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<bool>,
}

/// A position in decimal degrees, as strings with at most two decimals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BranchCoordinates {
    /// Degrees north, -90 to 90.
    pub latitude: String,
    /// Degrees east, -180 to 180.
    pub longitude: String,
}

/// An endpoint: what a branch finally answers with. Exactly one of
/// `addresses`, `hostname`, `values`, `objectRef` and `policyRecordRef`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// A, AAAA: IPv4 and IPv6 addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
    /// CNAME: the target. A, AAAA: a name whose addresses are answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Other types: record data in presentation format, such as
    /// `10 mx1.example.net.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
    /// A, AAAA: a Kubernetes object whose addresses are followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_ref: Option<ObjectReference>,
    /// Another PolicyRecord of this namespace, whose answer is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_record_ref: Option<LocalReference>,
    /// Health check of the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check_ref: Option<LocalReference>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// `true`: no new clients while anything else is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<bool>,
    /// Region of branches that name neither region nor coordinates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// A Kubernetes object that has addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectReference {
    /// API group of the kind; absent or empty for Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Service, Gateway, Ingress or ServiceImport.
    pub kind: ObjectKind,
    /// Name of the object.
    pub name: String,
    /// Namespace of the object; another one needs a ReferenceGrant there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Listener of a Gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
    /// Which of the object's addresses to take; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_types: Option<Vec<AddressType>>,
}

/// Kinds of objects that have addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ObjectKind {
    /// A Service of type LoadBalancer.
    Service,
    /// A Gateway of the Gateway API.
    Gateway,
    /// An Ingress.
    Ingress,
    /// A ServiceImport of the Multi-Cluster Services API.
    ServiceImport,
}

/// Kinds of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum AddressType {
    IPv4,
    IPv6,
    Hostname,
}

/// An object of the same namespace, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct LocalReference {
    /// Name of the object.
    pub name: String,
}

//! The traffic policy document: rules and endpoints by name.
//!
//! Nothing in it has a schema default: absence is the default, and its
//! meaning is fixed in code, so that an old immutable version never changes
//! under a newer schema.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cel;
use crate::names::{HOST_NAME, LATITUDE, LONGITUDE, NAMESPACE, NODE_NAME, OBJECT_NAME, PLACE};

/// A tree of routing rules over named endpoints.
// The derive brings a `Rule` of its own into scope, hence `self::Rule`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = require_endpoints)]
#[x_kube(
    validation = Rule::new("has(self.startRule) != has(self.startEndpoint)").message("exactly one of `startRule` and `startEndpoint` must be set"),
    validation = Rule::new("!has(self.startRule) || (has(self.rules) && self.startRule in self.rules)").message("`startRule` must name a rule"),
    validation = Rule::new("!has(self.startEndpoint) || self.startEndpoint in self.endpoints").message("`startEndpoint` must name an endpoint"),
    validation = Rule::new(cel::TARGETS_EXIST)
        .message("every `rule` and `endpoint` of a branch must name another rule or an endpoint of this document"),
    validation = Rule::new(cel::acyclic()).message("rules must not form a cycle and may be at most 8 deep"),
    validation = Rule::new("!has(self.rules) || self.rules.map(n, self.rules[n].branches.size()).sum() <= 1000").message("all rules together may have at most 1000 branches"),
    validation = Rule::new(cel::POSITIONS_KNOWN)
        .message("a branch of a Latency or Geoproximity rule needs a `region`, its own or its endpoint's; Geoproximity also takes `coordinates`"),
    validation = Rule::new(cel::VALUES_FIT)
        .message("`values` is for record types other than A, AAAA and CNAME, which take `addresses`, `hostname`, `objectRef`"),
    validation = Rule::new("self.recordTypes != ['CNAME'] || self.endpoints.all(n, !has(self.endpoints[n].addresses))").message("a CNAME policy must not have `addresses`")
)]
pub struct TrafficPolicyDocument {
    /// DNS types served: one type, or A and AAAA together.
    #[schemars(
        length(min = 1, max = 2),
        extend("x-kubernetes-list-type" = "set"),
        transform = routed_types
    )]
    #[x_kube(validation = Rule::new("self.size() == 1 || self.all(t, t in ['A','AAAA'])").message("only A and AAAA may be combined"))]
    pub record_types: Vec<RecordType>,
    /// Rule at which evaluation starts. Exactly one of `startRule` and
    /// `startEndpoint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = NODE_NAME))]
    pub start_rule: Option<String>,
    /// Endpoint that answers everyone, for a policy without rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = NODE_NAME))]
    pub start_endpoint: Option<String>,
    /// Rules by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    #[x_kube(validation = Rule::new(cel::NODE_NAMES)
        .message("rule names must match ^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$"))]
    pub rules: BTreeMap<String, self::Rule>,
    /// Endpoints by name.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 128))]
    #[x_kube(validation = Rule::new(cel::NODE_NAMES)
        .message("endpoint names must match ^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$"))]
    pub endpoints: BTreeMap<String, Endpoint>,
}

/// A document may be read without endpoints, so that everything else that is
/// wrong with it can be told as well; it is not valid without them.
fn require_endpoints(schema: &mut Schema) {
    if let Some(endpoints) = schema.pointer_mut("/properties/endpoints") {
        if let Some(endpoints) = endpoints.as_object_mut() {
            endpoints.remove("default");
        }
        schema.insert("required".to_owned(), json!(["recordTypes", "endpoints"]));
    }
}

fn routed_types(schema: &mut Schema) {
    let types = RecordType::ALL.into_iter().filter(|kind| kind.is_routed());
    let names: Vec<&str> = types.map(RecordType::as_str).collect();
    schema.insert("items".to_owned(), json!({"type": "string", "enum": names}));
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(cel::BRANCHES_COMPLETE).message(cel::BRANCHES_COMPLETE_MESSAGE),
    validation = Rule::new(cel::BRANCHES_PURE).message(cel::BRANCHES_PURE_MESSAGE),
    validation = Rule::new("!(self.type in ['Geolocation','CIDR']) || self.branches.filter(b, has(b.default)).size() <= 1").message("at most one branch may be the default"),
    validation = Rule::new(cel::RULE_PURE)
        .message("`affinity` is only for Weighted, `maxAnswers` for MultiValue, `cidrCollectionRef` for CIDR")
)]
pub struct Rule {
    /// How the rule chooses.
    #[serde(rename = "type")]
    pub type_: RuleType,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub comment: Option<String>,
    /// Weighted: `Client` keeps a client network at its branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// MultiValue: endpoints in one answer, 1 to 8; 8 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 8))]
    pub max_answers: Option<i32>,
    /// Below this percentage of healthy branches, 1 to 100, all count as
    /// healthy. When absent, only when none is healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub min_healthy_percent: Option<i32>,
    /// CIDR: the collection that `cidrLocation` of branches refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr_collection_ref: Option<LocalReference>,
    /// The branches; their order is the priority of a Failover rule.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "atomic"))]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.rule) != has(self.endpoint)").message("exactly one of `rule` and `endpoint` must be set"))]
pub struct Branch {
    /// Rule that the branch leads to. Exactly one of `rule` and `endpoint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = NODE_NAME))]
    pub rule: Option<String>,
    /// Endpoint that the branch leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = NODE_NAME))]
    pub endpoint: Option<String>,
    /// Whether the health of the target counts; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate_target_health: Option<bool>,
    /// Health check of the branch itself, besides the target's health.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check_ref: Option<LocalReference>,
    /// Weighted: 0 to 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub weight: Option<i32>,
    /// Latency, Geoproximity: a cloud region, such as `us-east-1` or
    /// `gcp/europe-west1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub region: Option<String>,
    /// Geolocation: places such as `continent/EU`, `country/NO` and
    /// `country/US-CA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 9, max = 14), regex(pattern = PLACE)), extend("x-kubernetes-list-type" = "set"))]
    pub locations: Option<Vec<String>>,
    /// Geoproximity: a position instead of a region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinates: Option<BranchCoordinates>,
    /// Geoproximity: -99 to 99; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -99, max = 99))]
    pub bias: Option<i32>,
    /// CIDR: blocks of client addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8), inner(length(min = 2, max = 43)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = Rule::new("self.all(c, isCIDR(c))").message("must be CIDR blocks"))]
    pub cidrs: Option<Vec<String>>,
    /// CIDR: a location of the rule's collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub cidr_location: Option<String>,
    /// Geolocation, CIDR: `true` on the branch for everyone else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [true]))]
    pub default: Option<bool>,
}

/// A position in decimal degrees, as strings with at most two decimals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BranchCoordinates {
    /// Degrees north, -90 to 90.
    #[schemars(length(min = 1, max = 7), regex(pattern = LATITUDE))]
    pub latitude: String,
    /// Degrees east, -180 to 180.
    #[schemars(length(min = 1, max = 8), regex(pattern = LONGITUDE))]
    pub longitude: String,
}

/// An endpoint: what a branch finally answers with. Exactly one of
/// `addresses`, `hostname`, `values`, `objectRef` and `policyRecordRef`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.addresses), has(self.hostname), has(self.values), has(self.objectRef), has(self.policyRecordRef)].filter(x, x).size() == 1")
    .message("exactly one of `addresses`, `hostname`, `values`, `objectRef` and `policyRecordRef` must be set"))]
pub struct Endpoint {
    /// A, AAAA: IPv4 and IPv6 addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 2, max = 45)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = Rule::new("self.all(a, isIP(a))").message("must be IPv4 or IPv6 addresses"))]
    pub addresses: Option<Vec<String>>,
    /// CNAME: the target. A, AAAA: a name whose addresses are answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = HOST_NAME))]
    pub hostname: Option<String>,
    /// Other types: record data in presentation format, such as
    /// `10 mx1.example.net.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 4096)), extend("x-kubernetes-list-type" = "atomic"))]
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
    #[schemars(length(max = 256))]
    pub comment: Option<String>,
    /// `true`: no new clients while anything else is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<bool>,
    /// Region of branches that name neither region nor coordinates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub region: Option<String>,
}

/// A Kubernetes object that has addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(cel::GROUP_OF_KIND).message("`group` does not belong to `kind`"))]
pub struct ObjectReference {
    /// API group of the kind; absent or empty for Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub group: Option<String>,
    /// Service, Gateway, Ingress or ServiceImport.
    pub kind: ObjectKind,
    /// Name of the object.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub name: String,
    /// Namespace of the object; another one needs a ReferenceGrant there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = NAMESPACE))]
    pub namespace: Option<String>,
    /// Listener of a Gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub section_name: Option<String>,
    /// Which of the object's addresses to take; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 3), extend("x-kubernetes-list-type" = "set"))]
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
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub name: String,
}

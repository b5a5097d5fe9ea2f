//! HostedZone: a zone, its own records, and who may publish in it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{AliasTarget, Conditions, FleetProgress};
use crate::document::{LocalReference, RecordType};
use crate::names::{DOMAIN, HOST_NAME, OWNER_NAME};

/// A zone: its apex, its own records, and who may publish in it.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "watershed.dev",
    version = "v1alpha1",
    kind = "HostedZone",
    plural = "hostedzones",
    namespaced,
    shortname = "tfz",
    category = "watershed",
    status = "HostedZoneStatus",
    derive = "PartialEq",
    label("app.kubernetes.io/part-of", "watershed"),
    annotation("helm.sh/resource-policy", "keep"),
    selectable = ".spec.domain",
    printcolumn(name = "Domain", type_ = "string", json_path = ".spec.domain"),
    printcolumn(name = "Serial", type_ = "integer", json_path = ".status.serial"),
    printcolumn(
        name = "Records",
        type_ = "integer",
        json_path = ".status.records.policyRecords"
    ),
    printcolumn(name = "DNSSEC", type_ = "string", json_path = ".spec.dnssec.mode"),
    printcolumn(
        name = "Delegated",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Delegated")].status"#
    ),
    printcolumn(name = "Nodes", type_ = "string", json_path = ".status.fleet.summary"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[x_kube(validation = Rule::new("self.domain == oldSelf.domain").message("`domain` may not change").field_path(".domain"))]
pub struct HostedZoneSpec {
    /// Apex of the zone, lower case. It may not change.
    #[schemars(length(min = 1, max = 253), regex(pattern = DOMAIN))]
    pub domain: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// Fleet that serves the zone.
    #[serde(default = "default_fleet")]
    #[schemars(length(min = 1, max = 63))]
    pub fleet_name: String,
    /// Fields of the SOA record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soa: Option<Soa>,
    /// Name servers of the zone.
    pub nameservers: Nameservers,
    /// Static records of the zone's owner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into(), "type".into()]))]
    pub records: Vec<StaticRecord>,
    /// Who else may publish here. When empty, this namespace only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub allowed_records: Vec<AllowedRecords>,
    /// Signing of the zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dnssec: Option<Dnssec>,
    /// Who may query the zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// Whether a zone that records use may be deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

fn default_fleet() -> String {
    "default".to_owned()
}

/// Fields of the SOA record (RFC 1035 section 3.3.13).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Soa {
    /// Mail address of the person responsible; `hostmaster@` the apex when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 254))]
    pub admin_email: Option<String>,
    /// REFRESH in seconds.
    #[serde(default = "default_refresh")]
    #[schemars(range(min = 1))]
    pub refresh_seconds: i32,
    /// RETRY in seconds.
    #[serde(default = "default_retry")]
    #[schemars(range(min = 1))]
    pub retry_seconds: i32,
    /// EXPIRE in seconds.
    #[serde(default = "default_expire")]
    #[schemars(range(min = 1))]
    pub expire_seconds: i32,
    /// MINIMUM in seconds: how long resolvers keep "no such name" (RFC 2308).
    #[serde(rename = "negativeTTLSeconds", default = "default_negative_ttl")]
    #[schemars(range(min = 0, max = 86_400))]
    pub negative_ttl_seconds: i32,
}

impl Default for Soa {
    fn default() -> Self {
        Self {
            admin_email: None,
            refresh_seconds: default_refresh(),
            retry_seconds: default_retry(),
            expire_seconds: default_expire(),
            negative_ttl_seconds: default_negative_ttl(),
        }
    }
}

fn default_refresh() -> i32 {
    7200
}

fn default_retry() -> i32 {
    900
}

fn default_expire() -> i32 {
    1_209_600
}

fn default_negative_ttl() -> i32 {
    60
}

/// Name servers of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Nameservers {
    /// Absolute host names; the first is the SOA's MNAME.
    #[schemars(
        length(min = 1, max = 13),
        inner(length(min = 1, max = 253), regex(pattern = HOST_NAME)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub names: Vec<String>,
    /// TTL of the NS records in seconds.
    #[serde(default = "default_ns_ttl")]
    #[schemars(range(min = 0, max = 604_800))]
    pub ttl_seconds: i32,
    /// Whether addresses of name servers inside the zone come from the fleet.
    #[serde(default)]
    pub glue: Glue,
}

fn default_ns_ttl() -> i32 {
    86_400
}

/// Where addresses of name servers inside the zone come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Glue {
    /// From the addresses of the fleet's Service.
    #[default]
    FromFleet,
    /// From records of the zone, if at all.
    None,
}

/// A static RRset, or an alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.values) != has(self.aliasTo)").message("exactly one of `values` and `aliasTo` must be set"),
    validation = Rule::new("!has(self.aliasTo) || self.type in ['A','AAAA']").message("`aliasTo` is only for A and AAAA")
)]
pub struct StaticRecord {
    /// Owner name relative to the apex; `@` is the apex.
    #[schemars(length(min = 1, max = 253), regex(pattern = OWNER_NAME))]
    pub name: String,
    /// Record type.
    #[serde(rename = "type")]
    pub type_: RecordType,
    /// TTL in seconds.
    #[serde(default = "default_ttl")]
    #[schemars(range(min = 0, max = 604_800))]
    pub ttl_seconds: i32,
    /// Record data in presentation format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 100),
        inner(length(min = 1, max = 4096)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub values: Option<Vec<String>>,
    /// Answers of another name of the zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias_to: Option<AliasTarget>,
}

fn default_ttl() -> i32 {
    300
}

/// Who may publish which names and types.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AllowedRecords {
    /// Namespaces of the objects.
    pub namespaces: AllowedNamespaces,
    /// Name patterns relative to the apex: `www`, `*.shop`, `@`. Empty allows
    /// every name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    pub names: Vec<String>,
    /// Record types. Empty allows every type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub types: Vec<RecordType>,
    /// Kinds of objects. Empty allows PolicyRecord and RecordSet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3), extend("x-kubernetes-list-type" = "set"))]
    pub kinds: Vec<AllowedKind>,
}

/// Kinds that may publish in a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum AllowedKind {
    PolicyRecord,
    RecordSet,
    HostedZone,
}

/// Namespaces that may publish.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("(self.from == 'Selector') == has(self.selector)").message("`selector` must be set if and only if `from` is Selector"))]
pub struct AllowedNamespaces {
    /// Which namespaces.
    #[serde(default)]
    pub from: NamespacesFrom,
    /// Labels of the namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<NamespaceSelector>,
}

/// Which namespaces may publish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    /// The zone's own.
    #[default]
    Same,
    /// All.
    All,
    /// Those with matching labels.
    Selector,
}

/// A label selector; all requirements must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub match_labels: BTreeMap<String, String>,
    /// Requirements on labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub match_expressions: Vec<LabelRequirement>,
}

/// One requirement on a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LabelRequirement {
    /// Key of the label.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// What must hold.
    pub operator: LabelOperator,
    /// Values for In and NotIn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 63)), extend("x-kubernetes-list-type" = "atomic"))]
    pub values: Vec<String>,
}

/// What must hold of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum LabelOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// Signing of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dnssec {
    /// Whether answers are signed.
    #[serde(default)]
    pub mode: DnssecMode,
    /// Algorithm of the keys.
    #[serde(default)]
    pub algorithm: DnssecAlgorithm,
    /// How absence is proved.
    #[serde(default)]
    pub denial: Denial,
    /// Secret with the keys; the operator keeps them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_secret_ref: Option<LocalReference>,
}

/// Whether answers are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum DnssecMode {
    #[default]
    Disabled,
    OnlineSigning,
}

/// Algorithm of the zone's keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names of the IANA registry")]
pub enum DnssecAlgorithm {
    #[default]
    ECDSAP256SHA256,
    ED25519,
}

/// How absence is proved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Denial {
    /// RFC 9824.
    #[default]
    Compact,
    /// RFC 5155.
    NSEC3,
}

/// Who may query a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Visibility {
    /// Blocks of clients for a private zone; everyone else is refused. Empty:
    /// a public zone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 2, max = 43)), extend("x-kubernetes-list-type" = "set"))]
    pub clients: Vec<String>,
}

/// Whether a zone that records use may be deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum DeletionPolicy {
    #[default]
    RefuseWhileInUse,
    Delete,
}

/// What is served of a zone, and what the parent says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostedZoneStatus {
    /// Generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Accepted, ResolvedRefs, Programmed, Delegated, Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Conditions,
    /// Serial of the SOA record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub serial: Option<i64>,
    /// Records, counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<ZoneRecordCounts>,
    /// The delegation at the parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation: Option<Delegation>,
    /// How far the fleet serves this generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetProgress>,
    /// Keys in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dnssec: Option<DnssecStatus>,
}

/// Records of a zone, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ZoneRecordCounts {
    /// In the zone's own spec.
    #[serde(rename = "static")]
    #[schemars(range(min = 0))]
    pub static_: i32,
    /// RecordSet objects.
    #[schemars(range(min = 0))]
    pub record_sets: i32,
    /// PolicyRecord objects.
    #[schemars(range(min = 0))]
    pub policy_records: i32,
}

/// The delegation at the parent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delegation {
    /// Name servers to give to the registrar.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 13), inner(length(max = 253)), extend("x-kubernetes-list-type" = "atomic"))]
    pub nameservers: Vec<String>,
    /// DS records to give to the registrar.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), inner(length(max = 512)), extend("x-kubernetes-list-type" = "atomic"))]
    pub ds_records: Vec<String>,
    /// Name servers that the parent serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 26), inner(length(max = 253)), extend("x-kubernetes-list-type" = "atomic"))]
    pub parent_nameservers: Vec<String>,
    /// DS records that the parent serves.
    #[serde(
        rename = "parentDSRecords",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(length(max = 8), inner(length(max = 512)), extend("x-kubernetes-list-type" = "atomic"))]
    pub parent_ds_records: Vec<String>,
    /// When the parent was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_time: Option<Time>,
}

/// Keys of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DnssecStatus {
    /// The keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub keys: Vec<KeyStatus>,
}

/// One key of a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyStatus {
    /// Key tag.
    #[schemars(range(min = 0, max = 65_535))]
    pub tag: i32,
    /// Key-signing or zone-signing.
    pub role: KeyRole,
    /// Where it is in its life.
    pub state: KeyState,
}

/// Role of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(
    missing_docs,
    clippy::upper_case_acronyms,
    reason = "the names of RFC 6781"
)]
pub enum KeyRole {
    KSK,
    ZSK,
}

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names of RFC 7583")]
pub enum KeyState {
    Published,
    Active,
    Retired,
}

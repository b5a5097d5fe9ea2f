//! RecordSet: one static RRset, or an alias, of another team in a zone.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{AliasTarget, Conditions, FleetProgress, ObjectName};
use crate::document::RecordType;
use crate::names::OWNER_NAME;

/// One static RRset, or an alias, in a zone.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "watershed.dev",
    version = "v1alpha1",
    kind = "RecordSet",
    plural = "recordsets",
    namespaced,
    shortname = "tfrs",
    category = "watershed",
    status = "RecordSetStatus",
    derive = "PartialEq",
    label("app.kubernetes.io/part-of", "watershed"),
    annotation("helm.sh/resource-policy", "keep"),
    selectable = ".spec.hostedZoneRef.name",
    printcolumn(name = "Name", type_ = "string", json_path = ".status.fqdn"),
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
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
#[x_kube(
    validation = Rule::new("has(self.values) != has(self.aliasTo)").message("exactly one of `values` and `aliasTo` must be set"),
    validation = Rule::new("!has(self.aliasTo) || self.type in ['A','AAAA']").message("`aliasTo` is only for A and AAAA"),
    validation = Rule::new("self.name == oldSelf.name && self.type == oldSelf.type && self.hostedZoneRef == oldSelf.hostedZoneRef")
        .message("`name`, `type` and `hostedZoneRef` may not change")
)]
pub struct RecordSetSpec {
    /// The zone. It may not change.
    pub hosted_zone_ref: ObjectName,
    /// Owner name relative to the apex; `@` is the apex. It may not change.
    #[schemars(length(min = 1, max = 253), regex(pattern = OWNER_NAME))]
    pub name: String,
    /// Record type. It may not change.
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

/// Whether the RRset is served.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordSetStatus {
    /// Generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Accepted, Programmed, Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Conditions,
    /// Absolute owner name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub fqdn: Option<String>,
    /// How far the fleet serves this generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetProgress>,
}

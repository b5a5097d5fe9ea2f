//! TrafficPolicy: the working document of a policy.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::Conditions;
use crate::document::TrafficPolicyDocument;

/// The working document of a traffic policy and its channels. Every change of
/// the document makes a new immutable TrafficPolicyVersion.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "watershed.dev",
    version = "v1alpha1",
    kind = "TrafficPolicy",
    plural = "trafficpolicies",
    namespaced,
    shortname = "tfp",
    category = "watershed",
    status = "TrafficPolicyStatus",
    derive = "PartialEq",
    label("app.kubernetes.io/part-of", "watershed"),
    annotation("helm.sh/resource-policy", "keep"),
    validation = Rule::new("self.metadata.name.size() <= 200")
        .message("metadata.name must be no more than 200 characters"),
    validation = Rule::new("!has(self.spec.version) || !has(oldSelf.spec.version) || self.spec.version != oldSelf.spec.version || !has(oldSelf.status) || !has(oldSelf.status.mintedVersion) || oldSelf.status.mintedVersion != self.spec.version || (has(self.spec.document) && self.spec.document == oldSelf.spec.document)")
        .message("this version has been minted and may not change: set `spec.version` to a new number"),
    printcolumn(name = "Version", type_ = "integer", json_path = ".status.mintedVersion"),
    printcolumn(name = "Latest", type_ = "integer", json_path = ".status.latestVersion"),
    printcolumn(name = "Records", type_ = "integer", json_path = ".status.records.total"),
    printcolumn(name = "Accepted", type_ = "string", json_path = r#".status.conditions[?(@.type=="Accepted")].status"#),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#, priority = 1),
    printcolumn(name = "Digest", type_ = "string", json_path = ".status.digest", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = Rule::new("!has(self.version) || has(self.document)").message("`version` needs `document`"))]
pub struct TrafficPolicySpec {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// Number of the version that holds the document. When absent, the next
    /// free number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub version: Option<i32>,
    /// The document. Absent when versions are authored as objects of their
    /// own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<TrafficPolicyDocument>,
    /// Version numbers by channel name, for records that follow a channel.
    /// `latest` is built in: the newest accepted version.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[a-z]([-a-z0-9]{0,30}[a-z0-9])?$') && k != 'latest')")
        .message("channel names must match ^[a-z]([-a-z0-9]{0,30}[a-z0-9])?$ and must not be `latest`"))]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = {"type": "integer", "format": "int32", "minimum": 1, "maximum": 1_000_000}))]
    pub channels: BTreeMap<String, i32>,
    /// Minted versions kept although nothing uses them, 1 to 1000.
    #[serde(default = "default_history_limit")]
    #[schemars(range(min = 1, max = 1000))]
    pub version_history_limit: i32,
}

fn default_history_limit() -> i32 {
    50
}

/// What the operator found and made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficPolicyStatus {
    /// Generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Accepted, ResolvedRefs, Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Conditions,
    /// The version that holds `spec.document`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub minted_version: Option<i32>,
    /// The highest accepted version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub latest_version: Option<i32>,
    /// The highest number that a version of this policy ever had. It is not
    /// given again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub highest_version: Option<i32>,
    /// Digest of `spec.document`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 80))]
    pub digest: Option<String>,
    /// What every channel points at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 17), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub channels: Vec<ChannelStatus>,
    /// Versions of this policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<VersionCounts>,
    /// Records that serve this policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<RecordCounts>,
}

/// What a channel points at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelStatus {
    /// Name of the channel.
    #[schemars(length(max = 32))]
    pub name: String,
    /// Version number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub version: Option<i32>,
    /// Digest of the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 80))]
    pub digest: Option<String>,
}

/// Versions of a policy, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionCounts {
    /// All.
    #[schemars(range(min = 0))]
    pub total: i32,
    /// Made by the operator.
    #[schemars(range(min = 0))]
    pub minted: i32,
    /// Written by people.
    #[schemars(range(min = 0))]
    pub authored: i32,
    /// Served or targeted by a record, or named by a channel.
    #[schemars(range(min = 0))]
    pub in_use: i32,
}

/// Records of a policy, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordCounts {
    /// All.
    #[schemars(range(min = 0))]
    pub total: i32,
    /// By the version they serve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["version"]))]
    pub by_version: Vec<VersionRecords>,
}

/// Records that serve one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionRecords {
    /// Version number.
    #[schemars(range(min = 0))]
    pub version: i32,
    /// How many records serve it.
    #[schemars(range(min = 0))]
    pub records: i32,
}

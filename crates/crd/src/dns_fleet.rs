//! DNSFleet: one fleet of DNS nodes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::Conditions;

/// One fleet of DNS nodes.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "watershed.dev",
    version = "v1alpha1",
    kind = "DNSFleet",
    plural = "dnsfleets",
    namespaced,
    shortname = "tff",
    category = "watershed",
    status = "DNSFleetStatus",
    derive = "PartialEq",
    label("app.kubernetes.io/part-of", "watershed"),
    annotation("helm.sh/resource-policy", "keep"),
    printcolumn(name = "Snapshot", type_ = "string", json_path = ".status.snapshot"),
    printcolumn(name = "Nodes", type_ = "string", json_path = ".status.nodes.summary"),
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
pub struct DNSFleetSpec {
    /// Nodes that must serve a snapshot before it counts as programmed.
    #[serde(default = "default_programmed")]
    #[schemars(range(min = 1, max = 100))]
    pub min_programmed_percent: i32,
    /// Silence after which a node no longer counts as live.
    #[serde(default = "default_stale")]
    #[schemars(range(min = 10, max = 86_400))]
    pub node_stale_seconds: i32,
}

fn default_programmed() -> i32 {
    100
}

fn default_stale() -> i32 {
    120
}

/// What the nodes of a fleet serve.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DNSFleetStatus {
    /// Generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Programmed, Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Conditions,
    /// Newest snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub snapshot: Option<String>,
    /// Nodes, counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodeCounts>,
    /// Snapshots in service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub snapshots: Vec<SnapshotNodes>,
    /// Nodes by location.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub locations: Vec<LocationNodes>,
    /// Nodes in trouble.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["node"]))]
    pub problems: Vec<NodeProblem>,
}

/// Nodes of a fleet, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeCounts {
    /// With a stream to the operator.
    #[schemars(range(min = 0))]
    pub connected: i32,
    /// Serving the newest snapshot.
    #[schemars(range(min = 0))]
    pub programmed: i32,
    /// That refused the newest snapshot.
    #[schemars(range(min = 0))]
    pub rejected: i32,
    /// Not heard of lately.
    #[schemars(range(min = 0))]
    pub stale: i32,
    /// `programmed/live`, for people.
    #[schemars(length(max = 24))]
    pub summary: String,
}

/// Nodes that serve one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotNodes {
    /// Id of the snapshot.
    #[schemars(length(max = 32))]
    pub id: String,
    /// How many nodes.
    #[schemars(range(min = 0))]
    pub nodes: i32,
}

/// Nodes in one location.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocationNodes {
    /// Name of the location.
    #[schemars(length(max = 63))]
    pub name: String,
    /// How many nodes.
    #[schemars(range(min = 0))]
    pub nodes: i32,
    /// How many not heard of lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub stale: Option<i32>,
    /// Queries a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub queries_per_second: Option<i32>,
}

/// A node in trouble.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeProblem {
    /// Name of the node.
    #[schemars(length(max = 253))]
    pub node: String,
    /// What kind of trouble.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

//! Parts that several kinds share.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::LocalReference;
use crate::names::{NAMESPACE, OBJECT_NAME};

/// An object by name, in this namespace unless another is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ObjectName {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub name: String,
    /// Namespace of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = NAMESPACE))]
    pub namespace: Option<String>,
}

/// Where an alias points: the answers of another name of the zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.policyRecordRef) != has(self.name)")
    .message("exactly one of `policyRecordRef` and `name` must be set"))]
pub struct AliasTarget {
    /// A PolicyRecord attached to the same zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_record_ref: Option<ObjectName>,
    /// A name of the zone, relative to the apex; `@` is the apex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
}

/// How far a change has reached the fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FleetProgress {
    /// Snapshot that first carried the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub snapshot: Option<String>,
    /// Live nodes of the fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub nodes: Option<i32>,
    /// Nodes that serve the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub programmed: Option<i32>,
    /// Nodes that refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub rejected: Option<i32>,
    /// Nodes not heard of lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub stale: Option<i32>,
    /// `programmed/nodes`, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    pub summary: Option<String>,
    /// When the last node served the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_time: Option<Time>,
    /// Milliseconds from the change until the last node served it. Absent when
    /// the operator was replaced meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub delay_milliseconds: Option<i64>,
}

/// Status of kinds that have nothing more to say than their conditions.
pub type Conditions = Vec<Condition>;

impl LocalReference {
    /// A reference to the object of that name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

//! CIDRCollection: named address blocks for CIDR rules.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::Conditions;

/// Named address blocks for CIDR rules.
#[derive(
    CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema,
)]
#[kube(
    group = "watershed.dev",
    version = "v1alpha1",
    kind = "CIDRCollection",
    plural = "cidrcollections",
    namespaced,
    shortname = "tfcc",
    category = "watershed",
    status = "CIDRCollectionStatus",
    derive = "PartialEq",
    label("app.kubernetes.io/part-of", "watershed"),
    annotation("helm.sh/resource-policy", "keep"),
    printcolumn(name = "Blocks", type_ = "integer", json_path = ".status.blocks"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
pub struct CIDRCollectionSpec {
    /// CIDR blocks by location name.
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$'))")
        .message("location names must match ^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$"))]
    #[schemars(extend("maxProperties" = 100))]
    pub locations: BTreeMap<String, Blocks>,
}

/// CIDR blocks, IPv4 and IPv6.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Blocks(
    /// The blocks, such as `203.0.113.0/24`.
    #[schemars(
        length(min = 1, max = 1000),
        inner(length(min = 2, max = 43)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub Vec<String>,
);

/// Whether the collection is sound.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CIDRCollectionStatus {
    /// Generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Accepted, Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Conditions,
    /// Number of blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub blocks: Option<i32>,
}

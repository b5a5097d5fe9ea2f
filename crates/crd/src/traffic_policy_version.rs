//! TrafficPolicyVersion: one immutable, numbered document.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::Conditions;
use crate::document::TrafficPolicyDocument;
use crate::names::OBJECT_NAME;

/// One immutable version of a traffic policy, named `<policyName>-v<version>`.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "watershed.dev",
    version = "v1alpha1",
    kind = "TrafficPolicyVersion",
    plural = "trafficpolicyversions",
    namespaced,
    shortname = "tfpv",
    category = "watershed",
    status = "TrafficPolicyVersionStatus",
    derive = "PartialEq",
    label("app.kubernetes.io/part-of", "watershed"),
    annotation("helm.sh/resource-policy", "keep"),
    validation = Rule::new("self.metadata.name == '%s-v%d'.format([self.spec.policyName, self.spec.version])")
        .message("metadata.name must be `<spec.policyName>-v<spec.version>`"),
    selectable = ".spec.policyName",
    selectable = ".spec.version",
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.policyName"),
    printcolumn(name = "Version", type_ = "integer", json_path = ".spec.version"),
    printcolumn(name = "Records", type_ = "integer", json_path = ".status.records.total"),
    printcolumn(name = "Endpoints", type_ = "string", json_path = ".status.endpointsHealthy"),
    printcolumn(name = "Accepted", type_ = "string", json_path = r#".status.conditions[?(@.type=="Accepted")].status"#),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#, priority = 1),
    printcolumn(name = "Origin", type_ = "string", json_path = ".status.origin", priority = 1),
    printcolumn(name = "Digest", type_ = "string", json_path = ".status.digest", priority = 1),
    printcolumn(name = "Description", type_ = "string", json_path = ".spec.description", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = Rule::new("self == oldSelf").message("a TrafficPolicyVersion may not change; make a new version"))]
pub struct TrafficPolicyVersionSpec {
    /// Name of the policy.
    #[schemars(length(min = 1, max = 200), regex(pattern = OBJECT_NAME))]
    pub policy_name: String,
    /// Number of the version; grows and is never used again.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub version: i32,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// The document.
    pub document: TrafficPolicyDocument,
}

/// What the operator found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficPolicyVersionStatus {
    /// Generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Accepted, ResolvedRefs, Healthy, Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Conditions,
    /// SHA-256 of the document's canonical JSON (RFC 8785).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 80))]
    pub digest: Option<String>,
    /// Who made the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The edit that the version was minted from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Size of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// Records that serve or target this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Usage>,
    /// `healthy/checked` endpoints, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub endpoints_healthy: Option<String>,
    /// Health of the endpoints, while the version is in use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub endpoints: Vec<EndpointStatus>,
}

/// Who made a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Origin {
    /// The operator, from a TrafficPolicy.
    Minted,
    /// A person or a tool, as an object of its own.
    Authored,
}

/// The edit that a version was minted from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Generation of the TrafficPolicy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub generation: Option<i64>,
    /// Field manager of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub field_manager: Option<String>,
    /// Annotation `watershed.dev/author`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub author: Option<String>,
    /// Annotation `watershed.dev/change-ref`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub change_ref: Option<String>,
}

/// Size of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Number of rules.
    #[schemars(range(min = 0))]
    pub rules: i32,
    /// Number of endpoints.
    #[schemars(range(min = 0))]
    pub endpoints: i32,
    /// Rules on the longest way from the start to an endpoint.
    #[schemars(range(min = 0))]
    pub depth: i32,
    /// Size of the compiled form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub compiled_bytes: Option<i32>,
}

/// Records that use a version, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// All.
    #[schemars(range(min = 0))]
    pub total: i32,
    /// Namespaces they are in.
    #[schemars(range(min = 0))]
    pub namespaces: i32,
}

/// Health of one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointStatus {
    /// Name of the endpoint.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Its addresses now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 253)), extend("x-kubernetes-list-type" = "atomic"))]
    pub addresses: Vec<String>,
    /// The fleet's verdict.
    pub health: EndpointHealth,
    /// Checkers that say healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub healthy_checkers: Option<i32>,
    /// Checkers that reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub total_checkers: Option<i32>,
    /// When the verdict last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
    /// Why it is unhealthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub message: Option<String>,
}

/// A verdict on an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum EndpointHealth {
    Healthy,
    Unhealthy,
    Unknown,
    Unchecked,
}

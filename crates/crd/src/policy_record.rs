//! PolicyRecord: a name of a zone that serves a version of a policy.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{Conditions, FleetProgress, ObjectName};
use crate::names::{CHANNEL, DIGEST, NODE_NAME, OWNER_NAME};

/// A name of a zone at which a version of a policy is served.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "watershed.dev",
    version = "v1alpha1",
    kind = "PolicyRecord",
    plural = "policyrecords",
    namespaced,
    shortname = "tfr",
    category = "watershed",
    status = "PolicyRecordStatus",
    derive = "PartialEq",
    label("app.kubernetes.io/part-of", "watershed"),
    annotation("helm.sh/resource-policy", "keep"),
    selectable = ".spec.policyRef.name",
    selectable = ".spec.version",
    selectable = ".spec.channel",
    selectable = ".spec.hostedZoneRef.name",
    selectable = ".spec.hostedZoneRef.namespace",
    printcolumn(name = "Name", type_ = "string", json_path = ".status.fqdn"),
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.policyRef.name"),
    printcolumn(
        name = "Version",
        type_ = "integer",
        json_path = ".status.activeVersion"
    ),
    printcolumn(
        name = "Target",
        type_ = "integer",
        json_path = ".status.targetVersion"
    ),
    printcolumn(
        name = "Rollout",
        type_ = "string",
        json_path = ".status.rollout.percent",
        priority = 1
    ),
    printcolumn(name = "Nodes", type_ = "string", json_path = ".status.fleet.summary"),
    printcolumn(
        name = "Healthy",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Healthy")].status"#
    ),
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
        name = "Channel",
        type_ = "string",
        json_path = ".spec.channel",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[x_kube(
    validation = Rule::new("has(self.version) != has(self.channel)").message("exactly one of `version` and `channel` must be set"),
    validation = Rule::new("self.name == oldSelf.name").message("`name` may not change: make a new PolicyRecord").field_path(".name"),
    validation = Rule::new("self.hostedZoneRef == oldSelf.hostedZoneRef").message("`hostedZoneRef` may not change: make a new PolicyRecord").field_path(".hostedZoneRef"),
    validation = Rule::new("!has(self.digest) || has(self.version)").message("`digest` needs `version`")
)]
pub struct PolicyRecordSpec {
    /// The zone. It may not change.
    pub hosted_zone_ref: ObjectName,
    /// Owner name relative to the apex; `@` is the apex. It may not change.
    #[schemars(length(min = 1, max = 253), regex(pattern = OWNER_NAME))]
    pub name: String,
    /// TTL of every answer in seconds, 0 to 604800.
    #[serde(default = "default_ttl")]
    #[schemars(range(min = 0, max = 604_800))]
    pub ttl_seconds: i32,
    /// The policy; another namespace needs a ReferenceGrant there.
    pub policy_ref: ObjectName,
    /// Version to serve. Exactly one of `version` and `channel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub version: Option<i32>,
    /// Channel of the policy to follow, or `latest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = CHANNEL))]
    pub channel: Option<String>,
    /// Digest that the version must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 71, max = 71), regex(pattern = DIGEST))]
    pub digest: Option<String>,
    /// Keeps what is served now, whatever the rest of the spec says.
    #[serde(default)]
    pub paused: bool,
    /// What is reported about answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporting: Option<Reporting>,
    /// How a change of version is rolled out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// When clients return to a branch that recovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failback: Option<Failback>,
    /// TTLs that shorten towards the next possible change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<TtlRange>,
}

fn default_ttl() -> i32 {
    60
}

/// What is reported about answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reporting {
    /// When shares of answers are written to status.
    #[serde(default)]
    pub answers: AnswerReporting,
}

/// When shares of answers are written to status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum AnswerReporting {
    #[default]
    DuringRollout,
    Always,
    Never,
}

/// How a change of version is rolled out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.strategy == 'Canary') == has(self.canary)")
    .message("`canary` must be set if and only if `strategy` is Canary"))]
pub struct Rollout {
    /// All at once, or in steps.
    #[serde(default)]
    pub strategy: Strategy,
    /// The steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// What happens when the analysis fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// How going back to an earlier version is rolled out.
    #[serde(default)]
    pub rollback: RollbackStyle,
    /// Time without progress after which the rollout counts as stalled.
    #[serde(default = "default_deadline")]
    #[schemars(range(min = 10, max = 604_800))]
    pub progress_deadline_seconds: i32,
    /// Nodes that must serve a change before it counts as programmed.
    #[serde(default = "default_programmed")]
    #[schemars(range(min = 1, max = 100))]
    pub min_programmed_percent: i32,
}

fn default_deadline() -> i32 {
    600
}

fn default_programmed() -> i32 {
    100
}

/// All at once, or in steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Strategy {
    #[default]
    AllAtOnce,
    Canary,
}

/// What happens when the analysis fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum OnFailure {
    #[default]
    Rollback,
    Hold,
}

/// How going back is rolled out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum RollbackStyle {
    #[default]
    Immediate,
    AsRollout,
}

/// A rollout in steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// What a percentage is of.
    #[serde(default)]
    pub unit: CanaryUnit,
    /// Growing percentages.
    #[schemars(length(min = 1, max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("self.map(s, s.percent).isSorted()").message("`percent` must not fall from step to step"))]
    pub steps: Vec<CanaryStep>,
    /// Metrics that must hold during the rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Analysis>,
}

/// What a percentage of a canary is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CanaryUnit {
    /// Client networks; each keeps its side.
    #[default]
    Clients,
    /// Queries at random.
    Queries,
    /// DNS nodes.
    Nodes,
}

/// One step of a canary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.pause) && has(self.pauseSeconds))").message("at most one of `pause` and `pauseSeconds` may be set"))]
pub struct CanaryStep {
    /// Percentage that gets the new version.
    #[schemars(range(min = 1, max = 100))]
    pub percent: i32,
    /// Time before the next step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 604_800))]
    pub pause_seconds: Option<i32>,
    /// `UntilApproved` waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
}

/// What a step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Pause {
    UntilApproved,
}

/// Metrics that must hold during a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// How often metrics are looked at.
    #[serde(default = "default_interval")]
    #[schemars(range(min = 10, max = 3600))]
    pub interval_seconds: i32,
    /// The metrics.
    #[schemars(length(min = 1, max = 10), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub metrics: Vec<Metric>,
}

fn default_interval() -> i32 {
    30
}

/// One metric with its bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.prometheus) != has(self.builtin)").message("exactly one of `builtin` and `prometheus` must be set"),
    validation = Rule::new("has(self.min) || has(self.max)").message("`min` or `max` must be set")
)]
pub struct Metric {
    /// Name of the metric in status.
    #[schemars(length(min = 1, max = 63), regex(pattern = NODE_NAME))]
    pub name: String,
    /// A query to Prometheus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusQuery>,
    /// A metric of the fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<BuiltinMetric>,
    /// Smallest value that passes, a decimal number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub min: Option<String>,
    /// Largest value that passes, a decimal number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub max: Option<String>,
    /// Failures in a row that are still tolerated.
    #[serde(default = "default_failure_limit")]
    #[schemars(range(min = 0, max = 100))]
    pub failure_limit: i32,
}

fn default_failure_limit() -> i32 {
    1
}

/// A query to Prometheus that gives one number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PrometheusQuery {
    /// PromQL.
    #[schemars(length(min = 1, max = 4096))]
    pub query: String,
}

/// Metrics that the fleet reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum BuiltinMetric {
    EndpointsHealthyPercent,
    ServfailPermille,
    NodesRejectedPercent,
    AnswerShareDriftPermille,
}

/// When clients return to a branch that recovered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.mode == 'After') == has(self.durationSeconds)").message("`durationSeconds` must be set if and only if `mode` is After"))]
pub struct Failback {
    /// At once, after a time of stable health, or by a person.
    #[serde(default)]
    pub mode: FailbackMode,
    /// Time of stable health.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 604_800))]
    pub duration_seconds: Option<i32>,
}

/// When clients return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum FailbackMode {
    #[default]
    Automatic,
    After,
    Manual,
}

/// Bounds of a TTL that shortens towards the next possible change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.minSeconds <= self.maxSeconds").message("`minSeconds` must not exceed `maxSeconds`"))]
pub struct TtlRange {
    /// Shortest TTL.
    #[schemars(range(min = 0, max = 604_800))]
    pub min_seconds: i32,
    /// Longest TTL.
    #[schemars(range(min = 0, max = 604_800))]
    pub max_seconds: i32,
}

/// What is served, and how far a change has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRecordStatus {
    /// Generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Accepted, ResolvedRefs, Programmed, Healthy, Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Conditions,
    /// Absolute owner name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub fqdn: Option<String>,
    /// Types served, from the version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), inner(length(max = 8)), extend("x-kubernetes-list-type" = "set"))]
    pub record_types: Vec<String>,
    /// Version that is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub active_version: Option<i32>,
    /// Version that the spec asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub target_version: Option<i32>,
    /// The rollout under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,
    /// How far the fleet serves this generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetProgress>,
    /// Shares of the answers given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<AnswerShares>,
    /// Failover rules whose clients are not where they would be without
    /// failback.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["rule"]))]
    pub failover: Vec<FailoverStatus>,
    /// Value of the annotation `watershed.dev/failback` that was acted on last,
    /// cut to 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub failback_released: Option<String>,
    /// Versions served before, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub history: Vec<ServedVersion>,
}

/// A failover rule that clients have not come back from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailoverStatus {
    /// Name of the rule.
    #[schemars(length(max = 63))]
    pub rule: String,
    /// Name of the rule or endpoint that is used.
    #[schemars(length(max = 63))]
    pub active: String,
    /// Name of the one that would be used without failback.
    #[schemars(length(max = 63))]
    pub preferred: String,
    /// Since when it is used.
    pub since: Time,
    /// When clients return if the preferred one stays healthy; absent when it
    /// is not healthy, or a person must release it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns_at: Option<Time>,
}

/// A rollout under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// Current step, from 1.
    #[schemars(range(min = 0))]
    pub step: i32,
    /// Number of steps.
    #[schemars(range(min = 0))]
    pub steps: i32,
    /// Percentage that gets the target version.
    #[schemars(range(min = 0, max = 100))]
    pub percent: i32,
    /// What the percentage is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub unit: Option<String>,
    /// When the step began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_start_time: Option<Time>,
    /// Version that the others get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub base_version: Option<i32>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,
    /// Results of the metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub analysis: Vec<MetricStatus>,
}

/// Result of one metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MetricStatus {
    /// Name of the metric.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Last value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub value: Option<String>,
    /// Whether it held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<MetricResult>,
    /// Failures in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub failures: Option<i32>,
}

/// Whether a metric held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum MetricResult {
    Passed,
    Failed,
    Inconclusive,
}

/// Shares of the answers given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnswerShares {
    /// Time that the shares cover.
    #[schemars(range(min = 0))]
    pub window_seconds: i32,
    /// When they were taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_time: Option<Time>,
    /// By endpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["endpoint"]))]
    pub shares: Vec<AnswerShare>,
}

/// Share of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnswerShare {
    /// Name of the endpoint.
    #[schemars(length(max = 63))]
    pub endpoint: String,
    /// Thousandths of the answers.
    #[schemars(range(min = 0, max = 1000))]
    pub permille: i32,
    /// What the policy makes expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub expected_permille: Option<i32>,
}

/// A version that was served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServedVersion {
    /// Version number.
    #[schemars(range(min = 0))]
    pub version: i32,
    /// Its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 80))]
    pub digest: Option<String>,
    /// Since when.
    pub active_time: Time,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Time>,
    /// Why it came.
    pub cause: Cause,
}

/// Why a version came to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Cause {
    Created,
    Rollout,
    Rollback,
    AutomaticRollback,
}

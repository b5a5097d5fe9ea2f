//! HealthCheck: how an endpoint is probed, and who must agree.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{Conditions, ObjectName};
use crate::names::{ADDRESS, HOST_NAME, HTTP_URL, OBJECT_NAME};

/// How an endpoint is probed, and how many checkers must agree.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "watershed.dev",
    version = "v1alpha1",
    kind = "HealthCheck",
    plural = "healthchecks",
    namespaced,
    shortname = "tfhc",
    category = "watershed",
    status = "HealthCheckStatus",
    derive = "PartialEq",
    label("app.kubernetes.io/part-of", "watershed"),
    annotation("helm.sh/resource-policy", "keep"),
    printcolumn(
        name = "Healthy",
        type_ = "string",
        json_path = ".status.targets.summary"
    ),
    printcolumn(
        name = "Interval",
        type_ = "integer",
        json_path = ".spec.intervalSeconds"
    ),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Accepted")].status"#
    ),
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
#[x_kube(
    validation = Rule::new("[has(self.http), has(self.tcp), has(self.grpc), has(self.dns), has(self.calculated), has(self.endpointSlices), has(self.prometheus)].filter(x, x).size() == 1")
        .message("exactly one of `http`, `tcp`, `grpc`, `dns`, `calculated`, `endpointSlices` and `prometheus` must be set"),
    validation = Rule::new("self.timeoutSeconds < self.intervalSeconds || self.intervalSeconds <= 4")
        .message("`timeoutSeconds` must be less than `intervalSeconds`")
)]
pub struct HealthCheckSpec {
    /// An HTTP or HTTPS request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpProbe>,
    /// A TCP connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpProbe>,
    /// The gRPC health protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcProbe>,
    /// A DNS query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsProbe>,
    /// A verdict over other checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calculated: Option<Calculated>,
    /// Readiness of the EndpointSlices of a named Service; no probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_slices: Option<EndpointSlices>,
    /// A query to Prometheus that must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusCheck>,
    /// What is probed, an IP address or a host name; the addresses of the
    /// endpoint when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = ADDRESS))]
    pub address: Option<String>,
    /// From the start of a probe to the next of the same checker, 1 to 300.
    #[serde(default = "default_interval")]
    #[schemars(range(min = 1, max = 300))]
    pub interval_seconds: i32,
    /// Time after which a probe has failed, 1 to 60. With intervals of up to
    /// four seconds it is at most nine tenths of the interval.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = 60))]
    pub timeout_seconds: i32,
    /// Failures in a row that make a checker say unhealthy.
    #[serde(default = "default_threshold")]
    #[schemars(range(min = 1, max = 10))]
    pub failure_threshold: i32,
    /// Successes in a row that make a checker say healthy.
    #[serde(default = "default_threshold")]
    #[schemars(range(min = 1, max = 10))]
    pub success_threshold: i32,
    /// Which nodes probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkers: Option<Checkers>,
    /// Healthy when more than this percentage of the fresh checkers say so. 50:
    /// more than half; 18: as Route 53.
    #[serde(default = "default_quorum")]
    #[schemars(range(min = 0, max = 99))]
    pub quorum_percent: i32,
    /// Silence after which a checker no longer counts.
    #[serde(default = "default_stale")]
    #[schemars(range(min = 5, max = 3600))]
    pub stale_seconds: i32,
    /// The verdict when no checker is fresh.
    #[serde(default)]
    pub when_stale: WhenStale,
    /// Healthy counts as unhealthy and the reverse.
    #[serde(default)]
    pub inverted: bool,
    /// No probes: always healthy, or unhealthy when inverted.
    #[serde(default)]
    pub disabled: bool,
    /// A verdict set by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced: Option<Forced>,
}

fn default_interval() -> i32 {
    10
}

fn default_timeout() -> i32 {
    4
}

fn default_threshold() -> i32 {
    3
}

fn default_quorum() -> i32 {
    50
}

fn default_stale() -> i32 {
    60
}

/// An HTTP or HTTPS request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpProbe {
    /// With or without TLS.
    #[serde(default)]
    pub scheme: Scheme,
    /// Port; that of the scheme when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: Option<i32>,
    /// Path and query.
    #[serde(default = "default_path")]
    #[schemars(length(min = 1, max = 255), regex(pattern = "^/"))]
    pub path: String,
    /// Host header and TLS server name; the address when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = HOST_NAME))]
    pub host: Option<String>,
    /// Further headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub headers: Vec<Header>,
    /// Statuses that pass, `200` or `200-399`; 2xx and 3xx when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(length(min = 3, max = 7), regex(pattern = "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub expected_statuses: Vec<String>,
    /// Text that the first 5120 bytes of the body must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub search_string: Option<String>,
    /// Whether the certificate is verified.
    #[serde(default)]
    pub tls_verification: TlsVerification,
}

fn default_path() -> String {
    "/".to_owned()
}

/// With or without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, clippy::upper_case_acronyms, reason = "the names say it")]
pub enum Scheme {
    HTTP,
    #[default]
    HTTPS,
}

/// Whether a certificate is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum TlsVerification {
    None,
    #[default]
    Full,
}

/// A request header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// Name.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// Value.
    #[schemars(length(max = 1024))]
    pub value: String,
}

/// A TCP connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TcpProbe {
    /// Port.
    #[schemars(range(min = 1, max = 65_535))]
    pub port: i32,
}

/// The gRPC health protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GrpcProbe {
    /// Port.
    #[schemars(range(min = 1, max = 65_535))]
    pub port: i32,
    /// Name of the service; the server as a whole when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub service: Option<String>,
    /// With TLS; plain HTTP/2 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<GrpcTls>,
}

/// TLS of a gRPC probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrpcTls {
    /// Name for SNI and for the certificate; the address when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = HOST_NAME))]
    pub server_name: Option<String>,
    /// Whether the certificate is verified.
    #[serde(default)]
    pub tls_verification: TlsVerification,
}

/// A DNS query that must be answered without error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DnsProbe {
    /// Port.
    #[serde(default = "default_dns_port")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: i32,
    /// Name to ask for.
    #[schemars(length(min = 1, max = 253), regex(pattern = HOST_NAME))]
    pub query: String,
    /// Type to ask for.
    #[serde(rename = "type", default)]
    pub type_: DnsProbeType,
}

fn default_dns_port() -> i32 {
    53
}

/// Types that a DNS probe may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(
    missing_docs,
    clippy::upper_case_acronyms,
    reason = "the names of RFC 1035"
)]
pub enum DnsProbeType {
    A,
    AAAA,
    #[default]
    SOA,
    NS,
}

/// A verdict over other checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Calculated {
    /// The checks, of this namespace; none of them calculated.
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 253), regex(pattern = OBJECT_NAME)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub health_checks: Vec<String>,
    /// How many must be healthy. 0: always healthy.
    #[schemars(range(min = 0, max = 64))]
    pub min_healthy: i32,
    /// Checks that must be healthy whatever the others are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 253), regex(pattern = OBJECT_NAME)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub must_be_healthy: Vec<String>,
}

/// Readiness of the EndpointSlices of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSlices {
    /// The Service.
    pub service_ref: ObjectName,
    /// Percentage of ready endpoints that makes it healthy.
    #[serde(default = "default_ready")]
    #[schemars(range(min = 1, max = 100))]
    pub min_ready_percent: i32,
}

fn default_ready() -> i32 {
    1
}

/// A query to Prometheus whose value must lie within bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.min) || has(self.max)").message("`min` or `max` must be set"))]
pub struct PrometheusCheck {
    /// Base URL of the server, such as `http://prometheus.example:9090`.
    #[schemars(length(min = 8, max = 2048), regex(pattern = HTTP_URL))]
    pub url: String,
    /// PromQL that gives one number.
    #[schemars(length(min = 1, max = 4096))]
    pub query: String,
    /// Smallest healthy value, a decimal number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub min: Option<String>,
    /// Largest healthy value, a decimal number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub max: Option<String>,
    /// What a query without a number means.
    #[serde(default)]
    pub on_missing: MissingData,
}

/// What missing data means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MissingData {
    /// Nothing: what was said before stays.
    #[default]
    KeepLast,
    /// A success.
    Healthy,
    /// A failure.
    Unhealthy,
}

/// Which nodes probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checkers {
    /// Checkers of one target.
    #[serde(default = "default_per_target")]
    #[schemars(range(min = 1, max = 32))]
    pub per_target: i32,
    /// Locations that they are spread over at least.
    #[serde(default = "default_locations")]
    #[schemars(range(min = 1, max = 8))]
    pub min_locations: i32,
    /// Locations to choose from; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub locations: Vec<String>,
}

fn default_per_target() -> i32 {
    5
}

fn default_locations() -> i32 {
    2
}

/// The verdict when no checker is fresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum WhenStale {
    #[default]
    KeepLast,
    AssumeHealthy,
    AssumeUnhealthy,
}

/// A verdict set by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Forced {
    /// The verdict.
    pub state: ForcedState,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub reason: Option<String>,
    /// When it ends; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// A verdict set by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ForcedState {
    Healthy,
    Unhealthy,
}

/// Targets of the check and their verdicts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckStatus {
    /// Generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Accepted, Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Conditions,
    /// Targets, counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<TargetCounts>,
    /// Targets that fail from anywhere, unhealthy ones first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["target"]))]
    pub failing: Vec<FailingTarget>,
}

/// Targets of a check, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetCounts {
    /// All.
    #[schemars(range(min = 0))]
    pub total: i32,
    /// Healthy.
    #[schemars(range(min = 0))]
    pub healthy: i32,
    /// Unhealthy.
    #[schemars(range(min = 0))]
    pub unhealthy: i32,
    /// Without a verdict yet.
    #[schemars(range(min = 0))]
    pub unknown: i32,
    /// `healthy/total`, for people.
    #[schemars(length(max = 24))]
    pub summary: String,
}

/// A target that fails from anywhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailingTarget {
    /// The address, with the check in front of it where that is another.
    #[schemars(length(max = 600))]
    pub target: String,
    /// The fleet's verdict.
    pub health: TargetHealth,
    /// Checkers that say healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub healthy_checkers: Option<i32>,
    /// Checkers that reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub total_checkers: Option<i32>,
    /// The same by location.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub locations: Vec<LocationStatus>,
    /// When the verdict last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
    /// What a failing probe said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_error: Option<String>,
    /// The node that said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub last_error_from: Option<String>,
    /// When the certificate of the target ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expires: Option<Time>,
}

/// A verdict on a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub enum TargetHealth {
    Healthy,
    Unhealthy,
    #[default]
    Unknown,
}

/// What the checkers of one location say of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocationStatus {
    /// The location.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Checkers that say healthy.
    #[schemars(range(min = 0))]
    pub healthy_checkers: i32,
    /// Checkers that reported.
    #[schemars(range(min = 0))]
    pub total_checkers: i32,
}

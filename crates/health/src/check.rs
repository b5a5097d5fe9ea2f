//! What a health check asks for.

use std::time::Duration;

use crate::target::Address;

/// A health check, as its object says it, with all defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// How a target is probed.
    pub kind: ProbeKind,
    /// What is probed, where that is not the endpoint's own address.
    pub address: Option<Address>,
    /// From the start of a probe to the start of the next by the same
    /// checker; at least 1 s.
    pub interval: Duration,
    /// After which a probe has failed.
    pub timeout: Duration,
    /// Failures in a row that make a checker say unhealthy, 1..=10.
    pub failure_threshold: u32,
    /// Successes in a row that make a checker say healthy, 1..=10.
    pub success_threshold: u32,
    /// Who probes.
    pub checkers: CheckerChoice,
    /// The target is healthy when more than this percentage of the fresh
    /// reports say so, 0..=99. 50: more than half; 18: as Route 53.
    pub quorum_percent: u32,
    /// Silence after which a checker no longer counts.
    pub stale_after: Duration,
    /// The verdict when no checker is fresh.
    pub when_stale: WhenStale,
    /// Healthy counts as unhealthy, and the reverse.
    pub inverted: bool,
    /// Never probed: always healthy, or unhealthy when inverted.
    pub disabled: bool,
    /// A verdict set by hand, which counts whatever the others say.
    pub forced: Option<Forced>,
}

/// How a target is probed.
#[derive(Clone, Debug, PartialEq)]
pub enum ProbeKind {
    /// An HTTP or HTTPS request.
    Http(HttpProbe),
    /// A TCP connection.
    Tcp(TcpProbe),
    /// The gRPC health protocol, version 1.
    Grpc(GrpcProbe),
    /// A DNS query.
    Dns(DnsProbe),
    /// A query to Prometheus. It has one target, without an address.
    Prometheus(PrometheusProbe),
    /// Readiness of the endpoints of a Service, which the operator knows. It
    /// has one target, without an address, and no checkers.
    EndpointSlices(EndpointSlices),
    /// A verdict over other checks; it has no targets of its own.
    Calculated(Calculated),
}

/// An HTTP or HTTPS request. Redirects are answers, and are not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpProbe {
    /// HTTPS, and how; `None`: plain HTTP.
    pub tls: Option<TlsOptions>,
    /// Port.
    pub port: u16,
    /// Path and query, with a leading slash.
    pub path: String,
    /// Host header; the address, with the port unless it is the scheme's own,
    /// when absent.
    pub host: Option<String>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Statuses that pass, both ends included; never empty.
    pub expected_statuses: Vec<(u16, u16)>,
    /// Text that the first 5120 octets of the decoded body must contain.
    pub search_string: Option<String>,
}

/// How TLS is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// Name for SNI and for the certificate; the address when absent.
    pub server_name: Option<String>,
    /// Whether the certificate is verified.
    pub verify: bool,
}

/// A TCP connection, which is closed as soon as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpProbe {
    /// Port.
    pub port: u16,
}

/// `grpc.health.v1.Health/Check`; SERVING passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcProbe {
    /// Port.
    pub port: u16,
    /// Name of the service; empty: the server as a whole.
    pub service: String,
    /// With TLS, and how; `None`: plain HTTP/2.
    pub tls: Option<TlsOptions>,
}

/// A DNS query over UDP, repeated over TCP when truncated; NOERROR passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsProbe {
    /// Port.
    pub port: u16,
    /// Name to ask for, in presentation form.
    pub query: String,
    /// IANA number of the type to ask for.
    pub record_type: u16,
}

/// An instant query of Prometheus that gives one number.
#[derive(Clone, Debug, PartialEq)]
pub struct PrometheusProbe {
    /// Base URL of the server, such as `http://prometheus.example:9090`.
    pub url: String,
    /// The query, in the language of Prometheus.
    pub query: String,
    /// Smallest healthy value.
    pub min: Option<f64>,
    /// Largest healthy value.
    pub max: Option<f64>,
    /// What a query without a number means.
    pub on_missing: MissingData,
}

/// What missing data means. Route 53 has the same for `CloudWatch` alarms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingData {
    /// Nothing: what was said before stays.
    #[default]
    KeepLast,
    /// A success.
    Healthy,
    /// A failure.
    Unhealthy,
}

/// Readiness of the endpoints of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlices {
    /// Name of the Service, in the namespace of the check.
    pub service: String,
    /// Percentage of ready endpoints that makes it healthy, 1..=100. Without
    /// any endpoint it is unhealthy.
    pub min_ready_percent: u32,
}

/// A verdict over other checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calculated {
    /// Ids of the checks, none of which is calculated.
    pub members: Vec<String>,
    /// How many must be healthy; 0: always healthy.
    pub min_healthy: u32,
    /// Those that must be healthy whatever the others are.
    pub must_be_healthy: Vec<String>,
}

/// Who probes a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckerChoice {
    /// Checkers of one target, at least 1.
    pub per_target: u32,
    /// Locations that they are spread over, and that fresh reports must come
    /// from before the verdict changes; all there are when there are fewer.
    pub min_locations: u32,
    /// Locations to choose from; all when empty.
    pub locations: Vec<String>,
}

impl Default for CheckerChoice {
    /// As a `HealthCheck` that says nothing of it: five checkers in two
    /// locations.
    fn default() -> Self {
        Self {
            per_target: 5,
            min_locations: 2,
            locations: Vec::new(),
        }
    }
}

/// The verdict when no checker is fresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenStale {
    /// As before.
    #[default]
    KeepLast,
    /// Healthy.
    AssumeHealthy,
    /// Unhealthy.
    AssumeUnhealthy,
}

/// A verdict set by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forced {
    /// The verdict.
    pub healthy: bool,
    /// Why, for people.
    pub reason: String,
    /// When it ends, in Unix seconds; `None`: never.
    pub until: Option<i64>,
}

impl Forced {
    /// Whether it counts at this time in Unix seconds.
    pub fn is_in_force(&self, now: i64) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Check {
    /// A check of this kind, and as a `HealthCheck` that says nothing else.
    pub fn new(kind: ProbeKind) -> Self {
        Self {
            kind,
            address: None,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(4),
            failure_threshold: 3,
            success_threshold: 3,
            checkers: CheckerChoice::default(),
            quorum_percent: 50,
            stale_after: Duration::from_mins(1),
            when_stale: WhenStale::default(),
            inverted: false,
            disabled: false,
            forced: None,
        }
    }

    /// Whether nodes probe it.
    pub fn is_probed(&self) -> bool {
        let kind = !matches!(
            self.kind,
            ProbeKind::EndpointSlices(_) | ProbeKind::Calculated(_)
        );
        kind && !self.disabled
    }

    /// Whether two checks ask a target the same, in the same rhythm: results
    /// of the one then count for the other.
    pub fn probes_alike(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.address == other.address
            && self.interval == other.interval
            && self.timeout == other.timeout
            && self.failure_threshold == other.failure_threshold
            && self.success_threshold == other.success_threshold
            && self.disabled == other.disabled
    }
}

//! What people are shown of a target.

use std::sync::Arc;
use std::time::Instant;

use watershed_health::{Check, ProbeKind, State, Target};

/// What a node knows of a target.
#[derive(Clone, Debug)]
pub struct TargetView {
    /// What.
    pub target: Target,
    /// The check, with which it is probed.
    pub check: Arc<Check>,
    /// The word for the check's type, such as `http`.
    pub kind: &'static str,
    /// What the node's own results say.
    pub state: State,
    /// What the node answers by; `None`: nothing is known, which counts as
    /// healthy. Inversion and forced verdicts come after that.
    pub served: Option<bool>,
    /// Whether what it answers by may soon change.
    pub changing: bool,
    /// Since when `state` is this one.
    pub since: Option<Instant>,
    /// What the last probe said; empty before the first.
    pub message: String,
    /// When the target's certificate ends, in Unix seconds.
    pub certificate_expires: Option<i64>,
    /// Whether this node probes it.
    pub probed: bool,
}

/// The word for a type of check, as its field is called.
pub(super) fn word(kind: &ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Http(probe) if probe.tls.is_some() => "https",
        ProbeKind::Http(_) => "http",
        ProbeKind::Tcp(_) => "tcp",
        ProbeKind::Grpc(_) => "grpc",
        ProbeKind::Dns(_) => "dns",
        ProbeKind::Prometheus(_) => "prometheus",
        ProbeKind::EndpointSlices(_) => "endpointSlices",
        ProbeKind::Calculated(_) => "calculated",
    }
}

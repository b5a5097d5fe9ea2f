//! What `watershed health` tells, wherever it is from.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};
use watershed_crd::health_check::{ForcedState, HealthCheckSpec};

/// The health of all targets at one time. Its JSON form is a promise: see
/// `docs/health.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// When it was so.
    pub time: Time,
    /// Targets in order of check and address; a check without any is one, too.
    pub targets: Vec<TargetHealth>,
    /// Rules whose clients are not where the order of their branches would
    /// have them, because failback holds them.
    pub failover: Vec<HeldRule>,
}

/// The health of one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetHealth {
    /// Id of the check: `namespace/name`.
    pub check: String,
    /// Address or host name; none for a check that needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The verdict of the probes; none where nothing is probed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// What policies take it for, after `forced`, `disabled` and `inverted`;
    /// none for a calculated check, which counts for each endpoint apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_as: Option<Health>,
    /// Since when the verdict is this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Checkers that say healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_checkers: Option<u32>,
    /// Checkers that report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_checkers: Option<u32>,
    /// What a probe said last: of those that fail, where any do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_result: Option<String>,
    /// When the certificate of the target ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expires: Option<Time>,
    /// What the check itself says that changes the verdict or takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The checkers by location.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<LocationHealth>,
}

/// What the checkers of one location say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocationHealth {
    /// Name of the location.
    pub name: String,
    /// Checkers that say healthy.
    pub healthy_checkers: u32,
    /// Checkers that report.
    pub total_checkers: u32,
}

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// Clients may be sent there.
    Healthy,
    /// They may not, as long as there is another place.
    Unhealthy,
    /// Not enough is known yet; counts as healthy.
    Unknown,
}

/// A rule that failback holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldRule {
    /// The `PolicyRecord`: `namespace/name`.
    pub record: String,
    /// Name of the rule.
    pub rule: String,
    /// Where clients are.
    pub active: String,
    /// Where they would be otherwise, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred: Option<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// When they return, if nothing else happens; none: when they are told to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns_at: Option<Time>,
}

impl Report {
    /// Nothing is known at that time.
    pub fn new(time: Timestamp) -> Self {
        Self {
            time: Time(time),
            targets: Vec::new(),
            failover: Vec::new(),
        }
    }

    /// Only what lies in that namespace.
    #[must_use]
    pub fn of_namespace(mut self, namespace: &str) -> Self {
        let within = |id: &str| id.split_once('/').is_some_and(|(of, _)| of == namespace);
        self.targets.retain(|target| within(&target.check));
        self.failover.retain(|held| within(&held.record));
        self
    }

    /// How many targets policies take for unhealthy.
    pub fn unhealthy(&self) -> usize {
        let targets = self.targets.iter();
        targets
            .filter(|target| target.counts_as == Some(Health::Unhealthy))
            .count()
    }
}

impl TargetHealth {
    /// A target of which nothing is known.
    pub fn new(check: &str, target: Option<String>) -> Self {
        Self {
            check: check.to_owned(),
            target,
            health: None,
            counts_as: None,
            since: None,
            healthy_checkers: None,
            total_checkers: None,
            last_result: None,
            certificate_expires: None,
            note: None,
            locations: Vec::new(),
        }
    }

    /// With what the check itself says at that time.
    #[must_use]
    pub fn as_checked(mut self, spec: &HealthCheckSpec, now: Timestamp) -> Self {
        self.counts_as = counts_as(spec, self.health, now);
        self.note = note(spec, self.counts_as, now);
        self
    }
}

impl Health {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }

    fn of(healthy: bool) -> Self {
        if healthy {
            Self::Healthy
        } else {
            Self::Unhealthy
        }
    }
}

/// The verdict in force that was set by hand.
fn forced(spec: &HealthCheckSpec, now: Timestamp) -> Option<(bool, &str)> {
    let forced = spec.forced.as_ref()?;
    let ended = forced.until.as_ref().is_some_and(|until| until.0 <= now);
    let reason = forced.reason.as_deref().unwrap_or_default();
    (!ended).then_some((forced.state == ForcedState::Healthy, reason))
}

/// The order is that of `watershed_health::Checks::is_healthy`.
fn counts_as(spec: &HealthCheckSpec, health: Option<Health>, now: Timestamp) -> Option<Health> {
    if let Some((healthy, _)) = forced(spec, now) {
        return Some(Health::of(healthy));
    }
    if spec.disabled {
        return Some(Health::of(!spec.inverted));
    }
    if spec.calculated.is_some() {
        return None;
    }
    let healthy = health != Some(Health::Unhealthy);
    Some(Health::of(healthy != spec.inverted))
}

fn note(spec: &HealthCheckSpec, counts_as: Option<Health>, now: Timestamp) -> Option<String> {
    let counts = counts_as.unwrap_or(Health::Unknown).as_str();
    if let Some((_, reason)) = forced(spec, now) {
        let until = spec.forced.as_ref().and_then(|f| f.until.as_ref());
        let until = until.map_or(String::new(), |until| format!(" until {}", until.0));
        let reason = if reason.is_empty() {
            String::new()
        } else {
            format!(": {reason}")
        };
        return Some(format!("forced {counts}{until}{reason}"));
    }
    if spec.disabled {
        return Some(format!("disabled: counts as {counts}"));
    }
    if let Some(calculated) = &spec.calculated {
        let members = calculated.health_checks.join(", ");
        let count = calculated.min_healthy;
        let required = match calculated.must_be_healthy.join(", ") {
            none if none.is_empty() => none,
            required => format!(", and {required}"),
        };
        return Some(format!(
            "calculated: at least {count} of {members}{required}"
        ));
    }
    (spec.inverted).then(|| format!("inverted: counts as {counts}"))
}

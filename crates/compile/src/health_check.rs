//! Health checks: from objects to what nodes need to probe.

mod fields;
mod probe;

use std::time::Duration;

use watershed_crd::health_check::{self as crd, HealthCheckSpec};
use watershed_health::{Check, CheckerChoice, Forced, WhenStale};
use watershed_policy::Diagnostic;

use self::fields::Fields;
use crate::resources::{Object, Resources};
use crate::verdict::Problem;

/// The longest interval in seconds beside which the default timeout does not
/// fit, or hardly.
const SHORT_INTERVAL: u32 = 4;

/// What came of reading a check.
pub(crate) struct Read {
    /// What nodes get; nothing when the spec has faults.
    pub(crate) check: Option<Check>,
    /// Everything that stands against it.
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Reads a check with all defaults filled in.
pub(crate) fn read(resources: &Resources, object: &Object<HealthCheckSpec>) -> Read {
    let mut fields = Fields::new(resources, &object.key.namespace);
    let spec = &object.spec;
    let kind = probe::kind(spec, &mut fields);
    let address = address(spec, &mut fields);
    let (interval, timeout) = rhythm(spec, &mut fields);
    let failure_threshold = fields.number("failureThreshold", spec.failure_threshold, 1, 10);
    let success_threshold = fields.number("successThreshold", spec.success_threshold, 1, 10);
    let checkers = choice(spec.checkers.as_ref(), &mut fields);
    let quorum_percent = fields.number("quorumPercent", spec.quorum_percent, 0, 99);
    let stale_after = fields.number("staleSeconds", spec.stale_seconds, 5, 3600);
    let check = kind.map(|kind| Check {
        kind,
        address,
        interval,
        timeout,
        failure_threshold,
        success_threshold,
        checkers,
        quorum_percent,
        stale_after: Duration::from_secs(stale_after.into()),
        when_stale: match spec.when_stale {
            crd::WhenStale::KeepLast => WhenStale::KeepLast,
            crd::WhenStale::AssumeHealthy => WhenStale::AssumeHealthy,
            crd::WhenStale::AssumeUnhealthy => WhenStale::AssumeUnhealthy,
        },
        inverted: spec.inverted,
        disabled: spec.disabled,
        forced: spec.forced.as_ref().map(forced),
    });
    let Fields {
        problems,
        warnings,
        is_sound,
        ..
    } = fields;
    Read {
        check: check.filter(|_| is_sound),
        problems,
        warnings,
    }
}

/// The checks that a check is calculated from, those that must be healthy
/// among them; a name may come twice.
pub(crate) fn members(spec: &HealthCheckSpec) -> impl Iterator<Item = &String> {
    let calculated = spec.calculated.iter();
    calculated.flat_map(|of| of.health_checks.iter().chain(&of.must_be_healthy))
}

/// Whether a check is made at an address, which the check or the endpoint has.
pub(crate) fn is_made_at_an_address(spec: &HealthCheckSpec) -> bool {
    spec.http.is_some() || spec.tcp.is_some() || spec.grpc.is_some() || spec.dns.is_some()
}

fn address(spec: &HealthCheckSpec, fields: &mut Fields<'_>) -> Option<watershed_health::Address> {
    let text = spec.address.as_ref()?;
    if !is_made_at_an_address(spec) {
        let message = "only http, tcp, grpc and dns are made at an address; remove it";
        fields.fault("address", message);
    }
    fields.address("address", text)
}

/// Interval and timeout. The default timeout is longer than short intervals,
/// and a probe that ends when the next is due would cost a turn.
fn rhythm(spec: &HealthCheckSpec, fields: &mut Fields<'_>) -> (Duration, Duration) {
    let interval = fields.number("intervalSeconds", spec.interval_seconds, 1, 300);
    let timeout = fields.number("timeoutSeconds", spec.timeout_seconds, 1, 60);
    if timeout >= interval && interval > SHORT_INTERVAL {
        let message = format!("{timeout} is not less than the interval, {interval} seconds");
        fields.fault("timeoutSeconds", message);
    }
    let interval = Duration::from_secs(interval.into());
    let timeout = Duration::from_secs(timeout.into());
    let short = interval <= Duration::from_secs(SHORT_INTERVAL.into());
    let longest = if short { interval * 9 / 10 } else { interval };
    (interval, timeout.min(longest))
}

fn choice(checkers: Option<&crd::Checkers>, fields: &mut Fields<'_>) -> CheckerChoice {
    let Some(checkers) = checkers else {
        return CheckerChoice::default();
    };
    CheckerChoice {
        per_target: fields.number("checkers.perTarget", checkers.per_target, 1, 32),
        min_locations: fields.number("checkers.minLocations", checkers.min_locations, 1, 8),
        locations: checkers.locations.clone(),
    }
}

fn forced(forced: &crd::Forced) -> Forced {
    Forced {
        healthy: forced.state == crd::ForcedState::Healthy,
        reason: forced.reason.clone().unwrap_or_default(),
        until: forced.until.as_ref().map(|until| until.0.as_second()),
    }
}

//! Health checks on their way in.

use std::time::Duration;

use watershed_health::{
    Calculated, Check, CheckerChoice, DnsProbe, EndpointSlices, Forced, GrpcProbe, HttpProbe,
    MissingData, ProbeKind, PrometheusProbe, TcpProbe, TlsOptions, WhenStale,
};

use super::{known, needed, record_type, wrong};
use crate::address;
use crate::error::DecodeError;
use crate::fleet_v1 as wire;

pub(super) fn read(check: wire::HealthCheck) -> Result<Check, DecodeError> {
    let when_stale = stale(check.when_stale())?;
    let address = match check.address {
        None => None,
        Some(address) => Some(known(address::read(address), "address")?),
    };
    Ok(Check {
        kind: kind(known(check.kind, "kind")?)?,
        address,
        interval: milliseconds(check.interval_ms, 1000, "interval_ms")?,
        timeout: milliseconds(check.timeout_ms, 1, "timeout_ms")?,
        failure_threshold: within(check.failure_threshold, 1, 10, "failure_threshold")?,
        success_threshold: within(check.success_threshold, 1, 10, "success_threshold")?,
        checkers: choice(needed(check.checkers, "checkers")?)?,
        quorum_percent: within(check.quorum_percent, 0, 99, "quorum_percent")?,
        stale_after: milliseconds(check.stale_after_ms, 1, "stale_after_ms")?,
        when_stale,
        inverted: check.inverted,
        disabled: check.disabled,
        forced: check.forced.map(forced),
    })
}

fn within(number: u32, least: u32, most: u32, path: &str) -> Result<u32, DecodeError> {
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(wrong(path, format!("{number} is not {least} to {most}")))
    }
}

fn milliseconds(number: u32, least: u32, path: &str) -> Result<Duration, DecodeError> {
    let number = within(number, least, u32::MAX, path)?;
    Ok(Duration::from_millis(number.into()))
}

fn port(number: u32, path: &str) -> Result<u16, DecodeError> {
    let number = u16::try_from(number).ok().filter(|port| *port > 0);
    number.ok_or_else(|| wrong(path, "is not 1 to 65535"))
}

fn kind(kind: wire::health_check::Kind) -> Result<ProbeKind, DecodeError> {
    use wire::health_check::Kind;
    Ok(match kind {
        Kind::Http(probe) => ProbeKind::Http(http(probe)?),
        Kind::Tcp(probe) => ProbeKind::Tcp(TcpProbe {
            port: port(probe.port, "tcp.port")?,
        }),
        Kind::Grpc(wire::GrpcProbe { port, service, tls }) => ProbeKind::Grpc(GrpcProbe {
            port: self::port(port, "grpc.port")?,
            service,
            tls: tls.map(self::tls),
        }),
        Kind::Dns(probe) => ProbeKind::Dns(DnsProbe {
            port: port(probe.port, "dns.port")?,
            query: probe.query,
            record_type: record_type(probe.r#type, "dns.type")?,
        }),
        Kind::Prometheus(probe) => ProbeKind::Prometheus(prometheus(probe)?),
        Kind::EndpointSlices(slices) => ProbeKind::EndpointSlices(EndpointSlices {
            service: slices.service,
            min_ready_percent: within(
                slices.min_ready_percent,
                1,
                100,
                "endpoint_slices.min_ready_percent",
            )?,
        }),
        Kind::Calculated(wire::Calculated {
            members,
            min_healthy,
            must_be_healthy,
        }) => ProbeKind::Calculated(Calculated {
            members,
            min_healthy,
            must_be_healthy,
        }),
    })
}

fn http(probe: wire::HttpProbe) -> Result<HttpProbe, DecodeError> {
    let wire::HttpProbe {
        tls,
        port,
        path,
        host,
        headers,
        expected_statuses,
        search_string,
    } = probe;
    if !path.starts_with('/') {
        return Err(wrong("http.path", "does not begin with a slash"));
    }
    let statuses = expected_statuses.into_iter().map(status_range);
    let statuses: Option<Vec<_>> = statuses.collect();
    let statuses = statuses.filter(|statuses| !statuses.is_empty());
    let headers = headers.into_iter();
    Ok(HttpProbe {
        tls: tls.map(self::tls),
        port: self::port(port, "http.port")?,
        path,
        host,
        headers: headers.map(|header| (header.name, header.value)).collect(),
        expected_statuses: known(statuses, "http.expected_statuses")?,
        search_string,
    })
}

fn status_range(range: wire::StatusRange) -> Option<(u16, u16)> {
    let first = u16::try_from(range.first).ok()?;
    let last = u16::try_from(range.last).ok()?;
    (first <= last).then_some((first, last))
}

fn tls(tls: wire::TlsOptions) -> TlsOptions {
    let wire::TlsOptions {
        server_name,
        verify,
    } = tls;
    TlsOptions {
        server_name,
        verify,
    }
}

fn prometheus(probe: wire::PrometheusProbe) -> Result<PrometheusProbe, DecodeError> {
    use wire::prometheus_probe::MissingData as From;
    let on_missing = match probe.on_missing() {
        From::Unspecified => return known(None, "prometheus.on_missing"),
        From::KeepLast => MissingData::KeepLast,
        From::Healthy => MissingData::Healthy,
        From::Unhealthy => MissingData::Unhealthy,
    };
    let wire::PrometheusProbe {
        url,
        query,
        min,
        max,
        ..
    } = probe;
    if [min, max].into_iter().flatten().any(f64::is_nan) {
        return Err(wrong("prometheus", "a bound is not a number"));
    }
    Ok(PrometheusProbe {
        url,
        query,
        min,
        max,
        on_missing,
    })
}

fn choice(choice: wire::CheckerChoice) -> Result<CheckerChoice, DecodeError> {
    let wire::CheckerChoice {
        per_target,
        min_locations,
        locations,
    } = choice;
    Ok(CheckerChoice {
        per_target: within(per_target, 1, u32::MAX, "checkers.per_target")?,
        min_locations: within(min_locations, 1, u32::MAX, "checkers.min_locations")?,
        locations,
    })
}

fn stale(when: wire::health_check::WhenStale) -> Result<WhenStale, DecodeError> {
    use wire::health_check::WhenStale as From;
    match when {
        From::Unspecified => known(None, "when_stale"),
        From::KeepLast => Ok(WhenStale::KeepLast),
        From::AssumeHealthy => Ok(WhenStale::AssumeHealthy),
        From::AssumeUnhealthy => Ok(WhenStale::AssumeUnhealthy),
    }
}

fn forced(forced: wire::Forced) -> Forced {
    let wire::Forced {
        healthy,
        reason,
        until,
    } = forced;
    Forced {
        healthy,
        reason,
        until,
    }
}

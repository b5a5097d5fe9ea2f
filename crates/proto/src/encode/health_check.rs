//! Health checks on their way out.

use std::time::Duration;

use watershed_health::{
    Calculated, Check, CheckerChoice, DnsProbe, EndpointSlices, Forced, GrpcProbe, HttpProbe,
    MissingData, ProbeKind, PrometheusProbe, TcpProbe, TlsOptions, WhenStale,
};

use crate::fleet_v1 as wire;

pub(super) fn check(check: &Check) -> wire::HealthCheck {
    let Check {
        kind,
        address,
        interval,
        timeout,
        failure_threshold,
        success_threshold,
        checkers,
        quorum_percent,
        stale_after,
        when_stale,
        inverted,
        disabled,
        forced,
    } = check;
    wire::HealthCheck {
        kind: Some(self::kind(kind)),
        address: address.as_ref().map(Into::into),
        interval_ms: milliseconds(*interval),
        timeout_ms: milliseconds(*timeout),
        failure_threshold: *failure_threshold,
        success_threshold: *success_threshold,
        checkers: Some(choice(checkers)),
        quorum_percent: *quorum_percent,
        stale_after_ms: milliseconds(*stale_after),
        when_stale: stale(*when_stale).into(),
        inverted: *inverted,
        disabled: *disabled,
        forced: forced.as_ref().map(self::forced),
    }
}

/// More than seven weeks become seven weeks.
fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn kind(kind: &ProbeKind) -> wire::health_check::Kind {
    use wire::health_check::Kind;
    match kind {
        ProbeKind::Http(probe) => Kind::Http(http(probe)),
        ProbeKind::Tcp(TcpProbe { port }) => Kind::Tcp(wire::TcpProbe {
            port: u32::from(*port),
        }),
        ProbeKind::Grpc(GrpcProbe { port, service, tls }) => Kind::Grpc(wire::GrpcProbe {
            port: u32::from(*port),
            service: service.clone(),
            tls: tls.as_ref().map(self::tls),
        }),
        ProbeKind::Dns(DnsProbe {
            port,
            query,
            record_type,
        }) => Kind::Dns(wire::DnsProbe {
            port: u32::from(*port),
            query: query.clone(),
            r#type: u32::from(*record_type),
        }),
        ProbeKind::Prometheus(probe) => Kind::Prometheus(prometheus(probe)),
        ProbeKind::EndpointSlices(EndpointSlices {
            service,
            min_ready_percent,
        }) => Kind::EndpointSlices(wire::EndpointSlices {
            service: service.clone(),
            min_ready_percent: *min_ready_percent,
        }),
        ProbeKind::Calculated(Calculated {
            members,
            min_healthy,
            must_be_healthy,
        }) => Kind::Calculated(wire::Calculated {
            members: members.clone(),
            min_healthy: *min_healthy,
            must_be_healthy: must_be_healthy.clone(),
        }),
    }
}

fn http(probe: &HttpProbe) -> wire::HttpProbe {
    let HttpProbe {
        tls,
        port,
        path,
        host,
        headers,
        expected_statuses,
        search_string,
    } = probe;
    let headers = headers.iter().map(|(name, value)| wire::Header {
        name: name.clone(),
        value: value.clone(),
    });
    let statuses = expected_statuses.iter();
    let statuses = statuses.map(|(first, last)| wire::StatusRange {
        first: u32::from(*first),
        last: u32::from(*last),
    });
    wire::HttpProbe {
        tls: tls.as_ref().map(self::tls),
        port: u32::from(*port),
        path: path.clone(),
        host: host.clone(),
        headers: headers.collect(),
        expected_statuses: statuses.collect(),
        search_string: search_string.clone(),
    }
}

fn tls(tls: &TlsOptions) -> wire::TlsOptions {
    let TlsOptions {
        server_name,
        verify,
    } = tls;
    wire::TlsOptions {
        server_name: server_name.clone(),
        verify: *verify,
    }
}

fn prometheus(probe: &PrometheusProbe) -> wire::PrometheusProbe {
    use wire::prometheus_probe::MissingData as To;
    let PrometheusProbe {
        url,
        query,
        min,
        max,
        on_missing,
    } = probe;
    let on_missing = match on_missing {
        MissingData::KeepLast => To::KeepLast,
        MissingData::Healthy => To::Healthy,
        MissingData::Unhealthy => To::Unhealthy,
    };
    wire::PrometheusProbe {
        url: url.clone(),
        query: query.clone(),
        min: *min,
        max: *max,
        on_missing: on_missing.into(),
    }
}

fn choice(choice: &CheckerChoice) -> wire::CheckerChoice {
    let CheckerChoice {
        per_target,
        min_locations,
        locations,
    } = choice;
    wire::CheckerChoice {
        per_target: *per_target,
        min_locations: *min_locations,
        locations: locations.clone(),
    }
}

fn stale(when: WhenStale) -> wire::health_check::WhenStale {
    use wire::health_check::WhenStale as To;
    match when {
        WhenStale::KeepLast => To::KeepLast,
        WhenStale::AssumeHealthy => To::AssumeHealthy,
        WhenStale::AssumeUnhealthy => To::AssumeUnhealthy,
    }
}

fn forced(forced: &Forced) -> wire::Forced {
    let Forced {
        healthy,
        reason,
        until,
    } = forced;
    wire::Forced {
        healthy: *healthy,
        reason: reason.clone(),
        until: *until,
    }
}

//! Generators of health checks of every kind.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use watershed_health::{
    Address, Calculated, Check, CheckerChoice, DnsProbe, EndpointSlices, Forced, GrpcProbe,
    HttpProbe, MissingData, ProbeKind, PrometheusProbe, TcpProbe, TlsOptions, WhenStale,
};

pub(crate) fn addresses() -> impl Strategy<Value = Address> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| Address::Ip(octets.into())),
        any::<[u8; 16]>().prop_map(|octets| Address::Ip(octets.into())),
        "[a-z]{1,8}\\.example\\.net".prop_map(Address::Host),
    ]
}

pub(crate) fn checks() -> impl Strategy<Value = Check> {
    let rhythm = (milliseconds(1000), milliseconds(1), 1..=10_u32, 1..=10_u32);
    let verdict = (0..=99_u32, milliseconds(1), when_stale(), of(forced()));
    let flags = any::<(bool, bool)>();
    let what = (kinds(), of(addresses()), choices());
    (what, rhythm, verdict, flags).prop_map(|(what, rhythm, verdict, (inverted, disabled))| {
        let (kind, address, checkers) = what;
        let (interval, timeout, failure_threshold, success_threshold) = rhythm;
        let (quorum_percent, stale_after, when_stale, forced) = verdict;
        Check {
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
        }
    })
}

fn milliseconds(least: u32) -> impl Strategy<Value = Duration> {
    (least..=u32::MAX).prop_map(|number| Duration::from_millis(number.into()))
}

fn kinds() -> impl Strategy<Value = ProbeKind> {
    let tcp = (1..=u16::MAX).prop_map(|port| ProbeKind::Tcp(TcpProbe { port }));
    let grpc = (1..=u16::MAX, any::<String>(), of(tls()))
        .prop_map(|(port, service, tls)| ProbeKind::Grpc(GrpcProbe { port, service, tls }));
    let dns =
        (1..=u16::MAX, any::<String>(), any::<u16>()).prop_map(|(port, query, record_type)| {
            ProbeKind::Dns(DnsProbe {
                port,
                query,
                record_type,
            })
        });
    let slices = (any::<String>(), 1..=100_u32).prop_map(|(service, min_ready_percent)| {
        ProbeKind::EndpointSlices(EndpointSlices {
            service,
            min_ready_percent,
        })
    });
    let names = || vec("[a-z]{1,4}/[a-z]{1,4}", 0..4);
    let calculated =
        (names(), any::<u32>(), names()).prop_map(|(members, min_healthy, must_be_healthy)| {
            ProbeKind::Calculated(Calculated {
                members,
                min_healthy,
                must_be_healthy,
            })
        });
    prop_oneof![http(), tcp, grpc, dns, prometheus(), slices, calculated]
}

fn http() -> impl Strategy<Value = ProbeKind> {
    let statuses = any::<(u16, u16)>().prop_map(|(one, other)| (one.min(other), one.max(other)));
    let headers = vec(any::<(String, String)>(), 0..3);
    let request = ("/[a-z]{0,8}", any::<Option<String>>(), headers);
    let answer = (vec(statuses, 1..4), any::<Option<String>>());
    (of(tls()), 1..=u16::MAX, request, answer).prop_map(|(tls, port, request, answer)| {
        let (path, host, headers) = request;
        let (expected_statuses, search_string) = answer;
        ProbeKind::Http(HttpProbe {
            tls,
            port,
            path,
            host,
            headers,
            expected_statuses,
            search_string,
        })
    })
}

fn tls() -> impl Strategy<Value = TlsOptions> {
    any::<(Option<String>, bool)>().prop_map(|(server_name, verify)| TlsOptions {
        server_name,
        verify,
    })
}

fn prometheus() -> impl Strategy<Value = ProbeKind> {
    let on_missing = prop::sample::select(vec![
        MissingData::KeepLast,
        MissingData::Healthy,
        MissingData::Unhealthy,
    ]);
    let bounds = (of(-1e9..1e9_f64), of(any::<f64>()));
    (any::<(String, String)>(), bounds, on_missing).prop_map(
        |((url, query), (min, max), on_missing)| {
            ProbeKind::Prometheus(PrometheusProbe {
                url,
                query,
                min,
                max,
                on_missing,
            })
        },
    )
}

fn choices() -> impl Strategy<Value = CheckerChoice> {
    (1..=u32::MAX, 1..=u32::MAX, vec(any::<String>(), 0..3)).prop_map(
        |(per_target, min_locations, locations)| CheckerChoice {
            per_target,
            min_locations,
            locations,
        },
    )
}

fn when_stale() -> impl Strategy<Value = WhenStale> {
    prop::sample::select(vec![
        WhenStale::KeepLast,
        WhenStale::AssumeHealthy,
        WhenStale::AssumeUnhealthy,
    ])
}

fn forced() -> impl Strategy<Value = Forced> {
    any::<(bool, String, Option<i64>)>().prop_map(|(healthy, reason, until)| Forced {
        healthy,
        reason,
        until,
    })
}

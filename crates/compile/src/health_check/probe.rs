//! The ways to check.

mod calculated;
mod http;
mod prometheus;

use watershed_crd::health_check::{self as crd, DnsProbeType, HealthCheckSpec, TlsVerification};
use watershed_health::{DnsProbe, EndpointSlices, GrpcProbe, ProbeKind, TcpProbe, TlsOptions};
use watershed_snapshot::OwnerName;
use watershed_snapshot::record_type::{A, AAAA, NS, SOA};

use super::fields::Fields;

/// The way that a check is made, as far as it can be told after a fault;
/// nothing when there is none.
pub(super) fn kind(spec: &HealthCheckSpec, fields: &mut Fields<'_>) -> Option<ProbeKind> {
    let slices = spec.endpoint_slices.as_ref();
    // All are read, so that every fault is told.
    let kinds = [
        ("http", spec.http.as_ref().map(|p| http::read(p, fields))),
        ("tcp", spec.tcp.as_ref().map(|p| tcp(p, fields))),
        ("grpc", spec.grpc.as_ref().map(|p| grpc(p, fields))),
        ("dns", spec.dns.as_ref().map(|p| dns(p, fields))),
        (
            "calculated",
            (spec.calculated.as_ref()).map(|p| calculated::read(p, fields)),
        ),
        ("endpointSlices", slices.map(|p| endpoint_slices(p, fields))),
        (
            "prometheus",
            (spec.prometheus.as_ref()).map(|p| prometheus::read(p, fields)),
        ),
    ];
    let names = kinds.each_ref().map(|(name, _)| *name);
    let mut set = kinds
        .into_iter()
        .filter_map(|(name, kind)| Some((name, kind?)));
    let Some((first, kind)) = set.next() else {
        fields.fault("", format!("one of {} must be set", names.join(", ")));
        return None;
    };
    let others: Vec<&str> = set.map(|(name, _)| name).collect();
    if !others.is_empty() {
        let others = others.join(" and ");
        let message = format!("{first} and {others} exclude each other; keep one");
        fields.fault("", message);
    }
    Some(kind)
}

fn tcp(probe: &crd::TcpProbe, fields: &mut Fields<'_>) -> ProbeKind {
    ProbeKind::Tcp(TcpProbe {
        port: fields.port("tcp.port", probe.port),
    })
}

fn grpc(probe: &crd::GrpcProbe, fields: &mut Fields<'_>) -> ProbeKind {
    let tls = probe.tls.as_ref().map(|tls| {
        let name = tls.server_name.as_ref();
        let name = name.and_then(|name| fields.host("grpc.tls.serverName", name));
        tls_options(name, tls.tls_verification)
    });
    ProbeKind::Grpc(GrpcProbe {
        port: fields.port("grpc.port", probe.port),
        service: probe.service.clone().unwrap_or_default(),
        tls,
    })
}

fn tls_options(server_name: Option<String>, verification: TlsVerification) -> TlsOptions {
    TlsOptions {
        server_name,
        verify: verification == TlsVerification::Full,
    }
}

fn dns(probe: &crd::DnsProbe, fields: &mut Fields<'_>) -> ProbeKind {
    let port = fields.port("dns.port", probe.port);
    let query = fields.read("dns.query", OwnerName::from_text(&probe.query));
    ProbeKind::Dns(DnsProbe {
        port,
        query: query.map(|name| name.to_string()).unwrap_or_default(),
        record_type: match probe.type_ {
            DnsProbeType::A => A,
            DnsProbeType::AAAA => AAAA,
            DnsProbeType::SOA => SOA,
            DnsProbeType::NS => NS,
        },
    })
}

fn endpoint_slices(slices: &crd::EndpointSlices, fields: &mut Fields<'_>) -> ProbeKind {
    let percent = slices.min_ready_percent;
    let min_ready_percent = fields.number("endpointSlices.minReadyPercent", percent, 1, 100);
    let reference = &slices.service_ref;
    let elsewhere = reference.namespace.as_deref();
    if let Some(other) = elsewhere.filter(|other| *other != fields.namespace) {
        let message = format!(
            "a check sees the Services of its own namespace, not those of {other}; make the \
             check there"
        );
        fields.fault("endpointSlices.serviceRef.namespace", message);
    }
    ProbeKind::EndpointSlices(EndpointSlices {
        service: reference.name.clone(),
        min_ready_percent,
    })
}

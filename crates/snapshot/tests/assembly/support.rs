//! Resources of a small world, so that what is generated meets often.

use std::sync::Arc;
use std::time::Duration;

use watershed_health::{Check, CheckerChoice, ProbeKind, TcpProbe};
use watershed_policy::{Document, EndpointKind, EndpointSpec, Limits, Policy, Target, Value};
use watershed_snapshot::record_type::{A, AAAA, CNAME, NS, SOA};
use watershed_snapshot::{
    Content, OwnerName, Placed, PolicyVersion, Records, Resource, ResourceKind, ResourceName,
    RrSet, VersionBinding, ZoneHead,
};

pub(crate) const TXT: u16 = 16;

pub(crate) type Change = (ResourceName, Option<Resource>);

pub(crate) fn owner(text: &str) -> OwnerName {
    text.parse().unwrap()
}

/// The resource `kind`/shop/`name`.
pub(crate) fn name(kind: ResourceKind, name: &str) -> ResourceName {
    ResourceName::new(kind, "shop", name)
}

pub(crate) fn zone_name(text: &str) -> ResourceName {
    name(ResourceKind::HostedZone, text)
}

pub(crate) fn record_name(text: &str) -> ResourceName {
    name(ResourceKind::RecordSet, text)
}

pub(crate) fn version_name(text: &str) -> ResourceName {
    name(ResourceKind::TrafficPolicyVersion, text)
}

/// One record of a type, different for each `variant`.
pub(crate) fn rrset(record_type: u16, variant: u8) -> RrSet {
    let rdata: Vec<u8> = match record_type {
        A => vec![192, 0, 2, variant],
        AAAA => [&[0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[variant]].concat(),
        CNAME | NS => owner(&format!("n{variant}.example.org")).as_wire().to_vec(),
        SOA => {
            let numbers = [u32::from(variant), 7200, 900, 1_209_600, 60];
            let octets = numbers.iter().flat_map(|number| number.to_be_bytes());
            b"\x02ns\x00\x00".iter().copied().chain(octets).collect()
        }
        _ => vec![1, b'a' + variant],
    };
    RrSet {
        record_type,
        ttl: 300,
        rdata: vec![rdata.into()],
    }
}

pub(crate) fn zone(apex: &str, serial: u8) -> Resource {
    Resource::Zone(ZoneHead {
        apex: owner(apex),
        soa: rrset(SOA, serial),
        ns: rrset(NS, serial),
    })
}

/// Records of a zone at names relative to its apex.
pub(crate) fn records(zone: &str, placed: Vec<(&str, Content)>) -> Resource {
    let apex = owner(zone);
    let placed = placed.into_iter().map(|(name, content)| Placed {
        owner: OwnerName::from_relative(name, &apex).unwrap(),
        content,
    });
    Resource::Records(Records {
        placed: placed.collect(),
        zone: apex,
    })
}

pub(crate) fn fixed(record_type: u16, variant: u8) -> Content {
    Content::Static(rrset(record_type, variant))
}

pub(crate) fn served(version: &str, record_types: &[u16]) -> Content {
    Content::Policy(VersionBinding {
        version: version_name(version),
        record_types: record_types.to_vec(),
        ttl: 60,
        ttl_range: None,
        failback: None,
    })
}

/// A check that probes a port this often.
pub(crate) fn check(seconds: u64) -> Resource {
    Resource::Check(Arc::new(Check {
        interval: Duration::from_secs(seconds),
        timeout: Duration::from_millis(500),
        checkers: CheckerChoice {
            per_target: 3,
            min_locations: 1,
            locations: Vec::new(),
        },
        ..Check::new(ProbeKind::Tcp(TcpProbe { port: 80 }))
    }))
}

/// A version that answers with one address, different for each `variant`.
pub(crate) fn version(text: &str, record_types: &[u16], variant: u8) -> Resource {
    let endpoint = EndpointSpec {
        name: "only".to_owned(),
        kind: EndpointKind::Value,
        values: vec![
            Value::Ipv4([192, 0, 2, variant].into()),
            Value::Ipv6([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(variant)].into()),
        ],
        check: None,
        drain: false,
    };
    let document = Document {
        record_types: record_types.to_vec(),
        start: Some(Target::Endpoint("only".to_owned())),
        rules: Vec::new(),
        endpoints: vec![endpoint],
    };
    let (policy, findings) = Policy::build(&document, &Limits::unlimited());
    Resource::Version(Arc::new(PolicyVersion {
        namespace: "shop".to_owned(),
        policy_name: text.to_owned(),
        number: 1,
        digest: format!("sha256:{variant}"),
        policy: policy.unwrap_or_else(|| panic!("{findings:?}")),
    }))
}

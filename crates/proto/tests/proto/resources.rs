//! Resources survive the way, and what cannot be served is refused by name.

use std::sync::Arc;

use proptest::prelude::*;
use prost::Message as _;
use watershed_policy::{RuleKind, Selector};
use watershed_proto::fleet_v1 as wire;
use watershed_proto::{DecodeError, NEWEST_FORMAT, OLDEST_FORMAT, decode, encode, format_needed};
use watershed_snapshot::{Content, Placed, PolicyVersion, Records, Resource, ResourceKind, RrSet};

use crate::support::{build, documents, kind_of, resources};

proptest! {
    #[test]
    fn a_resource_survives_the_way(resource in resources()) {
        let kind = kind_of(&resource);
        let octets = encode(&resource);
        prop_assert_eq!(decode(kind, &octets), Ok(resource.clone()));
        // Equal resources are equal octets, or digests would differ.
        prop_assert_eq!(encode(&decode(kind, &octets).unwrap()), octets);
        let format = format_needed(&resource);
        prop_assert!((OLDEST_FORMAT..=NEWEST_FORMAT).contains(&format));
    }

    /// What says that it needs format 1 has nothing of format 2.
    #[test]
    fn the_format_needed_is_enough(document in documents()) {
        let resource = version(&document);
        let document = sent(&resource).document.unwrap();
        let later = document.rules.iter().any(|rule| {
            let blocks = |branch: &wire::Branch| {
                matches!(branch.selector, Some(wire::branch::Selector::Blocks(_)))
            };
            rule.kind() == wire::rule::Kind::Cidr || rule.branches.iter().any(blocks)
        });
        prop_assert_eq!(format_needed(&resource), if later { 2 } else { 1 });
    }

    /// What says that it needs format 1 has nothing of format 3.
    #[test]
    fn bindings_that_follow_health_are_of_format_3(resource in resources()) {
        let later = match wire::Resource::decode(&*encode(&resource)).unwrap().content {
            Some(wire::resource::Content::HealthCheck(_)) => true,
            Some(wire::resource::Content::Records(records)) => {
                records.placed.into_iter().any(|placed| match placed.content {
                    Some(wire::placed::Content::Binding(binding)) => {
                        binding.ttl_range.is_some() || binding.failback.is_some()
                    }
                    _ => false,
                })
            }
            _ => false,
        };
        prop_assert_eq!(format_needed(&resource) == 3, later);
    }

    #[test]
    fn fields_of_later_formats_are_left_out_of_account(resource in resources()) {
        let mut octets = encode(&resource);
        // Field 1000 of wire type 0 with the value 7.
        octets.extend([0xc0, 0x3e, 7]);
        prop_assert_eq!(decode(kind_of(&resource), &octets), Ok(resource));
    }
}

fn version(document: &watershed_policy::Document) -> Resource {
    Resource::Version(Arc::new(PolicyVersion {
        namespace: "shop".to_owned(),
        policy_name: "web".to_owned(),
        number: 1,
        digest: "sha256:0".to_owned(),
        policy: build(document),
    }))
}

/// The generated form of a version.
fn sent(resource: &Resource) -> wire::PolicyVersion {
    match wire::Resource::decode(&*encode(resource)).unwrap().content {
        Some(wire::resource::Content::PolicyVersion(version)) => version,
        other => panic!("{other:?}"),
    }
}

/// Generates every kind of rule, selector and value, or the properties above
/// would say less than they seem to.
#[test]
fn generators_leave_nothing_out() {
    use proptest::strategy::{Strategy as _, ValueTree as _};
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let document = documents().new_tree(&mut runner).unwrap().current();
        for rule in &document.rules {
            seen.insert(match rule.kind {
                RuleKind::Weighted { affinity } => format!("Weighted {affinity:?}"),
                kind => kind.as_str().to_owned(),
            });
            seen.extend(rule.branches.iter().map(|branch| variant(&branch.selector)));
        }
        let values = document
            .endpoints
            .iter()
            .flat_map(|endpoint| &endpoint.values);
        seen.extend(values.map(variant));
    }
    let expected = [
        "Always",
        "CIDR",
        "Blocks",
        "Default",
        "Failover",
        "Geolocation",
        "Geoproximity",
        "Hostname",
        "Ipv4",
        "Ipv6",
        "Latency",
        "MultiValue",
        "Places",
        "Position",
        "Rdata",
        "Region",
        "Weight",
        "Weighted Client",
        "Weighted None",
    ];
    assert_eq!(seen, expected.map(str::to_owned).into());
    // A selector that is missing is of a document that was refused.
    assert!(!seen.contains(&variant(&Selector::Missing)));
}

/// The name of a variant.
fn variant(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let end = text.find(|c: char| !c.is_alphanumeric());
    text[..end.unwrap_or(text.len())].to_owned()
}

/// The octets are a promise between versions of the program: digests are
/// over them, and stores keep them.
#[test]
fn the_octets_of_a_record_stay_the_same() {
    let records = Resource::Records(Records {
        zone: "example.com".parse().unwrap(),
        placed: vec![Placed {
            owner: "www.example.com".parse().unwrap(),
            content: Content::Static(RrSet {
                record_type: 1,
                ttl: 300,
                rdata: vec![[192, 0, 2, 1].into()],
            }),
        }],
    });
    let expected = [
        b"\x12\x31\x0a\x0d\x07example\x03com\x00\x12\x20\x0a\x11\x03www\x07example\x03com\x00"
            .as_slice(),
        b"\x12\x0b\x08\x01\x10\xac\x02\x1a\x04\xc0\x00\x02\x01".as_slice(),
    ];
    assert_eq!(
        encode(&records).escape_ascii().to_string(),
        expected.concat().escape_ascii().to_string()
    );
}

fn resource(content: wire::resource::Content) -> Vec<u8> {
    let content = Some(content);
    wire::Resource { content }.encode_to_vec()
}

/// What decoding says of a resource of that kind.
fn refusal(kind: ResourceKind, octets: &[u8]) -> String {
    decode(kind, octets).unwrap_err().to_string()
}

fn refused_records(records: wire::Records) -> String {
    refusal(
        ResourceKind::RecordSet,
        &resource(wire::resource::Content::Records(records)),
    )
}

fn refused_placed(content: Option<wire::placed::Content>) -> String {
    let owner = b"\x01a\x00".to_vec();
    refused_records(wire::Records {
        zone: vec![0],
        placed: vec![wire::Placed { owner, content }],
    })
}

#[test]
fn records_are_refused_by_name_of_the_part() {
    use wire::placed::Content;
    let rrset = |record_type, ttl, rdata: &[u8]| {
        refused_placed(Some(Content::Rrset(wire::RrSet {
            r#type: record_type,
            ttl,
            rdata: vec![rdata.to_vec()],
        })))
    };
    let binding = |version: &str, types: &[u32]| {
        refused_placed(Some(Content::Binding(wire::Binding {
            version: version.to_owned(),
            types: types.to_vec(),
            ttl: 1,
            ..wire::Binding::default()
        })))
    };
    let following = |ttl_range, failback| {
        refused_placed(Some(Content::Binding(wire::Binding {
            version: "TrafficPolicyVersion/shop/web".to_owned(),
            types: vec![1],
            ttl: 1,
            ttl_range,
            failback,
        })))
    };
    let bad_zone = wire::Records {
        zone: vec![1],
        placed: Vec::new(),
    };
    let cases = [
        (
            refused_records(bad_zone),
            "zone: the wire form is malformed",
        ),
        (
            refused_placed(None),
            "placed[0].content: is missing, or of a kind that this program does not know",
        ),
        (
            rrset(65536, 1, b"a"),
            "placed[0].rrset.type: 65536 is not the number of a type",
        ),
        (
            rrset(16, 1 << 31, b"a"),
            "placed[0].rrset.ttl: 2147483648 is more than 2147483647 seconds",
        ),
        (
            rrset(1, 1, b"abc"),
            "placed[0].rrset.rdata: is missing or malformed",
        ),
        (
            binding("web", &[1]),
            "placed[0].binding.version: `web` is not the name of a resource; write \
             KIND/NAMESPACE/NAME",
        ),
        (
            binding("RecordSet/shop/web", &[1]),
            "placed[0].binding.version: RecordSet/shop/web is not a version of a policy",
        ),
        (
            binding("TrafficPolicyVersion/shop/web", &[]),
            "placed[0].binding.types: is empty",
        ),
        (
            following(Some(wire::TtlRange { min: 2, max: 1 }), None),
            "placed[0].binding.ttl_range: 2 is greater than 1",
        ),
        (
            following(None, Some(wire::Failback::default())),
            "placed[0].binding.failback.mode: is missing, or of a kind that this program does \
             not know",
        ),
    ];
    for (said, expected) in cases {
        assert_eq!(said, expected);
    }
}

#[test]
fn health_checks_are_refused_by_name_of_the_part() {
    use wire::health_check::Kind;
    let sound = || wire::HealthCheck {
        kind: Some(Kind::Tcp(wire::TcpProbe { port: 80 })),
        interval_ms: 1000,
        timeout_ms: 500,
        failure_threshold: 1,
        success_threshold: 1,
        checkers: Some(wire::CheckerChoice {
            per_target: 1,
            min_locations: 1,
            locations: Vec::new(),
        }),
        stale_after_ms: 1,
        when_stale: wire::health_check::WhenStale::KeepLast.into(),
        ..wire::HealthCheck::default()
    };
    let octets = |check| resource(wire::resource::Content::HealthCheck(check));
    assert!(decode(ResourceKind::HealthCheck, &octets(sound())).is_ok());
    let broken = |change: &dyn Fn(&mut wire::HealthCheck)| {
        let mut check = sound();
        change(&mut check);
        refusal(ResourceKind::HealthCheck, &octets(check))
    };
    let unknown = "is missing, or of a kind that this program does not know";
    let http = |probe: wire::HttpProbe| broken(&|c| c.kind = Some(Kind::Http(probe.clone())));
    let request = wire::HttpProbe {
        port: 80,
        path: "/".to_owned(),
        ..wire::HttpProbe::default()
    };
    let prometheus = wire::PrometheusProbe {
        min: Some(f64::NAN),
        on_missing: 1,
        ..wire::PrometheusProbe::default()
    };
    let cases = [
        (broken(&|c| c.kind = None), format!("kind: {unknown}")),
        (
            broken(&|c| c.when_stale = 9),
            format!("when_stale: {unknown}"),
        ),
        (
            broken(&|c| c.interval_ms = 999),
            "interval_ms: 999 is not 1000 to 4294967295".to_owned(),
        ),
        (
            broken(&|c| c.failure_threshold = 11),
            "failure_threshold: 11 is not 1 to 10".to_owned(),
        ),
        (
            broken(&|c| c.quorum_percent = 100),
            "quorum_percent: 100 is not 0 to 99".to_owned(),
        ),
        (
            broken(&|c| c.address = Some(wire::Address::default())),
            format!("address: {unknown}"),
        ),
        (
            broken(&|c| c.checkers = None),
            "checkers: is missing".to_owned(),
        ),
        (
            broken(&|c| c.kind = Some(Kind::Tcp(wire::TcpProbe { port: 0 }))),
            "tcp.port: is not 1 to 65535".to_owned(),
        ),
        (
            http(request.clone()),
            format!("http.expected_statuses: {unknown}"),
        ),
        (
            http(wire::HttpProbe {
                path: "x".to_owned(),
                ..request
            }),
            "http.path: does not begin with a slash".to_owned(),
        ),
        (
            broken(&|c| c.kind = Some(Kind::Prometheus(prometheus.clone()))),
            "prometheus: a bound is not a number".to_owned(),
        ),
    ];
    for (said, expected) in cases {
        assert_eq!(said, expected);
    }
}

#[test]
fn content_of_another_kind_is_refused() {
    let zone = wire::Records {
        zone: vec![0],
        placed: Vec::new(),
    };
    let octets = resource(wire::resource::Content::Records(zone));
    assert_eq!(
        decode(ResourceKind::HostedZone, &octets),
        Err(DecodeError::WrongKind(ResourceKind::HostedZone))
    );
    // Nothing, and a content of field 9.
    for octets in [&[][..], &[0x4a, 0]] {
        let refused = decode(ResourceKind::RecordSet, octets);
        assert_eq!(refused, Err(DecodeError::UnknownContent));
    }
    assert!(refusal(ResourceKind::RecordSet, &[0xff]).starts_with("the content is not a resource"));
}

/// A version whose only rule is `rule`, with the endpoints `e` and `f`.
fn refused_rule(rule: wire::Rule) -> String {
    let endpoint = |name: &str| wire::Endpoint {
        name: name.to_owned(),
        ..wire::Endpoint::default()
    };
    let document = wire::Document {
        record_types: vec![1],
        start: Some(target("r")),
        rules: vec![rule],
        endpoints: vec![endpoint("e"), endpoint("f")],
    };
    refused_document(document)
}

fn refused_document(document: wire::Document) -> String {
    let version = wire::PolicyVersion {
        document: Some(document),
        ..wire::PolicyVersion::default()
    };
    let octets = resource(wire::resource::Content::PolicyVersion(version));
    refusal(ResourceKind::TrafficPolicyVersion, &octets)
}

fn target(rule: &str) -> wire::Target {
    wire::Target {
        to: Some(wire::target::To::Rule(rule.to_owned())),
    }
}

fn branch(selector: Option<wire::branch::Selector>) -> wire::Branch {
    let to = Some(wire::target::To::Endpoint("e".to_owned()));
    wire::Branch {
        target: Some(wire::Target { to }),
        selector,
        ..wire::Branch::default()
    }
}

fn rule(kind: i32, selector: Option<wire::branch::Selector>) -> wire::Rule {
    wire::Rule {
        name: "r".to_owned(),
        kind,
        branches: vec![branch(selector)],
        ..wire::Rule::default()
    }
}

#[test]
fn documents_are_refused_by_name_of_the_part() {
    use wire::branch::Selector;
    use wire::rule::Kind;
    let places = |place: &str| {
        Some(Selector::Places(wire::Places {
            places: vec![place.to_owned()],
        }))
    };
    let blocks = wire::Blocks {
        blocks: vec!["192.0.2.0/33".to_owned()],
    };
    let nowhere = wire::Position {
        coordinates: Some(wire::Coordinates {
            latitude: f64::NAN,
            longitude: 0.0,
        }),
        bias: 0,
    };
    let at = "document.rules[0].branches[0].selector";
    let cases = [
        (
            rule(99, None),
            "document.rules[0].kind: 99 is not a kind of rule that this program knows".to_owned(),
        ),
        (
            rule(0, None),
            "document.rules[0].kind: 0 is not a kind of rule that this program knows".to_owned(),
        ),
        (
            rule(Kind::Weighted.into(), None),
            format!("{at}: is missing, or of a kind that this program does not know"),
        ),
        (
            rule(Kind::Geolocation.into(), places("planet/X")),
            format!("{at}: `planet/X` is not a place"),
        ),
        (
            rule(Kind::Geolocation.into(), places("country/US-")),
            format!("{at}: `country/US-` is not a place"),
        ),
        (
            rule(Kind::Cidr.into(), Some(Selector::Blocks(blocks))),
            format!("{at}: `192.0.2.0/33` is not a CIDR block"),
        ),
        (
            rule(Kind::Geoproximity.into(), Some(Selector::Position(nowhere))),
            format!("{at}: NaN, 0 is not a position on Earth"),
        ),
        (
            wire::Rule {
                min_healthy_percent: 256,
                ..rule(Kind::Weighted.into(), Some(Selector::Weight(1)))
            },
            "document.rules[0].min_healthy_percent: 256 is too large".to_owned(),
        ),
    ];
    for (rule, expected) in cases {
        assert_eq!(refused_rule(rule), expected);
    }
}

#[test]
fn all_faults_of_a_policy_are_told() {
    let mut broken = rule(
        wire::rule::Kind::Failover.into(),
        Some(wire::branch::Selector::Weight(1)),
    );
    broken.min_healthy_percent = 101;
    let said = refused_rule(broken);
    for fault in [
        "at least two branches",
        "nothing but a target",
        "between 1 and 100",
    ] {
        assert!(said.contains(fault), "{said}");
    }
    let said = refused_document(wire::Document::default());
    assert_eq!(
        said,
        "document.start: is missing, or of a kind that this program does not know"
    );
}

#[test]
fn addresses_have_their_length() {
    let value = wire::Value {
        value: Some(wire::value::Value::Ipv4(vec![192, 0, 2])),
    };
    let endpoint = wire::Endpoint {
        values: vec![value],
        ..wire::Endpoint::default()
    };
    let document = wire::Document {
        start: Some(target("r")),
        endpoints: vec![endpoint],
        ..wire::Document::default()
    };
    assert_eq!(
        refused_document(document),
        "document.endpoints[0].values[0]: is not an address of the right length"
    );
}

//! Generators of resources of every kind.

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use watershed_policy::{
    Affinity, BranchSpec, Continent, Coordinates, Document, EndpointKind, EndpointSpec,
    FailbackMode, Limits, Place, Policy, Region, RuleKind, RuleSpec, Selector, Target, Value,
};
use watershed_snapshot::{
    Content, OwnerName, Placed, PolicyVersion, RecordFailback, Records, Resource, ResourceKind,
    ResourceName, RrSet, VersionBinding, ZoneHead,
};

use crate::checks::checks;

const A: u16 = 1;
const NS: u16 = 2;
const SOA: u16 = 6;
const TXT: u16 = 16;
const AAAA: u16 = 28;

/// A name that goes with the resource.
pub(crate) fn kind_of(resource: &Resource) -> ResourceKind {
    match resource {
        Resource::Zone(_) => ResourceKind::HostedZone,
        Resource::Records(_) => ResourceKind::RecordSet,
        Resource::Version(_) => ResourceKind::TrafficPolicyVersion,
        Resource::Check(_) => ResourceKind::HealthCheck,
    }
}

pub(crate) fn names() -> impl Strategy<Value = ResourceName> {
    (
        prop::sample::select(&ResourceKind::ALL[..]),
        "[a-z]{1,8}",
        "[a-z0-9.-]{1,12}",
    )
        .prop_map(|(kind, namespace, name)| ResourceName::new(kind, namespace, name))
}

pub(crate) fn owners() -> impl Strategy<Value = OwnerName> {
    vec(vec(any::<u8>(), 1..10), 0..5).prop_map(|labels| {
        let mut labels = labels.iter();
        let name = labels.try_fold(OwnerName::root(), |name, label| name.prepend(label));
        name.unwrap()
    })
}

pub(crate) fn resources() -> impl Strategy<Value = Resource> {
    let heads = (owners(), rrsets(SOA), rrsets(NS));
    let heads = heads.prop_map(|(apex, soa, ns)| Resource::Zone(ZoneHead { apex, soa, ns }));
    let records = (owners(), vec(placements(), 0..4));
    let records = records.prop_map(|(zone, placed)| Resource::Records(Records { zone, placed }));
    let versions = versions().prop_map(|version| Resource::Version(Arc::new(version)));
    let checks = checks().prop_map(|check| Resource::Check(Arc::new(check)));
    prop_oneof![heads, records, versions, checks]
}

fn placements() -> impl Strategy<Value = Placed> {
    let types = prop::sample::select(vec![A, NS, TXT, AAAA, 65535]);
    let fixed = types.prop_flat_map(rrsets).prop_map(Content::Static);
    let types_served = vec(any::<u16>(), 1..3);
    let served = (names(), types_served, ttls(), ttl_ranges(), failbacks());
    let served = served.prop_map(|(name, record_types, ttl, ttl_range, failback)| {
        Content::Policy(VersionBinding {
            version: ResourceName::new(
                ResourceKind::TrafficPolicyVersion,
                name.namespace(),
                name.name(),
            ),
            record_types,
            ttl,
            ttl_range,
            failback,
        })
    });
    let content = prop_oneof![fixed, served];
    (owners(), content).prop_map(|(owner, content)| Placed { owner, content })
}

fn ttls() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(i32::MAX.unsigned_abs()), 1..100_000_u32]
}

fn ttl_ranges() -> impl Strategy<Value = Option<(u32, u32)>> {
    let ranges = (ttls(), ttls()).prop_map(|(one, other)| (one.min(other), one.max(other)));
    prop::option::of(ranges)
}

fn failbacks() -> impl Strategy<Value = Option<Arc<RecordFailback>>> {
    let mode = prop_oneof![
        Just(FailbackMode::Manual),
        any::<u32>().prop_map(|seconds| FailbackMode::After(Duration::from_secs(seconds.into()))),
    ];
    let failbacks = ("[a-z]{1,4}/[a-z]{1,4}", mode)
        .prop_map(|(record, mode)| Arc::new(RecordFailback { record, mode }));
    prop::option::of(failbacks)
}

fn rrsets(record_type: u16) -> impl Strategy<Value = RrSet> {
    let rdata = match record_type {
        A => vec(any::<u8>(), 4).boxed(),
        AAAA => vec(any::<u8>(), 16).boxed(),
        NS => owners().prop_map(|name| name.as_wire().to_vec()).boxed(),
        _ => vec(any::<u8>(), 0..40).boxed(),
    };
    (ttls(), vec(rdata, 1..4)).prop_map(move |(ttl, rdata)| RrSet {
        record_type,
        ttl,
        rdata: rdata.into_iter().map(Vec::into_boxed_slice).collect(),
    })
}

fn versions() -> impl Strategy<Value = PolicyVersion> {
    (
        "[a-z]{1,8}",
        "[a-z]{1,8}",
        any::<u32>(),
        "sha256:[0-9a-f]{8}",
        documents(),
    )
        .prop_map(
            |(namespace, policy_name, number, digest, document)| PolicyVersion {
                namespace,
                policy_name,
                number,
                digest,
                policy: build(&document),
            },
        )
}

pub(crate) fn build(document: &Document) -> Policy {
    let (policy, findings) = Policy::build(document, &Limits::unlimited());
    policy.unwrap_or_else(|| panic!("{findings:?}"))
}

/// A valid document of up to five rules that lead only to later ones.
pub(crate) fn documents() -> impl Strategy<Value = Document> {
    let types = prop::sample::select(vec![vec![A], vec![AAAA], vec![A, AAAA], vec![5], vec![TXT]]);
    let count = 0..=5_usize;
    (types, count).prop_flat_map(|(record_types, count)| {
        let rules: Vec<_> = (0..count).map(|index| rules(index, count)).collect();
        let endpoints: Vec<_> = (0..4).map(endpoints).collect();
        (Just(record_types), rules, endpoints).prop_map(|(record_types, rules, endpoints)| {
            Document {
                record_types,
                start: Some(if rules.is_empty() {
                    Target::Endpoint("e0".to_owned())
                } else {
                    Target::Rule("r0".to_owned())
                }),
                rules,
                endpoints,
            }
        })
    })
}

fn kinds() -> impl Strategy<Value = RuleKind> {
    let affinity = prop::sample::select(vec![Affinity::None, Affinity::Client]);
    prop_oneof![
        Just(RuleKind::Failover),
        affinity.prop_map(|affinity| RuleKind::Weighted { affinity }),
        Just(RuleKind::Latency),
        Just(RuleKind::Geolocation),
        Just(RuleKind::Geoproximity),
        (1..=8_u8).prop_map(|max_answers| RuleKind::MultiValue { max_answers }),
        Just(RuleKind::Cidr),
    ]
}

fn rules(index: usize, count: usize) -> impl Strategy<Value = RuleSpec> {
    let percent = prop::option::of(1..=100_u8);
    (kinds(), percent, 2..=4_usize).prop_flat_map(move |(kind, min_healthy_percent, branches)| {
        let branches: Vec<_> = (0..branches)
            .map(|branch| self::branches(kind, branch, index + 1..count))
            .collect();
        branches.prop_map(move |branches| RuleSpec {
            name: format!("r{index}"),
            kind,
            min_healthy_percent,
            branches,
        })
    })
}

fn branches(
    kind: RuleKind,
    index: usize,
    later: std::ops::Range<usize>,
) -> impl Strategy<Value = BranchSpec> {
    let mut targets = vec![Target::Endpoint(format!("e{index}"))];
    // A multivalue rule is a leaf.
    if !matches!(kind, RuleKind::MultiValue { .. }) {
        targets.extend(later.map(|rule| Target::Rule(format!("r{rule}"))));
    }
    let check = prop::option::of("[a-z]{1,4}/[a-z]{1,4}");
    let target = prop::sample::select(targets);
    (target, check, any::<bool>(), selectors(kind, index)).prop_map(
        |(target, check, evaluate_target_health, selector)| BranchSpec {
            target: Some(target),
            check,
            evaluate_target_health,
            selector,
        },
    )
}

/// Selectors of branch number `index`; those of different branches differ.
fn selectors(kind: RuleKind, index: usize) -> BoxedStrategy<Selector> {
    const PLACES: [&str; 3] = ["DE", "FR", "US"];
    let number = u8::try_from(index).unwrap();
    match kind {
        RuleKind::Failover | RuleKind::MultiValue { .. } => Just(Selector::Always).boxed(),
        RuleKind::Weighted { .. } => any::<u32>().prop_map(Selector::Weight).boxed(),
        RuleKind::Latency => prop::option::of(coordinates())
            .prop_map(move |coordinates| {
                let name = format!("region-{index}");
                Selector::Region(Region { name, coordinates })
            })
            .boxed(),
        RuleKind::Geoproximity => (coordinates(), -99..=99_i32)
            .prop_map(|(coordinates, bias)| Selector::Position { coordinates, bias })
            .boxed(),
        RuleKind::Geolocation | RuleKind::Cidr if index == 3 => Just(Selector::Default).boxed(),
        RuleKind::Geolocation => {
            let country = PLACES[index].parse().unwrap();
            let places = vec![
                Place::Country(country),
                Place::Subdivision(country, "X-1".to_owned()),
                Place::Continent(Continent::ALL[index]),
            ];
            prop::sample::subsequence(places, 1..=3)
                .prop_map(Selector::Places)
                .boxed()
        }
        RuleKind::Cidr => {
            let blocks = [
                format!("192.0.{number}.0/24"),
                format!("198.51.100.{number}/32"),
                format!("2001:db8:{number}::/48"),
            ];
            let blocks: Vec<_> = blocks.iter().map(|block| block.parse().unwrap()).collect();
            prop::sample::subsequence(blocks, 1..=3)
                .prop_map(Selector::Blocks)
                .boxed()
        }
    }
}

fn coordinates() -> impl Strategy<Value = Coordinates> {
    (-90.0..=90.0_f64, -180.0..=180.0_f64)
        .prop_map(|(latitude, longitude)| Coordinates::new(latitude, longitude).unwrap())
}

fn endpoints(index: usize) -> impl Strategy<Value = EndpointSpec> {
    let kind = prop::sample::select(vec![EndpointKind::Value, EndpointKind::Alias]);
    let check = prop::option::of("[a-z]{1,4}/[a-z]{1,4}");
    (kind, vec(values(), 0..4), check, any::<bool>()).prop_map(
        move |(kind, values, check, drain)| EndpointSpec {
            name: format!("e{index}"),
            kind,
            values,
            check,
            drain,
        },
    )
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| Value::Ipv4(octets.into())),
        any::<[u8; 16]>().prop_map(|octets| Value::Ipv6(octets.into())),
        "[a-z]{1,8}\\.example\\.net\\.".prop_map(Value::Hostname),
        (any::<String>(), vec(any::<u8>(), 0..20)).prop_map(|(text, wire)| Value::Rdata {
            text,
            wire: wire.into(),
        }),
    ]
}

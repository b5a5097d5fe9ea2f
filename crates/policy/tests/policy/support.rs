//! Builders of small documents, and generators of arbitrary ones.

use proptest::prelude::*;
use watershed_policy::{
    Affinity, BranchSpec, Client, Continent, Coordinates, Document, EndpointKind, EndpointSpec,
    Location, Place, Region, RuleKind, RuleSpec, Selector, Target, Value,
};

/// A value endpoint `name` at 192.0.2.`last`.
pub(crate) fn endpoint(name: &str, last: u8) -> EndpointSpec {
    EndpointSpec {
        name: name.to_owned(),
        kind: EndpointKind::Value,
        values: vec![Value::Ipv4([192, 0, 2, last].into())],
        check: None,
        drain: false,
    }
}

/// A branch to an endpoint with a check `hc-<endpoint>`.
pub(crate) fn to_endpoint(name: &str, selector: Selector) -> BranchSpec {
    BranchSpec {
        target: Some(Target::Endpoint(name.to_owned())),
        check: Some(format!("hc-{name}")),
        evaluate_target_health: true,
        selector,
    }
}

/// A branch to a rule.
pub(crate) fn to_rule(name: &str, selector: Selector) -> BranchSpec {
    BranchSpec {
        target: Some(Target::Rule(name.to_owned())),
        check: None,
        evaluate_target_health: true,
        selector,
    }
}

/// A rule of `kind`.
pub(crate) fn rule(name: &str, kind: RuleKind, branches: Vec<BranchSpec>) -> RuleSpec {
    RuleSpec {
        name: name.to_owned(),
        kind,
        min_healthy_percent: None,
        branches,
    }
}

/// An A document that starts at the rule `start`.
pub(crate) fn document(
    start: &str,
    rules: Vec<RuleSpec>,
    endpoints: Vec<EndpointSpec>,
) -> Document {
    Document {
        record_types: vec![1],
        start: Some(Target::Rule(start.to_owned())),
        rules,
        endpoints,
    }
}

pub(crate) const WEIGHTED: RuleKind = RuleKind::Weighted {
    affinity: Affinity::None,
};

const KINDS: [RuleKind; 8] = [
    RuleKind::Failover,
    WEIGHTED,
    RuleKind::Weighted {
        affinity: Affinity::Client,
    },
    RuleKind::Latency,
    RuleKind::Geolocation,
    RuleKind::Geoproximity,
    RuleKind::MultiValue { max_answers: 2 },
    RuleKind::Cidr,
];

const COUNTRIES: [&str; 4] = ["US", "DE", "CN", "BR"];
const BLOCKS: [&str; 6] = [
    "192.0.2.0/24",
    "192.0.2.128/25",
    "198.51.0.0/16",
    "0.0.0.0/1",
    "2001:db8::/32",
    "2001:db8:1::/48",
];

/// A valid document of up to six rules; a rule leads only to later rules, so
/// there are no cycles but plenty of sharing.
pub(crate) fn documents() -> impl Strategy<Value = Document> {
    let count = 1..=6_usize;
    count.prop_flat_map(|count| {
        let rules: Vec<_> = (0..count).map(|index| rules(index, count)).collect();
        let endpoints: Vec<_> = (0..5_u8).map(endpoints).collect();
        (rules, endpoints).prop_map(|(rules, endpoints)| document("r0", rules, endpoints))
    })
}

fn endpoints(index: u8) -> impl Strategy<Value = EndpointSpec> {
    (any::<bool>(), any::<bool>(), 0..10_u8).prop_map(move |(alias, checked, drain)| EndpointSpec {
        kind: if alias {
            EndpointKind::Alias
        } else {
            EndpointKind::Value
        },
        check: checked.then(|| format!("hc-e{index}")),
        drain: drain == 0,
        ..endpoint(&format!("e{index}"), index + 1)
    })
}

fn rules(index: usize, count: usize) -> impl Strategy<Value = RuleSpec> {
    let branches = prop::collection::vec(branches(index, count), 2..=4);
    let percent = prop::option::weighted(0.2, 1..=100_u8);
    (prop::sample::select(&KINDS[..]), branches, percent).prop_map(
        move |(kind, drafts, min_healthy_percent)| RuleSpec {
            min_healthy_percent,
            ..rule(&format!("r{index}"), kind, finish(kind, drafts))
        },
    )
}

/// What a branch is made of before its rule's kind is known.
type Draft = (Target, Option<String>, bool, u32, i32);

fn branches(index: usize, count: usize) -> impl Strategy<Value = Draft> {
    let later: Vec<Target> = (index + 1..count)
        .map(|r| Target::Rule(format!("r{r}")))
        .collect();
    let endpoints = (0..5).map(|e| Target::Endpoint(format!("e{e}")));
    let targets: Vec<Target> = later.into_iter().chain(endpoints).collect();
    let check = prop::option::weighted(0.4, (0..4).prop_map(|c| format!("hc-{c}")));
    (
        prop::sample::select(targets),
        check,
        any::<bool>(),
        0..4_u32,
        -99..=99_i32,
    )
}

fn finish(kind: RuleKind, drafts: Vec<Draft>) -> Vec<BranchSpec> {
    let branches = drafts.into_iter().enumerate();
    branches
        .map(
            |(index, (target, check, evaluate_target_health, weight, bias))| BranchSpec {
                target: Some(match kind {
                    RuleKind::MultiValue { .. } => Target::Endpoint(format!("e{index}")),
                    _ => target,
                }),
                check,
                evaluate_target_health,
                selector: selector(kind, index, weight, bias),
            },
        )
        .collect()
}

fn selector(kind: RuleKind, index: usize, weight: u32, bias: i32) -> Selector {
    let position = |index: usize| {
        let step = f64::from(u8::try_from(index).unwrap());
        Coordinates::new(10.0 * step, 20.0 * step)
    };
    match kind {
        RuleKind::Failover | RuleKind::MultiValue { .. } => Selector::Always,
        RuleKind::Weighted { .. } => Selector::Weight(weight),
        RuleKind::Latency => Selector::Region(Region {
            name: format!("region-{index}"),
            coordinates: position(index),
        }),
        RuleKind::Geoproximity => Selector::Position {
            coordinates: position(index).unwrap(),
            bias,
        },
        RuleKind::Geolocation | RuleKind::Cidr if index == 3 => Selector::Default,
        RuleKind::Geolocation if index == 2 => {
            Selector::Places(vec![Place::Continent(Continent::Europe)])
        }
        RuleKind::Geolocation => {
            Selector::Places(vec![Place::Country(COUNTRIES[index].parse().unwrap())])
        }
        RuleKind::Cidr => Selector::Blocks(
            BLOCKS[2 * index..2 * index + 2]
                .iter()
                .map(|b| b.parse().unwrap())
                .collect(),
        ),
    }
}

/// Clients with and without an address and a location.
pub(crate) fn clients() -> impl Strategy<Value = Client> {
    let network = prop::option::of(prop::sample::select(vec![
        "192.0.2.7/32",
        "192.0.2.200/32",
        "198.51.100.0/24",
        "203.0.113.9/32",
        "2001:db8:1::1/128",
        "2001:db8:2::/56",
    ]));
    let country = prop::option::of(prop::sample::select(&COUNTRIES[..]));
    let position = prop::option::of((-80.0..80.0_f64, -170.0..170.0_f64));
    (network, country, position).prop_map(|(network, country, position)| Client {
        network: network.map(|text| text.parse().unwrap()),
        location: Location {
            country: country.map(|code| code.parse().unwrap()),
            continent: country.map(|code| match code {
                "US" => Continent::NorthAmerica,
                "DE" => Continent::Europe,
                "CN" => Continent::Asia,
                _ => Continent::SouthAmerica,
            }),
            coordinates: position.and_then(|(lat, lon)| Coordinates::new(lat, lon)),
            ..Location::default()
        },
    })
}

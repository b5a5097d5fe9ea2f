//! Valid documents at random, and what clients get from them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use watershed_compile::{References, compile_policy};
use watershed_crd::document::TrafficPolicyDocument;
use watershed_policy::{BigRational, Client, Coordinates, Health, Limits, Location, Policy, View};

/// The policy of a document that is known to be valid.
pub(crate) fn policy(document: &TrafficPolicyDocument) -> Policy {
    let (policy, findings) = compile_policy(document, &References::none(), &Limits::unlimited());
    policy.unwrap_or_else(|| panic!("{findings:#?}"))
}

/// Who asks, and what is down: one bit for each check and each alias.
#[derive(Clone, Debug)]
pub(crate) struct Situation {
    place: usize,
    down: u32,
}

pub(crate) fn views() -> impl Strategy<Value = Vec<Situation>> {
    let situation = (0..PLACES.len(), any::<u32>(), any::<u32>());
    // Two words at once leave a quarter of the bits set: most things are up.
    let situation = situation.prop_map(|(place, a, b)| Situation { place, down: a & b });
    prop::collection::vec(situation, 8)
}

/// Country, state, continent, latitude and longitude.
type Place = (&'static str, &'static str, &'static str, f64, f64);

const PLACES: [Place; 6] = [
    ("US", "NY", "NA", 42.9, -75.5),
    ("US", "", "NA", 39.8, -98.6),
    ("DE", "", "EU", 51.2, 10.4),
    ("CN", "", "AS", 35.9, 104.2),
    ("NZ", "", "OC", -41.0, 174.0),
    ("", "", "", 0.0, 0.0),
];

fn client(place: usize) -> Client {
    let (country, state, continent, latitude, longitude) = PLACES[place];
    let location = Location {
        country: country.parse().ok(),
        subdivision: (!state.is_empty()).then(|| state.to_owned()),
        continent: continent.parse().ok(),
        coordinates: Coordinates::new(latitude, longitude).filter(|_| !country.is_empty()),
        asn: None,
        prefix_len: None,
    };
    Client {
        network: None,
        location,
    }
}

/// Probability of each answer, by the names of its endpoints.
fn answers(
    policy: &Policy,
    situation: &Situation,
) -> BTreeMap<(Vec<String>, Option<usize>), BigRational> {
    let up = |name: &str| {
        let number: String = name.chars().filter(char::is_ascii_digit).collect();
        situation.down >> (number.parse::<u32>().unwrap_or(0) % 32) & 1 == 0
    };
    let health = Health::new(policy, |check| up(&check.id), up);
    let client = client(situation.place);
    let view = View {
        client: &client,
        health: &health,
        latency: None,
    };
    let record_type = policy.record_types()[0];
    let mut answers = BTreeMap::new();
    for outcome in policy.distribution(record_type, &view).outcomes {
        let name = |id: &watershed_policy::EndpointId| policy.endpoint(*id).name.clone();
        let mut names: Vec<String> = outcome.endpoints.iter().map(name).collect();
        names.sort();
        let sum = answers.entry((names, outcome.subset)).or_insert_with(zero);
        *sum += outcome.probability;
    }
    answers
}

fn zero() -> BigRational {
    BigRational::from_integer(0.into())
}

pub(crate) fn assert_same_answers(one: &Policy, other: &Policy, situations: &[Situation]) {
    for situation in situations {
        assert_eq!(
            answers(one, situation),
            answers(other, situation),
            "{situation:?}"
        );
    }
}

/// Raw material of an item: where it leads, its selector, its health check
/// and whether the target's health counts.
type RawItem = (u32, u32, Option<u8>, Option<bool>);

/// Raw material of a rule: its kind and its items.
type RawRule = (usize, Vec<RawItem>);

fn raw_rules() -> impl Strategy<Value = Vec<RawRule>> {
    let item = (
        any::<u32>(),
        any::<u32>(),
        prop::option::of(0..6u8),
        prop::option::of(any::<bool>()),
    );
    let rule = (0..6usize, prop::collection::vec(item, 2..7));
    prop::collection::vec(rule, 1..6)
}

const LOCATIONS: [&str; 9] = [
    "continent/EU",
    "country/DE",
    "country/US",
    "country/US-NY",
    "country/US-CA",
    "continent/NA",
    "continent/OC",
    "country/CN",
    "",
];

const REGIONS: [&str; 8] = [
    "us-east-1",
    "us-west-2",
    "eu-west-1",
    "eu-central-1",
    "ap-southeast-2",
    "cn-north-1",
    "sa-east-1",
    "af-south-1",
];

const CLOUDS: [&str; 7] = [
    "gcp/europe-west1",
    "azure/westus2",
    "us-west-2-lax-1",
    "us-east-1",
    "sa-east-1",
    "eu-west-1",
    "eu-west-2",
];

/// Endpoints `e0` to `e3` have plain values, `e4` and `e5` are aliases.
const PLAIN: u32 = 4;
const ENDPOINTS: u32 = 6;

/// A multivalue rule names each plain endpoint once at most.
fn most_items(kind: usize) -> usize {
    if kind == 5 {
        PLAIN as usize
    } else {
        usize::MAX
    }
}

/// The name of what an item of rule number `rule` leads to: an endpoint or
/// one of the rules after it.
fn target(draw: u32, rule: usize, rules: usize) -> (bool, String) {
    let later = u32::try_from(rules - rule - 1).unwrap();
    let choice = draw % (ENDPOINTS + 2 * later);
    if choice < ENDPOINTS {
        (false, format!("e{choice}"))
    } else {
        let offset = usize::try_from((choice - ENDPOINTS) % later).unwrap();
        (true, format!("r{}", rule + 1 + offset))
    }
}

/// Valid documents of Route 53.
pub(crate) fn route53_documents() -> impl Strategy<Value = Value> {
    raw_rules().prop_map(|raw| {
        let mut rules = Map::new();
        for (index, rule) in raw.iter().enumerate() {
            rules.insert(format!("r{index}"), route53_rule(index, raw.len(), rule));
        }
        json!({
            "AWSPolicyFormatVersion": "2023-05-09",
            "RecordType": "A",
            "StartRule": "r0",
            "Endpoints": route53_endpoints(),
            "Rules": rules,
        })
    })
}

fn route53_endpoints() -> Value {
    let mut endpoints = Map::new();
    for number in 0..PLAIN {
        let value = json!({"Type": "value", "Value": format!("192.0.2.{number}")});
        endpoints.insert(format!("e{number}"), value);
    }
    endpoints.insert(
        "e4".into(),
        json!({"Type": "elastic-load-balancer", "Value": "dualstack.lb-4.us-east-1.elb.amazonaws.com"}),
    );
    endpoints.insert(
        "e5".into(),
        json!({"Type": "cloudfront", "Value": "d111111abcdef8.cloudfront.net"}),
    );
    endpoints.into()
}

fn route53_rule(index: usize, count: usize, (kind, raw): &RawRule) -> Value {
    let item = |(place, raw): (usize, &RawItem)| {
        let mut item = route53_target((*kind == 5).then_some(place), index, count, *raw);
        route53_selector(*kind, place, *raw, &mut item);
        item
    };
    let items: Vec<Value> = raw
        .iter()
        .enumerate()
        .take(most_items(*kind))
        .map(item)
        .collect();
    match kind {
        0 => json!({"RuleType": "failover", "Primary": items[0], "Secondary": items[1]}),
        1 => json!({"RuleType": "weighted", "Items": items}),
        2 => json!({"RuleType": "latency", "Regions": items}),
        3 => json!({"RuleType": "geo", "Locations": items}),
        4 => json!({"RuleType": "geoproximity", "GeoproximityLocations": items}),
        _ => json!({"RuleType": "multivalue", "Items": items}),
    }
}

fn route53_target(
    multivalue: Option<usize>,
    index: usize,
    count: usize,
    (draw, _, check, evaluate): RawItem,
) -> Value {
    let (is_rule, name) = match multivalue {
        Some(place) => (false, format!("e{place}")),
        None => target(draw, index, count),
    };
    let reference = if is_rule {
        "RuleReference"
    } else {
        "EndpointReference"
    };
    let mut item = json!({reference: name});
    if let Some(check) = check {
        item["HealthCheck"] = json!(format!("hc-{}", check + 10));
    }
    // Multivalue items have no such member, and for a distribution it may
    // not be true.
    let allowed = multivalue.is_none() && (item[reference] != "e5" || evaluate == Some(false));
    if let Some(evaluate) = evaluate.filter(|_| allowed) {
        item["EvaluateTargetHealth"] = json!(evaluate);
    }
    item
}

fn route53_selector(kind: usize, place: usize, raw: RawItem, item: &mut Value) {
    let draw = raw.1;
    match kind {
        1 => item["Weight"] = json!([0, 1, 3, 10, 255][draw as usize % 5]),
        2 => item["Region"] = json!(REGIONS[place]),
        3 => route53_location(LOCATIONS[place], item),
        4 if draw.is_multiple_of(2) => {
            let name = format!("aws:route53:{}", REGIONS[place]);
            item["Location"] = json!({"Type": "Region", "LocationName": name});
        }
        4 => {
            let (latitude, longitude) = (draw % 181, draw / 181 % 361);
            item["Location"] = json!({
                "Type": "Coordinate",
                "Latitude": format!("{}.5{place}", i64::from(latitude) - 90),
                "Longitude": (i64::from(longitude) - 180).to_string(),
            });
            item["Bias"] = json!(i64::from(draw % 199) - 99);
            if latitude == 180 || latitude == 0 {
                item["Location"]["Latitude"] = json!(0);
            }
        }
        _ => {}
    }
}

fn route53_location(place: &str, item: &mut Value) {
    match place.split_once('/') {
        Some(("continent", code)) => item["Continent"] = json!(code),
        Some((_, code)) => {
            let (country, state) = code.split_once('-').unwrap_or((code, ""));
            item["Country"] = json!(country);
            if !state.is_empty() {
                item["Subdivision"] = json!(state);
            }
        }
        None => item["IsDefault"] = json!("true"),
    }
}

/// Valid `TrafficPolicy` documents that Route 53 can express in other words.
pub(crate) fn trafficpolicy_documents() -> impl Strategy<Value = TrafficPolicyDocument> {
    (
        raw_rules(),
        prop::collection::vec(prop::option::of(0..6u8), 6),
    )
        .prop_map(|(raw, checks)| {
            let mut rules = Map::new();
            for (index, rule) in raw.iter().enumerate() {
                rules.insert(
                    format!("r{index}"),
                    trafficpolicy_rule(index, raw.len(), rule),
                );
            }
            let document = json!({
                "recordTypes": ["A"],
                "startRule": "r0",
                "rules": rules,
                "endpoints": trafficpolicy_endpoints(&checks),
            });
            serde_json::from_value(document).unwrap()
        })
}

fn trafficpolicy_endpoints(checks: &[Option<u8>]) -> Value {
    let mut endpoints = Map::new();
    for (number, check) in checks.iter().enumerate() {
        let mut endpoint = match number {
            4 => json!({"hostname": "lb-4.us-east-1.elb.amazonaws.com"}),
            5 => json!({"hostname": "d111111abcdef8.cloudfront.net"}),
            _ => json!({"addresses": [format!("192.0.2.{number}")]}),
        };
        if let Some(check) = check {
            endpoint["healthCheckRef"] = json!({"name": format!("hc-{}", check + 20)});
        }
        endpoints.insert(format!("e{number}"), endpoint);
    }
    endpoints.into()
}

fn trafficpolicy_rule(index: usize, count: usize, (kind, raw): &RawRule) -> Value {
    let names = [
        "Failover",
        "Weighted",
        "Latency",
        "Geolocation",
        "Geoproximity",
        "MultiValue",
    ];
    let branch = |(place, raw): (usize, &RawItem)| {
        let (draw, selector, check, evaluate) = *raw;
        let (is_rule, name) = match kind {
            5 => (false, format!("e{place}")),
            _ => target(draw, index, count),
        };
        let mut branch = json!({if is_rule { "rule" } else { "endpoint" }: name});
        // A multivalue item can have the check of its endpoint only.
        if let Some(check) = check.filter(|_| *kind != 5) {
            branch["healthCheckRef"] = json!({"name": format!("hc-{}", check + 10)});
        }
        if let Some(evaluate) = evaluate {
            branch["evaluateTargetHealth"] = json!(evaluate);
        }
        trafficpolicy_selector(*kind, place, selector, &mut branch);
        branch
    };
    let branches: Vec<Value> = raw
        .iter()
        .enumerate()
        .take(most_items(*kind))
        .map(branch)
        .collect();
    json!({"type": names[*kind], "branches": branches})
}

fn trafficpolicy_selector(kind: usize, place: usize, draw: u32, branch: &mut Value) {
    match kind {
        1 => branch["weight"] = json!(draw % 6 * 200),
        2 => branch["region"] = json!(format!("aws/{}", REGIONS[place])),
        3 if place == 0 => branch["locations"] = json!([LOCATIONS[0], LOCATIONS[7]]),
        3 if LOCATIONS[place + 1].is_empty() => branch["default"] = json!(true),
        3 => branch["locations"] = json!([LOCATIONS[place]]),
        4 if draw.is_multiple_of(2) => {
            branch["region"] = json!(CLOUDS[place]);
        }
        4 => {
            branch["coordinates"] =
                json!({"latitude": "12.5", "longitude": (draw % 170).to_string()});
        }
        _ => {}
    }
}

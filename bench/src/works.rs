//! The works that are measured, as policies and zones of their own.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Context;
use watershed_policy::{
    Affinity, BranchSpec, Document, EndpointKind, EndpointSpec, Limits, Place, Policy, RuleKind,
    RuleSpec, Selector, Target, Value,
};
use watershed_snapshot::{
    Binding, HealthStates, OwnerName, PolicyVersion, RrSet, Snapshot, Zone, ZoneBuilder,
    record_type,
};

const WEIGHTED: RuleKind = RuleKind::Weighted {
    affinity: Affinity::None,
};
/// The check of the one endpoint that is down.
pub const DOWN: &str = "bench/down";

/// Names that are asked for each work; the last does not exist.
pub const WORKS: [(&str, &str); 6] = [
    ("static", "www.example.com."),
    ("weighted", "www.w.example.com."),
    ("geo", "www.g.example.com."),
    ("failover", "www.f.example.com."),
    ("tree", "www.t.example.com."),
    ("nxdomain", "none.example.com."),
];

/// Four endpoints by weight.
///
/// # Errors
/// Never: the document is valid.
pub fn weighted() -> anyhow::Result<Policy> {
    let branches = (1..=4).map(|n| to_endpoint(n, Selector::Weight(10 * u32::from(n))));
    build(vec![rule("start", WEIGHTED, branches.collect())])
}

/// Three groups of countries, and all others.
///
/// # Errors
/// Never: the document is valid.
pub fn geo() -> anyhow::Result<Policy> {
    let branches = (1..).zip(groups()?);
    let branches = branches.map(|(n, selector)| to_endpoint(n, selector));
    build(vec![rule(
        "start",
        RuleKind::Geolocation,
        branches.collect(),
    )])
}

/// Two endpoints, of which the first is down.
///
/// # Errors
/// Never: the document is valid.
pub fn failover() -> anyhow::Result<Policy> {
    build(vec![rule(
        "start",
        RuleKind::Failover,
        vec![
            to_endpoint(5, Selector::Always),
            to_endpoint(1, Selector::Always),
        ],
    )])
}

/// Geolocation over weights over failover.
///
/// # Errors
/// Never: the document is valid.
pub fn tree() -> anyhow::Result<Policy> {
    let mut rules = Vec::new();
    let mut places = Vec::new();
    for (group, place) in groups()?.into_iter().enumerate() {
        let shares = [("a", 70), ("b", 30)].map(|(part, weight)| {
            let name = format!("pair-{group}-{part}");
            let pair = [5, 2].map(|n| to_endpoint(n, Selector::Always));
            rules.push(rule(&name, RuleKind::Failover, pair.into()));
            to_rule(&name, Selector::Weight(weight))
        });
        let name = format!("group-{group}");
        rules.push(rule(&name, WEIGHTED, shares.into()));
        places.push(to_rule(&name, place));
    }
    rules.push(rule("start", RuleKind::Geolocation, places));
    build(rules)
}

fn groups() -> anyhow::Result<Vec<Selector>> {
    let mut groups = Vec::new();
    for countries in [
        &["DE", "FR", "GB", "NL"][..],
        &["US", "CA"],
        &["JP", "CN", "IN", "AU"],
    ] {
        let places = countries
            .iter()
            .map(|code| code.parse().map(Place::Country));
        let places: Result<_, ()> = places.collect();
        groups.push(Selector::Places(places.ok().context("country codes")?));
    }
    groups.push(Selector::Default);
    Ok(groups)
}

fn to_endpoint(number: u8, selector: Selector) -> BranchSpec {
    branch(Target::Endpoint(format!("e{number}")), selector)
}

fn to_rule(name: &str, selector: Selector) -> BranchSpec {
    branch(Target::Rule(name.to_owned()), selector)
}

fn branch(target: Target, selector: Selector) -> BranchSpec {
    BranchSpec {
        target: Some(target),
        check: None,
        evaluate_target_health: true,
        selector,
    }
}

fn rule(name: &str, kind: RuleKind, branches: Vec<BranchSpec>) -> RuleSpec {
    RuleSpec {
        name: name.to_owned(),
        kind,
        min_healthy_percent: None,
        branches,
    }
}

/// A policy of these rules over five endpoints, of which the last is down.
fn build(rules: Vec<RuleSpec>) -> anyhow::Result<Policy> {
    let endpoints = (1..=5_u8).map(|n| EndpointSpec {
        name: format!("e{n}"),
        kind: EndpointKind::Value,
        values: vec![Value::Ipv4(Ipv4Addr::new(192, 0, 2, n))],
        check: (n == 5).then(|| DOWN.to_owned()),
        drain: false,
    });
    let start = rules.last().map(|rule| Target::Rule(rule.name.clone()));
    let document = Document {
        record_types: vec![record_type::A],
        start,
        rules,
        endpoints: endpoints.collect(),
    };
    let (policy, findings) = Policy::build(&document, &Limits::api());
    policy.with_context(|| format!("{findings:?}"))
}

/// The health that the works have.
pub fn health() -> HealthStates {
    let mut health = HealthStates::all_healthy();
    health.set_check(DOWN, false);
    health
}

/// A zone example.com with the name of each work, `names` static names `h0`
/// and so on, and as many names `p0.w` and so on of weighted policies, of
/// which there are `policies`.
///
/// # Errors
/// Never but for names that are too long.
pub fn snapshot(names: usize, policies: usize) -> anyhow::Result<Snapshot> {
    let apex: OwnerName = "example.com".parse()?;
    let mut zone = Zone::builder(apex.clone(), soa(&apex))?;
    zone.insert(&"www.example.com".parse()?, address(1))?;
    for (name, policy) in [
        ("www.w", weighted()?),
        ("www.g", geo()?),
        ("www.f", failover()?),
        ("www.t", tree()?),
    ] {
        bind(&mut zone, name, &binding(name, policy))?;
    }
    let mut bindings = Vec::new();
    for number in 0..policies {
        bindings.push(binding(&format!("policy-{number}"), weighted()?));
    }
    for (number, binding) in (0..names).zip(bindings.iter().cycle()) {
        let last = number.to_le_bytes()[0];
        zone.insert(&format!("h{number}.example.com").parse()?, address(last))?;
        bind(&mut zone, &format!("p{number}.w"), binding)?;
    }
    Ok(Snapshot::new([Arc::new(zone.build())]))
}

fn binding(name: &str, policy: Policy) -> Arc<Binding> {
    let version = PolicyVersion {
        namespace: "bench".to_owned(),
        policy_name: name.to_owned(),
        number: 1,
        digest: String::new(),
        policy,
    };
    Arc::new(Binding {
        version: Arc::new(version),
        record_types: [record_type::A].as_slice().into(),
        ttl: 60,
        ttl_range: None,
        failback: None,
    })
}

fn bind(zone: &mut ZoneBuilder, name: &str, binding: &Arc<Binding>) -> anyhow::Result<()> {
    zone.bind(&format!("{name}.example.com").parse()?, Arc::clone(binding))?;
    Ok(())
}

fn address(last: u8) -> RrSet {
    RrSet {
        record_type: record_type::A,
        ttl: 60,
        rdata: vec![[192, 0, 2, last].into()],
    }
}

/// An SOA whose names are both the apex.
pub(crate) fn soa(apex: &OwnerName) -> RrSet {
    let mut rdata = [apex.as_wire(), apex.as_wire()].concat();
    for number in [1_u32, 7200, 900, 1_209_600, 60] {
        rdata.extend(number.to_be_bytes());
    }
    RrSet {
        record_type: record_type::SOA,
        ttl: 900,
        rdata: vec![rdata.into_boxed_slice()],
    }
}

/// A query for A with EDNS in wire form, for a client in this IPv4 network of
/// 24 bits when one is given.
///
/// # Errors
/// When the name is none.
pub fn query(name: &str, network: Option<[u8; 3]>) -> anyhow::Result<Vec<u8>> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    packet.extend_from_slice(name.parse::<OwnerName>()?.as_wire());
    packet.extend([0, 1, 0, 1]);
    match network {
        None => packet.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]),
        Some([a, b, c]) => {
            packet.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 11]);
            packet.extend([0, 8, 0, 7, 0, 1, 24, 0, a, b, c]);
        }
    }
    Ok(packet)
}

/// Client networks that are asked for.
const NETWORKS: u32 = 20_000;

/// Queries of a work in an order that no cache of a processor can follow:
/// those of [`WORKS`], or `names`, `policies` or `missing` for each of so many
/// names of [`snapshot`], or as many that it does not have.
///
/// # Errors
/// When there is no such work.
pub fn queries(work: &str, names: u32) -> anyhow::Result<Vec<Vec<u8>>> {
    let names = names.max(1);
    let every = 0..NETWORKS.max(names);
    let packets = every.map(|number| {
        let spread = number.wrapping_mul(7919) % names;
        match work {
            "names" => query(&format!("h{spread}.example.com."), None),
            "policies" => query(&format!("p{spread}.w.example.com."), None),
            "missing" => query(&format!("x{spread}.example.com."), None),
            work => {
                let known = WORKS.iter().find(|(known, _)| *known == work);
                let (_, name) = known.context("no such work")?;
                query(name, is_located(work).then(|| network(number)))
            }
        }
    });
    packets.collect()
}

/// Whether answers of a work depend on where the client is.
pub fn is_located(work: &str) -> bool {
    matches!(work, "geo" | "tree")
}

/// A client network, spread over the addresses of public networks.
pub fn network(number: u32) -> [u8; 3] {
    let [a, b, c, _] = number.wrapping_mul(2_654_435_761).to_be_bytes();
    [a.clamp(1, 223), b, c]
}

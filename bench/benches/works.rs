//! What each work costs without a socket: the decision with the look-up of the
//! client's location, and a datagram in and out; time and allocations.
#![allow(
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark fails by panicking"
)]

use std::alloc::System;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use criterion::{Criterion, criterion_group, criterion_main};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use watershed_bench::{getting_started, works};
use watershed_dns::{Config, Node, Path, RateLimit};
use watershed_geo::GeoDatabase;
use watershed_policy::{Client, Health, Policy, View};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Clients all over the address space, for look-ups that are not always the
/// same.
fn networks() -> Vec<[u8; 3]> {
    let spread = (0..1024_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes());
    spread.map(|[a, b, c, _]| [a.clamp(1, 223), b, c]).collect()
}

fn allocations(mut run: impl FnMut()) -> usize {
    run();
    let region = Region::new(ALLOCATOR);
    run();
    region.change().allocations
}

fn policies() -> anyhow::Result<[(&'static str, Policy); 5]> {
    Ok([
        ("weighted", works::weighted()?),
        ("geo", works::geo()?),
        ("failover", works::failover()?),
        ("tree", works::tree()?),
        ("getting-started", getting_started()?),
    ])
}

fn decisions(criterion: &mut Criterion) {
    let geo = GeoDatabase::builtin();
    let networks = networks();
    let mut group = criterion.benchmark_group("decision with location");
    for (work, policy) in policies().expect("valid policies") {
        let health = Health::new(&policy, |check| check.id != "bench/down", |_| true);
        let mut clients = networks.iter().cycle();
        let mut seed = 0_u64;
        let mut decide = || {
            let [a, b, c] = *clients.next().expect("an endless cycle");
            let address = IpAddr::V4(Ipv4Addr::new(a, b, c, 0));
            let client = Client {
                network: ipnet::IpNet::new(address, 24).ok(),
                location: geo.lookup(address),
            };
            let view = View {
                client: &client,
                health: &health,
                latency: None,
            };
            let mut draw = |bound| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 33) % bound
            };
            policy.decide(1, &view, &mut draw, &mut ()).scope
        };
        println!(
            "decision, {work}: {} allocations",
            allocations(|| {
                decide();
            })
        );
        group.bench_function(work, |bencher| bencher.iter(&mut decide));
    }
    group.finish();
}

fn datagrams(criterion: &mut Criterion) {
    answers(criterion, "datagram", RateLimit::default());
}

/// With a limit that nobody comes to: what counting costs.
fn counted(criterion: &mut Criterion) {
    let limit = RateLimit {
        per_second: 100_000,
        ..RateLimit::default()
    };
    answers(criterion, "datagram with a rate limit", limit);
}

fn answers(criterion: &mut Criterion, group: &str, rate_limit: RateLimit) {
    let node = Node::new(Config {
        rate_limit,
        ..Config::default()
    });
    node.publish(works::snapshot(1000, 10).expect("a snapshot"));
    node.set_health(works::health());
    let networks = networks();
    let mut group = criterion.benchmark_group(group);
    for (work, name) in works::WORKS {
        let located = matches!(work, "geo" | "tree");
        let packets: Vec<Vec<u8>> = networks
            .iter()
            .map(|network| works::query(name, located.then_some(*network)))
            .collect::<Result<_, _>>()
            .expect("queries");
        let mut packets = packets.iter().zip(&networks).cycle();
        let mut responder = node.udp_responder();
        let mut reply = Vec::with_capacity(1232);
        let mut answer = || {
            let (packet, [a, b, c]) = packets.next().expect("an endless cycle");
            let source = SocketAddr::from(([*a, *b, *c, 1], 40_000));
            let path = responder.answer(packet, source, &mut reply);
            assert_eq!(path, Path::Fast, "{work}");
        };
        println!("datagram, {work}: {} allocations", allocations(&mut answer));
        group.bench_function(work, |bencher| bencher.iter(&mut answer));
    }
    group.finish();
}

criterion_group!(benches, decisions, datagrams, counted);
criterion_main!(benches);

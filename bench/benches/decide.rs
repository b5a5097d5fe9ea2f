//! What a decision costs, without any DNS around it.
#![allow(
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark fails by panicking"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use watershed_bench::getting_started;
use watershed_policy::{Client, Coordinates, Health, Location, View};

/// A client in Japan, located by its country.
fn client() -> Client {
    Client {
        network: "198.51.100.0/24".parse().ok(),
        location: Location {
            country: "JP".parse().ok(),
            coordinates: Coordinates::new(36.2, 138.2),
            prefix_len: Some(22),
            ..Location::default()
        },
    }
}

fn decide(criterion: &mut Criterion) {
    let policy = getting_started().expect("the example is valid");
    let client = client();
    let healthy = Health::all_healthy(&policy);
    let primary_down = Health::new(
        &policy,
        |check| !check.id.ends_with("asia-primary"),
        |_| true,
    );
    let mut group = criterion.benchmark_group("getting-started");
    for (name, health) in [("healthy", &healthy), ("primary down", &primary_down)] {
        let view = View {
            client: &client,
            health,
            latency: None,
        };
        group.bench_function(format!("decide, {name}"), |bencher| {
            bencher.iter(|| policy.decide(1, black_box(&view), &mut |_| 0, &mut ()));
        });
    }
    let view = View {
        client: &client,
        health: &healthy,
        latency: None,
    };
    group.bench_function("distribution", |bencher| {
        bencher.iter(|| policy.distribution(1, black_box(&view)));
    });
    group.bench_function("explain", |bencher| {
        bencher.iter(|| policy.explain(1, black_box(&view)));
    });
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);

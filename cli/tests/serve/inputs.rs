//! Files beside the manifests.

use std::fs;

use watershed_geo::testing::mmdb;
use watershed_policy::Location;

use crate::server::{Answer, Site, record};

const BY_COUNTRY: &str = "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: web, namespace: shop}
spec:
  version: 1
  document:
    recordTypes: [A]
    startRule: by-country
    rules:
      by-country:
        type: Geolocation
        branches: [{locations: [country/NZ], rule: pair}, {default: true, endpoint: else}]
      pair:
        type: Failover
        branches: [{endpoint: primary}, {endpoint: secondary}]
    endpoints:
      primary: {addresses: [192.0.2.1], healthCheckRef: {name: primary}}
      secondary: {addresses: [192.0.2.2], healthCheckRef: {name: secondary}}
      else: {addresses: [192.0.2.3]}
---
apiVersion: watershed.dev/v1alpha1
kind: HealthCheck
metadata: {name: primary, namespace: shop}
spec: {tcp: {port: 443}}
---
apiVersion: watershed.dev/v1alpha1
kind: HealthCheck
metadata: {name: secondary, namespace: shop}
spec: {tcp: {port: 443}}
";

/// A database in which 203.0.113.0/24 is in a country.
fn database(country: &str) -> Vec<u8> {
    let location = Location {
        country: country.parse().ok(),
        ..Location::default()
    };
    mmdb(&[("203.0.113.0/24".parse().unwrap(), location)])
}

fn site() -> Site {
    let site = Site::new();
    site.write("policy.yaml", BY_COUNTRY);
    site.write("record.yaml", &record("www", "version: 1"));
    site
}

#[test]
fn the_location_database_is_read_again_when_it_changes() {
    let site = site();
    let file = site.state.path().join("geo.mmdb");
    fs::write(&file, database("NZ")).unwrap();
    let server = site.serve_with(&[("--geo-database", &file)]);
    let from = |subnet| server.ask_from("www.example.com.", Some(subnet));
    assert_eq!(from("203.0.113.0/24"), Answer::of(&["192.0.2.1"]));
    assert_eq!(from("198.51.100.0/24"), Answer::of(&["192.0.2.3"]));
    fs::write(&file, "not a database").unwrap();
    server.await_log("stays in use");
    assert_eq!(from("203.0.113.0/24"), Answer::of(&["192.0.2.1"]));
    fs::write(&file, database("AU")).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while from("203.0.113.0/24") != Answer::of(&["192.0.2.3"]) {
        assert!(std::time::Instant::now() < deadline, "{}", server.log());
    }
}

#[test]
fn health_comes_from_a_file() {
    let site = site();
    let (geo, health) = (
        site.state.path().join("geo.mmdb"),
        site.state.path().join("health.yaml"),
    );
    fs::write(&geo, database("NZ")).unwrap();
    fs::write(&health, "health: {shop/primary: unhealthy}").unwrap();
    let server = site.serve_with(&[("--geo-database", &geo), ("--health", &health)]);
    let ask = || server.ask_from("www.example.com.", Some("203.0.113.0/24"));
    assert_eq!(ask(), Answer::of(&["192.0.2.2"]));
    fs::write(&health, "health: {}").unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while ask() != Answer::of(&["192.0.2.1"]) {
        assert!(std::time::Instant::now() < deadline, "{}", server.log());
    }
}

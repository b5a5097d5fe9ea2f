//! What is said of health, and that it depends on health alone.

use std::time::Duration;

use serde_json::{Value, json};
use watershed_health::fleet::Verdict;
use watershed_health::{Address, Target};
use watershed_operator::health::{FailoverView, HeldView, TargetView};
use watershed_operator::object::ObjectKind::{HealthCheck, PolicyRecord, TrafficPolicyVersion};

use crate::cluster::Cluster;
use crate::{ZONE, record};

const CHECK: &str = "
apiVersion: watershed.dev/v1alpha1
kind: HealthCheck
metadata: {name: web, namespace: shop}
spec: {tcp: {port: 443}}
";

const POLICY: &str = "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: web, namespace: shop}
spec:
  document:
    recordTypes: [A]
    startRule: main
    rules:
      main:
        type: Failover
        branches: [{endpoint: one}, {endpoint: two}, {endpoint: three}]
    endpoints:
      one: {addresses: [192.0.2.1], healthCheckRef: {name: web}}
      two: {addresses: [192.0.2.2], healthCheckRef: {name: web}}
      three: {addresses: [192.0.2.3]}
";

/// A record of a policy of which two endpoints are checked; nothing is known
/// of them.
fn started() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.apply(ZONE);
    cluster.apply(CHECK);
    cluster.apply(POLICY);
    cluster.apply(&record("www", 1));
    cluster.settle();
    cluster
}

fn target(number: u8) -> Target {
    Target {
        check: "shop/web".to_owned(),
        address: Some(Address::Ip([192, 0, 2, number].into())),
    }
}

/// So many of three checkers say healthy.
fn verdict(healthy: bool, say: u32, age: u64) -> TargetView {
    TargetView {
        verdict: Verdict {
            healthy: Some(healthy),
            changing: false,
            since: None,
            healthy_checkers: say,
            fresh_checkers: 3,
            assigned_checkers: 3,
            locations: [("eu".to_owned(), (say, 3))].into(),
            last_error: (say < 3).then(|| ("HTTP 503".to_owned(), "dns-2".to_owned())),
            certificate_expires: None,
        },
        age: Some(Duration::from_secs(age)),
    }
}

fn status(cluster: &Cluster, kind: watershed_operator::object::ObjectKind, name: &str) -> Value {
    cluster.get(kind, name).expect("the object")["status"].clone()
}

impl Cluster {
    /// The fleet sees this of a target, and says so.
    fn sees(&mut self, number: u8, view: TargetView) -> Vec<String> {
        self.nodes.health.targets.insert(target(number), view);
        self.world.look_at_users("shop/web", false);
        self.settle()
    }
}

#[test]
fn a_check_tells_what_is_done_with_it() {
    let mut cluster = Cluster::new();
    cluster.apply(CHECK);
    cluster.settle();
    let ready = |cluster: &Cluster| cluster.condition(HealthCheck, "web", "Ready");
    assert_eq!(
        ready(&cluster),
        "Ready=True NoTargets: no endpoint in use refers to it"
    );
    let mut cluster = started();
    cluster.sees(1, verdict(true, 3, 60));
    assert_eq!(ready(&cluster), "Ready=True Probing: 1 target");
    for (spec, expected) in [
        (
            "{tcp: {port: 443}, disabled: true, inverted: true}",
            "Ready=True Disabled: always unhealthy, because inverted",
        ),
        (
            "{tcp: {port: 443}, forced: {state: Healthy, reason: a drill, until: '2026-11-21T11:00:00Z'}}",
            "Ready=True Forced: forced to be healthy until 2026-11-21T11:00:00Z: a drill",
        ),
        (
            "{tcp: {port: 443}, forced: {state: Healthy, until: '2026-11-21T09:00:00Z'}}",
            "Ready=True Probing: 1 target",
        ),
    ] {
        let base = CHECK.split("spec:").next().expect("its beginning");
        cluster.apply(&format!("{base}spec: {spec}"));
        cluster.settle();
        assert_eq!(ready(&cluster), expected);
    }
    assert!(cluster.look_at_everything().is_empty());
}

#[test]
fn a_failing_target_is_told_where_it_matters() {
    let mut cluster = started();
    cluster.sees(1, verdict(true, 3, 60));
    cluster.sees(2, verdict(true, 3, 60));
    assert_eq!(
        cluster.condition(PolicyRecord, "www", "Healthy"),
        "Healthy=True AllEndpointsHealthy: 2 checked endpoints"
    );
    let written = cluster.sees(1, verdict(false, 1, 5));
    assert_eq!(
        written,
        [
            "status HealthCheck shop/web",
            "status PolicyRecord shop/www",
            "status TrafficPolicyVersion shop/web-v1"
        ]
    );
    let check = status(&cluster, HealthCheck, "web");
    assert_eq!(
        check["targets"],
        json!({"total": 2, "healthy": 1, "unhealthy": 1, "unknown": 0, "summary": "1/2"})
    );
    assert_eq!(
        check["failing"],
        json!([{
            "target": "192.0.2.1", "health": "Unhealthy",
            "healthyCheckers": 1, "totalCheckers": 3,
            "locations": [{"name": "eu", "healthyCheckers": 1, "totalCheckers": 3}],
            "lastTransitionTime": "2026-11-21T09:59:55Z",
            "lastError": "HTTP 503", "lastErrorFrom": "dns-2",
        }])
    );
    let version = status(&cluster, TrafficPolicyVersion, "web-v1");
    assert_eq!(version["endpointsHealthy"], "1/2");
    assert_eq!(
        version["endpoints"][0],
        json!({
            "name": "one", "addresses": ["192.0.2.1"], "health": "Unhealthy",
            "healthyCheckers": 1, "totalCheckers": 3,
            "lastTransitionTime": "2026-11-21T09:59:55Z",
            "message": "HTTP 503 (from dns-2)",
        })
    );
    assert_eq!(version["endpoints"][1]["health"], "Unchecked");
    for (kind, name) in [(PolicyRecord, "www"), (TrafficPolicyVersion, "web-v1")] {
        assert_eq!(
            cluster.condition(kind, name, "Healthy"),
            "Healthy=False SomeEndpointsDown: 1 of 2 checked endpoints: one"
        );
    }
    assert_eq!(
        cluster.condition(PolicyRecord, "www", "Ready"),
        "Ready=True Programmed: version 1 on 3 of 3 nodes",
        "that does not depend on it"
    );
    // The same some seconds later is not written again.
    cluster.now += jiff::SignedDuration::from_secs(7);
    assert!(cluster.sees(1, verdict(false, 1, 12)).is_empty());
}

#[test]
fn a_target_that_fails_from_one_place_only_is_told_of_and_harms_nobody() {
    let mut cluster = started();
    cluster.sees(2, verdict(true, 3, 60));
    cluster.sees(1, verdict(true, 2, 60));
    let check = status(&cluster, HealthCheck, "web");
    assert_eq!(check["targets"]["summary"], "2/2");
    assert_eq!(check["failing"][0]["health"], "Healthy");
    assert_eq!(check["failing"][0]["lastErrorFrom"], "dns-2");
    assert!(
        cluster
            .condition(PolicyRecord, "www", "Healthy")
            .starts_with("Healthy=True")
    );
}

#[test]
fn a_new_leader_takes_nothing_back_before_it_knows() {
    let mut cluster = started();
    cluster.sees(1, verdict(false, 0, 5));
    cluster.sees(2, verdict(true, 3, 60));
    let told = |cluster: &Cluster| {
        [
            status(cluster, HealthCheck, "web"),
            status(cluster, TrafficPolicyVersion, "web-v1"),
            status(cluster, PolicyRecord, "www"),
        ]
    };
    let before = told(&cluster);
    cluster.nodes.health.unsettled = true;
    cluster.nodes.health.targets.clear();
    assert!(cluster.look_at_everything().is_empty());
    assert_eq!(told(&cluster), before);
}

#[test]
fn many_records_of_one_version_do_not_tell_of_its_health() {
    let mut cluster = started();
    cluster.world.fanout_limit = 2;
    cluster.apply(&record("api", 1));
    cluster.settle();
    cluster.sees(1, verdict(false, 0, 5));
    cluster.sees(2, verdict(true, 3, 60));
    let healthy = |cluster: &Cluster, name| cluster.condition(PolicyRecord, name, "Healthy");
    assert!(healthy(&cluster, "www").starts_with("Healthy=False"));
    assert!(healthy(&cluster, "api").starts_with("Healthy=False"));
    cluster.apply(&record("blog", 1));
    cluster.settle();
    for name in ["www", "api", "blog"] {
        assert_eq!(healthy(&cluster, name), "no Healthy");
    }
    let written = cluster.sees(1, verdict(true, 3, 0));
    assert!(
        !written.iter().any(|line| line.contains("PolicyRecord")),
        "{written:?}"
    );
    cluster.delete(PolicyRecord, "blog");
    cluster.settle();
    assert!(healthy(&cluster, "www").starts_with("Healthy=True"));
}

#[test]
fn a_record_tells_where_its_clients_are() {
    let mut cluster = started();
    let manual =
        record("www", 1).replace("version: 1\n", "version: 1\n  failback: {mode: Manual}\n");
    cluster.apply(&manual);
    cluster.settle();
    let held = |age| FailoverView {
        rules: vec![HeldView {
            rule: "main".to_owned(),
            active: "two".to_owned(),
            preferred: "one".to_owned(),
            age: Duration::from_secs(age),
            returns_in: None,
        }],
        released: None,
    };
    let failover = &mut cluster.nodes.health.failover;
    failover.insert("shop/www".to_owned(), held(30));
    cluster.look_at_everything();
    let www = status(&cluster, PolicyRecord, "www");
    assert_eq!(
        www["failover"],
        json!([{"rule": "main", "active": "two", "preferred": "one", "since": "2026-11-21T09:59:30Z"}])
    );
    // Later it is the same.
    cluster.now += jiff::SignedDuration::from_secs(60);
    let failover = &mut cluster.nodes.health.failover;
    failover.insert("shop/www".to_owned(), held(91));
    assert!(cluster.look_at_everything().is_empty());
    // A new leader does not know yet.
    cluster.nodes.health.failover.clear();
    assert!(cluster.look_at_everything().is_empty());
    let back = FailoverView {
        rules: Vec::new(),
        released: Some("2026-11-21".to_owned()),
    };
    let failover = &mut cluster.nodes.health.failover;
    failover.insert("shop/www".to_owned(), back);
    cluster.look_at_everything();
    let www = status(&cluster, PolicyRecord, "www");
    assert_eq!(www.get("failover"), None);
    assert_eq!(www["failbackReleased"], "2026-11-21");
}

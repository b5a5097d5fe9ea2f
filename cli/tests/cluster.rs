//! What the program reads from a cluster, and writes there: against a server
//! that speaks as much of the Kubernetes API as is needed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "support/http.rs"]
mod http;

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use http::{HttpServer, Request};

const CHECKS: &str = "
- metadata: {name: https, namespace: shop}
  spec: {http: {path: /healthz}}
  status:
    targets: {total: 3, healthy: 2, unhealthy: 1, unknown: 0, summary: 2/3}
    failing:
    - target: 198.51.100.20
      health: Unhealthy
      healthyCheckers: 1
      totalCheckers: 5
      locations:
      - {name: eu-west-1, healthyCheckers: 1, totalCheckers: 2}
      - {name: us-east-1, healthyCheckers: 0, totalCheckers: 3}
      lastError: HTTP 503
      lastErrorFrom: dns-2
      lastTransitionTime: 2026-11-21T10:20:31Z
    - target: 2001:db8::20
      health: Healthy
      healthyCheckers: 4
      totalCheckers: 5
      lastError: no answer within 4 s
      lastErrorFrom: dns-1
      lastTransitionTime: 2026-11-21T09:00:00Z
      certificateExpires: 2026-12-01T00:00:00Z
- metadata: {name: both, namespace: shop}
  spec: {calculated: {healthChecks: [https, port], minHealthy: 1, mustBeHealthy: [errors]}}
  status:
    failing:
    - {target: https@198.51.100.20, health: Unhealthy, lastError: the check itself says more}
    - {target: port@192.0.2.10, health: Healthy, healthyCheckers: 4, totalCheckers: 5, lastError: connection refused, lastErrorFrom: dns-3}
    - {target: errors, health: Unhealthy, healthyCheckers: 0, totalCheckers: 2, lastError: 0.07 is more than 0.05, lastErrorFrom: dns-1}
- metadata: {name: errors, namespace: shop}
  spec: {prometheus: {url: 'http://prometheus.example.com', query: up, max: '0.05'}}
- metadata: {name: port, namespace: shop}
  spec: {tcp: {port: 443}, inverted: true}
- metadata: {name: off, namespace: shop}
  spec: {tcp: {port: 443}, disabled: true}
";

const VERSIONS: &str = "
- metadata: {name: web-v1, namespace: shop}
  spec:
    policyName: web
    version: 1
    document:
      recordTypes: [A, AAAA]
      startRule: pair
      rules: {pair: {type: Failover, branches: [{endpoint: a}, {endpoint: b}]}}
      endpoints:
        a: {addresses: [192.0.2.10], healthCheckRef: {name: both}}
        b: {addresses: [198.51.100.20, '2001:db8::20'], healthCheckRef: {name: https}}
  status:
    endpoints:
    - {name: a, addresses: [192.0.2.10], health: Healthy, healthyCheckers: 5, totalCheckers: 5, lastTransitionTime: 2026-11-21T08:00:00Z}
    - {name: b, addresses: [198.51.100.20, '2001:db8::20'], health: Healthy}
- metadata: {name: web-v2, namespace: shop}
  spec:
    policyName: web
    version: 2
    document: {recordTypes: [A], startEndpoint: a, endpoints: {a: {addresses: [192.0.2.99], healthCheckRef: {name: https}}}}
";

const RECORDS: &str = "
- metadata:
    name: www
    namespace: shop
    managedFields:
    - {manager: kustomize-controller, operation: Apply}
    - {manager: watershed-operator, operation: Apply, subresource: status}
  spec: {hostedZoneRef: {name: example-com}, name: www, policyRef: {name: web}, version: 1, failback: {mode: Manual}}
  status:
    failover: [{rule: pair, active: b, preferred: a, since: 2026-11-21T07:00:00Z}]
- metadata: {name: calm, namespace: shop}
  spec: {hostedZoneRef: {name: example-com}, name: calm, policyRef: {name: web}, version: 1}
";

/// An API server, and a kubeconfig that leads to it.
struct Cluster {
    directory: TempDir,
    requests: Arc<Mutex<Vec<Request>>>,
    server: HttpServer,
}

impl Cluster {
    fn new() -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let server = HttpServer::start((Ipv4Addr::LOCALHOST, 0).into(), move |request| {
            seen.lock().unwrap().push(request.clone());
            answer(request)
        });
        let directory = tempfile::tempdir().unwrap();
        let config = format!(
            "
apiVersion: v1
kind: Config
current-context: test
contexts: [{{name: test, context: {{cluster: test, user: test, namespace: shop}}}}]
clusters: [{{name: test, cluster: {{server: 'http://{}'}}}}]
users: [{{name: test, user: {{}}}}]
",
            server.address
        );
        fs::write(directory.path().join("config"), config).unwrap();
        Self {
            directory,
            requests,
            server,
        }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run(self.directory.path().join("config"), arguments)
    }

    /// The bodies of what was written.
    fn written(&self) -> Vec<(String, Value)> {
        let requests = self.requests.lock().unwrap();
        let patches = requests.iter().filter(|request| request.method == "PATCH");
        patches
            .map(|patch| {
                (
                    patch.path.clone(),
                    serde_json::from_str(&patch.body).unwrap(),
                )
            })
            .collect()
    }
}

fn run(kubeconfig: PathBuf, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watershed"))
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

fn answer(request: &Request) -> (u16, String) {
    let path = request.path.split('?').next().unwrap();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let (kind, namespace, name) = match parts[..] {
        ["apis", "watershed.dev", "v1alpha1", kind] => (kind, None, None),
        [
            "apis",
            "watershed.dev",
            "v1alpha1",
            "namespaces",
            namespace,
            kind,
        ] => (kind, Some(namespace), None),
        [
            "apis",
            "watershed.dev",
            "v1alpha1",
            "namespaces",
            namespace,
            kind,
            name,
        ] => (kind, Some(namespace), Some(name)),
        _ => panic!("{path} is not asked for"),
    };
    let (kind, items) = match kind {
        "healthchecks" => ("HealthCheck", CHECKS),
        "trafficpolicyversions" => ("TrafficPolicyVersion", VERSIONS),
        "policyrecords" => ("PolicyRecord", RECORDS),
        _ => panic!("{path} is not asked for"),
    };
    let mut items: Vec<Value> = serde_yaml::from_str(items).unwrap();
    items.retain(|item| {
        namespace.is_none_or(|namespace| item["metadata"]["namespace"] == namespace)
            && name.is_none_or(|name| item["metadata"]["name"] == name)
    });
    for item in &mut items {
        item["apiVersion"] = "watershed.dev/v1alpha1".into();
        item["kind"] = kind.into();
    }
    let body = match (name, items.pop()) {
        (None, last) => {
            items.extend(last);
            json!({"apiVersion": "watershed.dev/v1alpha1", "kind": format!("{kind}List"), "metadata": {}, "items": items})
        }
        (Some(_), Some(item)) => item,
        (Some(name), None) => {
            let message = format!("policyrecords.watershed.dev \"{name}\" not found");
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "NotFound", "message": message, "code": 404});
            return (404, status.to_string());
        }
    };
    (200, body.to_string())
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const TABLE: &str = " CHECK        TARGET         HEALTH     SINCE                 CHECKERS  LAST RESULT                                                     CERTIFICATE
 shop/both    -              -          -                     -         calculated: at least 1 of https, port, and errors               -
 shop/errors  -              unhealthy  -                     0/2       0.07 is more than 0.05 (from dns-1)                             -
 shop/https   192.0.2.10     healthy    -                     -         -                                                               -
 shop/https   198.51.100.20  unhealthy  2026-11-21T10:20:31Z  1/5       HTTP 503 (from dns-2)                                           -
 shop/https   2001:db8::20   healthy    2026-11-21T09:00:00Z  4/5       no answer within 4 s (from dns-1)                               until 2026-12-01
 shop/off     -              -          -                     -         disabled: counts as healthy                                     -
 shop/port    192.0.2.10     healthy    -                     4/5       connection refused (from dns-3); inverted: counts as unhealthy  -

 RECORD    RULE  ACTIVE  PREFERRED  SINCE                 RETURNS
 shop/www  pair  b       a          2026-11-21T07:00:00Z  when released
";

#[test]
fn health_is_read_from_status() {
    let output = Cluster::new().run(&["health"]);
    assert_eq!(err(&output), "");
    assert_eq!(out(&output), TABLE);
}

#[test]
fn health_is_for_programs_too() {
    let cluster = Cluster::new();
    let output = cluster.run(&["health", "-A", "-o", "json"]);
    let mut report: Value = serde_json::from_str(&out(&output)).unwrap();
    assert!(report["time"].take().is_string());
    let unhealthy = json!({
        "check": "shop/https",
        "target": "198.51.100.20",
        "health": "Unhealthy",
        "countsAs": "Unhealthy",
        "since": "2026-11-21T10:20:31Z",
        "healthyCheckers": 1,
        "totalCheckers": 5,
        "lastResult": "HTTP 503 (from dns-2)",
        "locations": [
            {"name": "eu-west-1", "healthyCheckers": 1, "totalCheckers": 2},
            {"name": "us-east-1", "healthyCheckers": 0, "totalCheckers": 3},
        ],
    });
    let targets = report["targets"].as_array().unwrap();
    assert!(targets.contains(&unhealthy), "{report:#}");
    let held = json!([{"record": "shop/www", "rule": "pair", "active": "b", "preferred": "a", "since": "2026-11-21T07:00:00Z"}]);
    assert_eq!(report["failover"], held);
    let yaml = cluster.run(&["health", "-A", "-o", "yaml"]);
    let mut same: Value = serde_yaml::from_str(&out(&yaml)).unwrap();
    same["time"].take();
    assert_eq!(same, report);
}

#[test]
fn the_exit_status_tells_of_health_when_asked_to() {
    let cluster = Cluster::new();
    assert_eq!(cluster.run(&["health"]).status.code(), Some(0));
    assert_eq!(cluster.run(&["health", "--fail"]).status.code(), Some(1));
    let elsewhere = cluster.run(&["health", "--fail", "-n", "calm"]);
    assert_eq!(elsewhere.status.code(), Some(0));
    assert_eq!(out(&elsewhere), "There are no health checks.\n");
}

#[test]
fn a_record_is_released_by_an_annotation() {
    let cluster = Cluster::new();
    let dry = cluster.run(&["failback", "www", "--dry-run"]);
    assert_eq!(dry.status.code(), Some(0));
    assert!(out(&dry).contains("Nothing was changed"), "{}", out(&dry));
    assert_eq!(cluster.written(), []);

    let output = cluster.run(&["failback", "www"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).contains("clients return"), "{}", out(&output));
    let said = err(&output);
    assert!(
        said.contains("also written by kustomize-controller"),
        "{said}"
    );
    let [(path, body)] = &cluster.written()[..] else {
        panic!("{:?}", cluster.written());
    };
    assert!(
        path.contains("/namespaces/shop/policyrecords/www?"),
        "{path}"
    );
    assert!(path.contains("fieldManager=watershed-failback"), "{path}");
    let annotations = body["metadata"]["annotations"].as_object().unwrap();
    let value = annotations["watershed.dev/failback"].as_str().unwrap();
    assert_eq!(annotations.len(), 1);
    assert!(said.contains(value), "{said}");
    assert_eq!(value.len(), "2026-11-21T10:05:00Z".len());
}

#[test]
fn what_is_not_held_is_not_released() {
    let cluster = Cluster::new();
    let output = cluster.run(&["failback", "calm", "-n", "shop"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).contains("Nothing of shop/calm is held"));
    assert_eq!(cluster.written(), []);
}

#[test]
fn what_goes_wrong_is_said_in_words() {
    let cluster = Cluster::new();
    let missing = cluster.run(&["failback", "nothing"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        err(&missing).contains("PolicyRecord shop/nothing: policyrecords.watershed.dev"),
        "{}",
        err(&missing)
    );
    let context = cluster.run(&["failback", "www", "--context", "other"]);
    assert_eq!(context.status.code(), Some(1));
    assert!(
        err(&context).contains("the context other cannot be used"),
        "{}",
        err(&context)
    );
    let no_config = run(cluster.directory.path().join("none"), &["failback", "www"]);
    assert_eq!(no_config.status.code(), Some(1));
    assert!(
        err(&no_config).contains("set KUBECONFIG, or give --context"),
        "{}",
        err(&no_config)
    );
}

#[test]
fn a_server_that_is_away_is_said() {
    let Cluster {
        directory, server, ..
    } = Cluster::new();
    drop(server);
    let output = run(directory.path().join("config"), &["health"]);
    assert_eq!(output.status.code(), Some(1));
    let said = err(&output);
    assert!(said.contains("the API server cannot be asked"), "{said}");
    assert!(said.contains("refused"), "{said}");
}

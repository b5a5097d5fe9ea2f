//! Health by probes of real endpoints.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use serde_json::Value;

use crate::http::HttpServer;
use crate::server::{Answer, Server, Site, await_condition};

/// A primary at 127.0.0.1 and a secondary at 127.0.0.2, probed at one port.
fn policy(port: u16) -> String {
    format!(
        "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {{name: web, namespace: shop}}
spec:
  document:
    recordTypes: [A]
    startRule: pair
    rules:
      pair:
        type: Failover
        branches: [{{endpoint: primary}}, {{endpoint: secondary}}]
    endpoints:
      primary: {{addresses: [127.0.0.1], healthCheckRef: {{name: up}}}}
      secondary: {{addresses: [127.0.0.2], healthCheckRef: {{name: up}}}}
---
apiVersion: watershed.dev/v1alpha1
kind: HealthCheck
metadata: {{name: up, namespace: shop}}
spec:
  http: {{scheme: HTTP, port: {port}}}
  intervalSeconds: 1
  timeoutSeconds: 1
  failureThreshold: 1
  successThreshold: 1
"
    )
}

fn record(annotations: &str, failback: &str) -> String {
    format!(
        "
apiVersion: watershed.dev/v1alpha1
kind: PolicyRecord
metadata: {{name: www, namespace: shop, annotations: {{{annotations}}}}}
spec:
  hostedZoneRef: {{name: example-com}}
  name: www
  policyRef: {{name: web}}
  channel: latest
  failback: {{mode: {failback}}}
"
    )
}

const NAME: &str = "www.example.com.";

/// A web server that is well.
fn endpoint(address: SocketAddr) -> HttpServer {
    HttpServer::start(address, |_| (200, "{}".to_owned()))
}

struct Pair {
    site: Site,
    primary: Option<HttpServer>,
    at: SocketAddr,
    _secondary: HttpServer,
}

impl Pair {
    fn new(failback: &str) -> Self {
        let primary = endpoint((Ipv4Addr::LOCALHOST, 0).into());
        let at = primary.address;
        let site = Site::new();
        site.write("policy.yaml", &policy(at.port()));
        site.write("record.yaml", &record("", failback));
        Self {
            site,
            primary: Some(primary),
            at,
            _secondary: endpoint((Ipv4Addr::new(127, 0, 0, 2), at.port()).into()),
        }
    }

    fn serve(&self) -> Server {
        self.site
            .serve_with(&[("--probe-allow", Path::new("127.0.0.0/8"))])
    }

    fn health(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_watershed"));
        command
            .args(["health", "--state"])
            .arg(self.site.state_dir());
        command.args(arguments).output().unwrap()
    }

    /// The report as JSON.
    fn report(&self) -> Value {
        let output = self.health(&["-o", "json"]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn primary() -> Answer {
    Answer::of(&["127.0.0.1"])
}

fn secondary() -> Answer {
    Answer::of(&["127.0.0.2"])
}

/// How often the log says that.
fn said(server: &Server, text: &str) -> usize {
    server.log().matches(text).count()
}

#[test]
fn an_endpoint_that_stops_is_left_and_gets_its_clients_back() {
    let mut pair = Pair::new("Automatic");
    let server = pair.serve();
    server.await_log("shop/up@127.0.0.1 is healthy");
    server.await_log("shop/up@127.0.0.2 is healthy");
    assert_eq!(server.ask(NAME), primary());
    pair.primary = None;
    server.await_answer(NAME, &secondary());
    server.await_log("shop/up@127.0.0.1 is unhealthy");
    pair.primary = Some(endpoint(pair.at));
    server.await_answer(NAME, &primary());
}

#[test]
fn health_is_shown_while_it_is_served() {
    let mut pair = Pair::new("Automatic");
    let server = pair.serve();
    server.await_log("shop/up@127.0.0.2 is healthy");
    pair.primary = None;
    server.await_log("shop/up@127.0.0.1 is unhealthy");
    let is = |report: &Value, index: usize, health: &str| {
        let target = &report["targets"][index];
        (&target["health"], &target["countsAs"]) == (&health.into(), &health.into())
    };
    await_condition(
        || is(&pair.report(), 0, "Unhealthy") && is(&pair.report(), 1, "Healthy"),
        || format!("{:#}", pair.report()),
    );
    let report = pair.report();
    assert_eq!(report["targets"][0]["check"], "shop/up");
    assert_eq!(report["targets"][0]["target"], "127.0.0.1");
    assert_eq!(report["targets"][0]["healthyCheckers"], 0);
    assert_eq!(report["targets"][1]["totalCheckers"], 1);
    assert_eq!(report["failover"], Value::Array(Vec::new()));
    // The file is what is printed.
    let file = fs::read_to_string(pair.site.state_dir().join("health.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&file).unwrap(), pair.report());
    let table = String::from_utf8(pair.health(&[]).stdout).unwrap();
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..3], ["shop/up", "127.0.0.1", "unhealthy"]);
    assert_eq!(row[4], "0/1", "{table}");
    assert_eq!(pair.health(&[]).status.code(), Some(0));
    assert_eq!(pair.health(&["--fail"]).status.code(), Some(1));
    assert_eq!(
        pair.health(&["--fail", "-n", "other"]).status.code(),
        Some(0)
    );
}

#[test]
fn clients_return_when_told_to() {
    let mut pair = Pair::new("Manual");
    let server = pair.serve();
    server.await_log("shop/up@127.0.0.1 is healthy");
    server.await_log("shop/up@127.0.0.2 is healthy");
    assert_eq!(server.ask(NAME), primary());
    pair.primary = None;
    server.await_answer(NAME, &secondary());
    pair.primary = Some(endpoint(pair.at));
    await_condition(
        || said(&server, "shop/up@127.0.0.1 is healthy") == 2,
        || server.log(),
    );
    assert_eq!(server.ask(NAME), secondary());
    await_condition(
        || pair.report()["failover"][0]["active"] == "secondary",
        || format!("{:#}", pair.report()),
    );
    let released = record("watershed.dev/failback: \"2026-11-21T10:05:00Z\"", "Manual");
    pair.site.write("record.yaml", &released);
    server.await_answer(NAME, &primary());
    server.await_log("the clients of shop/www return");
}

#[test]
fn what_may_not_be_probed_is_said_and_counts_as_healthy() {
    let mut pair = Pair::new("Automatic");
    pair.primary = None;
    let server = pair.site.serve();
    server.await_log("shop/up@127.0.0.1 is not probed, and counts as healthy");
    server.await_log("--probe-allow");
    assert_eq!(server.ask(NAME), primary());
    assert_eq!(pair.report()["targets"][0]["countsAs"], "Healthy");
}

#[test]
fn a_host_name_is_judged_by_where_it_leads() {
    let mut pair = Pair::new("Automatic");
    let policy = policy(pair.at.port()).replace("addresses: [127.0.0.1]", "hostname: localhost");
    pair.site.write("policy.yaml", &policy);
    pair.primary = None;
    let server = pair.site.serve();
    server.await_log("shop/up@localhost is not probed, and counts as healthy");
    server.await_answer(NAME, &primary());
}

#[test]
fn the_health_file_wins() {
    let pair = Pair::new("Automatic");
    let file = pair.site.state.path().join("states.yaml");
    fs::write(&file, "").unwrap();
    let options: [(&str, &Path); 2] = [
        ("--probe-allow", Path::new("127.0.0.0/8")),
        ("--health", &file),
    ];
    let server = pair.site.serve_with(&options);
    server.await_log("shop/up@127.0.0.2 is healthy");
    server.await_answer(NAME, &primary());
    // Both are down by hand: then the first one is the last resort.
    let policy = policy(pair.at.port()).replace(
        "secondary: {addresses: [127.0.0.2], healthCheckRef: {name: up}}",
        "secondary: {addresses: [127.0.0.2]}",
    );
    pair.site.write("policy.yaml", &policy);
    fs::write(&file, "health: {shop/up: unhealthy}").unwrap();
    server.await_answer(NAME, &secondary());
}

#[test]
fn without_probes_there_is_no_health_to_show() {
    let mut pair = Pair::new("Automatic");
    pair.primary = None;
    let mut command = pair.site.command("127.0.0.1:0");
    command.arg("--no-probes");
    let server = pair.site.start(command);
    server.await_answer(NAME, &primary());
    let output = pair.health(&[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("without --no-probes"), "{said}");
}

#[test]
fn what_a_server_knew_is_marked_when_it_is_gone() {
    let pair = Pair::new("Automatic");
    let mut server = pair.serve();
    server.await_log("shop/up@127.0.0.2 is healthy");
    let note = |pair: &Pair| String::from_utf8(pair.health(&[]).stderr).unwrap();
    assert_eq!(note(&pair), "");
    server.stop("TERM");
    assert!(
        note(&pair).contains("no server is running"),
        "{}",
        note(&pair)
    );
}

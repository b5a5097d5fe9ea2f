//! Many endpoints: each is probed in its own rhythm, which does not drift, and
//! what that costs.
//!
//! `WATERSHED_ENDPOINTS` and `WATERSHED_CHECKERS` say how many endpoints and
//! nodes; without them there are 300 and 3. The figures are printed, and
//! written to `target/e2e/health.json`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use watershed_e2e::tools::repository;
use watershed_e2e::{Fleet, Setup, eventually};

use crate::measure::Metrics;

const INTERVAL: Duration = Duration::from_secs(10);
/// Checkers of a target, as far as there are nodes.
const PER_TARGET: usize = 5;
/// Of each target three are needed, and the fleet takes up many objects first.
const FIRST_RESULTS: Duration = Duration::from_mins(3);
/// How long is measured.
const SPAN: Duration = Duration::from_mins(1);
/// Endpoints of one policy.
const POLICY: usize = 50;
/// A probe may come so much off its time: jitter, and a busy machine.
const TOLERANCE: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_endpoints_are_probed_in_their_rhythm() -> Result<()> {
    let endpoints = number("WATERSHED_ENDPOINTS", 300)?;
    let nodes = number("WATERSHED_CHECKERS", 3)?;
    let visits = Visits::listen().await?;
    let fleet = Fleet::start(Setup {
        nodes,
        node_args: vec!["--probe-allow".to_owned(), "127.0.0.0/8".to_owned()],
        ..Setup::named("health-many")
    })
    .await?;
    fleet
        .cluster
        .apply_objects(objects(endpoints, visits.port), 16)
        .await?;
    let all = format!("{endpoints}/{endpoints}");
    eventually("all are healthy", FIRST_RESULTS, async || {
        let check = fleet.get("HealthCheck", "shop/app").await?;
        let targets = &check["status"]["targets"];
        ensure!(targets["summary"] == all, "{targets}");
        Ok(())
    })
    .await?;
    // What is behind is made up for.
    tokio::time::sleep(INTERVAL).await;
    let measured = Measured::of(&fleet, &visits).await?;
    measured.write(&fleet, endpoints)?;
    measured.judge(endpoints * nodes.min(PER_TARGET))?;
    let metrics = Metrics::of(fleet.nodes[0].http).await?;
    let left_out = metrics.sum("watershed_dns_probes_total", &[r#"kind="overload""#]);
    ensure!(left_out == 0.0, "{left_out} probes were left out");
    Ok(())
}

/// What happened in a time.
struct Measured {
    span: f64,
    cpu: f64,
    /// Endpoints times their checkers.
    rhythms: usize,
    probes: f64,
    /// The most that a probe came off its rhythm.
    drift: Duration,
}

impl Measured {
    async fn of(fleet: &Fleet, visits: &Visits) -> Result<Self> {
        let (before, began) = (cpu(fleet)?, Instant::now());
        visits.clear();
        tokio::time::sleep(SPAN).await;
        let (cpu, span) = (cpu(fleet)? - before, began.elapsed().as_secs_f64());
        let seen = visits.seen();
        let probes: usize = seen.values().map(Vec::len).sum();
        let drift = seen.values().map(|visits| drift(visits)).max();
        Ok(Self {
            span,
            cpu,
            rhythms: seen.len(),
            probes: u32::try_from(probes)?.into(),
            drift: drift.unwrap_or_default(),
        })
    }

    fn write(&self, fleet: &Fleet, endpoints: usize) -> Result<()> {
        let megabytes = |octets: u64| octets >> 20;
        let memory = fleet
            .nodes
            .iter()
            .map(|node| Ok(megabytes(node.process.memory()?)));
        write(&json!({
            "endpoints": endpoints,
            "nodes": fleet.nodes.len(),
            "probes_per_second": (self.probes / self.span).round(),
            "cpu_microseconds_per_probe": (self.cpu * 1e6 / self.probes).round(),
            "cpu_percent_of_all_nodes": (self.cpu * 100.0 / self.span).round(),
            "largest_deviation_milliseconds": u64::try_from(self.drift.as_millis())?,
            "node_megabytes": memory.collect::<Result<Vec<_>>>()?,
            "operator_megabytes": megabytes(fleet.operators[0].process.memory()?),
        }))
    }

    /// Each endpoint is probed by as many nodes as it should be, as often as
    /// it should be, when it should be.
    fn judge(&self, rhythms: usize) -> Result<()> {
        let found = self.rhythms;
        ensure!(found == rhythms, "{found} of {rhythms} rhythms");
        let expected = f64::from(u32::try_from(rhythms)?) * self.span / INTERVAL.as_secs_f64();
        let share = self.probes / expected;
        ensure!((0.97..1.03).contains(&share), "{share} of the probes");
        ensure!(self.drift < TOLERANCE, "off by {:?}", self.drift);
        Ok(())
    }
}

fn number(variable: &str, default: usize) -> Result<usize> {
    match std::env::var(variable) {
        Ok(number) => number.parse().with_context(|| variable.to_owned()),
        Err(_) => Ok(default),
    }
}

fn write(figures: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(figures)?;
    println!("{text}");
    let directory = repository().join("target/e2e");
    std::fs::create_dir_all(&directory)?;
    Ok(std::fs::write(directory.join("health.json"), text)?)
}

fn cpu(fleet: &Fleet) -> Result<f64> {
    fleet
        .nodes
        .iter()
        .map(|node| node.process.cpu_seconds())
        .sum()
}

/// How far visits are off a steady rhythm that begins with the first.
fn drift(visits: &[Instant]) -> Duration {
    let Some(first) = visits.first() else {
        return Duration::ZERO;
    };
    let off = (1_u32..).zip(visits.iter().skip(1)).map(|(count, visit)| {
        let (due, came) = (INTERVAL * count, visit.duration_since(*first));
        due.abs_diff(came)
    });
    off.max().unwrap_or_default()
}

/// One server for all endpoints, which notes who comes when.
struct Visits {
    port: u16,
    seen: Seen,
}

/// By endpoint and checker.
type Seen = Arc<Mutex<HashMap<(IpAddr, String), Vec<Instant>>>>;

impl Visits {
    async fn listen() -> Result<Self> {
        // All of 127.0.0.0/8 is this machine's.
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        let (port, seen) = (listener.local_addr()?.port(), Seen::default());
        let noted = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&noted)));
            }
        });
        Ok(Self { port, seen })
    }

    fn clear(&self) {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn seen(&self) -> HashMap<(IpAddr, String), Vec<Instant>> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn serve(connection: TcpStream, seen: Seen) {
    let Ok(address) = connection.local_addr() else {
        return;
    };
    let service = service_fn(|request: Request<Incoming>| {
        let agent = request.headers().get("user-agent");
        let agent = agent
            .and_then(|agent| agent.to_str().ok())
            .unwrap_or_default();
        let key = (address.ip(), agent.to_owned());
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.entry(key).or_default().push(Instant::now());
        async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("ok"))) }
    });
    // A peer that goes away is no matter.
    let http = hyper::server::conn::http1::Builder::new();
    let _ = http
        .serve_connection(TokioIo::new(connection), service)
        .await;
}

fn objects(endpoints: usize, port: u16) -> Vec<Value> {
    let api = "watershed.dev/v1alpha1";
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        json!({"apiVersion": api, "kind": "HostedZone", "metadata": {"name": "example-com", "namespace": "shop"},
            "spec": {"domain": "example.com", "nameservers": {"names": ["ns1.example.net."], "glue": "None"}}}),
        json!({"apiVersion": api, "kind": "HealthCheck", "metadata": {"name": "app", "namespace": "shop"},
            "spec": {"http": {"scheme": "HTTP", "port": port}, "intervalSeconds": INTERVAL.as_secs()}}),
    ];
    for policy in 0..endpoints.div_ceil(POLICY) {
        let own = policy * POLICY..endpoints.min((policy + 1) * POLICY);
        let name = format!("p{policy}");
        let branches: Vec<Value> = own
            .clone()
            .map(|number| json!({"endpoint": format!("e{number}"), "weight": 1}))
            .collect();
        let addressed = own.map(|number| {
            let address = Ipv4Addr::from_bits(
                Ipv4Addr::new(127, 1, 0, 1).to_bits() + u32::try_from(number).unwrap_or_default(),
            );
            (
                format!("e{number}"),
                json!({"addresses": [address], "healthCheckRef": {"name": "app"}}),
            )
        });
        let addressed: serde_json::Map<String, Value> = addressed.collect();
        objects.push(json!({"apiVersion": api, "kind": "TrafficPolicy", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"version": 1, "document": {"recordTypes": ["A"], "startRule": "all",
                "rules": {"all": {"type": "Weighted", "branches": branches}}, "endpoints": addressed}}}));
        objects.push(json!({"apiVersion": api, "kind": "PolicyRecord", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"hostedZoneRef": {"name": "example-com"}, "name": name, "policyRef": {"name": name}, "version": 1}}));
    }
    objects
}

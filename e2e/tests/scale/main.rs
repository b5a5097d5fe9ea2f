//! Many records: one edit costs work in proportion to the edit.
//!
//! `WATERSHED_SCALE` says how many records; without it there are 1000. The
//! figures are printed, and written to `target/e2e/scale.json`.

#![allow(unreachable_pub, missing_docs)]

#[allow(dead_code, reason = "another suite uses the rest")]
#[path = "../operator/measure.rs"]
mod measure;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, DynamicObject};
use kube::runtime::watcher::{self, Event};
use serde_json::{Value, json};
use tokio::time::timeout;
use watershed_e2e::cluster::Mark;
use watershed_e2e::dns::{Question, ask};
use watershed_e2e::tools::repository;
use watershed_e2e::{Fleet, Setup};

use measure::Metrics;

const POLICIES: usize = 100;
const NODES: usize = 3;
/// From the first object to the last status; also on a machine that is busy.
const LIMIT: Duration = Duration::from_mins(10);
const SOON: Duration = Duration::from_mins(2);
/// Longer than any pause of a queue of writes.
const QUIET: Duration = Duration::from_secs(3);

const OBJECTS: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: watershed.dev/v1alpha1
kind: HostedZone
metadata: {name: example-com, namespace: shop}
spec:
  domain: example.com
  nameservers: {names: [ns1.example.net.], glue: None}
";

#[tokio::test]
async fn one_edit_among_many_records() -> Result<()> {
    let records = match std::env::var("WATERSHED_SCALE") {
        Ok(number) => number.parse().context("WATERSHED_SCALE")?,
        Err(_) => 1000,
    };
    let setup = Setup {
        name: "scale".to_owned(),
        nodes: NODES,
        operators: 1,
        // Statuses of a first apply are not what this is about.
        operator_args: vec!["--writes-per-second".to_owned(), "2000".to_owned()],
        ..Setup::default()
    };
    let fleet = Fleet::start(setup).await?;
    let mut figures = Figures(json!({"records": records, "policies": POLICIES, "nodes": NODES}));
    fill(&fleet, records, &mut figures).await?;
    edit(&fleet, records, &mut figures).await?;
    figures.write()
}

/// What is reported.
struct Figures(Value);

impl Figures {
    fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.0[name] = value.into();
    }

    fn seconds(&mut self, name: &str, since: Instant) {
        self.note(name, rounded(since.elapsed().as_secs_f64()));
    }

    fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.0)?;
        println!("{text}");
        let directory = repository().join("target/e2e");
        fs::create_dir_all(&directory)?;
        Ok(fs::write(directory.join("scale.json"), text)?)
    }
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// Applies everything and waits until all of it is served and says so.
async fn fill(fleet: &Fleet, records: usize, figures: &mut Figures) -> Result<()> {
    fleet.cluster.apply(OBJECTS).await?;
    let start = Instant::now();
    let watched = tokio::spawn(all_ready(fleet.api("PolicyRecord", "shop")?, records));
    fleet
        .cluster
        .apply_objects((0..POLICIES).map(policy).collect(), 16)
        .await?;
    let objects = (0..records).map(record).collect();
    fleet.cluster.apply_objects(objects, 32).await?;
    figures.seconds("applied_seconds", start);
    let left = LIMIT.saturating_sub(start.elapsed());
    let watched = timeout(left, watched).await;
    watched.with_context(|| format!("not all records are ready after {LIMIT:?}"))???;
    figures.seconds("programmed_seconds", start);
    let operator = &fleet.operators[0].process;
    figures.note("fill_cpu_seconds", operator.cpu_seconds()?);
    // The working document becomes version 2, which nothing serves yet.
    let document = json!({"spec": {"version": 2, "document": document(250)}});
    fleet.edit("TrafficPolicy", "shop/p0", document).await?;
    fleet.ready("TrafficPolicyVersion", "shop/p0-v2").await?;
    Ok(())
}

/// Watches until as many records are ready.
async fn all_ready(api: Api<DynamicObject>, records: usize) -> Result<()> {
    let mut ready = BTreeSet::new();
    let mut events = watcher::watcher(api, watcher::Config::default()).boxed();
    while let Some(event) = events.try_next().await? {
        if let Event::Apply(object) | Event::InitApply(object) = event
            && is_ready(&object)
        {
            ready.extend(object.metadata.name);
        }
        if ready.len() == records {
            return Ok(());
        }
    }
    anyhow::bail!("the watch ended")
}

fn is_ready(object: &DynamicObject) -> bool {
    let conditions = object.data.pointer("/status/conditions");
    let conditions = conditions.and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        condition["type"] == "Ready"
            && condition["status"] == "True"
            && condition["observedGeneration"].as_i64() == object.metadata.generation
    })
}

/// What there is before and after the edit.
struct Reading {
    metrics: Metrics,
    cpu: f64,
}

impl Reading {
    async fn take(fleet: &Fleet) -> Result<Self> {
        let operator = &fleet.operators[0];
        Ok(Self {
            metrics: Metrics::of(operator.http).await?,
            cpu: operator.process.cpu_seconds()?,
        })
    }

    /// How much a counter has grown since `before`.
    fn grown(&self, before: &Self, name: &str, labels: &[&str]) -> f64 {
        self.metrics.sum(name, labels) - before.metrics.sum(name, labels)
    }
}

/// One record goes to version 2 of its policy.
async fn edit(fleet: &Fleet, records: usize, figures: &mut Figures) -> Result<()> {
    let mark = measure::quiet(&fleet.cluster, QUIET, SOON).await?;
    let number = records / 2 / POLICIES * POLICIES;
    let name = format!("shop/r{number}");
    let question = Question::new(&format!("r{number}.example.com"), "A")?;
    let before = Reading::take(fleet).await?;
    let start = Instant::now();
    let spec = json!({"spec": {"version": 2}});
    fleet.edit("PolicyRecord", &name, spec).await?;
    figures.seconds("edit_accepted_seconds", start);
    let mut last: f64 = 0.0;
    for server in fleet.servers() {
        served(server, &question).await?;
        last = last.max(start.elapsed().as_secs_f64());
    }
    figures.note("edit_to_last_answer_seconds", rounded(last));
    let record = fleet.ready("PolicyRecord", &name).await?;
    figures.seconds("edit_to_status_seconds", start);
    figures.note(
        "delay_milliseconds_in_status",
        record["status"]["fleet"]["delayMilliseconds"].clone(),
    );
    ensure!(
        record["status"]["fleet"]["summary"] == format!("{NODES}/{NODES}"),
        "{}",
        record["status"]
    );
    measure::quiet(&fleet.cluster, QUIET, SOON).await?;
    let after = Reading::take(fleet).await?;
    figures.note("edit_cpu_seconds", rounded(after.cpu - before.cpu));
    memory(fleet, figures)?;
    pushed(&before, &after, figures)?;
    written(fleet, mark, &name, figures)
}

/// Asks until the answer is that of version 2.
async fn served(server: std::net::SocketAddr, question: &Question) -> Result<()> {
    let end = Instant::now() + SOON;
    loop {
        let reply = ask(server, question, Duration::from_secs(1)).await?;
        if reply.values() == ["192.0.2.250"] {
            return Ok(());
        }
        ensure!(
            Instant::now() < end,
            "{server} still answers {}",
            reply.summary()
        );
    }
}

fn memory(fleet: &Fleet, figures: &mut Figures) -> Result<()> {
    let megabytes = |octets: u64| octets / (1 << 20);
    let operator = fleet.operators[0].process.memory()?;
    figures.note("operator_megabytes", megabytes(operator));
    let nodes = fleet
        .nodes
        .iter()
        .map(|node| Ok(megabytes(node.process.memory()?)));
    let nodes: Vec<u64> = nodes.collect::<Result<_>>()?;
    figures.note("node_megabytes", nodes);
    Ok(())
}

/// Each node is sent one part and told once to activate it, whatever else it
/// holds.
fn pushed(before: &Reading, after: &Reading, figures: &mut Figures) -> Result<()> {
    let messages = "watershed_fleet_messages_total";
    let mut kinds = BTreeMap::new();
    for kind in ["stage", "activate", "inquire", "recall"] {
        let label = format!("kind=\"{kind}\"");
        let grown = after.grown(before, messages, &["direction=\"out\"", &label]);
        kinds.insert(kind, grown);
    }
    let octets = after.grown(before, "watershed_fleet_pushed_bytes_total", &[]);
    figures.note("edit_messages", json!(kinds));
    figures.note("edit_octets_pushed", octets);
    let nodes = f64::from(u32::try_from(NODES)?);
    ensure!(
        kinds["stage"] <= nodes && kinds["activate"] <= nodes,
        "{kinds:?}"
    );
    ensure!(kinds["inquire"] + kinds["recall"] == 0.0, "{kinds:?}");
    // A version and a record, a zone's serial: some hundred octets each.
    ensure!(octets > 0.0 && octets <= nodes * 4096.0, "{octets} octets");
    Ok(())
}

/// What tells of the edit is written, and nothing else.
fn written(fleet: &Fleet, mark: Mark, record: &str, figures: &mut Figures) -> Result<()> {
    let events = measure::writes(&fleet.cluster, mark)?;
    let summaries: Vec<String> = events
        .iter()
        .map(watershed_e2e::AuditEvent::summary)
        .collect();
    figures.note("edit_writes", summaries.len());
    figures.note("edit_written", summaries.clone());
    let (namespace, name) = record
        .split_once('/')
        .context("a record without namespace")?;
    let others = events.iter().filter(|event| {
        event.resource == "policyrecords"
            && (event.namespace.as_str(), event.name.as_str()) != (namespace, name)
    });
    ensure!(others.count() == 0, "{summaries:#?}");
    ensure!(summaries.len() <= 20, "{summaries:#?}");
    Ok(())
}

fn document(last: usize) -> Value {
    json!({
        "recordTypes": ["A"],
        "startEndpoint": "only",
        "endpoints": {"only": {"addresses": [format!("192.0.2.{last}")]}},
    })
}

fn policy(number: usize) -> Value {
    json!({
        "apiVersion": "watershed.dev/v1alpha1",
        "kind": "TrafficPolicy",
        "metadata": {"name": format!("p{number}"), "namespace": "shop"},
        "spec": {"version": 1, "document": document(number + 1)},
    })
}

fn record(number: usize) -> Value {
    json!({
        "apiVersion": "watershed.dev/v1alpha1",
        "kind": "PolicyRecord",
        "metadata": {"name": format!("r{number}"), "namespace": "shop"},
        "spec": {
            "hostedZoneRef": {"name": "example-com"},
            "name": format!("r{number}"),
            "policyRef": {"name": format!("p{}", number % POLICIES)},
            "version": 1,
        },
    })
}

//! What one team asks for keeps no other waiting: many records, then the largest
//! documents as well, and edits without a pause, while another team makes one
//! edit after the other.
//!
//! `WATERSHED_FLOOD` says how many records; without it there are 300, and the
//! operator writes a fifth of what it does by default, so that it has a backlog
//! with these as well. The figures are printed, and written to
//! `target/e2e/flood.json`.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use watershed_e2e::dns::{LoadOptions, QueryLoad, Question, ask};
use watershed_e2e::tools::repository;
use watershed_e2e::{Identity, eventually};

use crate::largest::{largest, name};
use crate::measure::Metrics;
use crate::support::{Fleet, SOON, Setup};

/// How long an edit may take.
struct Bound {
    /// Until every node answers with it.
    answered: Duration,
    /// Until the status says so.
    told: Duration,
}

/// While only the number of objects is large.
const AMONG_RECORDS: Bound = Bound {
    answered: Duration::from_secs(5),
    told: Duration::from_secs(10),
};

/// While a document of a thousand branches is compiled at each step as well:
/// programs that are not optimized take a second or two for that on a busy
/// machine, and so does the API server. Optimized, none took longer than the
/// others.
const AMONG_DOCUMENTS: Bound = Bound {
    answered: Duration::from_secs(15),
    told: Duration::from_secs(20),
};

/// Edits in each of the two stages, at least.
const EDITS: u32 = 5;

/// Policies that the flood edits in turn; each edit makes a version.
const CHURNED: usize = 50;

/// Records that follow one of these, so that each edit moves them all.
const FOLLOWERS: usize = 100;

/// Policies of the largest size that the flood edits in turn.
const LARGE: usize = 3;

/// Addresses of versions that follow each other differ.
const ADDRESSES: u32 = 250;

/// Writes of the operator that wait while the flood is on: without so many an
/// edit need not pass anybody.
const BACKLOG: f64 = 100.0;

/// What the operator may hold, in octets.
const MEMORY: u64 = 1 << 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_team_that_floods_keeps_no_other_waiting() -> Result<()> {
    let mut setup = Setup::named("flood");
    let records = if let Ok(number) = std::env::var("WATERSHED_FLOOD") {
        number.parse().context("WATERSHED_FLOOD")?
    } else {
        let slower = ["--writes-per-second", "20"];
        setup.operator_args.extend(slower.map(str::to_owned));
        300
    };
    let fleet = Fleet::start(setup).await?;
    fleet.cluster.apply(include_str!("flood.yaml")).await?;
    let alice = Team::of(&fleet, "alice@example.com", "shop").await?;
    let bob = Team::of(&fleet, "bob@example.com", "blog").await?;
    let question = Question::new("www.shop.example.com", "A")?;
    alice.publishes(1).await?;
    alice
        .apply(record("www", "web", json!({"version": 1})))
        .await?;
    fleet.answers_everywhere(&question, &[&address(1)]).await?;

    let load = QueryLoad::start(load(&fleet, &question)).await?;
    let operator = &fleet.operators[0];
    let before = operator.process.memory()?;
    let flood = Flood::start(&bob, records);
    flood.has_begun(operator.http).await?;
    let mut edits = Edits::new(&fleet, &alice, &question);
    while !flood.has_all() || edits.number <= EDITS {
        edits.one().await?;
        load.more(100, SOON).await?;
    }
    let among_records = edits.take_slowest();
    let backlog = flood.backlog(operator.http).await?;
    flood.grows();
    for _ in 0..EDITS {
        edits.one().await?;
    }
    let among_documents = edits.take_slowest();
    let flooded = flood.stop().await?;
    let memory = operator.process.memory()?;
    load.more(20, SOON).await?;
    let report = load.stop().await?;
    report.clean()?;
    for server in fleet.servers() {
        let runs = report.runs(server, &question).len();
        ensure!(
            runs == usize::try_from(edits.number)?,
            "{runs} runs of answers"
        );
    }
    let figures = json!({
        "records": records,
        "applied": flooded,
        "edits": edits.number,
        "queries": report.sent,
        "writes_waiting": backlog,
        "slowest_answer_seconds": among_records.answered.as_secs_f64(),
        "slowest_status_seconds": among_records.told.as_secs_f64(),
        "slowest_answer_seconds_with_large_documents": among_documents.answered.as_secs_f64(),
        "slowest_status_seconds_with_large_documents": among_documents.told.as_secs_f64(),
        "operator_megabytes_before": before >> 20,
        "operator_megabytes": memory >> 20,
    });
    write(&figures)?;
    ensure!(among_records.is_within(&AMONG_RECORDS), "{figures:#}");
    ensure!(among_documents.is_within(&AMONG_DOCUMENTS), "{figures:#}");
    ensure!(memory < MEMORY, "{figures:#}");
    Ok(())
}

fn write(figures: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(figures)?;
    println!("{text}");
    let directory = repository().join("target/e2e");
    fs::create_dir_all(&directory)?;
    Ok(fs::write(directory.join("flood.json"), text)?)
}

/// Only what an edit asked for may be answered.
fn load(fleet: &Fleet, question: &Question) -> LoadOptions {
    let all: Vec<String> = (0..ADDRESSES).map(address).collect();
    LoadOptions::new(&fleet.servers(), std::slice::from_ref(question))
        .rate(25)
        .accept(move |_, reply| match reply.values().as_slice() {
            [value] if all.contains(value) => Ok(()),
            _ => Err("not an answer of this team's".to_owned()),
        })
}

/// The longest times that edits took.
#[derive(Clone, Copy, Default)]
struct Slowest {
    answered: Duration,
    told: Duration,
}

impl Slowest {
    fn is_within(&self, bound: &Bound) -> bool {
        self.answered < bound.answered && self.told < bound.told
    }
}

/// One edit after the other: a new document and the record that asks for it, as
/// people apply them. The operator must make the version first.
struct Edits<'f> {
    fleet: &'f Fleet,
    team: &'f Team,
    question: &'f Question,
    /// Of the last one.
    number: u32,
    slowest: Slowest,
}

impl<'f> Edits<'f> {
    fn new(fleet: &'f Fleet, team: &'f Team, question: &'f Question) -> Self {
        Self {
            fleet,
            team,
            question,
            number: 1,
            slowest: Slowest::default(),
        }
    }

    async fn one(&mut self) -> Result<()> {
        self.number += 1;
        let start = Instant::now();
        self.team.publishes(self.number).await?;
        let serves = json!({"version": self.number});
        self.team.apply(record("www", "web", serves)).await?;
        self.answered(start + SOON).await?;
        self.slowest.answered = self.slowest.answered.max(start.elapsed());
        self.fleet.ready("PolicyRecord", "shop/www").await?;
        self.slowest.told = self.slowest.told.max(start.elapsed());
        Ok(())
    }

    /// Asks every node, some dozen times a second, until it has the edit.
    async fn answered(&self, end: Instant) -> Result<()> {
        let expected = address(self.number);
        for node in &self.fleet.nodes {
            loop {
                let reply = ask(node.dns, self.question, Duration::from_secs(1)).await?;
                if reply.values() == [expected.as_str()] {
                    break;
                }
                let summary = reply.summary();
                ensure!(Instant::now() < end, "{}: {summary}", node.name);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    fn take_slowest(&mut self) -> Slowest {
        std::mem::take(&mut self.slowest)
    }
}

/// Somebody with the rights of a team, in its namespace.
#[derive(Clone)]
struct Team {
    client: Client,
    namespace: &'static str,
}

impl Team {
    /// With its zone, which is the first that it is let make.
    async fn of(fleet: &Fleet, user: &str, namespace: &'static str) -> Result<Self> {
        let identity = Identity::user(user, &[]);
        let kubeconfig = fleet.cluster.kubeconfig_for(&identity).await?;
        let client = fleet.cluster.client_of(&kubeconfig).await?;
        let team = Self { client, namespace };
        let zone = json!({
            "kind": "HostedZone",
            "metadata": {"name": "zone"},
            "spec": {
                "domain": format!("{namespace}.example.com"),
                "nameservers": {"names": ["ns1.example.net."], "glue": "None"},
            },
        });
        // Roles flow together in a controller.
        eventually("the team has its rights", SOON, async || {
            team.apply(policy("first", 1, &document(1))).await?;
            team.apply(zone.clone()).await
        })
        .await?;
        Ok(team)
    }

    async fn publishes(&self, version: u32) -> Result<()> {
        let policy = policy("web", version, &document(version));
        self.apply(policy).await
    }

    /// Applies an object as this team, in its namespace.
    async fn apply(&self, mut object: Value) -> Result<()> {
        let kind = object["kind"].as_str().context("no kind")?.to_owned();
        let plural = watershed_crd::plural(&kind).context("no such kind")?;
        let named = GroupVersionKind::gvk("watershed.dev", "v1alpha1", &kind);
        let resource = ApiResource::from_gvk_with_plural(&named, &plural);
        object["apiVersion"] = json!("watershed.dev/v1alpha1");
        let object: DynamicObject = serde_json::from_value(object)?;
        let name = object.metadata.name.clone().context("no name")?;
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), self.namespace, &resource);
        let parameters = PatchParams::apply("team").force();
        let applied = api.patch(&name, &parameters, &Patch::Apply(&object)).await;
        applied.with_context(|| format!("{kind} {name}"))?;
        Ok(())
    }
}

/// What versions answer with, in turn.
fn address(version: u32) -> String {
    format!("192.0.2.{}", version % ADDRESSES)
}

fn document(version: u32) -> Value {
    json!({
        "recordTypes": ["A"],
        "startEndpoint": "only",
        "endpoints": {"only": {"addresses": [address(version)]}},
    })
}

fn policy(name: &str, version: u32, document: &Value) -> Value {
    json!({
        "kind": "TrafficPolicy",
        "metadata": {"name": name},
        "spec": {"version": version, "document": document},
    })
}

/// `serves` is a version or a channel.
fn record(name: &str, policy: &str, serves: Value) -> Value {
    let mut record = json!({
        "kind": "PolicyRecord",
        "metadata": {"name": name},
        "spec": {
            "hostedZoneRef": {"name": "zone"},
            "name": name,
            "policyRef": {"name": policy},
        },
    });
    if let (Some(spec), Value::Object(serves)) = (record["spec"].as_object_mut(), serves) {
        spec.extend(serves);
    }
    record
}

/// All that a team can ask for, as fast as the API server takes it.
struct Flood {
    tasks: JoinSet<Result<()>>,
    source: Source,
}

/// One stream of it.
#[derive(Clone)]
struct Source {
    team: Team,
    applied: Arc<AtomicUsize>,
    stage: watch::Sender<Stage>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Records are being made.
    Records,
    /// All of them are there, and are edited.
    Edits,
    /// Documents of the largest size as well.
    Documents,
    Over,
}

impl Flood {
    fn start(team: &Team, records: usize) -> Self {
        let source = Source {
            team: team.clone(),
            applied: Arc::default(),
            stage: watch::Sender::new(Stage::Records),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(source.clone().many(records));
        tasks.spawn(source.clone().churns());
        tasks.spawn(source.clone().large());
        Self { tasks, source }
    }

    /// Waits until the operator has a backlog.
    async fn has_begun(&self, operator: SocketAddr) -> Result<()> {
        eventually("the operator has a backlog", SOON, async || {
            let waiting = self.backlog(operator).await?;
            ensure!(waiting >= BACKLOG, "{waiting} writes wait");
            Ok(())
        })
        .await
    }

    /// How many writes of the operator wait.
    async fn backlog(&self, operator: SocketAddr) -> Result<f64> {
        let metrics = Metrics::of(operator).await?;
        Ok(metrics.sum("watershed_operator_writes_waiting", &[]))
    }

    /// Whether all records are there.
    fn has_all(&self) -> bool {
        self.source.stage() > Stage::Records
    }

    /// From now on with documents of the largest size.
    fn grows(&self) {
        self.source.stage.send_replace(Stage::Documents);
    }

    /// Ends it; how many objects were applied.
    async fn stop(mut self) -> Result<usize> {
        self.source.stage.send_replace(Stage::Over);
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(self.source.applied.load(Ordering::Relaxed))
    }
}

impl Source {
    fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    fn is_over(&self) -> bool {
        self.stage() == Stage::Over
    }

    async fn apply(&self, object: Value) -> Result<()> {
        self.team.apply(object).await?;
        self.applied.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// So many records, all of which are then edited again and again.
    async fn many(self, records: usize) -> Result<()> {
        let mut ttl = 60;
        while !self.is_over() {
            let objects = (0..records).map(|number| {
                let serves = json!({"version": 1, "ttlSeconds": ttl});
                record(&format!("r{number}"), "first", serves)
            });
            self.all(objects, 8).await?;
            self.stage.send_if_modified(|stage| {
                std::mem::replace(stage, Stage::Edits.max(*stage)) != *stage
            });
            ttl += 1;
        }
        Ok(())
    }

    /// Policies that are edited in turn, with records that follow one of them.
    async fn churns(self) -> Result<()> {
        let followers = (0..FOLLOWERS).map(|number| {
            let serves = json!({"channel": "latest"});
            record(&format!("f{number}"), "churn-0", serves)
        });
        self.all(followers, 2).await?;
        for version in 1.. {
            let document = document(version);
            let churned = (0..CHURNED).map(|number| format!("churn-{number}"));
            let policies = churned.map(|name| policy(&name, version, &document));
            self.all(policies, 2).await?;
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }

    /// Documents of the largest size, served and edited.
    async fn large(self) -> Result<()> {
        let mut stage = self.stage.subscribe();
        stage.wait_for(|stage| *stage >= Stage::Documents).await?;
        let large: Vec<String> = (0..LARGE).map(|number| format!("large-{number}")).collect();
        for name in &large {
            let serves = json!({"channel": "latest"});
            self.apply(record(name, name, serves)).await?;
        }
        let mut document = largest();
        for version in 1.. {
            let address = format!("2001:db8:fffe::{version:x}");
            document["endpoints"][name("e", 0)]["addresses"][0] = json!(address);
            for name in &large {
                self.apply(policy(name, version, &document)).await?;
            }
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }

    /// Applies objects, so many at a time, until it is over.
    async fn all(&self, objects: impl Iterator<Item = Value>, at_a_time: usize) -> Result<()> {
        let applied = stream::iter(objects).map(|object| async {
            if self.is_over() {
                return Ok(());
            }
            self.apply(object).await
        });
        applied.buffer_unordered(at_a_time).try_collect().await
    }
}

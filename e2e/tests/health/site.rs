//! A fleet with one name, `www.example.com`, that fails over from a primary to
//! a standby, and a steady load of queries.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use serde_json::Value;
use watershed_e2e::certs::Authority;
use watershed_e2e::dns::{LoadOptions, QueryLoad, Question, Report};
use watershed_e2e::endpoint::Endpoint;
use watershed_e2e::ports::free_port;
use watershed_e2e::{Fleet, Setup, binaries};

/// As in the manifest.
pub const INTERVAL: Duration = Duration::from_secs(2);
pub const FAILURES: u32 = 3;
/// What may come on top of interval x threshold.
pub const MARGIN: Duration = Duration::from_secs(1);
/// Longest time for anything that is not what is measured.
pub const SOON: Duration = Duration::from_mins(1);
/// Queries per second and server: how finely changes are seen.
const RATE: u32 = 100;

pub const RECORD: &str = "shop/www";
pub const CHECK: &str = "shop/app";

/// Tests run side by side, and each has loopback addresses of its own.
static NEXT: AtomicU8 = AtomicU8::new(1);

pub struct Site {
    pub fleet: Fleet,
    pub primary: Endpoint,
    pub standby: Endpoint,
    pub addresses: (IpAddr, IpAddr),
    pub port: u16,
    question: Question,
}

/// What the answers did after something happened.
pub struct Switch {
    /// To the first node's changed answer.
    pub first: Duration,
    /// To the last node's.
    pub last: Duration,
}

impl Site {
    /// Starts it with so many nodes, and waits until the checks of both
    /// endpoints are known to be healthy.
    pub async fn open(name: &str, nodes: usize, node_args: &[&str]) -> Result<Self> {
        Self::open_with(name, nodes, node_args, |manifest| manifest).await
    }

    /// The same with another manifest.
    pub async fn open_with(
        name: &str,
        nodes: usize,
        node_args: &[&str],
        change: impl FnOnce(String) -> String,
    ) -> Result<Self> {
        let authority = Authority::new("endpoints")?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let address = |last| IpAddr::from(Ipv4Addr::new(127, 0, number, last));
        let (addresses, port) = ((address(1), address(2)), free_port()?);
        let primary = Endpoint::start(SocketAddr::new(addresses.0, port), &authority).await?;
        let standby = Endpoint::start(SocketAddr::new(addresses.1, port), &authority).await?;
        let ca = tempfile::NamedTempFile::new()?;
        std::fs::write(ca.path(), authority.certificate())?;
        let ca = ca.into_temp_path();
        let mut args = vec!["--probe-allow".to_owned(), "127.0.0.0/8".to_owned()];
        args.extend(["--probe-ca".to_owned(), ca.display().to_string()]);
        args.extend(node_args.iter().map(ToString::to_string));
        // It is read when a node starts, also when it starts again.
        ca.keep()?;
        let setup = Setup {
            nodes,
            node_args: args,
            ..Setup::named(name)
        };
        let site = Self {
            fleet: Fleet::start(setup).await?,
            primary,
            standby,
            addresses,
            port,
            question: Question::new("www.example.com", "A")?,
        };
        let manifest = include_str!("site.yaml")
            .replace("PORT", &port.to_string())
            .replace("PRIMARY", &addresses.0.to_string())
            .replace("STANDBY", &addresses.1.to_string());
        site.fleet.cluster.apply(&change(manifest)).await?;
        site.fleet.ready("PolicyRecord", RECORD).await?;
        site.check("both are healthy", |status| {
            status["targets"]["summary"] == "2/2"
        })
        .await?;
        Ok(site)
    }

    /// Waits for a status of the health check.
    pub async fn check(&self, what: &str, accept: impl Fn(&Value) -> bool) -> Result<Value> {
        let check = self
            .fleet
            .status("HealthCheck", CHECK, what, accept)
            .await?;
        Ok(check["status"].clone())
    }

    /// Waits for a status of the record.
    pub async fn record(&self, what: &str, accept: impl Fn(&Value) -> bool) -> Result<Value> {
        let record = self.fleet.status("PolicyRecord", RECORD, what, accept);
        Ok(record.await?["status"].clone())
    }

    /// What `watershed` says to a person with this cluster.
    pub async fn watershed(&self, args: &[&str]) -> Result<String> {
        let mut command = std::process::Command::new(binaries::cli()?);
        command
            .args(args)
            .env("KUBECONFIG", self.fleet.cluster.kubeconfig());
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let (said, errors) = (output.stdout, String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "watershed {args:?}: {errors}");
        Ok(String::from_utf8(said)?)
    }

    /// Edits the `EndpointSlice` of the name `app-1`.
    pub async fn edit_slice(&self, patch: Value) -> Result<()> {
        let slices: Api<EndpointSlice> = Api::namespaced(self.fleet.cluster.client(), "shop");
        let patch = Patch::Merge(patch);
        slices
            .patch("app-1", &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    /// Waits until the record's condition `Healthy` has this reason.
    pub async fn healthy(&self, reason: &str) -> Result<()> {
        let has_reason = |status: &Value| {
            let conditions = status["conditions"].as_array();
            let mut conditions = conditions.into_iter().flatten();
            conditions.any(|one| one["type"] == "Healthy" && one["reason"] == reason)
        };
        self.record(reason, has_reason).await?;
        Ok(())
    }

    /// How long after a moment each node saw the primary fail, in order; nodes
    /// that did not are left out.
    pub fn seen(&self, since: Timestamp) -> Result<Vec<Duration>> {
        let target = format!("{CHECK}@{}", self.addresses.0);
        let seen = self.fleet.nodes.iter().map(|node| {
            let log = std::fs::read_to_string(node.process.log())?;
            let lines = log
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let mut times = lines.filter_map(|line| {
                let is_it = line["fields"]["message"] == "a target fails from here"
                    && line["fields"]["target"] == target;
                let time: Timestamp = line["timestamp"].as_str()?.parse().ok()?;
                is_it.then(|| Duration::try_from(time.duration_since(since)).ok())?
            });
            Ok(times.next())
        });
        let seen: Vec<Option<Duration>> = seen.collect::<Result<_>>()?;
        let mut seen: Vec<Duration> = seen.into_iter().flatten().collect();
        seen.sort();
        Ok(seen)
    }

    /// A steady load on all nodes that takes the two addresses and no others.
    pub async fn load(&self) -> Result<QueryLoad> {
        let options = LoadOptions::new(&self.fleet.servers(), std::slice::from_ref(&self.question));
        let known = [self.addresses.0.to_string(), self.addresses.1.to_string()];
        let options = options
            .rate(RATE)
            .accept(move |_, reply| match reply.values().as_slice() {
                [one] if known.contains(one) => Ok(()),
                _ => Err("neither endpoint".to_owned()),
            });
        QueryLoad::start(options).await
    }

    /// How many answers a load brings in this time.
    pub fn answers_in(&self, time: Duration) -> u64 {
        let per_second = u64::from(RATE) * self.fleet.nodes.len() as u64;
        per_second * u64::try_from(time.as_millis()).unwrap_or(u64::MAX) / 1000
    }

    /// Waits until every node answers with the primary, or the standby.
    pub async fn answers(&self, primary: bool) -> Result<()> {
        let address = if primary {
            self.addresses.0
        } else {
            self.addresses.1
        };
        let values = [address.to_string()];
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        self.fleet.answers_everywhere(&self.question, &values).await
    }

    /// Checks that a load lost nothing and that each node's answers went
    /// through these endpoints (true: the primary), each once. Gives when the
    /// answers changed, after `since`, for each change.
    pub fn switches(
        &self,
        report: &Report,
        endpoints: &[bool],
        since: &[Instant],
    ) -> Result<Vec<Switch>> {
        report.clean()?;
        let mut times = vec![Vec::new(); since.len()];
        for server in self.fleet.servers() {
            let runs = report.runs(server, &self.question);
            let is_primary = |answer: &str| answer.ends_with(&self.addresses.0.to_string());
            let seen: Vec<bool> = runs.iter().map(|run| is_primary(&run.answer)).collect();
            ensure!(seen == endpoints, "{server}: {seen:?}, not {endpoints:?}");
            for ((run, since), times) in runs.iter().skip(1).zip(since).zip(&mut times) {
                times.push(run.first.saturating_duration_since(*since));
            }
        }
        let switch = |times: Vec<Duration>| {
            let (first, last) = (times.iter().min().copied(), times.iter().max().copied());
            Ok(Switch {
                first: first.context("no answers")?,
                last: last.context("no answers")?,
            })
        };
        times.into_iter().map(switch).collect()
    }
}

//! A fleet with one name to watch: `www.example.com` serves a version of the
//! policy `web`, and version N answers with 192.0.2.N.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use watershed_e2e::dns::{LoadOptions, QueryLoad, Question, Report, ask};

use crate::measure::holder;
use crate::support::{Fleet, HOME, Setup};

/// Queries per second and server.
const RATE: u32 = 100;

const OBJECTS: &str = include_str!("shop.yaml");
const WWW: &str = "shop/www";

/// Three nodes and an operator.
pub fn setup(name: &str) -> Setup {
    Setup::named(name)
}

/// The fleet.
pub struct Shop {
    pub fleet: Fleet,
    question: Question,
}

impl Shop {
    /// Starts a fleet and waits until it serves version 1.
    pub async fn open(setup: Setup) -> Result<Self> {
        Self::open_in(Fleet::start(setup).await?).await
    }

    /// Has a fleet that runs already serve version 1.
    pub async fn open_in(fleet: Fleet) -> Result<Self> {
        fleet.cluster.apply(OBJECTS).await?;
        let question = Question::new("www.example.com", "A")?;
        let shop = Self { fleet, question };
        shop.serves_everywhere(1).await?;
        // What happens to the leader from now on happens to one that has told
        // how many nodes it has.
        shop.has_all_nodes().await?;
        Ok(shop)
    }

    /// Waits until the fleet counts all nodes, and all of them serve the same.
    pub async fn has_all_nodes(&self) -> Result<()> {
        let of = self.fleet.nodes.len();
        let all = |status: &Value| status["nodes"]["summary"] == format!("{of}/{of}");
        let fleet = format!("{HOME}/default");
        self.fleet
            .status("DNSFleet", &fleet, "it counts all nodes", all)
            .await?;
        Ok(())
    }

    /// Asks for a version.
    pub async fn serve(&self, version: u8) -> Result<()> {
        let spec = json!({"spec": {"version": version}});
        self.fleet.edit("PolicyRecord", WWW, spec).await?;
        Ok(())
    }

    /// Waits until the status says that all serve a version, which then is so.
    pub async fn serves_everywhere(&self, version: u8) -> Result<()> {
        let record = self.fleet.ready("PolicyRecord", WWW).await?;
        let status = &record["status"];
        let of = self.fleet.nodes.len();
        ensure!(status["activeVersion"] == version, "{status}");
        ensure!(
            status["fleet"]["summary"] == format!("{of}/{of}"),
            "{status}"
        );
        for server in self.fleet.servers() {
            let reply = ask(server, &self.question, Duration::from_secs(1)).await?;
            ensure!(
                reply.values() == [address(version)],
                "{server}: {}",
                reply.summary()
            );
        }
        Ok(())
    }

    /// Checks that no status says of the present edit that it is served.
    pub async fn is_unaware_of_the_edit(&self) -> Result<()> {
        let record = self.fleet.get("PolicyRecord", WWW).await?;
        let generation = &record["metadata"]["generation"];
        let conditions = record["status"]["conditions"].as_array();
        for condition in conditions.context("no conditions")? {
            ensure!(
                condition["observedGeneration"] != *generation,
                "{condition}"
            );
        }
        Ok(())
    }

    /// A steady load that takes the answers of versions 1 and 2 and no others.
    pub async fn load(&self, servers: &[SocketAddr]) -> Result<QueryLoad> {
        let options = LoadOptions::new(servers, std::slice::from_ref(&self.question));
        let options = options.rate(RATE).accept(|_, reply| {
            let values = reply.values();
            match values.as_slice() {
                [one] if *one == address(1) || *one == address(2) => Ok(()),
                _ => Err("neither version".to_owned()),
            }
        });
        QueryLoad::start(options).await
    }

    /// How many answers a load on all nodes brings in this time.
    pub fn answers_in(&self, time: Duration) -> u64 {
        u64::from(RATE) * self.fleet.nodes.len() as u64 * time.as_secs()
    }

    /// Checks that a load lost nothing, and that each server went through these
    /// versions in this order, once.
    pub fn switched(&self, report: &Report, versions: &[u8]) -> Result<()> {
        report.clean()?;
        for server in self.fleet.servers() {
            let runs = report.runs(server, &self.question);
            let answers: Vec<&str> = runs.iter().map(|run| run.answer.as_str()).collect();
            let expected = versions.iter().copied().map(address);
            let equal = answers.iter().zip(expected.clone());
            let equal = equal.filter(|(answer, address)| answer.ends_with(address.as_str()));
            // A server that was not asked has no runs.
            let count = equal.count();
            ensure!(
                runs.is_empty() || count == expected.len() && count == runs.len(),
                "{server}: {answers:?}"
            );
        }
        Ok(())
    }

    /// Which operator leads.
    pub async fn leader(&self) -> Result<usize> {
        let holder = holder(&self.fleet.cluster).await?;
        let operators = self.fleet.operators.iter();
        let mut names = operators.map(|operator| operator.process.name().to_owned());
        let index = names.position(|name| holder.starts_with(&name));
        index.with_context(|| format!("{holder} is no operator"))
    }
}

/// What a version answers.
pub fn address(version: u8) -> String {
    format!("192.0.2.{version}")
}

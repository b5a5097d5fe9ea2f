//! What fails, and what queries and statuses do meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::measure::{Metrics, get};
use crate::shop::{self, Shop};
use crate::support::{SOON, Setup};

/// A Lease that is over soon.
const LEASE: Duration = Duration::from_secs(3);

/// How long a query may take that a busy machine answers.
const ON_ITS_WAY: Duration = Duration::from_millis(200);

fn setup(name: &str) -> Setup {
    let mut setup = shop::setup(name);
    setup.operator_args = vec!["--lease-seconds".to_owned(), LEASE.as_secs().to_string()];
    setup
}

#[tokio::test]
async fn an_operator_is_killed_and_started_again() -> Result<()> {
    let shop = Shop::open(setup("operator-killed")).await?;
    let load = shop.load(&shop.fleet.servers()).await?;
    shop.fleet.operators[0].process.kill()?;
    load.more(300, SOON).await?;
    // Nobody is there to see the edit, and the status does not claim otherwise.
    shop.serve(2).await?;
    load.more(300, SOON).await?;
    shop.is_unaware_of_the_edit().await?;
    shop.fleet.operators[0].process.restart()?;
    shop.serves_everywhere(2).await?;
    load.more(300, SOON).await?;
    shop.switched(&load.stop().await?, &[1, 2])
}

#[tokio::test]
async fn the_api_server_is_away_for_longer_than_the_lease() -> Result<()> {
    let shop = Shop::open(setup("api-server-away")).await?;
    let load = shop.load(&shop.fleet.servers()).await?;
    shop.fleet.cluster.stop_api_server()?;
    load.more(shop.answers_in(2 * LEASE), SOON).await?;
    shop.fleet.cluster.start_api_server().await?;
    shop.serve(2).await?;
    shop.serves_everywhere(2).await?;
    load.more(300, SOON).await?;
    shop.switched(&load.stop().await?, &[1, 2])
}

#[tokio::test]
async fn another_operator_takes_over_from_a_killed_leader() -> Result<()> {
    let shop = Shop::open(Setup {
        operators: 2,
        ..setup("leader-killed")
    })
    .await?;
    let load = shop.load(&shop.fleet.servers()).await?;
    let leader = shop.leader().await?;
    shop.fleet.operators[leader].process.kill()?;
    shop.serve(2).await?;
    shop.serves_everywhere(2).await?;
    ensure!(shop.leader().await? != leader, "the dead lead");
    // The one that comes back follows, and changes nothing.
    shop.fleet.operators[leader].process.restart()?;
    shop.fleet.operator_is_ready(leader).await?;
    shop.serve(1).await?;
    shop.serves_everywhere(1).await?;
    load.more(300, SOON).await?;
    ensure!(shop.leader().await? != leader, "the newcomer leads");
    shop.switched(&load.stop().await?, &[1, 2, 1])
}

#[tokio::test]
async fn a_node_starts_while_there_is_no_operator() -> Result<()> {
    let shop = Shop::open(setup("node-killed")).await?;
    let (node, others) = shop.fleet.nodes.split_first().context("no nodes")?;
    let others: Vec<_> = others.iter().map(|node| node.dns).collect();
    let load = shop.load(&others).await?;
    let before = generation(node.http).await?;
    shop.fleet.operators[0].process.kill()?;
    let of_node = shop.load(&[node.dns]).await?;
    of_node.more(50, SOON).await?;
    let killed = Instant::now();
    node.process.kill()?;
    node.process.restart()?;
    let ready = async || match get(node.http, "/readyz").await? {
        (200, _) => Ok(Instant::now()),
        (code, why) => anyhow::bail!("{code}: {why}"),
    };
    let ready = node.process.eventually("the node is ready", SOON, ready);
    let ready = ready.await?;
    of_node.more(200, SOON).await?;
    ensure!(
        generation(node.http).await? == before,
        "it serves something else"
    );
    // What it lost is what was asked while it was away, or was on its way when
    // it was killed, and nothing else.
    let report = of_node.stop().await?;
    for fault in &report.faults {
        let away = fault.sent + ON_ITS_WAY >= killed && fault.sent < ready;
        ensure!(away, "{report}");
    }
    shop.fleet.operators[0].process.restart()?;
    shop.serve(2).await?;
    shop.serves_everywhere(2).await?;
    load.more(300, SOON).await?;
    shop.switched(&load.stop().await?, &[1, 2])
}

/// Epoch and generation that a node serves.
async fn generation(http: std::net::SocketAddr) -> Result<(f64, f64)> {
    let metrics = Metrics::of(http).await?;
    let of = |name| metrics.sum(name, &[]);
    Ok((of("watershed_dns_epoch"), of("watershed_dns_generation")))
}

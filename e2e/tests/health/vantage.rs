//! Nodes that see different things.

use anyhow::{Result, ensure};
use watershed_e2e::endpoint::Behaviour;

use crate::site::{FAILURES, INTERVAL, SOON, Site};

const NODES: usize = 5;

/// Of the first failing target: how many checkers say healthy, and of how many.
fn counts(status: &serde_json::Value) -> (u64, u64) {
    let failing = &status["failing"][0];
    let count = |field: &str| failing[field].as_u64().unwrap_or_default();
    (count("healthyCheckers"), count("totalCheckers"))
}

#[tokio::test]
async fn one_node_in_five_that_cannot_reach_the_primary_changes_nothing() -> Result<()> {
    let site = Site::open("health-one-of-five", NODES, &[]).await?;
    let load = site.load().await?;
    site.primary.deaf_to(&["dns-2"]);
    let status = site
        .check("one checker fails", |status| counts(status) == (4, 5))
        .await?;
    ensure!(
        status["failing"][0]["lastErrorFrom"] == "dns-2"
            && status["failing"][0]["health"] == "Healthy",
        "{status}"
    );
    load.more(site.answers_in(INTERVAL * FAILURES), SOON)
        .await?;
    let report = load.stop().await?;
    site.switches(&report, &[true], &[])?;
    Ok(())
}

#[tokio::test]
async fn a_primary_that_one_node_alone_can_reach_is_left() -> Result<()> {
    let site = Site::open("health-four-of-five", NODES, &[]).await?;
    let load = site.load().await?;
    site.primary.deaf_to(&["dns-0", "dns-1", "dns-3", "dns-4"]);
    site.answers(false).await?;
    let status = site
        .check("four checkers fail", |status| counts(status) == (1, 5))
        .await?;
    ensure!(status["failing"][0]["health"] == "Unhealthy", "{status}");
    load.more(200, SOON).await?;
    // All nodes agree, also the one that could reach it.
    let report = load.stop().await?;
    site.switches(&report, &[true, false], &[])?;
    Ok(())
}

/// An endpoint that flaps faster than the thresholds does not move anything:
/// three failures in a row are needed, and there are never more than one.
#[tokio::test]
async fn an_endpoint_that_flaps_below_the_threshold_is_left_alone() -> Result<()> {
    let site = Site::open("health-flapping", 3, &[]).await?;
    let load = site.load().await?;
    let requests = site.primary.requests();
    for _ in 0..5 {
        site.primary.behave(Behaviour::Failing).await?;
        tokio::time::sleep(INTERVAL).await;
        site.primary.behave(Behaviour::Well).await?;
        tokio::time::sleep(INTERVAL * 3 / 2).await;
    }
    ensure!(
        site.primary.requests() > requests + 3 * 5,
        "it was not probed meanwhile"
    );
    let report = load.stop().await?;
    site.switches(&report, &[true], &[])?;
    Ok(())
}

//! The primary returns only as the record says.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use watershed_e2e::endpoint::Behaviour;

use crate::site::{INTERVAL, RECORD, SOON, Site};

const SUCCESSES: u32 = 2;

fn with_failback(failback: &str) -> impl FnOnce(String) -> String {
    let line = format!("  version: 1\n  failback: {failback}\n");
    // The record is last.
    move |manifest| match manifest.trim_end().strip_suffix("version: 1") {
        Some(rest) => format!("{}{line}", rest.trim_end_matches(' ')),
        None => manifest,
    }
}

#[tokio::test]
async fn manual_failback_waits_for_a_person() -> Result<()> {
    let change = with_failback("{mode: Manual}");
    let mut site = Site::open_with("health-manual", 3, &[], change).await?;
    let load = site.load().await?;
    load.more(50, SOON).await?;
    site.primary.behave(Behaviour::Stopped).await?;
    site.answers(false).await?;
    site.primary.behave(Behaviour::Well).await?;
    site.check("both are healthy", |status| {
        status["targets"]["summary"] == "2/2"
    })
    .await?;
    let status = site
        .record("the standby is held", |status| {
            status["failover"][0]["active"] == "standby"
        })
        .await?;
    ensure!(
        status["failover"][0]["rule"] == "start" && status["failover"][0]["preferred"] == "primary",
        "{status}"
    );
    // Another leader holds it as well.
    site.fleet.operators[0].process.kill()?;
    site.fleet.operators[0].process.restart()?;
    site.fleet.operator_is_ready(0).await?;
    load.more(site.answers_in(INTERVAL * SUCCESSES * 2), SOON)
        .await?;
    site.answers(false).await?;
    // So does a node that starts.
    site.fleet.add_node("late", &[]).await?;
    site.answers(false).await?;
    let shown = site.watershed(&["health", "-n", "shop"]).await?;
    ensure!(
        shown.contains(&site.addresses.0.to_string()) && shown.contains("standby"),
        "{shown}"
    );
    let said = site.watershed(&["failback", "www", "-n", "shop"]).await?;
    ensure!(said.contains("standby"), "{said}");
    site.answers(true).await?;
    site.record("nothing is held", |status| status["failover"][0].is_null())
        .await?;
    load.more(100, SOON).await?;
    let report = load.stop().await?;
    site.fleet.nodes.pop();
    site.switches(&report, &[true, false, true], &[])?;
    Ok(())
}

/// A failover that no operator saw is held all the same.
#[tokio::test]
async fn a_failover_without_an_operator_is_held_when_it_returns() -> Result<()> {
    let change = with_failback("{mode: Manual}");
    let args = ["--health-grace", "3"];
    let site = Site::open_with("health-held-alone", 3, &args, change).await?;
    let load = site.load().await?;
    load.more(50, SOON).await?;
    site.fleet.operators[0].process.kill()?;
    site.primary.behave(Behaviour::Stopped).await?;
    site.answers(false).await?;
    site.primary.behave(Behaviour::Well).await?;
    load.more(site.answers_in(INTERVAL * SUCCESSES * 2), SOON)
        .await?;
    site.fleet.operators[0].process.restart()?;
    site.fleet.operator_is_ready(0).await?;
    site.record("the standby is held", |status| {
        status["failover"][0]["active"] == "standby"
    })
    .await?;
    site.check("both are healthy", |status| {
        status["targets"]["summary"] == "2/2"
    })
    .await?;
    load.more(site.answers_in(INTERVAL), SOON).await?;
    release(&site).await?;
    site.answers(true).await?;
    load.more(100, SOON).await?;
    let report = load.stop().await?;
    site.switches(&report, &[true, false, true], &[])?;
    Ok(())
}

async fn release(site: &Site) -> Result<()> {
    let annotation = json!({"metadata": {"annotations": {"watershed.dev/failback": "now"}}});
    site.fleet.edit("PolicyRecord", RECORD, annotation).await?;
    Ok(())
}

#[tokio::test]
async fn failback_after_a_time_waits_for_it() -> Result<()> {
    const HELD: Duration = Duration::from_secs(8);
    let change = with_failback("{mode: After, durationSeconds: 8}");
    let site = Site::open_with("health-after", 3, &[], change).await?;
    let load = site.load().await?;
    load.more(50, SOON).await?;
    site.primary.behave(Behaviour::Stopped).await?;
    site.answers(false).await?;
    let well = Instant::now();
    site.primary.behave(Behaviour::Well).await?;
    site.answers(true).await?;
    load.more(100, SOON).await?;
    let report = load.stop().await?;
    let switches = site.switches(&report, &[true, false, true], &[well, well])?;
    let back = switches[1].first;
    ensure!(back >= HELD, "it returned after {back:?}");
    // Recovery is known after as many successes, and the time begins then.
    let limit = INTERVAL * (SUCCESSES + 1) + HELD + Duration::from_secs(2);
    ensure!(
        switches[1].last <= limit,
        "it returned after {:?}",
        switches[1].last
    );
    Ok(())
}

//! Every way in which an endpoint fails is seen in time, by all nodes, and no
//! query is lost over it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::jiff::Timestamp;
use watershed_e2e::endpoint::Behaviour;

use crate::site::{FAILURES, INTERVAL, MARGIN, SOON, Site};

/// What fails, and what the status says of it.
const FAILURE_WORDS: [(Behaviour, &str); 6] = [
    (Behaviour::Stopped, "refused"),
    (Behaviour::Hanging, "in 1 s"),
    (Behaviour::Failing, "500"),
    (Behaviour::Mistaken, "all is well"),
    (Behaviour::Expired, "expired"),
    (Behaviour::Resetting, "reset"),
];

#[tokio::test]
async fn every_failure_is_seen_in_time_and_loses_no_query() -> Result<()> {
    let site = Site::open("health-detection", 3, &[]).await?;
    let limit = INTERVAL * FAILURES + MARGIN;
    println!(
        "failure   | first node sees it | most nodes | last answer | from most to last | back"
    );
    for (behaviour, words) in FAILURE_WORDS {
        let load = site.load().await?;
        load.more(50, SOON).await?;
        let (failed, wall) = (Instant::now(), Timestamp::now());
        site.primary.behave(behaviour).await?;
        site.answers(false).await?;
        let status = site
            .check("the primary fails", |status| {
                status["failing"][0]["health"] == "Unhealthy"
                    && status["targets"]["summary"] == "1/2"
            })
            .await?;
        let failing = &status["failing"][0];
        let error = failing["lastError"].as_str().unwrap_or_default();
        ensure!(error.contains(words), "{behaviour:?}: {failing}");
        let mended = Instant::now();
        site.primary.behave(Behaviour::Well).await?;
        site.answers(true).await?;
        site.check("it is well again, from everywhere", |status| {
            status["targets"]["summary"] == "2/2" && status["failing"].is_null()
        })
        .await?;
        load.more(100, SOON).await?;
        let report = load.stop().await?;
        let switches = site.switches(&report, &[true, false, true], &[failed, mended])?;
        let [away, back] = switches.as_slice() else {
            anyhow::bail!("not two changes");
        };
        let seen = site.seen(wall)?;
        let most = *seen.get(seen.len() / 2).context("few nodes saw it")?;
        println!(
            "{:<9} | {:>16.2} s | {:>8.2} s | {:>9.2} s | {:>14} ms | {:.2} s",
            format!("{behaviour:?}"),
            seen.first().map_or(0.0, Duration::as_secs_f64),
            most.as_secs_f64(),
            away.last.as_secs_f64(),
            away.last.saturating_sub(most).as_millis(),
            back.last.as_secs_f64(),
        );
        ensure!(
            away.last <= limit,
            "{behaviour:?}: after {:?}, not {limit:?}",
            away.last
        );
        ensure!(back.last <= limit, "{behaviour:?}: back {:?}", back.last);
    }
    Ok(())
}

/// Health never takes the last answer away: when nothing is healthy, all
/// counts as healthy, and the status says so.
#[tokio::test]
async fn when_nothing_is_healthy_all_counts_as_healthy() -> Result<()> {
    let site = Site::open("health-all-down", 3, &[]).await?;
    let load = site.load().await?;
    load.more(50, SOON).await?;
    site.primary.behave(Behaviour::Stopped).await?;
    site.answers(false).await?;
    site.healthy("SomeEndpointsDown").await?;
    site.standby.behave(Behaviour::Failing).await?;
    site.answers(true).await?;
    site.healthy("AllEndpointsDown").await?;
    site.standby.behave(Behaviour::Well).await?;
    site.answers(false).await?;
    load.more(100, SOON).await?;
    let report = load.stop().await?;
    site.switches(&report, &[true, false, true, false], &[])?;
    Ok(())
}

//! Nodes without an operator.

use std::time::Duration;

use anyhow::{Result, ensure};
use watershed_e2e::endpoint::Behaviour;

use crate::site::{FAILURES, INTERVAL, SOON, Site};

const GRACE: &str = "3";

#[tokio::test]
async fn nodes_fail_over_without_an_operator_and_do_not_flap_when_it_returns() -> Result<()> {
    let site = Site::open("health-alone", 3, &["--health-grace", GRACE]).await?;
    let load = site.load().await?;
    load.more(50, SOON).await?;
    site.fleet.operators[0].process.kill()?;
    site.primary.behave(Behaviour::Stopped).await?;
    site.answers(false).await?;
    // One of them sees it otherwise, alone, when the operator returns.
    site.fleet.operators[0].process.restart()?;
    site.fleet.operator_is_ready(0).await?;
    site.check("the fleet knows", |status| {
        status["failing"][0]["health"] == "Unhealthy" && status["failing"][0]["totalCheckers"] == 3
    })
    .await?;
    load.more(site.answers_in(INTERVAL * FAILURES), SOON)
        .await?;
    let report = load.stop().await?;
    site.switches(&report, &[true, false], &[])?;
    Ok(())
}

/// While nodes are alone each goes by what it sees itself; when the operator
/// returns all agree again.
#[tokio::test]
async fn nodes_that_are_alone_go_by_what_they_see() -> Result<()> {
    let site = Site::open("health-partition", 3, &["--health-grace", GRACE]).await?;
    site.fleet.operators[0].process.kill()?;
    site.primary.deaf_to(&["dns-1"]);
    let question = watershed_e2e::dns::Question::new("www.example.com", "A")?;
    let (primary, standby) = (site.addresses.0.to_string(), site.addresses.1.to_string());
    watershed_e2e::eventually(
        "the node that cannot reach it leaves it",
        SOON,
        async || {
            let reply =
                watershed_e2e::dns::ask(site.fleet.nodes[1].dns, &question, Duration::from_secs(1))
                    .await?;
            ensure!(reply.values() == [standby.clone()], "{}", reply.summary());
            Ok(())
        },
    )
    .await?;
    for node in [0, 2] {
        let server = site.fleet.nodes[node].dns;
        let reply = watershed_e2e::dns::ask(server, &question, Duration::from_secs(1)).await?;
        ensure!(reply.values() == [primary.clone()], "{}", reply.summary());
    }
    site.fleet.operators[0].process.restart()?;
    site.fleet.operator_is_ready(0).await?;
    site.answers(true).await
}

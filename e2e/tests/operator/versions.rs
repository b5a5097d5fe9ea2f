//! Versions: made by edits, pinned by records, moved by one number.

use anyhow::{Context, Result, ensure};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use watershed_e2e::dns::{LoadOptions, QueryLoad};

use crate::shop::{Shop, address, setup};
use crate::support::SOON;
use crate::web::{NAMES, document, question, start};

/// Under a steady load, each switch is one step from one answer to the next,
/// and only where it was asked for.
#[tokio::test]
async fn one_number_moves_one_name_and_moves_it_back() -> Result<()> {
    let fleet = start("versions").await?;
    let questions = NAMES
        .map(question)
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let options = LoadOptions::new(&fleet.servers(), &questions).rate(100);
    let options = options.accept(|_, reply| match reply.values().as_slice() {
        [one] if *one == address(1) || *one == address(2) => Ok(()),
        _ => Err("the answer of no version".to_owned()),
    });
    let load = QueryLoad::start(options).await?;

    fleet.edit("TrafficPolicy", "shop/web", document(2)).await?;
    fleet.ready("TrafficPolicyVersion", "shop/web-v2").await?;
    load.more(300, SOON).await?;
    let mut delays = Vec::new();
    for version in [2, 1] {
        let spec = json!({"spec": {"version": version}});
        fleet.edit("PolicyRecord", "shop/www", spec).await?;
        let record = fleet.ready("PolicyRecord", "shop/www").await?;
        let status = &record["status"];
        ensure!(status["activeVersion"] == version, "{status:#}");
        ensure!(status["fleet"]["summary"] == "3/3", "{status:#}");
        let delay = status["fleet"]["delayMilliseconds"].as_u64();
        delays.push(delay.with_context(|| format!("no delay in {status:#}"))?);
        load.more(300, SOON).await?;
    }
    println!("delays from change to last node: {delays:?} ms");

    let report = load.stop().await?;
    report.clean()?;
    for server in fleet.servers() {
        for (name, question) in NAMES.iter().zip(&questions) {
            let runs = report.runs(server, question);
            let expected = if *name == "www" { 3 } else { 1 };
            ensure!(runs.len() == expected, "{server} {name}: {runs:#?}");
        }
    }
    let record = fleet.get("PolicyRecord", "shop/www").await?;
    let causes = record["status"]["history"]
        .as_array()
        .context("no history")?;
    let causes: Vec<_> = causes
        .iter()
        .map(|served| served["cause"].clone())
        .collect();
    ensure!(causes == ["Rollback", "Rollout", "Created"], "{causes:?}");
    Ok(())
}

/// A version that Git applies becomes Git's: it stays when its policy goes.
#[tokio::test]
async fn a_version_that_somebody_applies_is_theirs() -> Result<()> {
    let fleet = start("adoption").await?;
    let minted = fleet.get("TrafficPolicyVersion", "shop/web-v1").await?;
    ensure!(
        minted["metadata"]["ownerReferences"][0]["name"] == "web",
        "{minted:#}"
    );
    ensure!(minted["metadata"].get("labels").is_none(), "{minted:#}");
    fleet.edit("TrafficPolicy", "shop/web", document(2)).await?;
    fleet.ready("TrafficPolicyVersion", "shop/web-v2").await?;
    let file = json!({
        "apiVersion": minted["apiVersion"],
        "kind": minted["kind"],
        "metadata": {"name": "web-v1", "namespace": "shop"},
        "spec": minted["spec"],
    });
    let api = fleet.api("TrafficPolicyVersion", "shop")?;
    api.patch("web-v1", &PatchParams::apply("gitops"), &Patch::Apply(file))
        .await?;
    fleet
        .status(
            "TrafficPolicyVersion",
            "shop/web-v1",
            "it is authored",
            |status| status["origin"] == "Authored",
        )
        .await?;
    let adopted = fleet.get("TrafficPolicyVersion", "shop/web-v1").await?;
    ensure!(
        adopted["metadata"].get("ownerReferences").is_none(),
        "{adopted:#}"
    );
    for name in NAMES {
        fleet
            .delete("PolicyRecord", &format!("shop/{name}"))
            .await?;
    }
    fleet
        .status("TrafficPolicy", "shop/web", "nothing uses it", |status| {
            status["records"]["total"] == 0
        })
        .await?;
    fleet.delete("TrafficPolicy", "shop/web").await?;
    // What was minted goes with its policy.
    fleet.gone("TrafficPolicyVersion", "shop/web-v2").await?;
    fleet.get("TrafficPolicyVersion", "shop/web-v1").await?;
    Ok(())
}

/// Minted versions beyond `versionHistoryLimit` go; those in use, or in the
/// history of a record, stay.
#[tokio::test]
async fn old_versions_go_unless_somebody_needs_them() -> Result<()> {
    let fleet = start("pruning").await?;
    let limit = json!({"spec": {"versionHistoryLimit": 1}});
    fleet.edit("TrafficPolicy", "shop/web", limit).await?;
    for last in 2..=5 {
        fleet
            .edit("TrafficPolicy", "shop/web", document(last))
            .await?;
        fleet
            .ready("TrafficPolicyVersion", &format!("shop/web-v{last}"))
            .await?;
    }
    fleet.gone("TrafficPolicyVersion", "shop/web-v2").await?;
    fleet.gone("TrafficPolicyVersion", "shop/web-v3").await?;
    for stays in ["shop/web-v1", "shop/web-v4", "shop/web-v5"] {
        fleet.get("TrafficPolicyVersion", stays).await?;
    }
    // Numbers of versions that are gone are not given again.
    let policy = fleet.get("TrafficPolicy", "shop/web").await?;
    ensure!(
        policy["status"]["highestVersion"] == 5,
        "{:#}",
        policy["status"]
    );
    Ok(())
}

/// A channel is one number for many records.
#[tokio::test]
async fn a_channel_moves_all_that_follow_it() -> Result<()> {
    let shop = Shop::open(setup("channels")).await?;
    let fleet = &shop.fleet;
    let channels = |stable: u8| json!({"spec": {"channels": {"stable": stable}}});
    fleet.edit("TrafficPolicy", "shop/web", channels(1)).await?;
    let follow = json!({"spec": {"version": null, "channel": "stable"}});
    fleet.edit("PolicyRecord", "shop/www", follow).await?;
    shop.serves_everywhere(1).await?;
    let load = shop.load(&fleet.servers()).await?;
    fleet.edit("TrafficPolicy", "shop/web", channels(2)).await?;
    fleet
        .status(
            "PolicyRecord",
            "shop/www",
            "version 2 is served",
            |status| status["activeVersion"] == 2,
        )
        .await?;
    shop.serves_everywhere(2).await?;
    load.more(300, SOON).await?;
    shop.switched(&load.stop().await?, &[1, 2])
}

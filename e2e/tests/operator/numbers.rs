//! Numbers of versions, whoever gives them.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use watershed_e2e::wait::until;

use crate::shop::address;
use crate::support::{Fleet, SOON};
use crate::web::{NAMES, Versions, answer, document, question, start, versions};

const KIND: &str = "TrafficPolicy";
const WEB: &str = "shop/web";

/// Who edits the policy at the same time.
const WRITERS: u8 = 5;

/// Edits of one writer.
const EDITS: u8 = 4;

/// One edit by each writer, all at once.
async fn wave(fleet: &Fleet, number: u8) -> Result<()> {
    let edits = (0..WRITERS).map(async |writer| {
        let parameters = PatchParams {
            field_manager: Some(format!("writer-{writer}")),
            ..PatchParams::default()
        };
        let edit = Patch::Merge(document(10 + number * WRITERS + writer));
        let api = fleet.api("TrafficPolicy", "shop")?;
        api.patch("web", &parameters, &edit).await?;
        anyhow::Ok(())
    });
    futures::future::try_join_all(edits).await?;
    Ok(())
}

/// Somebody who writes versions by hand takes the number that is next, unless
/// the operator is faster.
async fn author(fleet: &Fleet, last: u8) -> Result<()> {
    let found = versions(fleet).await?;
    let highest = found.values().map(|(number, _)| *number).max();
    let number = highest.unwrap_or_default() + 1;
    let version = json!({
        "apiVersion": "watershed.dev/v1alpha1",
        "kind": "TrafficPolicyVersion",
        "metadata": {"name": format!("web-v{number}"), "namespace": "shop"},
        "spec": {
            "policyName": "web",
            "version": number,
            "document": {
                "recordTypes": ["A"],
                "startEndpoint": "one",
                "endpoints": {"one": {"addresses": [address(last)]}},
            },
        },
    });
    let api = fleet.api("TrafficPolicyVersion", "shop")?;
    let version = serde_json::from_value(version)?;
    match api.create(&PostParams::default(), &version).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        made => Ok(made.map(drop)?),
    }
}

/// Many writers at once, and an operator that is killed among them: no number
/// is given twice, no document gets two, no version is lost or changes, and
/// the last edit has one.
#[tokio::test]
async fn numbers_are_unique_whoever_writes_and_whatever_fails() -> Result<()> {
    let fleet = start("numbers").await?;
    let mut seen = versions(&fleet).await?;
    for number in 0..EDITS {
        tokio::try_join!(
            wave(&fleet, number),
            author(&fleet, 100 + number),
            failure(&fleet, number, seen.len()),
        )?;
        fleet.operator_is_ready(0).await?;
        let policy = fleet.ready(KIND, WEB).await?;
        let now = versions(&fleet).await?;
        nothing_was_lost(&seen, &now)?;
        // Whoever wrote last, that is what the policy says it holds.
        let minted = policy["status"]["mintedVersion"].as_u64();
        let last = (minted.context("no version")?, answer(&policy["spec"])?);
        let held = now.values().any(|version| *version == last);
        ensure!(held, "{last:?} is not in {now:?}");
        seen = now;
    }
    each_was_made_once(&fleet, &seen)?;

    // The same document again makes nothing.
    fleet.edit(KIND, WEB, document(1)).await?;
    let holds = |status: &Value| status["mintedVersion"] == 1;
    let what = "version 1 holds the document";
    fleet.status(KIND, WEB, what, holds).await?;
    ensure!(versions(&fleet).await? == seen, "something was made");
    Ok(())
}

/// In every second wave the operator is killed as soon as it has made a version,
/// before it may have told so, and starts again.
async fn failure(fleet: &Fleet, wave: u8, before: usize) -> Result<()> {
    if wave.is_multiple_of(2) {
        return Ok(());
    }
    let made = async || Ok(versions(fleet).await?.len() > before);
    until("there is one version more", SOON, made).await?;
    let operator = &fleet.operators[0].process;
    operator.kill()?;
    operator.restart()
}

fn nothing_was_lost(before: &Versions, now: &Versions) -> Result<()> {
    for (name, version) in before {
        let same = now.get(name) == Some(version);
        ensure!(same, "{name} was {version:?}: {now:?}");
    }
    let numbers: BTreeSet<u64> = now.values().map(|(number, _)| *number).collect();
    ensure!(numbers.len() == now.len(), "one number twice: {now:?}");
    let answers: BTreeSet<&String> = now.values().map(|(_, answer)| answer).collect();
    ensure!(answers.len() == now.len(), "one document twice: {now:?}");
    Ok(())
}

/// By the API server's own account, nothing was made twice, and what was made is
/// there. A request that its writer did not live to see answered may be missing
/// in the account.
fn each_was_made_once(fleet: &Fleet, there: &Versions) -> Result<()> {
    let made = fleet.cluster.requests(|event| {
        let of_versions = event.resource == "trafficpolicyversions";
        of_versions && event.subresource.is_empty() && event.code == 201
    })?;
    let different: BTreeSet<&String> = made.iter().map(|event| &event.name).collect();
    let told = || {
        made.iter()
            .map(watershed_e2e::AuditEvent::summary)
            .collect::<Vec<_>>()
    };
    ensure!(different.len() == made.len(), "made twice: {:?}", told());
    let lost = different.iter().any(|name| !there.contains_key(*name));
    ensure!(!lost, "made {different:?}, there are {there:?}");
    let unanswered = there.len() - different.len();
    ensure!(
        unanswered <= usize::from(EDITS / 2),
        "{unanswered} not in the account"
    );
    Ok(())
}

/// A policy that says the number itself, as Git does for several clusters.
#[tokio::test]
async fn a_declared_number_is_the_one_that_is_made() -> Result<()> {
    let fleet = start("declared").await?;
    let edit = async |number: u64, last: u8| {
        let mut edit = document(last);
        edit["spec"]["version"] = json!(number);
        fleet.edit(KIND, WEB, edit).await
    };
    edit(5, 2).await?;
    fleet.ready("TrafficPolicyVersion", "shop/web-v5").await?;

    // What has been minted keeps its number, and the number its document.
    let Err(refused) = fleet.edit(KIND, WEB, document(3)).await else {
        bail!("another document was taken under the same number");
    };
    let refused = format!("{refused:#}");
    let way_out = "set `spec.version` to a new number";
    ensure!(refused.contains(way_out), "{refused}");
    edit(6, 3).await?;
    fleet.ready("TrafficPolicyVersion", "shop/web-v6").await?;
    for (number, reason) in [(4, "NumberTooLow"), (5, "VersionConflict")] {
        edit(number, 4).await?;
        let message = fleet.fails(KIND, WEB, "Accepted", reason).await?;
        ensure!(message.starts_with("spec.version: "), "{message}");
    }

    // An edit that is taken back finds its version again.
    edit(5, 2).await?;
    let policy = fleet.ready(KIND, WEB).await?;
    let status = &policy["status"];
    ensure!(status["mintedVersion"] == 5, "{status:#}");
    ensure!(status["highestVersion"] == 6, "{status:#}");
    let found = versions(&fleet).await?;
    let names: Vec<&String> = found.keys().collect();
    ensure!(names == ["web-v1", "web-v5", "web-v6"], "{found:?}");
    for name in NAMES {
        fleet
            .answers_everywhere(&question(name)?, &[&address(1)])
            .await?;
    }
    Ok(())
}

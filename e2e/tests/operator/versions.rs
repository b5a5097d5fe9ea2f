//! Versions: made by edits, pinned by records, moved by one number.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use watershed_e2e::dns::{LoadOptions, QueryLoad, Question};

use crate::shop::{Shop, address, setup};
use crate::support::{Fleet, SOON, Setup};

/// A zone, a policy whose document is to be edited, and three names.
const OBJECTS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: watershed.dev/v1alpha1
kind: HostedZone
metadata: {name: example-com, namespace: shop}
spec:
  domain: example.com
  nameservers: {names: [ns1.example.net.], glue: None}
---
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: web, namespace: shop}
spec:
  document:
    recordTypes: [A]
    startEndpoint: one
    endpoints: {one: {addresses: [192.0.2.1]}}
";

const NAMES: [&str; 3] = ["www", "api", "cdn"];

fn record(name: &str) -> Value {
    json!({
        "apiVersion": "watershed.dev/v1alpha1",
        "kind": "PolicyRecord",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "hostedZoneRef": {"name": "example-com"},
            "name": name,
            "policyRef": {"name": "web"},
            "version": 1,
        },
    })
}

/// An edit of the document after which the policy answers with 192.0.2.`last`.
fn document(last: u8) -> Value {
    json!({"spec": {"document": {"endpoints": {"one": {"addresses": [address(last)]}}}}})
}

fn question(name: &str) -> Result<Question> {
    Question::new(&format!("{name}.example.com"), "A")
}

async fn start(name: &str) -> Result<Fleet> {
    let fleet = Fleet::start(Setup::named(name)).await?;
    fleet.cluster.apply(OBJECTS).await?;
    fleet
        .cluster
        .apply_objects(NAMES.map(record).to_vec(), 1)
        .await?;
    for name in NAMES {
        fleet.ready("PolicyRecord", &format!("shop/{name}")).await?;
        fleet
            .answers_everywhere(&question(name)?, &[&address(1)])
            .await?;
    }
    Ok(fleet)
}

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

/// The versions of the policy: by name, the number and the answer.
async fn versions(fleet: &Fleet) -> Result<BTreeMap<String, (u64, String)>> {
    let api = fleet.api("TrafficPolicyVersion", "shop")?;
    let list = api.list(&ListParams::default()).await?;
    let mut found = BTreeMap::new();
    for object in list.items {
        let spec = &object.data["spec"];
        let number = spec["version"].as_u64().context("no number")?;
        let version = (number, answer(spec)?);
        found.insert(object.metadata.name.context("no name")?, version);
    }
    Ok(found)
}

/// What a policy's document answers.
fn answer(spec: &Value) -> Result<String> {
    let answer = spec["document"]["endpoints"]["one"]["addresses"][0].as_str();
    Ok(answer.context("no address")?.to_owned())
}

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
    let operator = &fleet.operators[0].process;
    let mut seen = versions(&fleet).await?;
    for number in 0..EDITS {
        let failing = async {
            if number % 2 == 1 {
                operator.kill()?;
                operator.restart()?;
            }
            anyhow::Ok(())
        };
        tokio::try_join!(wave(&fleet, number), author(&fleet, 100 + number), failing)?;
        fleet.operator_is_ready(0).await?;
        let policy = fleet.ready("TrafficPolicy", "shop/web").await?;
        let now = versions(&fleet).await?;
        for (name, version) in &seen {
            ensure!(
                now.get(name) == Some(version),
                "{name} was {version:?}: {now:?}"
            );
        }
        let numbers: BTreeSet<u64> = now.values().map(|(number, _)| *number).collect();
        ensure!(
            numbers.len() == now.len(),
            "a number was given twice: {now:?}"
        );
        let answers: BTreeSet<&String> = now.values().map(|(_, answer)| answer).collect();
        ensure!(
            answers.len() == now.len(),
            "a document has two numbers: {now:?}"
        );
        // Whoever wrote last, that is what the policy says it holds.
        let minted = policy["status"]["mintedVersion"].as_u64();
        let last = (minted.context("no version")?, answer(&policy["spec"])?);
        ensure!(
            now.values().any(|version| *version == last),
            "{last:?} is not in {now:?}"
        );
        seen = now;
    }
    let made = fleet.cluster.requests(|event| {
        event.resource == "trafficpolicyversions"
            && event.code == 201
            && event.subresource.is_empty()
    })?;
    let made: Vec<String> = made.into_iter().map(|event| event.name).collect();
    let different: BTreeSet<&String> = made.iter().collect();
    ensure!(different.len() == made.len(), "made twice: {made:?}");
    ensure!(
        different.len() == seen.len(),
        "made {made:?}, there are {seen:?}"
    );

    // The same document again makes nothing.
    fleet.edit("TrafficPolicy", "shop/web", document(1)).await?;
    let holds = |status: &Value| status["mintedVersion"] == 1;
    let what = "version 1 holds the document";
    fleet
        .status("TrafficPolicy", "shop/web", what, holds)
        .await?;
    ensure!(versions(&fleet).await? == seen, "something was made");
    Ok(())
}

/// A policy that says the number itself, as Git does for several clusters.
#[tokio::test]
async fn a_declared_number_is_the_one_that_is_made() -> Result<()> {
    let fleet = start("declared").await?;
    let edit = async |number: u64, last: u8| {
        let mut edit = document(last);
        edit["spec"]["version"] = json!(number);
        fleet.edit("TrafficPolicy", "shop/web", edit).await
    };
    edit(5, 2).await?;
    fleet.ready("TrafficPolicyVersion", "shop/web-v5").await?;

    // What has been minted keeps its number, and the number its document.
    let refused = fleet.edit("TrafficPolicy", "shop/web", document(3)).await;
    let refused = refused
        .err()
        .map(|error| format!("{error:#}"))
        .unwrap_or_default();
    ensure!(
        refused.contains("set `spec.version` to a new number"),
        "{refused}"
    );
    edit(6, 3).await?;
    fleet.ready("TrafficPolicyVersion", "shop/web-v6").await?;
    for (number, reason) in [(4, "NumberTooLow"), (5, "VersionConflict")] {
        edit(number, 4).await?;
        let message = fleet
            .fails("TrafficPolicy", "shop/web", "Accepted", reason)
            .await?;
        ensure!(message.starts_with("spec.version: "), "{message}");
    }

    // An edit that is taken back finds its version again.
    edit(5, 2).await?;
    let policy = fleet.ready("TrafficPolicy", "shop/web").await?;
    ensure!(
        policy["status"]["mintedVersion"] == 5,
        "{:#}",
        policy["status"]
    );
    ensure!(
        policy["status"]["highestVersion"] == 6,
        "{:#}",
        policy["status"]
    );
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

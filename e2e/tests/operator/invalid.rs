//! What cannot be is refused or marked, and takes nothing away.

use anyhow::{Result, bail, ensure};
use serde_json::json;
use watershed_e2e::dns::Question;

use crate::shop::{Shop, setup};
use crate::support::{Fleet, SOON};

const POLICY: (&str, &str) = ("TrafficPolicy", "shop/web");

/// Edits that cannot be, one after the other, under load.
#[tokio::test]
async fn nothing_served_changes_by_what_is_invalid() -> Result<()> {
    let shop = Shop::open(setup("invalid")).await?;
    let load = shop.load(&shop.fleet.servers()).await?;
    a_cycle_is_refused(&shop.fleet).await?;
    a_missing_check_is_told(&shop.fleet).await?;
    every_fault_is_told(&shop.fleet).await?;
    records_say_why_they_stay(&shop).await?;

    // All the while, and until it is put right.
    load.more(300, SOON).await?;
    let mend = json!({"spec": {"version": 2, "digest": null}});
    shop.fleet.edit("PolicyRecord", "shop/www", mend).await?;
    shop.serves_everywhere(2).await?;
    load.more(300, SOON).await?;
    shop.switched(&load.stop().await?, &[1, 2])
}

/// The API server refuses what its rules know.
async fn a_cycle_is_refused(fleet: &Fleet) -> Result<()> {
    let cycle = json!({"spec": {"document": {
        "recordTypes": ["A"],
        "startRule": "a",
        "rules": {
            "a": {"type": "Failover", "branches": [{"rule": "b"}]},
            "b": {"type": "Failover", "branches": [{"rule": "a"}]},
        },
        "endpoints": {"one": {"addresses": ["192.0.2.9"]}},
    }}});
    let Err(refused) = fleet.edit(POLICY.0, POLICY.1, cycle).await else {
        bail!("a cycle was taken");
    };
    ensure!(format!("{refused:#}").contains("cycle"), "{refused:#}");
    Ok(())
}

/// A missing check counts as healthy, so that the document becomes a version.
async fn a_missing_check_is_told(fleet: &Fleet) -> Result<()> {
    let unresolved = json!({"spec": {"document": {
        "recordTypes": ["A"],
        "startEndpoint": "one",
        "endpoints": {"one": {"addresses": ["192.0.2.9"], "healthCheckRef": {"name": "nowhere"}}},
    }}});
    fleet.edit(POLICY.0, POLICY.1, unresolved).await?;
    let reason = "HealthCheckNotFound";
    let message = fleet
        .fails(POLICY.0, POLICY.1, "ResolvedRefs", reason)
        .await?;
    ensure!(message.contains("nowhere"), "{message}");
    fleet.get("TrafficPolicyVersion", "shop/web-v3").await?;
    Ok(())
}

/// What only compilation knows is marked, and no version is made of it.
/// Whoever mends the document learns of all its faults at once.
async fn every_fault_is_told(fleet: &Fleet) -> Result<()> {
    let invalid = json!({"spec": {"document": {
        "recordTypes": ["A"],
        "startEndpoint": null,
        "startRule": "spread",
        "rules": {"spread": {"type": "Weighted", "branches": [
            {"weight": 1, "endpoint": "one"},
            {"weight": 1, "endpoint": "two"},
        ]}},
        "endpoints": {
            "one": {"addresses": ["2001:db8::1"], "healthCheckRef": null},
            "two": {"addresses": ["2001:db8::2"]},
        },
    }}});
    fleet.edit(POLICY.0, POLICY.1, invalid).await?;
    let reason = "InvalidDocument";
    let message = fleet.fails(POLICY.0, POLICY.1, "Accepted", reason).await?;
    for fault in [
        "endpoints.one.addresses: 2001:db8::1",
        "endpoints.two.addresses: 2001:db8::2",
    ] {
        ensure!(message.contains(fault), "{message}");
    }
    let made = fleet.get("TrafficPolicyVersion", "shop/web-v4").await;
    ensure!(made.is_err(), "a version was made of it");

    // A version that somebody writes, with such a fault.
    fleet.cluster.apply(AUTHORED).await?;
    let kind = "TrafficPolicyVersion";
    fleet.fails(kind, "shop/web-v7", "Accepted", reason).await?;
    Ok(())
}

/// Records that ask for what cannot be served say so, and what they serve.
async fn records_say_why_they_stay(shop: &Shop) -> Result<()> {
    let (fleet, kind, www) = (&shop.fleet, "PolicyRecord", "shop/www");
    for (version, reason) in [(7, "VersionNotAccepted"), (9, "VersionNotFound")] {
        shop.serve(version).await?;
        let message = fleet.fails(kind, www, "ResolvedRefs", reason).await?;
        ensure!(message.contains(&version.to_string()), "{message}");
        let ready = fleet.fails(kind, www, "Ready", reason).await?;
        let meanwhile = "version 1 is served at www.example.com.";
        ensure!(ready.ends_with(meanwhile), "{ready}");
        let status = &fleet.get(kind, www).await?["status"];
        ensure!(status["activeVersion"] == 1, "{status:#}");
        ensure!(status["targetVersion"] == version, "{status:#}");
    }
    let demand = json!({"spec": {"version": 2, "digest": format!("sha256:{}", "0".repeat(64))}});
    fleet.edit(kind, www, demand).await?;
    fleet.fails(kind, www, "Accepted", "DigestMismatch").await?;
    Ok(())
}

const AUTHORED: &str = "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicyVersion
metadata: {name: web-v7, namespace: shop}
spec:
  policyName: web
  version: 7
  document:
    recordTypes: [MX]
    startEndpoint: one
    endpoints: {one: {values: [ten mx1.example.net.]}}
";

/// Aliases of one type each, of a record that serves first A and then AAAA.
#[tokio::test]
async fn an_alias_of_a_type_that_is_not_served_says_so() -> Result<()> {
    let shop = Shop::open(setup("types")).await?;
    let fleet = &shop.fleet;
    fleet.cluster.apply(TYPES).await?;
    let kind = "RecordSet";
    let fails = async |object, record_type: &str| {
        let message = fleet.fails(kind, object, "ResolvedRefs", "RecordNotFound");
        let message = message.await?;
        let told = message.contains(&format!("nothing of type {record_type} "));
        ensure!(told, "{message}");
        fleet.fails(kind, object, "Ready", "RecordNotFound").await
    };
    let [a, aaaa] = ["A", "AAAA"].map(|of_type| Question::new("alias.example.com", of_type));
    let (a, aaaa) = (a?, aaaa?);

    fleet.ready(kind, "shop/alias-a").await?;
    fails("shop/alias-aaaa", "AAAA").await?;
    fleet.answers_everywhere(&a, &["192.0.2.1"]).await?;
    fleet.answers_everywhere(&aaaa, &[]).await?;

    // The one that had an answer keeps it.
    shop.serve(3).await?;
    fleet.ready(kind, "shop/alias-aaaa").await?;
    let message = fails("shop/alias-a", "A").await?;
    ensure!(message.contains("served"), "{message}");
    fleet.answers_everywhere(&aaaa, &["2001:db8::3"]).await?;
    fleet.answers_everywhere(&a, &["192.0.2.1"]).await
}

const TYPES: &str = "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicyVersion
metadata: {name: web-v3, namespace: shop}
spec:
  policyName: web
  version: 3
  document:
    recordTypes: [AAAA]
    startEndpoint: three
    endpoints: {three: {addresses: ['2001:db8::3']}}
---
apiVersion: watershed.dev/v1alpha1
kind: RecordSet
metadata: {name: alias-a, namespace: shop}
spec:
  hostedZoneRef: {name: example-com}
  name: alias
  type: A
  aliasTo: {policyRecordRef: {name: www}}
---
apiVersion: watershed.dev/v1alpha1
kind: RecordSet
metadata: {name: alias-aaaa, namespace: shop}
spec:
  hostedZoneRef: {name: example-com}
  name: alias
  type: AAAA
  aliasTo: {policyRecordRef: {name: www}}
";

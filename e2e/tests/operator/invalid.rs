//! What cannot be is refused or marked, and takes nothing away.

use anyhow::{Result, ensure};
use serde_json::json;
use watershed_e2e::dns::Question;

use crate::shop::{Shop, setup};
use crate::support::SOON;

/// Edits that cannot be, one after the other, under load.
#[tokio::test]
async fn nothing_served_changes_by_what_is_invalid() -> Result<()> {
    let shop = Shop::open(setup("invalid")).await?;
    let fleet = &shop.fleet;
    let load = shop.load(&fleet.servers()).await?;

    // The API server refuses what its rules know.
    let cycle = json!({"spec": {"document": {
        "recordTypes": ["A"],
        "startRule": "a",
        "rules": {
            "a": {"type": "Failover", "branches": [{"rule": "b"}]},
            "b": {"type": "Failover", "branches": [{"rule": "a"}]},
        },
        "endpoints": {"one": {"addresses": ["192.0.2.9"]}},
    }}});
    let refused = fleet.edit("TrafficPolicy", "shop/web", cycle).await;
    let refused = refused
        .err()
        .map(|error| format!("{error:#}"))
        .unwrap_or_default();
    ensure!(
        refused.contains("cycle") || refused.contains("invalid"),
        "{refused}"
    );

    // What only compilation knows is marked; no version is made of it.
    let unresolved = json!({"spec": {"document": {
        "recordTypes": ["A"],
        "startEndpoint": "one",
        "endpoints": {"one": {"addresses": ["192.0.2.9"], "healthCheckRef": {"name": "nowhere"}}},
    }}});
    fleet.edit("TrafficPolicy", "shop/web", unresolved).await?;
    let message = fleet
        .fails(
            "TrafficPolicy",
            "shop/web",
            "ResolvedRefs",
            "HealthCheckNotFound",
        )
        .await?;
    ensure!(message.contains("nowhere"), "{message}");

    let invalid = json!({"spec": {"document": {
        "recordTypes": ["MX"],
        "startEndpoint": "one",
        "endpoints": {"one": {
            "addresses": null,
            "healthCheckRef": null,
            "values": ["ten mx1.example.net."],
        }},
    }}});
    fleet.edit("TrafficPolicy", "shop/web", invalid).await?;
    let message = fleet
        .fails("TrafficPolicy", "shop/web", "Accepted", "InvalidDocument")
        .await?;
    ensure!(message.contains("endpoints.one.values"), "{message}");
    // A missing check counts as healthy, so that the document before became a
    // version; this one does not.
    fleet.get("TrafficPolicyVersion", "shop/web-v3").await?;
    let made = fleet.get("TrafficPolicyVersion", "shop/web-v4").await;
    ensure!(made.is_err(), "a version was made of it");

    // A version that somebody writes, with the same fault.
    fleet.cluster.apply(AUTHORED).await?;
    let kind = "TrafficPolicyVersion";
    fleet
        .fails(kind, "shop/web-v7", "Accepted", "InvalidDocument")
        .await?;

    // Records that ask for what cannot be served say so, and what they serve.
    for (version, reason) in [(7, "VersionNotAccepted"), (9, "VersionNotFound")] {
        shop.serve(version).await?;
        let message = fleet
            .fails("PolicyRecord", "shop/www", "ResolvedRefs", reason)
            .await?;
        ensure!(message.contains(&version.to_string()), "{message}");
        let ready = fleet
            .fails("PolicyRecord", "shop/www", "Ready", reason)
            .await?;
        ensure!(
            ready.ends_with("version 1 is served at www.example.com."),
            "{ready}"
        );
        let record = fleet.get("PolicyRecord", "shop/www").await?;
        ensure!(
            record["status"]["activeVersion"] == 1,
            "{:#}",
            record["status"]
        );
        ensure!(
            record["status"]["targetVersion"] == version,
            "{:#}",
            record["status"]
        );
    }
    let demand = json!({"spec": {"version": 2, "digest": format!("sha256:{}", "0".repeat(64))}});
    fleet.edit("PolicyRecord", "shop/www", demand).await?;
    fleet
        .fails("PolicyRecord", "shop/www", "Accepted", "DigestMismatch")
        .await?;

    // All the while, and until it is put right.
    load.more(300, SOON).await?;
    let mend = json!({"spec": {"version": 2, "digest": null}});
    fleet.edit("PolicyRecord", "shop/www", mend).await?;
    shop.serves_everywhere(2).await?;
    load.more(300, SOON).await?;
    shop.switched(&load.stop().await?, &[1, 2])
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

/// Whoever mends a document learns of all its faults at once.
#[tokio::test]
async fn every_fault_is_told() -> Result<()> {
    let shop = Shop::open(setup("faults")).await?;
    let document = json!({"spec": {"document": {
        "recordTypes": ["A"],
        "startRule": "spread",
        "rules": {"spread": {"type": "Weighted", "branches": [
            {"weight": 1, "endpoint": "one"},
            {"weight": 1, "endpoint": "two"},
        ]}},
        "endpoints": {
            "one": {"addresses": ["2001:db8::1"]},
            "two": {"addresses": ["2001:db8::2"]},
        },
    }}});
    let fleet = &shop.fleet;
    let (kind, policy) = ("TrafficPolicy", "shop/web");
    fleet.edit(kind, policy, document).await?;
    let reason = "InvalidDocument";
    let message = fleet.fails(kind, policy, "Accepted", reason).await?;
    for fault in ["2001:db8::1 is no answer", "2001:db8::2 is no answer"] {
        ensure!(message.contains(fault), "{message}");
    }
    shop.serves_everywhere(1).await
}

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

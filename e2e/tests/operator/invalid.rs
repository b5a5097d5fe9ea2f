//! What cannot be is refused or marked, and takes nothing away.

use anyhow::{Result, ensure};
use serde_json::json;

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
        "recordTypes": ["A"],
        "startEndpoint": "one",
        "endpoints": {"one": {"addresses": ["2001:db8::1"], "healthCheckRef": null}},
    }}});
    fleet.edit("TrafficPolicy", "shop/web", invalid).await?;
    let message = fleet
        .fails("TrafficPolicy", "shop/web", "Accepted", "InvalidDocument")
        .await?;
    ensure!(message.contains("endpoints[one]"), "{message}");
    let made = fleet.get("TrafficPolicyVersion", "shop/web-v3").await;
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
    shop.switched(load.stop().await?, &[1, 2])
}

const AUTHORED: &str = "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicyVersion
metadata: {name: web-v7, namespace: shop}
spec:
  policyName: web
  version: 7
  document:
    recordTypes: [A]
    startEndpoint: one
    endpoints: {one: {addresses: ['2001:db8::1']}}
";

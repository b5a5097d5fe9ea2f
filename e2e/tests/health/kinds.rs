//! Checks of other kinds, and verdicts set by hand: each fails over a name of
//! its own.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use watershed_e2e::dns::Question;
use watershed_e2e::endpoint::Behaviour;

use crate::site::Site;

const KINDS: [&str; 7] = [
    "slices",
    "tcp",
    "dns",
    "calculated",
    "drained",
    "forced",
    "metadata",
];

/// A name whose primary has this check.
fn name_with(check: &str, site: &Site) -> [Value; 2] {
    let api = "watershed.dev/v1alpha1";
    let (primary, standby) = site.addresses;
    let document = json!({
        "recordTypes": ["A"],
        "startRule": "start",
        "rules": {"start": {"type": "Failover", "branches": [{"endpoint": "primary"}, {"endpoint": "standby"}]}},
        "endpoints": {
            "primary": {"addresses": [primary], "healthCheckRef": {"name": check}},
            "standby": {"addresses": [standby]},
        },
    });
    let metadata = json!({"name": check, "namespace": "shop"});
    [
        json!({"apiVersion": api, "kind": "TrafficPolicy", "metadata": metadata,
            "spec": {"version": 1, "document": document}}),
        json!({"apiVersion": api, "kind": "PolicyRecord", "metadata": metadata,
            "spec": {"hostedZoneRef": {"name": "example-com"}, "name": check,
                "policyRef": {"name": check}, "version": 1}}),
    ]
}

/// Waits until all nodes answer for the name of a check with the primary, or
/// with the standby.
async fn answers(site: &Site, check: &str, primary: bool) -> Result<()> {
    let question = Question::new(&format!("{check}.example.com"), "A")?;
    let (first, second) = site.addresses;
    let address = if primary { first } else { second }.to_string();
    site.fleet.answers_everywhere(&question, &[&address]).await
}

#[tokio::test]
async fn every_kind_of_check_steers() -> Result<()> {
    let site = Site::open("health-kinds", 2, &[]).await?;
    let port = site.port.to_string();
    let dns = site.fleet.nodes[0].dns.port().to_string();
    let checks = include_str!("kinds.yaml").replace("PORT", &port);
    site.fleet
        .cluster
        .apply(&checks.replace("DNS", &dns))
        .await?;
    let names = KINDS.iter().flat_map(|check| name_with(check, &site));
    site.fleet.cluster.apply_objects(names.collect(), 4).await?;
    for check in KINDS {
        site.fleet
            .ready("PolicyRecord", &format!("shop/{check}"))
            .await?;
    }
    for check in ["slices", "tcp", "calculated", "forced", "metadata"] {
        answers(&site, check, true).await?;
    }
    answers(&site, "dns", false).await?;
    answers(&site, "drained", false).await?;
    forbidden_is_said(&site).await?;
    slices_follow_readiness(&site).await?;
    forced_ends_by_itself(&site).await?;
    site.primary.behave(Behaviour::Stopped).await?;
    answers(&site, "tcp", false).await?;
    answers(&site, "calculated", false).await?;
    site.primary.behave(Behaviour::Well).await?;
    answers(&site, "tcp", true).await?;
    answers(&site, "calculated", true).await
}

/// Metadata of clouds is not probed, and the status says why.
async fn forbidden_is_said(site: &Site) -> Result<()> {
    let said = |status: &Value| {
        status["targets"]["unknown"] == 1 && status.to_string().contains("--probe-allow")
    };
    let check = site
        .fleet
        .status("HealthCheck", "shop/metadata", "it is not probed", said);
    ensure!(check.await?["status"]["targets"]["unhealthy"] == 0);
    Ok(())
}

async fn slices_follow_readiness(site: &Site) -> Result<()> {
    let endpoints = |ready: [bool; 2]| {
        let one =
            |address: &str, ready| json!({"addresses": [address], "conditions": {"ready": ready}});
        json!({"endpoints": [one("10.0.0.1", ready[0]), one("10.0.0.2", ready[1])]})
    };
    site.edit_slice(endpoints([false, false])).await?;
    answers(site, "slices", false).await?;
    answers(site, "calculated", false).await?;
    site.edit_slice(endpoints([true, false])).await?;
    answers(site, "slices", true).await?;
    answers(site, "calculated", true).await
}

async fn forced_ends_by_itself(site: &Site) -> Result<()> {
    let until = k8s_openapi::jiff::Timestamp::now() + Duration::from_secs(8);
    let until = until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let forced =
        json!({"spec": {"forced": {"state": "Unhealthy", "reason": "a drill", "until": until}}});
    site.fleet
        .edit("HealthCheck", "shop/forced", forced)
        .await?;
    answers(site, "forced", false).await?;
    answers(site, "forced", true).await
}

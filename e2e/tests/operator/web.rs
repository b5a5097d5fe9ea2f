//! A policy whose document is edited, and three names that serve its first
//! version.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use kube::api::ListParams;
use serde_json::{Value, json};
use watershed_e2e::dns::Question;

use crate::shop::address;
use crate::support::{Fleet, Setup};

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

pub const NAMES: [&str; 3] = ["www", "api", "cdn"];

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
pub fn document(last: u8) -> Value {
    json!({"spec": {"document": {"endpoints": {"one": {"addresses": [address(last)]}}}}})
}

/// One of the three names.
pub fn question(name: &str) -> Result<Question> {
    Question::new(&format!("{name}.example.com"), "A")
}

/// All three are served everywhere.
pub async fn start(name: &str) -> Result<Fleet> {
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

/// Versions of the policy: by name, the number and the answer.
pub type Versions = BTreeMap<String, (u64, String)>;

/// The versions that there are.
pub async fn versions(fleet: &Fleet) -> Result<Versions> {
    let api = fleet.api("TrafficPolicyVersion", "shop")?;
    let list = api.list(&ListParams::default()).await?;
    let mut found = Versions::new();
    for object in list.items {
        let spec = &object.data["spec"];
        let number = spec["version"].as_u64().context("no number")?;
        let version = (number, answer(spec)?);
        found.insert(object.metadata.name.context("no name")?, version);
    }
    Ok(found)
}

/// What a policy's document answers.
pub fn answer(spec: &Value) -> Result<String> {
    let answer = spec["document"]["endpoints"]["one"]["addresses"][0].as_str();
    Ok(answer.context("no address")?.to_owned())
}

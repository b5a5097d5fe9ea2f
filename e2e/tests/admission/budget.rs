//! What the rules cost when they run: the API server gives each request a
//! budget, and people wait for the answer.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::Client;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::largest::{largest, name};
use crate::objects::custom;

/// How long a document of the largest size may take. It is some tenths of a
/// second on an idle machine; tests share theirs.
const SANE: Duration = Duration::from_secs(10);

/// Makes and changes a policy with as many rules, branches and endpoints as
/// there may be, and a version with the same document. Returns the longest
/// time that one of these took.
pub async fn largest_documents(client: &Client) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    let document = largest();
    let spec = json!({"version": 1, "document": document});
    let mut policy = object("TrafficPolicy", "largest", &spec);
    longest = longest.max(create(client, &policy).await?);
    policy["spec"]["version"] = json!(2);
    policy["spec"]["document"]["endpoints"][name("e", 0)]["comment"] = json!("changed");
    longest = longest.max(change(client, &policy).await?);
    let spec = json!({"policyName": "largest", "version": 1, "document": document});
    let version = object("TrafficPolicyVersion", "largest-v1", &spec);
    longest = longest.max(create(client, &version).await?);
    ensure!(longest < SANE, "the largest document took {longest:?}");
    Ok(longest)
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": watershed_crd::API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "namespace": "web"},
        "spec": spec,
    })
}

async fn create(client: &Client, object: &Value) -> Result<Duration> {
    let (api, object) = custom(client, object)?;
    let start = Instant::now();
    let made = api.create(&PostParams::default(), &object).await;
    made.context("making the largest document")?;
    Ok(start.elapsed())
}

async fn change(client: &Client, object: &Value) -> Result<Duration> {
    let (api, mut object) = custom(client, object)?;
    let name = object.metadata.name.clone().context("no name")?;
    object.metadata.resource_version = api.get(&name).await?.metadata.resource_version;
    let start = Instant::now();
    let changed = api.replace(&name, &PostParams::default(), &object).await;
    changed.context("changing the largest document")?;
    Ok(start.elapsed())
}

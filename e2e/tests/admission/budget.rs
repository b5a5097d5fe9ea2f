//! What the rules cost when they run: the API server gives each request a
//! budget, and people wait for the answer.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::Client;
use kube::api::PostParams;
use serde_json::{Map, Value, json};

use crate::objects::custom;

/// How long a document of the largest size may take. It is some tenths of a
/// second on an idle machine; tests share theirs.
const SANE: Duration = Duration::from_secs(10);

const RULES: usize = 64;
const BRANCHES: usize = 1000;
const ENDPOINTS: usize = 128;
const DEPTH: usize = 8;

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

/// A document of the largest size and of the dearest content: every rule looks
/// at addresses, every second branch leads to another rule, and the rules are
/// as deep as they may be.
fn largest() -> Value {
    let mut rules = Map::new();
    let mut left = BRANCHES;
    for rule in 0..RULES {
        let count = left.div_ceil(RULES - rule);
        left -= count;
        let branches: Vec<Value> = (0..count).map(|index| branch(rule, index)).collect();
        let collection = json!({"name": "blocks"});
        rules.insert(
            name("r", rule),
            json!({"type": "CIDR", "cidrCollectionRef": collection, "branches": branches}),
        );
    }
    let endpoints: Map<String, Value> = (0..ENDPOINTS)
        .map(|index| (name("e", index), endpoint(index)))
        .collect();
    json!({
        "recordTypes": ["A", "AAAA"],
        "startRule": name("r", 0),
        "rules": rules,
        "endpoints": endpoints,
    })
}

/// Rules stand in layers; a branch leads to one of the next layer.
fn branch(rule: usize, index: usize) -> Value {
    let width = RULES / DEPTH;
    let below = (rule / width + 1) * width;
    let mut branch = json!({"cidrs": blocks(rule, index)});
    if index.is_multiple_of(2) && below < RULES {
        branch["rule"] = json!(name("r", below + index % width));
    } else {
        branch["endpoint"] = json!(name("e", (rule + index) % ENDPOINTS));
    }
    branch
}

fn blocks(rule: usize, index: usize) -> Vec<String> {
    let block = |last| format!("2001:db8:{rule:x}:{index:x}:{last:x}::/80");
    (0..8).map(block).collect()
}

fn endpoint(index: usize) -> Value {
    let addresses: Vec<String> = (0..16)
        .map(|last| format!("2001:db8:ffff:{index:x}::{last:x}"))
        .collect();
    json!({"addresses": addresses})
}

/// A name of the greatest length, 63 letters.
fn name(prefix: &str, index: usize) -> String {
    format!("{prefix}-{index:0>61}")
}

//! The first example, as its page has it.

use std::cmp::Reverse;
use std::fs;
use std::hash::{BuildHasher, RandomState};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watershed_e2e::cluster::parse_manifests;
use watershed_e2e::dns::Question;
use watershed_e2e::tools::repository;

use crate::support::{Fleet, Setup};

const EXAMPLE: &str = "examples/getting-started";

const RECORDS: [&str; 3] = [
    "shop/app-example-net",
    "shop/example-com",
    "shop/example-org",
];

/// Networks of the example's page, and what they get.
const ANSWERS: [(&str, &str, &str); 3] = [
    ("example.com", "130.149.0.0/16", "198.51.100.49"),
    ("www.example.com", "133.11.0.0/16", "203.0.113.11"),
    ("example.org", "128.32.0.0/16", "192.0.2.11"),
];

/// Everything says that it is ready, and all nodes answer.
async fn is_served(fleet: &Fleet) -> Result<()> {
    for record in RECORDS {
        let found = fleet.ready("PolicyRecord", record).await?;
        let status = &found["status"];
        ensure!(status["fleet"]["summary"] == "3/3", "{record}: {status:#}");
        ensure!(status["activeVersion"] == 1, "{record}: {status:#}");
    }
    for zone in ["shop/example-com", "shop/example-net", "shop/example-org"] {
        fleet.ready("HostedZone", zone).await?;
    }
    for set in ["shop/www-example-org-a", "shop/www-example-org-aaaa"] {
        fleet.ready("RecordSet", set).await?;
    }
    fleet.ready("TrafficPolicy", "shop/web").await?;
    fleet.ready("TrafficPolicyVersion", "shop/web-v1").await?;
    for (name, network, answer) in ANSWERS {
        let question = Question::new(name, "A")?.from_subnet(network)?;
        fleet.answers_everywhere(&question, &[answer]).await?;
    }
    Ok(())
}

/// In one go, with certificates that the operator makes, and as kubectl shows
/// it.
#[tokio::test]
async fn one_apply_and_all_nodes_answer() -> Result<()> {
    let setup = Setup {
        managed_certificates: true,
        ..Setup::named("getting-started")
    };
    let fleet = Fleet::start(setup).await?;
    let example = repository().join(EXAMPLE);
    kubectl(&fleet, "create namespace shop").await?;
    let apply = ["apply", "--server-side", "-f", &example.to_string_lossy()];
    fleet.cluster.kubectl(apply).await?;
    is_served(&fleet).await?;
    columns_tell_of_a_record(&fleet).await?;
    columns_tell_of_the_fleet(&fleet).await?;
    let events = kubectl(&fleet, "events --namespace shop").await?;
    for reason in ["Minted", "Served"] {
        ensure!(events.contains(reason), "{events}");
    }
    // Tools that know nothing of these kinds can wait for them.
    let wait = "wait tfr,tfrs,tfz,tfp,tfpv --all --namespace shop --for=condition=Ready";
    kubectl(&fleet, wait).await?;
    Ok(())
}

async fn kubectl(fleet: &Fleet, words: &str) -> Result<String> {
    fleet.cluster.kubectl(words.split_whitespace()).await
}

/// What it serves, of what it should, on how many nodes, and whether all is well.
async fn columns_tell_of_a_record(fleet: &Fleet) -> Result<()> {
    let records = kubectl(fleet, "get tfr --all-namespaces").await?;
    let line = records.lines().find(|line| line.contains(" example.com."));
    let columns: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
    let shown = [
        "shop",
        "example-com",
        "example.com.",
        "web",
        "1",
        "1",
        "3/3",
    ];
    ensure!(columns.starts_with(&shown), "{records}");
    // Nobody probes addresses of documentation: their health is unknown, once
    // there has been time to find that out.
    let rest = columns.get(shown.len()..).unwrap_or_default();
    let ready = rest.iter().find(|column| **column != "Unknown");
    ensure!(ready == Some(&"True"), "{records}");
    Ok(())
}

async fn columns_tell_of_the_fleet(fleet: &Fleet) -> Result<()> {
    let all_there = |status: &Value| status["nodes"]["connected"] == 3;
    let (kind, name) = ("DNSFleet", "watershed-system/default");
    fleet.status(kind, name, "all are there", all_there).await?;
    let fleets = kubectl(fleet, "get tff --all-namespaces").await?;
    ensure!(fleets.contains(" 3/3 "), "{fleets}");
    Ok(())
}

/// One object after the other, so that much of what they refer to is not there
/// yet.
#[tokio::test]
async fn the_order_of_objects_does_not_matter() -> Result<()> {
    let fleet = Fleet::start(Setup::named("any-order")).await?;
    kubectl(&fleet, "create namespace shop").await?;
    let mut objects = objects()?;
    // By kind backwards, records come before the zones and policies they need.
    objects.sort_by_key(|object| Reverse(object["kind"].as_str().map(ToOwned::to_owned)));
    for round in 0..3 {
        if round > 0 {
            let shuffle = RandomState::new();
            objects.sort_by_cached_key(|object| shuffle.hash_one(object.to_string()));
        }
        let order = objects.iter().map(name_of).collect::<Vec<_>>().join(", ");
        for object in &objects {
            fleet.cluster.apply_objects(vec![object.clone()], 1).await?;
        }
        is_served(&fleet).await.with_context(|| order)?;
        kubectl(&fleet, "delete tfr,tfrs --all --namespace shop").await?;
        is_free(&fleet).await?;
        kubectl(&fleet, "delete tfz,tfp,tfpv,tfhc --all --namespace shop").await?;
        let question = Question::new("example.com", "A")?;
        fleet.answers_everywhere(&question, &[]).await?;
    }
    Ok(())
}

fn name_of(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
    format!("{kind} {name}")
}

/// Nothing uses the zones, the policy and its version any more.
async fn is_free(fleet: &Fleet) -> Result<()> {
    let counts = ["total", "policyRecords", "recordSets"];
    for (kind, object) in [
        ("HostedZone", "shop/example-com"),
        ("HostedZone", "shop/example-net"),
        ("HostedZone", "shop/example-org"),
        ("TrafficPolicy", "shop/web"),
        ("TrafficPolicyVersion", "shop/web-v1"),
    ] {
        let free = |status: &Value| {
            let mut counts = counts
                .iter()
                .filter_map(|count| status["records"][count].as_u64());
            counts.all(|count| count == 0)
        };
        fleet.status(kind, object, "nothing uses it", free).await?;
    }
    Ok(())
}

fn objects() -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for entry in fs::read_dir(repository().join(EXAMPLE))? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let text = fs::read_to_string(&path)?;
            objects.extend(parse_manifests(&text)?);
        }
    }
    ensure!(
        objects.len() > 10,
        "the example has {} objects",
        objects.len()
    );
    Ok(objects)
}

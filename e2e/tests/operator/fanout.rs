//! No status write fans out: what happens to one object is written to that
//! one, and to those that tell of it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use watershed_e2e::dns::Question;

use crate::measure::{self, Metrics};
use crate::shop;
use crate::support::{Fleet, SOON};

const RECORDS: usize = 50;
const POLICIES: usize = 5;
/// Longer than any pause of a queue of writes.
const QUIET: Duration = Duration::from_secs(3);

#[tokio::test]
async fn what_happens_to_one_is_not_written_to_others() -> Result<()> {
    let fleet = Fleet::start(shop::setup("fanout")).await?;
    fleet.cluster.apply(include_str!("fanout.yaml")).await?;
    let lb = Balancer(&fleet);
    lb.has("203.0.113.1").await?;
    fleet.cluster.apply_objects(objects(), 8).await?;
    for number in 0..RECORDS {
        fleet
            .ready("PolicyRecord", &format!("shop/r{number}"))
            .await?;
    }
    one_edit(&fleet).await?;
    lb.moves().await?;
    node_restarts(&fleet).await
}

/// An edit of a record concerns it, its policy and versions, its zone, and the
/// fleet.
async fn one_edit(fleet: &Fleet) -> Result<()> {
    let mark = measure::quiet(&fleet.cluster, QUIET, SOON).await?;
    let edit = json!({"spec": {"ttlSeconds": 30}});
    fleet.edit("PolicyRecord", "shop/r7", edit).await?;
    fleet.ready("PolicyRecord", "shop/r7").await?;
    measure::quiet(&fleet.cluster, QUIET, SOON).await?;
    let written = measure::statuses(&fleet.cluster, mark)?;
    ensure!(written.contains_key("policyrecords shop/r7"), "{written:?}");
    let allowed = [
        "policyrecords shop/r7",
        "hostedzones shop/example-com",
        "dnsfleets watershed-system/default",
    ];
    only(&written.keys().cloned().collect(), &allowed)?;
    let most = written.values().max();
    ensure!(most <= Some(&3), "one of them again and again: {written:?}");
    Ok(())
}

/// Ten names answer with the address of one Service.
struct Balancer<'f>(&'f Fleet);

impl Balancer<'_> {
    async fn has(&self, address: &str) -> Result<()> {
        let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": address}]}}});
        let status = status.to_string();
        let patch = [
            "patch",
            "service",
            "lb",
            "-n",
            "shop",
            "--subresource=status",
        ];
        let patch = patch.into_iter().chain(["--type=merge", "-p", &status]);
        self.0.cluster.kubectl(patch).await?;
        Ok(())
    }

    async fn moves(&self) -> Result<()> {
        let cluster = &self.0.cluster;
        let mark = measure::quiet(cluster, QUIET, SOON).await?;
        self.has("203.0.113.2").await?;
        for number in (0..RECORDS).step_by(POLICIES) {
            let question = Question::new(&format!("r{number}.example.com"), "A")?;
            self.0
                .answers_everywhere(&question, &["203.0.113.2"])
                .await?;
        }
        measure::quiet(cluster, QUIET, SOON).await?;
        let written = measure::statuses(cluster, mark)?;
        let allowed = [
            "trafficpolicyversions shop/p0-v1",
            "trafficpolicies shop/p0",
            "dnsfleets watershed-system/default",
        ];
        only(&written.into_keys().collect(), &allowed)
    }
}

/// A node that comes and goes is the fleet's affair.
async fn node_restarts(fleet: &Fleet) -> Result<()> {
    let mark = measure::quiet(&fleet.cluster, QUIET, SOON).await?;
    let node = &fleet.nodes[1];
    node.process.kill()?;
    node.process.restart()?;
    let connected = async || {
        let metrics = Metrics::of(node.http).await?;
        ensure!(metrics.sum("watershed_dns_operator_connected", &[]) > 0.0);
        Ok(())
    };
    node.process
        .eventually("the node is connected", SOON, connected)
        .await?;
    measure::quiet(&fleet.cluster, QUIET, SOON).await?;
    let written = measure::statuses(&fleet.cluster, mark)?;
    only(
        &written.into_keys().collect(),
        &["dnsfleets watershed-system/default"],
    )
}

fn only(written: &BTreeSet<String>, allowed: &[&str]) -> Result<()> {
    let beyond = written
        .iter()
        .filter(|object| !allowed.contains(&object.as_str()));
    let beyond: Vec<_> = beyond.collect();
    ensure!(beyond.is_empty(), "written without need: {beyond:?}");
    Ok(())
}

/// Policies, of which the first follows the Service, and records on them in
/// turn.
fn objects() -> Vec<Value> {
    let policies = (0..POLICIES).map(|number| {
        let endpoint = match number {
            0 => json!({"objectRef": {"kind": "Service", "name": "lb"}}),
            _ => json!({"addresses": [format!("192.0.2.{number}")]}),
        };
        json!({
            "apiVersion": "watershed.dev/v1alpha1",
            "kind": "TrafficPolicy",
            "metadata": {"name": format!("p{number}"), "namespace": "shop"},
            "spec": {"version": 1, "document": {
                "recordTypes": ["A"],
                "startEndpoint": "only",
                "endpoints": {"only": endpoint},
            }},
        })
    });
    let records = (0..RECORDS).map(|number| {
        json!({
            "apiVersion": "watershed.dev/v1alpha1",
            "kind": "PolicyRecord",
            "metadata": {"name": format!("r{number}"), "namespace": "shop"},
            "spec": {
                "hostedZoneRef": {"name": "example-com"},
                "name": format!("r{number}"),
                "policyRef": {"name": format!("p{}", number % POLICIES)},
                "version": 1,
            },
        })
    });
    policies.chain(records).collect()
}

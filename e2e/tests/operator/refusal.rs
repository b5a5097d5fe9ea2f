//! Who refuses, and who is refused: a node that does not take an object, and a
//! leader that leads no more.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use watershed_e2e::dns::Question;
use watershed_e2e::eventually;

use crate::measure::{self, Metrics};
use crate::shop::{self, Shop, address};
use crate::support::{SOON, Setup};

const BAD: &str = "shop/bad";
/// As `www` in a name of its own.
const BAD_RECORD: &str = "\
apiVersion: watershed.dev/v1alpha1
kind: PolicyRecord
metadata: {name: bad, namespace: shop}
spec:
  hostedZoneRef: {name: example-com}
  name: bad
  policyRef: {name: web}
  version: 1
";

#[tokio::test]
async fn what_a_node_refuses_stays_as_it_was_and_the_rest_goes_on() -> Result<()> {
    let mut shop = Shop::open(shop::setup("refusal")).await?;
    let bad = Question::new("bad.example.com", "A")?;
    shop.fleet.cluster.apply(BAD_RECORD).await?;
    shop.fleet.ready("PolicyRecord", BAD).await?;
    let load = shop.load(&shop.fleet.servers()).await?;
    let name = refusing(&mut shop).await?;
    let after = shop.load(&shop.fleet.servers()).await?;
    // Its downtime is not what this is about.
    drop(load);

    let edit = json!({"spec": {"version": 2}});
    shop.fleet.edit("PolicyRecord", BAD, edit).await?;
    let condition = refused(&shop).await?;
    let message = condition["message"].as_str().context("no message")?;
    ensure!(
        message.contains(&name) && message.contains("--refuse"),
        "{message}"
    );
    shop.fleet.answers_everywhere(&bad, &[&address(1)]).await?;

    // Everybody else's changes go on, on all nodes.
    shop.serve(2).await?;
    shop.serves_everywhere(2).await?;
    shop.fleet.answers_everywhere(&bad, &[&address(1)]).await?;
    ensure!(
        refused(&shop).await? == condition,
        "another edit changed its status"
    );

    // What was refused may be taken back.
    let edit = json!({"spec": {"version": 1}});
    shop.fleet.edit("PolicyRecord", BAD, edit).await?;
    let record = shop.fleet.ready("PolicyRecord", BAD).await?;
    ensure!(
        record["status"]["fleet"]["summary"] == "3/3",
        "{}",
        record["status"]
    );
    after.more(300, SOON).await?;
    shop.switched(&after.stop().await?, &[1, 2])
}

/// Starts one node again, with what it holds, as one that refuses the record.
async fn refusing(shop: &mut Shop) -> Result<String> {
    let node = shop.fleet.nodes.last_mut().context("no nodes")?;
    node.process.stop(SOON).await?;
    node.process
        .restart_with(|launch| launch.args(["--refuse", "PolicyRecord/shop/bad"]))?;
    let name = node.name.clone();
    let (dns, process) = (node.dns, &node.process);
    let question = Question::new("bad.example.com", "A")?;
    let answers = async || {
        let reply = watershed_e2e::dns::ask(dns, &question, Duration::from_secs(1)).await?;
        ensure!(reply.values() == [address(1)], "{}", reply.summary());
        Ok(())
    };
    process
        .eventually("the node answers from its disk", SOON, answers)
        .await?;
    Ok(name)
}

/// Waits until the record says that it is refused; the condition.
async fn refused(shop: &Shop) -> Result<Value> {
    eventually("the record says who refuses it", SOON, async || {
        let record = shop.fleet.get("PolicyRecord", BAD).await?;
        let conditions = record["status"]["conditions"]
            .as_array()
            .context("no conditions")?;
        let programmed = conditions
            .iter()
            .find(|condition| condition["type"] == "Programmed");
        let programmed = programmed.context("no condition Programmed")?;
        let expected = programmed["status"] == "False"
            && programmed["reason"] == "RejectedByNodes"
            && programmed["observedGeneration"] == record["metadata"]["generation"];
        ensure!(expected, "{programmed}");
        ensure!(
            record["status"]["activeVersion"] == 1,
            "{}",
            record["status"]
        );
        Ok(programmed.clone())
    })
    .await
}

fn two_operators(name: &str) -> Setup {
    Setup {
        operators: 2,
        operator_args: vec!["--lease-seconds".to_owned(), "3".to_owned()],
        ..shop::setup(name)
    }
}

#[tokio::test]
async fn a_leader_that_hung_pushes_nothing_when_it_wakes() -> Result<()> {
    let shop = Shop::open(two_operators("deposed")).await?;
    let load = shop.load(&shop.fleet.servers()).await?;
    let old = shop.leader().await?;
    shop.fleet.operators[old].process.pause()?;
    shop.serve(2).await?;
    shop.serves_everywhere(2).await?;
    let terms = terms(&shop).await?;
    let mark = measure::quiet(&shop.fleet.cluster, Duration::from_secs(2), SOON).await?;

    shop.fleet.operators[old].process.resume()?;
    follows(&shop, old).await?;
    load.more(shop.answers_in(Duration::from_secs(5)), SOON)
        .await?;
    ensure!(
        self::terms(&shop).await? == terms,
        "a node has another term"
    );
    let written = measure::statuses(&shop.fleet.cluster, mark)?;
    ensure!(written.is_empty(), "the deposed leader wrote {written:?}");
    shop.switched(&load.stop().await?, &[1, 2])
}

#[tokio::test]
async fn a_leader_that_wakes_among_its_nodes_pushes_nothing() -> Result<()> {
    let shop = Shop::open(two_operators("woken")).await?;
    let load = shop.load(&shop.fleet.servers()).await?;
    let before = terms(&shop).await?;
    let old = shop.leader().await?;
    shop.fleet.operators[old].process.pause()?;
    // It will find this edit in its watch when it wakes, and its nodes still on
    // their streams.
    shop.serve(2).await?;
    eventually("the other one leads", SOON, async || {
        ensure!(shop.leader().await? != old, "not yet");
        Ok(())
    })
    .await?;
    shop.fleet.operators[old].process.resume()?;
    shop.serves_everywhere(2).await?;
    follows(&shop, old).await?;
    let after = terms(&shop).await?;
    ensure!(
        after.first() > before.last(),
        "terms {before:?}, then {after:?}"
    );
    ensure!(shop.leader().await? != old, "the deposed leads");
    load.more(300, SOON).await?;
    shop.switched(&load.stop().await?, &[1, 2])
}

/// The terms that nodes have seen, in whole numbers.
async fn terms(shop: &Shop) -> Result<BTreeSet<u64>> {
    let mut terms = BTreeSet::new();
    for node in &shop.fleet.nodes {
        let metrics = Metrics::of(node.http).await?;
        let term = metrics.sum("watershed_dns_operator_term", &[]);
        terms.insert(format!("{term:.0}").parse()?);
    }
    Ok(terms)
}

/// Waits until an operator says that it does not lead.
async fn follows(shop: &Shop, index: usize) -> Result<()> {
    let operator = &shop.fleet.operators[index];
    let follows = async || {
        let metrics = Metrics::of(operator.http).await?;
        let leading = metrics.sum("watershed_leader", &[]);
        ensure!(leading == 0.0, "it says that it leads");
        Ok(())
    };
    operator
        .process
        .eventually("it follows", SOON, follows)
        .await
}

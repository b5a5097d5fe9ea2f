//! Programs of two versions: what one of them cannot read is held back, the
//! rest is served, and the upgrade releases it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watershed_e2e::dns::Question;
use watershed_e2e::eventually;

use crate::shop::{self, Shop, address};
use crate::support::{Fleet, SOON, Setup};

/// A version with a CIDR rule needs snapshot format 2.
const NEWER: &str = include_str!("skew.yaml");
const OLD_FORMAT: [&str; 2] = ["--snapshot-format", "1"];

#[tokio::test]
async fn an_older_node_is_spared_what_it_cannot_read() -> Result<()> {
    let mut shop = Shop::open(Setup {
        nodes: 2,
        ..shop::setup("older-node")
    })
    .await?;
    let name = shop
        .fleet
        .add_node("older", &OLD_FORMAT)
        .await?
        .name
        .clone();
    shop.has_all_nodes().await?;
    shop.serve(2).await?;
    shop.serves_everywhere(2).await?;
    shop.fleet.cluster.apply(NEWER).await?;
    let why = held(&shop, "shop/new").await?;
    ensure!(why.contains(&name) && why.contains("format 2"), "{why}");
    named_in_fleet(&shop, &name).await?;
    // A record that served something before goes on to.
    let edit = serde_json::json!({"spec": {"policyRef": {"name": "nearby"}, "version": 1}});
    shop.fleet.edit("PolicyRecord", "shop/www", edit).await?;
    held(&shop, "shop/www").await?;
    let www = Question::new("www.example.com", "A")?;
    shop.fleet.answers_everywhere(&www, &[&address(2)]).await?;

    // The node in the same place, as this build has it.
    let node = shop.fleet.nodes.pop().context("no nodes")?;
    node.process.stop(SOON).await?;
    shop.fleet.add_node("older", &[]).await?;
    shop.has_all_nodes().await?;
    released(&shop).await
}

#[tokio::test]
async fn an_older_operator_serves_what_it_can_write() -> Result<()> {
    let mut fleet = Fleet::start(Setup {
        operators: 0,
        ..shop::setup("older-operator")
    })
    .await?;
    fleet.add_operator(&OLD_FORMAT).await?;
    let mut shop = Shop::open_in(fleet).await?;
    shop.fleet.cluster.apply(NEWER).await?;
    let why = held(&shop, "shop/new").await?;
    ensure!(why.contains("this operator writes up to 1"), "{why}");
    shop.serve(2).await?;
    shop.serves_everywhere(2).await?;
    let operator = shop.fleet.operators.pop().context("no operators")?;
    operator.process.stop(SOON).await?;
    shop.fleet.add_operator(&[]).await?;
    released(&shop).await
}

/// Waits until a record says that it is held back for a format; the message.
async fn held(shop: &Shop, record: &str) -> Result<String> {
    eventually("the record says why it is held back", SOON, async || {
        let record = shop.fleet.get("PolicyRecord", record).await?;
        let conditions = record["status"]["conditions"]
            .as_array()
            .context("no conditions")?;
        let programmed = conditions
            .iter()
            .find(|condition| condition["type"] == "Programmed");
        let programmed = programmed.context("no condition Programmed")?;
        let message = programmed["message"].as_str().unwrap_or_default();
        let expected = programmed["status"] == "False"
            && message.contains("format")
            && programmed["observedGeneration"] == record["metadata"]["generation"];
        ensure!(expected, "{programmed}");
        Ok(message.to_owned())
    })
    .await
}

/// The fleet names the node among its problems.
async fn named_in_fleet(shop: &Shop, node: &str) -> Result<()> {
    eventually("the fleet names the node", SOON, async || {
        let fleet = shop
            .fleet
            .get("DNSFleet", "watershed-system/default")
            .await?;
        let problems = fleet["status"]["problems"]
            .as_array()
            .context("no problems")?;
        let named = |problem: &&Value| problem["node"] == node && problem["reason"] == "Format";
        ensure!(
            problems.iter().any(|problem| named(&problem)),
            "{problems:?}"
        );
        Ok(())
    })
    .await
}

/// Everything is served, with the CIDR rule.
async fn released(shop: &Shop) -> Result<()> {
    shop.fleet.ready("PolicyRecord", "shop/new").await?;
    let new = Question::new("new.example.com", "A")?;
    let near = new.clone().from_subnet("198.51.100.0/24")?;
    shop.fleet
        .answers_everywhere(&near, &["192.0.2.10"])
        .await?;
    let far = new.from_subnet("203.0.113.0/24")?;
    shop.fleet.answers_everywhere(&far, &["192.0.2.11"]).await
}

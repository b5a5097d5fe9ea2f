use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use watershed_e2e::{Cluster, Options, eventually};

const SOON: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_node_that_is_lost_is_missed_and_comes_back() -> Result<()> {
    let cluster = Cluster::start(Options::default().named("power").with_nodes(1)).await?;
    let [node] = cluster.nodes() else {
        anyhow::bail!("one node was asked for");
    };
    let first = node.first_process()?;
    node.power_off()?;
    assert!(!std::path::Path::new(&format!("/proc/{first}/exe")).exists());
    is_unknown(&cluster, node.name()).await?;
    node.power_on()?;
    node.ready(&cluster.client()).await?;

    node.unplug()?;
    is_unknown(&cluster, node.name()).await?;
    node.plug()?;
    node.ready(&cluster.client()).await
}

async fn is_unknown(cluster: &Cluster, name: &str) -> Result<()> {
    let nodes: Api<Node> = Api::all(cluster.client());
    let missed = async || {
        let node = nodes.get(name).await?;
        let conditions = node.status.and_then(|status| status.conditions);
        let conditions = conditions.context("it has said nothing")?;
        let ready = conditions
            .iter()
            .find(|condition| condition.type_ == "Ready");
        let status = &ready.context("it has not said Ready")?.status;
        ensure!(status == "Unknown", "it is {status}");
        Ok(())
    };
    eventually("the node is missed", SOON, missed).await
}

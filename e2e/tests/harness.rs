//! The harness itself: what the other suites rely on.

use std::time::{Duration, Instant};

use anyhow::Result;
use watershed_e2e::{Cluster, Options};

#[tokio::test]
async fn scratch() -> Result<()> {
    let start = Instant::now();
    let cluster = Cluster::start(Options::default()).await?;
    eprintln!("started {:?}", start.elapsed());
    cluster
        .apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")
        .await?;
    eprintln!("{}", cluster.kubectl(["get", "namespaces"]).await?);
    eprintln!("{}", cluster.kubectl(["version"]).await?);
    for event in cluster.requests(|_| true)?.iter().rev().take(5) {
        eprintln!("{}", event.summary());
    }
    let start = Instant::now();
    drop(cluster);
    eprintln!("dropped {:?}", start.elapsed());
    tokio::time::sleep(Duration::from_millis(1)).await;
    Ok(())
}

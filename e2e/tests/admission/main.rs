//! What API servers refuse and let pass: the definitions with their rules, and
//! the admission policies, on the newest and the oldest Kubernetes that
//! Watershed is tested with.

#![allow(unreachable_pub, missing_docs)]

mod budget;
mod definitions;
mod largest;
mod objects;
mod policies;
#[path = "../../../crates/crd/tests/support/mod.rs"]
mod support;

use anyhow::Result;
use kube::Client;
use policies::{CLEANERS, Clients, OPERATOR};
use watershed_e2e::tools::repository;
use watershed_e2e::{Cluster, Identity, Options, Version};

#[tokio::test]
async fn rules_on_the_newest_kubernetes() -> Result<()> {
    rules(Version::Newest, "rules-newest").await
}

#[tokio::test]
async fn rules_on_the_oldest_kubernetes() -> Result<()> {
    rules(Version::Oldest, "rules-oldest").await
}

#[tokio::test]
async fn policies_on_the_newest_kubernetes() -> Result<()> {
    policies(Version::Newest, "policies-newest").await
}

#[tokio::test]
async fn policies_on_the_oldest_kubernetes() -> Result<()> {
    policies(Version::Oldest, "policies-oldest").await
}

/// Every rule has a case that it refuses and one that it lets pass, and none
/// costs more than a request may.
async fn rules(version: Version, name: &str) -> Result<()> {
    let cluster = start(version, name).await?;
    let client = cluster.client();
    let definitions = definitions::definitions()?;
    definitions::install(&client, &definitions).await?;
    let cases = definitions::judge(&client, &definitions).await?;
    let longest = budget::largest_documents(&client).await?;
    println!("{cases} cases; the largest document took {longest:?}");
    Ok(())
}

async fn policies(version: Version, name: &str) -> Result<()> {
    let cluster = start(version, name).await?;
    cluster.install_crds().await?;
    let file = repository().join("deploy/admission.yaml");
    cluster.apply_path(file).await?;
    let mut cleaners = Vec::new();
    for cleaner in CLEANERS {
        cleaners.push(with_all_rights(&cluster, cleaner).await?);
    }
    let clients = Clients {
        admin: cluster.client(),
        operator: with_all_rights(&cluster, OPERATOR).await?,
        cleaners,
    };
    policies::protect_in_use(&clients).await?;
    policies::fence_operator(&clients).await?;
    policies::mint_own_versions(&clients).await
}

/// A server with the namespaces that the manifests name.
async fn start(version: Version, name: &str) -> Result<Cluster> {
    let cluster = Cluster::start(Options::bare(version).named(name)).await?;
    for namespace in ["dns", "web"] {
        let yaml = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}");
        cluster.apply(&yaml).await?;
    }
    Ok(cluster)
}

/// Somebody whom no role keeps from anything.
async fn with_all_rights(cluster: &Cluster, user: &str) -> Result<Client> {
    let identity = Identity::user(user, &["system:masters"]);
    let kubeconfig = cluster.kubeconfig_for(&identity).await?;
    cluster.client_of(&kubeconfig).await
}

//! Who may do what: people by the roles that flow into the cluster's own, and
//! the operator with exactly the rights that it needs.

#![allow(unreachable_pub, missing_docs)]

mod grants;
mod objects;
mod people;
mod rights;
#[path = "../../../crates/crd/tests/support/mod.rs"]
mod support;

use anyhow::{Context, Result};
use watershed_e2e::tools::repository;
use watershed_e2e::{Cluster, Options};

use grants::OperatorRoles;
use rights::HOME;

#[tokio::test]
async fn people_may_what_their_roles_say() -> Result<()> {
    let cluster = Cluster::start(Options::default().named("people")).await?;
    install(&cluster).await?;
    people::roles(&cluster).await
}

#[tokio::test]
async fn the_operator_has_the_rights_of_the_file_and_no_other() -> Result<()> {
    let cluster = Cluster::start(Options::default().named("listed")).await?;
    install(&cluster).await?;
    rights::exact(&cluster, &OperatorRoles::read(&deployed("rbac.yaml")?)?).await
}

/// What the documentation tells to install.
async fn install(cluster: &Cluster) -> Result<()> {
    let namespace = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {HOME}}}}}");
    cluster.apply(&namespace).await?;
    cluster.apply_path(repository().join("deploy")).await
}

fn deployed(file: &str) -> Result<String> {
    let path = repository().join("deploy").join(file);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

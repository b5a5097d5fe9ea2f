//! Who may do what: people by the roles that flow into the cluster's own, and
//! the operator with exactly the rights that it needs.

#![allow(unreachable_pub, missing_docs)]

mod grants;
mod needs;
mod objects;
mod people;
mod rights;
mod scenario;
#[path = "../../../crates/crd/tests/support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use watershed_e2e::tools::repository;
use watershed_e2e::wait::until;
use watershed_e2e::{Audit, AuditEvent, Cluster, Options};

use grants::OperatorRoles;
use needs::Request;
use rights::{ACCOUNT, HOME, user};
use scenario::Scenario;

/// Watches are recorded when they end, which the server notices in its time.
const RECORDED: Duration = Duration::from_secs(30);

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

#[tokio::test]
async fn the_operator_needs_each_right() -> Result<()> {
    let cluster = Cluster::start(Options {
        audit: Audit::All,
        // The later of two flags holds.
        api_server_args: vec![
            "--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement"
                .to_owned(),
        ],
        ..Options::default().named("rights")
    })
    .await?;
    install(&cluster).await?;
    let roles = OperatorRoles::read(&deployed("rbac.yaml")?)?;
    let requests = live(&cluster, &roles).await?;
    needs::each(&cluster.client(), &roles, &requests).await?;
    scenario::owners_are_asked_for(&cluster, &roles).await
}

/// A life of the operator under its own account; what it asked for in it.
async fn live(cluster: &Cluster, roles: &OperatorRoles) -> Result<BTreeSet<Request>> {
    let mut scenario = Scenario::start(cluster).await?;
    scenario.run().await?;
    scenario.end().await?;
    let mine = |event: &AuditEvent| event.user == user(ACCOUNT);
    // A grant that is used only by watching is seen when the watches have ended.
    let watched = async || {
        let requests = needs::requests(&cluster.requests(mine)?);
        Ok(needs::idle(roles, &requests).is_empty())
    };
    // What is missing then is told by name.
    let _ = until("all that was granted is used", RECORDED, watched).await;
    let events = cluster.requests(mine)?;
    let forbidden: Vec<_> = events.iter().filter(|event| event.code == 403).collect();
    let forbidden: Vec<String> = forbidden.iter().map(|event| event.summary()).collect();
    ensure!(forbidden.is_empty(), "forbidden: {forbidden:#?}");
    let requests = needs::requests(&events);
    let idle = needs::idle(roles, &requests);
    ensure!(idle.is_empty(), "granted, but not used: {idle:#?}");
    Ok(requests)
}

/// What the documentation tells to install.
async fn install(cluster: &Cluster) -> Result<()> {
    let namespace = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {HOME}}}}}");
    cluster.apply(&namespace).await?;
    let deploy = repository().join("deploy");
    cluster.apply_path(deploy.join("rbac.yaml")).await?;
    cluster.apply_path(deploy.join("admission.yaml")).await
}

fn deployed(file: &str) -> Result<String> {
    let path = repository().join("deploy").join(file);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

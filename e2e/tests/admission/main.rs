//! What API servers refuse and let pass: the definitions with their rules, and
//! the admission policies, on the newest and the oldest Kubernetes that
//! Watershed is tested with.

#![allow(unreachable_pub, missing_docs)]

mod budget;
mod definitions;
mod objects;
mod policies;
#[path = "../../../crates/crd/tests/support/mod.rs"]
mod support;

use anyhow::Result;
use kube::{Client, Config};
use policies::{CLEANERS, Clients, OPERATOR};

fn as_user(config: &Config, user: &str) -> Result<Client> {
    let mut config = config.clone();
    config.auth_info.impersonate = Some(user.to_owned());
    config.auth_info.impersonate_groups = Some(vec!["system:masters".to_owned()]);
    Ok(Client::try_from(config)?)
}

#[tokio::test]
async fn scratch() -> Result<()> {
    let config = Config::infer().await?;
    let client = Client::try_from(config.clone())?;
    let definitions = definitions::definitions()?;
    definitions::install(&client, &definitions).await?;
    let start = std::time::Instant::now();
    println!(
        "{} cases in {:?}",
        definitions::judge(&client, &definitions).await?,
        start.elapsed()
    );
    println!("{:?}", budget::largest_documents(&client).await?);
    let clients = Clients {
        operator: as_user(&config, OPERATOR)?,
        cleaners: CLEANERS
            .into_iter()
            .map(|u| as_user(&config, u))
            .collect::<Result<_>>()?,
        admin: client.clone(),
    };
    objects::apply(
        &client,
        &std::fs::read_to_string(support::path("../../deploy/admission.yaml"))?,
    )
    .await?;
    policies::protect_in_use(&clients).await?;
    policies::fence_operator(&clients).await?;
    policies::mint_own_versions(&clients).await?;
    Ok(())
}

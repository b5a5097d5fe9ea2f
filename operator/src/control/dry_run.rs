//! What would be done, without doing it.

use std::time::Duration;

use jiff::Timestamp;
use kube::Client;

use super::ControlConfig;
use crate::plan::foresee;
use crate::watch::Watches;
use crate::world::World;

/// How long to wait for the API server to tell everything.
const PATIENCE: Duration = Duration::from_mins(1);

/// Reads the cluster and says what would be written. What nodes would report
/// is not known, so conditions that depend on them are left out.
///
/// # Errors
/// When the API server does not answer, or not in time.
pub async fn dry_run(client: Client, config: &ControlConfig) -> anyhow::Result<String> {
    let mut watches = Watches::start(&client, &config.watches).await?;
    let mut world = World::new(config.grant_grace);
    let read = async {
        while world.synced() < watches.expected {
            let Some(change) = watches.changes.recv().await else {
                break;
            };
            world.take(change, Timestamp::now());
        }
    };
    tokio::time::timeout(PATIENCE, read).await.map_err(|_| {
        anyhow::anyhow!("the API server did not list everything within {PATIENCE:?}")
    })?;
    Ok(foresee(&mut world, Timestamp::now()))
}

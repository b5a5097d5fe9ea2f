//! Reconciling: what the cluster asks for goes to the nodes, and what they
//! serve becomes status.
//!
//! One task owns all state. It takes in whatever arrived, compiles what that
//! concerns, publishes it, plans what to write, and starts as many writes as
//! the budget allows. Every replica follows the cluster; only the one that
//! leads publishes and writes.

mod controller;
mod dry_run;
mod health;
mod lead;
mod looks;
mod metrics;
mod wakeups;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use dry_run::dry_run;
pub use metrics::Metrics;

use self::controller::Controller;
use crate::explain::explain;
use crate::fleet::{Hub, HubEvent};
use crate::leader::{Guard, Role};
use crate::watch::{Change, Watches, WatchesConfig};
use crate::world::FANOUT_LIMIT;

/// Changes that arrive within this are compiled together.
const QUIET: Duration = Duration::from_millis(5);

/// The first of them waits no longer than this.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// How long lost grants count.
const GRANT_GRACE: SignedDuration = SignedDuration::from_secs(300);

/// Pause before an API server that does not answer is asked again.
const UNREACHABLE_PAUSE: Duration = Duration::from_secs(2);

/// How to reconcile.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// Name of this replica, for events.
    pub instance: String,
    /// What to watch.
    pub watches: WatchesConfig,
    /// Writes to the API server in a second, on average.
    pub writes_per_second: u32,
    /// How long permissions count that were taken back.
    pub grant_grace: SignedDuration,
    /// Records that share a version say each whether it is healthy, and have
    /// events of their own about failover, up to so many.
    pub fanout_limit: usize,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self {
            instance: String::new(),
            watches: WatchesConfig::default(),
            writes_per_second: 100,
            grant_grace: GRANT_GRACE,
            fanout_limit: FANOUT_LIMIT,
        }
    }
}

/// The fleets, and what they have to tell.
pub struct FleetSide {
    /// The fleets.
    pub hub: Hub,
    /// What they have to tell.
    pub events: mpsc::UnboundedReceiver<HubEvent>,
}

/// Who leads.
pub struct LeaderSide {
    /// Whether this replica does.
    pub role: watch::Receiver<Role>,
    /// Whether it may still write.
    pub guard: Guard,
    /// Gives up the lease: another replica leads according to the nodes.
    pub resign: Arc<dyn Fn() + Send + Sync>,
}

/// Reconciles until `shutdown`. `synced` becomes true once everything that was
/// there at the start is known.
pub async fn control(
    client: Client,
    config: ControlConfig,
    fleet: FleetSide,
    leader: LeaderSide,
    metrics: Metrics,
    synced: watch::Sender<bool>,
    shutdown: CancellationToken,
) {
    let Some(mut watches) = begin(&client, &config, &shutdown).await else {
        return;
    };
    let FleetSide { hub, mut events } = fleet;
    let LeaderSide {
        mut role,
        guard,
        resign,
    } = leader;
    let mut nodes = hub.changes();
    let mut controller = Controller::new(client, &config, hub, guard, metrics, watches.expected);
    let first = role.borrow_and_update().clone();
    controller.role(first);
    loop {
        controller.step();
        synced.send_if_modified(|synced| {
            !std::mem::replace(synced, controller.is_ready()) && *synced
        });
        let pause = controller.pause();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            changed = role.changed() => {
                if changed.is_err() {
                    return;
                }
                let role = role.borrow_and_update().clone();
                controller.role(role);
            }
            Some(event) = events.recv() => hear(event, &mut controller, &*resign),
            Some(change) = watches.changes.recv() => {
                controller.take(change);
                gather(&mut watches.changes, &mut controller).await;
            }
            () = controller.written() => {}
            Ok(()) = nodes.changed() => controller.nodes_moved(),
            () = tokio::time::sleep(pause) => {}
        }
        // All that waits, from everywhere: a step costs the same for one
        // verdict as for thousands, and no source may keep another waiting.
        for _ in 0..events.len() {
            if let Ok(event) = events.try_recv() {
                hear(event, &mut controller, &*resign);
            }
        }
        for _ in 0..watches.changes.len() {
            if let Ok(change) = watches.changes.try_recv() {
                controller.take(change);
            }
        }
        controller.take_written();
    }
}

/// Takes up what a fleet tells.
fn hear(event: HubEvent, controller: &mut Controller, resign: &dyn Fn()) {
    if let HubEvent::Deposed(fleet, why) = &event {
        tracing::warn!(%fleet, why, "giving up the lease");
        resign();
    }
    controller.hub(event);
}

/// Begins to watch, as soon as the API server can be reached.
async fn begin(
    client: &Client,
    config: &ControlConfig,
    shutdown: &CancellationToken,
) -> Option<Watches> {
    let mut said = None;
    loop {
        match Watches::start(client, &config.watches).await {
            Ok(watches) => return Some(watches),
            Err(error) => {
                let error = Some(explain(&error));
                if error == said {
                    tracing::debug!("the API server is still away");
                } else {
                    tracing::warn!(
                        error,
                        "cannot reach the API server; trying until it answers"
                    );
                }
                said = error;
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return None,
            () = tokio::time::sleep(UNREACHABLE_PAUSE) => {}
        }
    }
}

/// Takes in what arrives at the same time: objects that are applied together
/// should be served together.
async fn gather(changes: &mut mpsc::Receiver<Change>, controller: &mut Controller) {
    let end = Instant::now() + LONGEST_WAIT;
    loop {
        let wait = QUIET.min(end.saturating_duration_since(Instant::now()));
        match tokio::time::timeout(wait, changes.recv()).await {
            Ok(Some(change)) => controller.take(change),
            Ok(None) | Err(_) => return,
        }
    }
}

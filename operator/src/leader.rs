//! Which replica leads: a `Lease` of the API server, taken by compare-and-swap.
//!
//! [`Candidate`] decides, and knows neither clock nor network; [`Election`]
//! carries out what it asks for. What others need is the [`Guard`]: it says
//! whether this replica may write, by the local monotonic clock alone, and
//! says no before another replica can lead.

mod campaign;
mod candidate;
mod guard;
mod lease;
mod memory;
#[cfg(test)]
mod simulation;
mod store;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use watershed_snapshot::Term;

pub use campaign::Command;
pub use candidate::{Action, Candidate, Loss, Purpose, Write};
pub use guard::Guard;
pub use lease::{ADDRESS, Found, Lease};
pub use memory::MemoryLease;
pub use store::{Failure, KubeLease, LeaseStore};

/// How long the end of an election may take: long enough for an API server
/// under load, short enough for the end of a pod.
const PARTING: Duration = Duration::from_secs(2);

/// Who takes part in an election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderConfig {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Name of this replica: the name of its pod. No two have the same.
    pub identity: String,
    /// Host and port where nodes reach this replica.
    pub address: String,
    /// How long others wait for a leader that is silent, whole seconds.
    pub duration: Duration,
}

impl LeaderConfig {
    /// How long a leader may lead after the last time it wrote the Lease. What
    /// is left of the duration is for requests that are on their way, and for
    /// clocks that do not run equally fast.
    pub fn deadline(&self) -> Duration {
        self.duration * 2 / 3
    }

    /// How often a leader writes the Lease, and the others read it.
    pub fn period(&self) -> Duration {
        self.duration * 2 / 15
    }

    /// How long one waits after a request that failed.
    pub fn pause(&self) -> Duration {
        self.period() / 2
    }

    /// How long one request may take.
    pub fn patience(&self) -> Duration {
        self.duration / 3
    }

    /// How long one that resigned leaves the Lease to others.
    pub fn rest(&self) -> Duration {
        self.duration / 3
    }
}

/// What a replica is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Somebody else leads, or nobody.
    Following {
        /// Host and port of the one that leads, as far as is known.
        leader: Option<String>,
    },
    /// This replica leads.
    Leading {
        /// Grows with every leader: `leaseTransitions` of the Lease, plus 1.
        term: Term,
    },
}

impl Role {
    /// Whether this replica leads.
    pub fn leads(&self) -> bool {
        matches!(self, Self::Leading { .. })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Following { leader: None } => f.write_str("following, nobody is known to lead"),
            Self::Following {
                leader: Some(leader),
            } => write!(f, "following {leader}"),
            Self::Leading { term } => write!(f, "leading in term {}", term.0),
        }
    }
}

/// A replica that takes part in an election, until [`Election::end`].
pub struct Election {
    /// What this replica is. The role follows the guard, after a moment.
    pub role: watch::Receiver<Role>,
    /// Whether it may write.
    pub guard: Guard,
    commands: mpsc::UnboundedSender<Command>,
    task: JoinHandle<()>,
}

impl Election {
    /// Takes part in the election on a Lease of the API server. Must be called
    /// within a Tokio runtime.
    pub fn start(client: Client, config: LeaderConfig) -> Self {
        let store = KubeLease::new(client, &config.namespace, &config.name);
        Self::on(Arc::new(store), config)
    }

    /// Takes part in the election on the lease in `store`.
    pub fn on(store: Arc<dyn LeaseStore>, config: LeaderConfig) -> Self {
        let (commands, heard) = mpsc::unbounded_channel();
        let (role, roles) = watch::channel(Role::Following { leader: None });
        let guard = Guard::never();
        let task = campaign::campaign(config, store, heard, role, guard.clone());
        Self {
            role: roles,
            guard,
            commands,
            task: tokio::spawn(task),
        }
    }

    /// Stops to lead, at once; the Lease is released, and after a pause this
    /// replica campaigns again. For a leader that learns it is none.
    pub fn resign(&self) {
        resign(&self.commands, &self.guard);
    }

    /// The same, to be handed on.
    pub fn resigner(&self) -> Arc<dyn Fn() + Send + Sync> {
        let (commands, guard) = (self.commands.clone(), self.guard.clone());
        Arc::new(move || resign(&commands, &guard))
    }

    /// Stops to lead, and releases the Lease, so that another replica takes
    /// over without waiting. Gives up when the API server does not answer.
    pub async fn end(self) {
        // When the task is gone already there is nothing to release.
        let _ = self.commands.send(Command::Stop);
        self.guard.end();
        let mut task = self.task;
        if tokio::time::timeout(PARTING, &mut task).await.is_err() {
            task.abort();
            tracing::warn!("the lease was not released: others wait until it expires");
        }
    }
}

fn resign(commands: &mpsc::UnboundedSender<Command>, guard: &Guard) {
    // The command first: what the guard was told last counts.
    let _ = commands.send(Command::Resign);
    guard.end();
}

//! A member is started: what it had is served before anybody is asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinHandle as Task;
use tokio::time::timeout;
use watershed_snapshot::{Fault, ResourceName};

use super::build::Builder;
use super::client::{Client, MemberSide, Operators};
use super::connect::{Connect, Tcp};
use super::keeper::Keeper;
use super::member::{self, Input, Place, Playing, Surroundings};
use super::metrics::Metrics;
use super::status::Status;
use super::store::{Store, StoreError};
use super::subscriber::{Identity, Subscriber};
use crate::health::{HealthAgent, HealthHandle, HealthOptions};
use crate::hostnames::Hostnames;
use crate::node::Node;

/// How long an operator may take to see that the node leaves.
const PARTING: Duration = Duration::from_secs(2);

/// How a node is a member of a fleet.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Who the node is.
    pub identity: Identity,
    /// Whom it asks.
    pub operators: Operators,
    /// Where it keeps what it serves; `None`: nowhere.
    pub state: Option<PathBuf>,
    /// Resources that it finds fault with, for tests.
    pub refused: Vec<ResourceName>,
    /// How it probes. As a checker it is the node of the identity.
    pub health: HealthOptions,
}

/// Why a member cannot be started.
#[derive(Debug, Error)]
pub enum MembershipError {
    /// The state directory is another node's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot probe as it is told to.
    #[error("health checks cannot be probed: {0}")]
    Health(String),
    /// Metrics cannot be made.
    #[error("metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A member at work.
pub struct Running {
    /// Whether it wants queries.
    pub status: Arc<Status>,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    client: Task<()>,
    member: Playing,
    inputs: mpsc::Sender<Input>,
}

impl Membership {
    /// Serves on `node` what was kept, and goes on with what operators say.
    /// It needs a tokio runtime.
    ///
    /// # Errors
    /// When the state directory is in use by another process. A disk that
    /// fails, or a damaged file, is logged: an empty node is of more use than
    /// none, for an operator will fill it.
    pub fn start(self, node: &Node) -> Result<Running, MembershipError> {
        self.start_on(node, Tcp, Place::Thread)
    }

    /// The same over another network than the system's, in this place.
    ///
    /// # Errors
    /// As for [`Membership::start`].
    pub fn start_on(
        self,
        node: &Node,
        network: impl Connect,
        place: Place,
    ) -> Result<Running, MembershipError> {
        let metrics = Arc::new(Metrics::new(&self.identity.version)?);
        metrics.count_queries(node.query_counts())?;
        let status = Arc::new(Status::default());
        let health = self.start_health(node)?;
        metrics.watch_health(&health)?;
        let store = self.state.as_deref().map(open).transpose()?;
        let (subscriber, store) = self.restore(store);
        metrics.persisted(store.as_ref().and_then(|store| store.kept().held));
        if let Some(built) = subscriber.served() {
            node.publish(built.snapshot());
            status.fill();
        }
        let surroundings = Surroundings {
            node: node.clone(),
            hostnames: Hostnames::start(node),
            status: Arc::clone(&status),
            metrics: Arc::clone(&metrics),
            health: health.clone(),
            keeper: store.map(|store| Keeper::start(store, Arc::clone(&metrics))),
        };
        surroundings.show(&subscriber);
        let (inputs, member) = member::start(place, subscriber, surroundings);
        let counts = Arc::clone(&metrics);
        let member_side = MemberSide {
            inputs: inputs.clone(),
            health,
        };
        let client = Client::new(self.operators, &self.identity, network, member_side, counts);
        let client = tokio::spawn(client.run());
        Ok(Running {
            status,
            metrics,
            client,
            member,
            inputs,
        })
    }

    fn start_health(&self, node: &Node) -> Result<HealthHandle, MembershipError> {
        let options = HealthOptions {
            checker: self.identity.checker(),
            alone: false,
            ..self.health.clone()
        };
        HealthAgent::start(node, &options).map_err(MembershipError::Health)
    }

    fn restore(&self, store: Option<Store>) -> (Subscriber, Option<Store>) {
        let builder = || {
            let builder = Builder::new(self.identity.formats.clone());
            builder.refusing(self.refused.iter().cloned())
        };
        let empty = || Subscriber::new(self.identity.clone(), builder());
        let Some(store) = store else {
            return (empty(), None);
        };
        let kept = store.kept().clone();
        match Subscriber::restore(self.identity.clone(), builder(), kept) {
            Ok(subscriber) => (subscriber, Some(store)),
            Err(faults) => {
                let directory = store.directory().to_owned();
                drop(store);
                replace(&directory, &describe(&faults));
                (empty(), Some(reopened(&directory)))
            }
        }
    }
}

impl Running {
    /// Leaves the fleet in good order, so that the operator does not wait for
    /// this node, and returns when what is served is on disk.
    pub async fn stop(self) {
        let Self {
            mut client,
            member,
            inputs,
            ..
        } = self;
        // A member that has ended needs no telling.
        let _ = inputs.send(Input::Stop).await;
        if !member.end().await {
            tracing::error!("the fleet member panicked");
        }
        if timeout(PARTING, &mut client).await.is_err() {
            // It was only about to connect.
            client.abort();
        }
    }
}

/// Opens the store, whatever its state.
fn open(directory: &Path) -> Result<Store, StoreError> {
    match Store::open(directory) {
        Err(error @ StoreError::InUse(_)) => Err(error),
        Err(error @ StoreError::Disk { .. }) => {
            tracing::error!(%error, "the state cannot be read: starting empty");
            Ok(Store::unopened(directory))
        }
        Err(StoreError::Damaged { fault, .. }) => {
            replace(directory, &fault);
            Ok(reopened(directory))
        }
        opened => opened,
    }
}

/// Moves a file away that cannot be used.
fn replace(directory: &Path, fault: &str) {
    match Store::set_aside(directory) {
        Ok(moved) => {
            let moved = moved.display();
            tracing::error!(fault, %moved, "the state cannot be used: starting empty");
        }
        Err(error) => tracing::error!(fault, %error, "the state cannot be used: starting empty"),
    }
}

fn reopened(directory: &Path) -> Store {
    Store::open(directory).unwrap_or_else(|error| {
        tracing::error!(%error, "the state will not be kept for now");
        Store::unopened(directory)
    })
}

/// The first of some faults, and how many there are.
fn describe(faults: &[Fault]) -> String {
    let first = faults.first();
    let first = first.map(|fault| format!("{}: {}", fault.resource, fault.message));
    let first = first.unwrap_or_default();
    match faults.len() {
        0 | 1 => first,
        count => format!("{first} (and {} more)", count - 1),
    }
}

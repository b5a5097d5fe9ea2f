//! `watershed-operator run`: its parts are started, and ended in good order.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use kube::Client;
use prometheus::Registry;
use prometheus::process_collector::ProcessCollector;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use watershed_operator::control::{self, FleetSide, LeaderSide, control};
use watershed_operator::fleet::{self, Hub, HubEvent};
use watershed_operator::generation::ConfigMapStore;
use watershed_operator::health;
use watershed_operator::leader::{Election, Role};

use crate::args::{HostPort, Run};
use crate::definitions;
use crate::http::{self, Health, Metrics, Pages, Readiness};
use crate::nodes::{self, Certificates};

/// How long each part may take to end. With the release of the Lease that
/// makes five seconds at most.
const PARTING: Duration = Duration::from_millis(1400);

/// Runs the operator until a signal comes.
///
/// # Errors
/// When it cannot be started as told, or a part of it ends that must not.
pub(crate) async fn run(args: &Run, client: Client) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let sockets = Sockets::bind(args).await?;
    let mut operator = Operator::start(args, client, sockets)?;
    let result = tokio::select! {
        signal = signals.next() => {
            tracing::info!(signal, "stopping");
            Ok(())
        }
        error = operator.failed() => Err(error),
    };
    operator.stop().await;
    tracing::info!("stopped");
    result
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Where the operator is reached. Bound before all else: a port that is taken
/// is not worth waiting for.
struct Sockets {
    fleet: TcpListener,
    http: TcpListener,
}

impl Sockets {
    async fn bind(args: &Run) -> anyhow::Result<Self> {
        let fleet = TcpListener::bind(args.fleet_listen).await;
        let fleet =
            fleet.with_context(|| format!("cannot listen on {} (nodes)", args.fleet_listen))?;
        let http = TcpListener::bind(args.http).await;
        let http = http.with_context(|| format!("cannot listen on {} (HTTP)", args.http))?;
        Ok(Self { fleet, http })
    }

    fn announce(&self, args: &Run, identity: &str, advertised: &HostPort) -> anyhow::Result<()> {
        tracing::info!(
            version = crate::VERSION,
            identity,
            namespace = args.namespace(),
            fleet = %self.fleet.local_addr()?,
            %advertised,
            http = %self.http.local_addr()?,
            "starting"
        );
        Ok(())
    }
}

/// The parts of the operator.
struct Operator {
    hub: Hub,
    election: Election,
    /// Reconciles; ends with `leaving`.
    control: JoinHandle<()>,
    /// Lets nodes in; ends with `closing`.
    fleet: JoinHandle<anyhow::Result<()>>,
    leaving: CancellationToken,
    closing: CancellationToken,
    /// What else runs; it ends when this is dropped.
    others: JoinSet<()>,
}

impl Operator {
    fn start(args: &Run, client: Client, sockets: Sockets) -> anyhow::Result<Self> {
        let identity = args.identity();
        let advertised = args.advertised(sockets.fleet.local_addr()?);
        sockets.announce(args, &identity, &advertised)?;
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let (hub, events) = hub(args, &identity, &client, &registry)?;
        let control_metrics = control::Metrics::register(&registry)?;
        let metrics = Metrics::register(&registry)?;
        let election = Election::start(client.clone(), args.election(&identity, &advertised));
        let (synced, synced_seen) = watch::channel(false);
        let (tls, tls_seen) = watch::channel(None);
        let (leaving, closing) = (CancellationToken::new(), CancellationToken::new());

        let control = control(
            client.clone(),
            args.control(&identity),
            FleetSide {
                hub: hub.clone(),
                events,
            },
            leader_side(&election),
            control_metrics,
            synced,
            leaving.clone(),
        );
        let certificates = Certificates::new(args, &client, args.certified(&advertised));
        let enroller = certificates.enroller(args, &client);
        let fleet = nodes::serve(
            hub.clone(),
            sockets.fleet,
            certificates,
            enroller,
            tls,
            election.role.clone(),
            closing.clone(),
        );
        let pages = Pages {
            registry,
            metrics,
            health: Health {
                synced: synced_seen,
                tls: tls_seen,
                leaving: leaving.clone(),
            },
            guard: election.guard.clone(),
        };
        Ok(Self {
            hub,
            control: tokio::spawn(control),
            fleet: tokio::spawn(fleet),
            others: others(client, sockets.http, pages, election.role.clone()),
            election,
            leaving,
            closing,
        })
    }

    /// Waits for a part to end that must not.
    async fn failed(&mut self) -> anyhow::Error {
        tokio::select! {
            ended = &mut self.control => match ended {
                Ok(()) => anyhow!("reconciling ended"),
                Err(error) => anyhow!(error).context("reconciling ended"),
            },
            ended = &mut self.fleet => match ended {
                Ok(Ok(())) => anyhow!("the service for nodes ended"),
                Ok(Err(error)) => error,
                Err(error) => anyhow!(error).context("the service for nodes ended"),
            },
        }
    }

    /// Writes no more; then ends the streams, so that nodes look for another
    /// operator; and only then lets another replica lead.
    async fn stop(mut self) {
        self.leaving.cancel();
        join("reconciling", &mut self.control).await;
        self.closing.cancel();
        join("the service for nodes", &mut self.fleet).await;
        self.hub.follow(None);
        self.election.end().await;
        self.others.abort_all();
    }
}

/// Waits for a part that was told to end.
async fn join<T>(part: &str, task: &mut JoinHandle<T>) {
    // One that failed has been waited for already.
    if !task.is_finished() && tokio::time::timeout(PARTING, &mut *task).await.is_err() {
        tracing::warn!(part, "did not end in time");
        task.abort();
    }
}

fn hub(
    args: &Run,
    identity: &str,
    client: &Client,
    registry: &Registry,
) -> prometheus::Result<(Hub, mpsc::UnboundedReceiver<HubEvent>)> {
    let store = ConfigMapStore::new(client.clone(), args.namespace());
    let metrics = fleet::Metrics::register(registry)?;
    let health = health::Metrics::register(registry)?;
    let config = args.hub(identity);
    Ok(Hub::new(config, Arc::new(store), metrics, health))
}

fn leader_side(election: &Election) -> LeaderSide {
    LeaderSide {
        role: election.role.clone(),
        guard: election.guard.clone(),
        resign: election.resigner(),
    }
}

/// What runs beside, and may be ended at any moment.
fn others(
    client: Client,
    listener: TcpListener,
    pages: Pages,
    role: watch::Receiver<Role>,
) -> JoinSet<()> {
    let mut others = JoinSet::new();
    others.spawn(pages.metrics.clone().count(role));
    others.spawn(definitions::miss(client, pages.health.synced.clone()));
    others.spawn(say_ready(pages.health.clone()));
    others.spawn(serve_pages(listener, pages));
    others
}

async fn serve_pages(listener: TcpListener, pages: Pages) {
    if let Err(error) = axum::serve(listener, http::router(pages)).await {
        tracing::error!(%error, "cannot serve HTTP any more");
    }
}

async fn say_ready(health: Health) {
    if health.ready().await == Readiness::Ready {
        tracing::info!("ready");
    }
}

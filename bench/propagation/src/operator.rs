//! The operator's part, without an API server: hub, service and certificates.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use watershed_operator::enrol::Enroller;
use watershed_operator::fleet::server::{self, ServeError};
use watershed_operator::fleet::{Config, FleetName, Hub, HubConfig, Metrics, Tagged};
use watershed_operator::generation::MemoryStore;
use watershed_operator::health;
use watershed_operator::tls::{self, Managed, MemorySecrets, ServerTls, TRUST_DOMAIN};
use watershed_snapshot::Term;

use crate::content::Content;
use crate::process;

/// How long the service may take to end.
const PARTING: Duration = Duration::from_secs(30);

/// A replica that leads, and lets nodes in.
pub(crate) struct Operator {
    hub: Hub,
    serving: JoinHandle<Result<(), ServeError>>,
    shutdown: CancellationToken,
    after: Successor,
}

/// What the next replica goes on with.
pub(crate) struct Successor {
    address: SocketAddr,
    tls: ServerTls,
    certificates: PathBuf,
    store: MemoryStore,
    term: u64,
}

fn fleet() -> FleetName {
    FleetName::new("default")
}

impl Operator {
    /// The first one. Certificates for nodes are put into `directory`.
    ///
    /// # Errors
    /// When it cannot listen, or make certificates.
    pub(crate) async fn start(directory: &Path, content: &mut Content) -> Result<Self> {
        let names = vec!["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string()];
        let managed = Managed::new(Arc::new(MemorySecrets::default()), names);
        let now = process::clock()?.as_secs();
        let tls = ServerTls::new(&managed.ensure(now).await?)?;
        let certificates = directory.join("tls");
        std::fs::create_dir(&certificates)?;
        let bundle = managed.issue(now, &fleet(), None, Vec::new()).await?;
        tls::write(&certificates, &bundle)?;
        // The port stays the same for all that follow.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let first = Successor {
            address: listener.local_addr()?,
            tls,
            certificates,
            store: MemoryStore::default(),
            term: 1,
        };
        first.serve(listener, content)
    }

    /// Where nodes find it.
    pub(crate) fn address(&self) -> SocketAddr {
        self.after.address
    }

    /// The directory with a certificate that all nodes may use.
    pub(crate) fn certificates(&self) -> &Path {
        &self.after.certificates
    }

    /// Some of what is desired is another thing from now on.
    pub(crate) fn publish(&self, changes: Vec<Tagged>) {
        self.hub.publish(changes, BTreeSet::new());
    }

    /// How many nodes there are, and how many of them serve what is desired.
    pub(crate) fn serving(&self) -> Option<(usize, usize)> {
        let view = self.hub.view(&fleet())?;
        let serving = view.nodes.iter().filter(|node| {
            let applied = node.applied.map(|held| held.id);
            applied.is_some() && applied == view.current
        });
        Some((view.nodes.len(), serving.count()))
    }

    /// Waits until all nodes that are there serve what is desired, and counts
    /// of them mean something.
    ///
    /// # Errors
    /// When that takes longer than `patience`.
    pub(crate) async fn settled(&self, patience: Duration) -> Result<()> {
        let settled = || {
            let all = |(live, serving)| live == serving;
            self.hub.settled(&fleet()) && self.serving().is_some_and(all)
        };
        until("the fleet has settled", patience, settled).await
    }

    /// Waits until verdicts are formed.
    ///
    /// # Errors
    /// When that takes longer than `patience`.
    pub(crate) async fn health_settled(&self, patience: Duration) -> Result<()> {
        let settled = || self.hub.health_settled(&fleet());
        until("verdicts are formed", patience, settled).await
    }

    /// Ends it, and all streams with it.
    ///
    /// # Errors
    /// When it had failed before, or does not end.
    pub(crate) async fn end(self) -> Result<Successor> {
        self.shutdown.cancel();
        self.hub.follow(None);
        let ended = tokio::time::timeout(PARTING, self.serving).await;
        ended.context("the service does not end")???;
        Ok(Successor {
            term: self.after.term + 1,
            ..self.after
        })
    }
}

impl Successor {
    /// Leads from now on.
    ///
    /// # Errors
    /// When the address is taken.
    pub(crate) async fn begin(self, content: &mut Content) -> Result<Operator> {
        let listener = TcpListener::bind(self.address).await?;
        self.serve(listener, content)
    }

    fn serve(self, listener: TcpListener, content: &mut Content) -> Result<Operator> {
        let registry = Registry::new();
        let config = HubConfig {
            publisher: Config::default(),
            trust_domain: TRUST_DOMAIN.to_owned(),
        };
        let (hub, _news) = Hub::new(
            config,
            Arc::new(self.store.clone()),
            Metrics::register(&registry)?,
            health::Metrics::register(&registry)?,
        );
        hub.lead(Term(self.term));
        hub.publish(content.everything(), BTreeSet::new());
        hub.watch_health(content.health()?);
        let shutdown = CancellationToken::new();
        let serving = server::serve(
            hub.clone(),
            listener,
            self.tls.clone(),
            Arc::new(Enroller::without_authority()),
            shutdown.clone(),
        );
        Ok(Operator {
            hub,
            serving: tokio::spawn(serving),
            shutdown,
            after: self,
        })
    }
}

/// Waits until something is so.
async fn until(what: &str, patience: Duration, is_so: impl Fn() -> bool) -> Result<()> {
    let looking = async {
        while !is_so() {
            // The hub has no event for all that is asked here.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let looked = tokio::time::timeout(patience, looking).await;
    looked.with_context(|| format!("not within {patience:?}: {what}"))
}

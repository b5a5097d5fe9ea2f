//! The tasks that watch.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::core::DynamicObject;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::listing::Listing;
use super::{Change, Source, gateway};
use crate::explain::explain;
use crate::object::ObjectKind;

/// How often it is looked whether the Gateway API was installed.
const LOOK_FOR_GATEWAYS: Duration = Duration::from_secs(10);

/// Changes that may wait to be taken up. A watch waits while the queue is
/// full, so this only evens out bursts.
const QUEUE: usize = 1024;

/// What to watch.
#[derive(Clone, Debug, Default)]
pub struct WatchesConfig {
    /// The operator's own namespace.
    pub own_namespace: String,
    /// Only these namespaces; all when empty.
    pub namespaces: BTreeSet<String>,
}

/// Watches of everything. They end when this is dropped.
pub struct Watches {
    /// What they tell.
    pub changes: mpsc::Receiver<Change>,
    /// How many of them must say [`Change::Synced`] before all is known.
    pub expected: usize,
    _tasks: JoinSet<()>,
}

/// One watch.
struct Watch {
    number: usize,
    source: Source,
    api: Api<DynamicObject>,
    config: watcher::Config,
}

impl Watches {
    /// Begins to watch.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn start(client: &Client, config: &WatchesConfig) -> kube::Result<Self> {
        let (sender, changes) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        let mut plan = Plan {
            client: client.clone(),
            config: config.clone(),
            watches: Vec::new(),
            count: 0,
        };
        plan.always();
        let found = gateway::discover(client).await?;
        for (source, version) in &found {
            plan.namespaced(*source, Some(version));
        }
        let expected = plan.count;
        plan.namespaced(Source::EndpointSlices, None);
        for watch in plan.watches.drain(..) {
            tasks.spawn(watch.run(sender.clone()));
        }
        let known = found.into_keys().collect();
        tasks.spawn(look_for_gateways(plan, known, sender));
        Ok(Self {
            changes,
            expected,
            _tasks: tasks,
        })
    }
}

/// Watches that are to be begun.
struct Plan {
    client: Client,
    config: WatchesConfig,
    watches: Vec<Watch>,
    count: usize,
}

impl Plan {
    fn always(&mut self) {
        for kind in ObjectKind::ALL {
            self.namespaced(Source::Kind(kind), None);
        }
        self.namespaced(Source::Services, None);
        self.namespaced(Source::Ingresses, None);
        self.namespaces();
        // The fleet lies beside its operator.
        let own = &self.config.own_namespace;
        if !self.config.namespaces.is_empty() && !self.config.namespaces.contains(own) {
            let source = Source::Kind(ObjectKind::DNSFleet);
            let resource = source.resource(None);
            let api = Api::namespaced_with(self.client.clone(), own, &resource);
            self.add(source, api, config());
        }
    }

    fn namespaced(&mut self, source: Source, version: Option<&str>) {
        let resource = source.resource(version);
        if self.config.namespaces.is_empty() {
            let api = Api::all_with(self.client.clone(), &resource);
            self.add(source, api, config());
            return;
        }
        for namespace in self.config.namespaces.clone() {
            let api = Api::namespaced_with(self.client.clone(), &namespace, &resource);
            self.add(source, api, config());
        }
    }

    /// Namespaces are objects of the cluster: one by name each, where not all
    /// may be seen.
    fn namespaces(&mut self) {
        let resource = Source::Namespaces.resource(None);
        let api = || Api::all_with(self.client.clone(), &resource);
        let mut configs: Vec<watcher::Config> = (self.config.namespaces.iter())
            .map(|name| config().fields(&format!("metadata.name={name}")))
            .collect();
        if configs.is_empty() {
            configs.push(config());
        }
        let watches: Vec<_> = configs.into_iter().map(|config| (api(), config)).collect();
        for (api, config) in watches {
            self.add(Source::Namespaces, api, config);
        }
    }

    fn add(&mut self, source: Source, api: Api<DynamicObject>, config: watcher::Config) {
        self.watches.push(Watch {
            number: self.count,
            source,
            api,
            config,
        });
        self.count += 1;
    }
}

fn config() -> watcher::Config {
    watcher::Config::default()
}

impl Watch {
    /// Watches until nobody listens any more.
    async fn run(self, changes: mpsc::Sender<Change>) {
        let mut listing = Listing::new(self.number, self.source);
        let events = watcher(self.api, self.config).backoff(Pauses::default());
        let mut events = std::pin::pin!(events);
        let mut failing = false;
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    // That one begins an attempt, and says nothing of its end.
                    failing &= matches!(event, Event::Init);
                    for change in listing.take(event) {
                        if changes.send(change).await.is_err() {
                            return;
                        }
                    }
                }
                // Said once; it is tried again until it succeeds.
                Err(error) if !failing => {
                    failing = true;
                    let error = explain(&error);
                    tracing::warn!(kind = %self.source, error, "a watch was interrupted");
                }
                Err(error) => tracing::debug!(kind = %self.source, %error, "a watch still fails"),
            }
        }
    }
}

/// Begins to watch kinds of the Gateway API once they are installed.
async fn look_for_gateways(
    mut plan: Plan,
    mut known: BTreeSet<Source>,
    changes: mpsc::Sender<Change>,
) {
    let mut tasks = JoinSet::new();
    while !changes.is_closed() && known.len() < 2 {
        tokio::time::sleep(LOOK_FOR_GATEWAYS).await;
        let found = match gateway::discover(&plan.client).await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(%error, "cannot see whether there is a Gateway API");
                continue;
            }
        };
        for (source, version) in found {
            if known.insert(source) {
                tracing::info!(kind = %source, version, "the cluster has a new kind");
                plan.namespaced(source, Some(version));
            }
        }
        for watch in plan.watches.drain(..) {
            tasks.spawn(watch.run(changes.clone()));
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Pauses between attempts of a watch: short, because an API server that comes
/// back should be seen soon, and growing to 5 s, because it may be under load.
#[derive(Default)]
struct Pauses {
    attempt: u32,
    last: Option<Instant>,
}

/// A watch that went well for so long is begun anew after a short pause.
const WENT_WELL: Duration = Duration::from_secs(10);

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = Instant::now();
        if (self.last.replace(now)).is_some_and(|last| now - last > WENT_WELL) {
            self.attempt = 0;
        }
        let pause = Duration::from_millis(200).saturating_mul(1 << self.attempt.min(5));
        self.attempt += 1;
        Some(pause.min(Duration::from_secs(5)))
    }
}

impl Backoff for Pauses {
    /// Every event asks for that, also the one that begins an attempt: time
    /// tells better whether an attempt succeeded.
    fn reset(&mut self) {}
}

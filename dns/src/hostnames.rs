//! Addresses of alias targets outside the zones, found through the system's
//! resolver in the background, so that no query ever waits for another.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use watershed_policy::{Policy, Value};
use watershed_snapshot::{OwnerName, Snapshot, record_type};

use crate::node::Node;

/// How often every name is looked up again. The system's resolver does not
/// say TTLs; load balancers have 60 seconds.
const REFRESH: Duration = Duration::from_secs(30);

/// A name that is not found in this time keeps its last addresses.
const PATIENCE: Duration = Duration::from_secs(5);

/// Names that are looked up at once.
const AT_ONCE: usize = 32;

/// The last known addresses by name.
type Table = HashMap<OwnerName, Arc<[IpAddr]>>;

/// Keeps a node's addresses of foreign hosts fresh until it is dropped.
pub struct Hostnames {
    wanted: watch::Sender<BTreeSet<OwnerName>>,
}

impl Hostnames {
    /// Makes `node` answer for alias targets outside its zones, for those of
    /// the snapshots that are told by [`Hostnames::follow`]. It needs a tokio
    /// runtime.
    pub fn start(node: &Node) -> Self {
        let table = Arc::new(ArcSwap::<Table>::default());
        let answers = Arc::clone(&table);
        node.set_hostnames(move |name: &OwnerName, kind: u16| addresses(&answers, name, kind));
        let (wanted, names) = watch::channel(BTreeSet::new());
        tokio::spawn(keep_fresh(table, names));
        Self { wanted }
    }

    /// Looks after the alias targets of this snapshot from now on.
    pub fn follow(&self, snapshot: &Snapshot) {
        let targets = foreign_targets(snapshot);
        self.wanted.send_if_modified(|wanted| {
            let changed = *wanted != targets;
            *wanted = targets;
            changed
        });
    }
}

fn addresses(table: &ArcSwap<Table>, name: &OwnerName, kind: u16) -> Option<Vec<IpAddr>> {
    let table = table.load();
    let addresses = table.get(name)?.iter();
    let wanted = addresses.filter(|address| match kind {
        record_type::A => address.is_ipv4(),
        _ => address.is_ipv6(),
    });
    Some(wanted.copied().collect())
}

/// Looks up the names, now, when they change, and every [`REFRESH`], until
/// nobody says any more which they are.
async fn keep_fresh(table: Arc<ArcSwap<Table>>, mut wanted: watch::Receiver<BTreeSet<OwnerName>>) {
    let mut lost = HashSet::new();
    loop {
        let names = wanted.borrow_and_update().clone();
        forget_others(&table, &names);
        lost.retain(|name| names.contains(name));
        look_up(&table, &names, &mut lost).await;
        if let Ok(Err(_)) = timeout(REFRESH, wanted.changed()).await {
            return;
        }
    }
}

fn forget_others(table: &ArcSwap<Table>, names: &BTreeSet<OwnerName>) {
    let mut kept = Table::clone(&table.load());
    kept.retain(|name, _| names.contains(name));
    table.store(Arc::new(kept));
}

/// `lost` are the names that are not found, each of which is said once.
async fn look_up(
    table: &ArcSwap<Table>,
    names: &BTreeSet<OwnerName>,
    lost: &mut HashSet<OwnerName>,
) {
    let mut names = names.iter().cloned();
    let mut running = JoinSet::new();
    for name in names.by_ref().take(AT_ONCE) {
        running.spawn(resolve(name));
    }
    while let Some(done) = running.join_next().await {
        if let Some(name) = names.next() {
            running.spawn(resolve(name));
        }
        match done {
            Ok((name, Ok(addresses))) => {
                if lost.remove(&name) {
                    tracing::info!(host = %name, "alias target resolved again");
                }
                // Each as soon as it is known: others may take long.
                let mut found = Table::clone(&table.load());
                found.insert(name, addresses);
                table.store(Arc::new(found));
            }
            Ok((name, Err(error))) => {
                if !lost.contains(&name) {
                    tracing::warn!(host = %name, error, "alias target not resolved");
                    lost.insert(name);
                }
            }
            Err(error) => tracing::error!(%error, "looking up an alias target failed"),
        }
    }
}

async fn resolve(name: OwnerName) -> (OwnerName, Result<Arc<[IpAddr]>, String>) {
    // Without the final dot names of /etc/hosts are found, too; the search
    // list does not apply to names with inner dots on common systems.
    let host = name.to_string();
    let found = tokio::net::lookup_host((host.trim_end_matches('.'), 0));
    let found = match timeout(PATIENCE, found).await {
        Ok(Ok(found)) => Ok(found.map(|address| address.ip()).collect::<BTreeSet<_>>()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    };
    (name, found.map(|addresses| addresses.into_iter().collect()))
}

/// The alias targets of a snapshot that lie outside its zones.
fn foreign_targets(snapshot: &Snapshot) -> BTreeSet<OwnerName> {
    let policies = snapshot.versions.iter().map(|version| &version.policy);
    let addressed = policies.filter(|policy| {
        let types = policy.record_types();
        types.contains(&record_type::A) || types.contains(&record_type::AAAA)
    });
    let endpoints = addressed.flat_map(Policy::endpoints);
    let values = endpoints.flat_map(|endpoint| &endpoint.values);
    let hosts = values.filter_map(|value| match value {
        Value::Hostname(host) => OwnerName::from_text(host).ok(),
        _ => None,
    });
    hosts
        .filter(|host| snapshot.zone_for(host).is_none())
        .collect()
}

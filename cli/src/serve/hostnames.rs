//! Addresses of alias targets outside the zones, found through the system's
//! resolver in the background, so that no query ever waits for another.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::timeout;
use watershed_dns::HostnameAddresses;
use watershed_policy::Value;
use watershed_snapshot::{OwnerName, Snapshot, record_type};

/// How often every name is looked up again. The system's resolver does not
/// say TTLs; load balancers have 60 seconds.
const REFRESH: Duration = Duration::from_secs(30);

/// A name that is not found in this time keeps its last addresses.
const PATIENCE: Duration = Duration::from_secs(5);

type Table = BTreeMap<OwnerName, Arc<[IpAddr]>>;

/// The last known addresses by name.
#[derive(Clone, Default)]
pub(super) struct Hostnames {
    table: Arc<ArcSwap<Table>>,
}

impl HostnameAddresses for Hostnames {
    fn addresses(&self, name: &OwnerName, kind: u16) -> Option<Vec<IpAddr>> {
        let table = self.table.load();
        let addresses = table.get(name)?.iter();
        let wanted = addresses.filter(|address| match kind {
            record_type::A => address.is_ipv4(),
            _ => address.is_ipv6(),
        });
        Some(wanted.copied().collect())
    }
}

impl Hostnames {
    /// Looks up the names that `wanted` says, now and every [`REFRESH`], until
    /// its sender is gone.
    pub(super) async fn keep_fresh(self, mut wanted: watch::Receiver<BTreeSet<OwnerName>>) {
        loop {
            let names = wanted.borrow_and_update().clone();
            self.look_up(&names).await;
            if let Ok(Err(_)) = timeout(REFRESH, wanted.changed()).await {
                return;
            }
        }
    }

    async fn look_up(&self, names: &BTreeSet<OwnerName>) {
        let last = self.table.load_full();
        let mut table = Table::new();
        for name in names {
            match resolve(name).await {
                Ok(addresses) => {
                    table.insert(name.clone(), addresses);
                }
                Err(error) => {
                    tracing::warn!(host = %name, error, "alias target not resolved");
                    if let Some(addresses) = last.get(name) {
                        table.insert(name.clone(), Arc::clone(addresses));
                    }
                }
            }
            // Each name as soon as it is known: others may take long.
            let mut sofar = Table::clone(&self.table.load());
            sofar.extend(
                table
                    .get(name)
                    .map(|found| (name.clone(), Arc::clone(found))),
            );
            self.table.store(Arc::new(sofar));
        }
        self.table.store(Arc::new(table));
    }
}

async fn resolve(name: &OwnerName) -> Result<Arc<[IpAddr]>, String> {
    // Without the final dot names of /etc/hosts are found, too; the search
    // list does not apply to names with inner dots on common systems.
    let host = name.to_string();
    let host = host.trim_end_matches('.');
    match timeout(PATIENCE, tokio::net::lookup_host((host, 0))).await {
        Ok(Ok(found)) => Ok(found.map(|address| address.ip()).collect::<BTreeSet<_>>())
            .map(|addresses| addresses.into_iter().collect()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// The alias targets of a snapshot that lie outside its zones.
pub(super) fn foreign_targets(snapshot: &Snapshot) -> BTreeSet<OwnerName> {
    let zones = snapshot.zones.values();
    let nodes = zones.flat_map(|zone| zone.names().map(|(_, node)| node));
    let bindings = nodes.flat_map(|node| node.policies.iter());
    let addressed = bindings.filter(|b| b.serves(record_type::A) || b.serves(record_type::AAAA));
    let mut seen = BTreeSet::new();
    let versions = addressed.filter(|binding| seen.insert(Arc::as_ptr(&binding.version)));
    let endpoints = versions.flat_map(|binding| binding.version.policy.endpoints());
    let values = endpoints.flat_map(|endpoint| &endpoint.values);
    let hosts = values.filter_map(|value| match value {
        Value::Hostname(host) => OwnerName::from_text(host).ok(),
        _ => None,
    });
    hosts
        .filter(|host| snapshot.zone_for(host).is_none())
        .collect()
}

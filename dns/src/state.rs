//! All that a query depends on, behind one pointer.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, Guard};
use watershed_geo::{GeoDatabase, LatencyTable};
use watershed_policy::{Health, LatencySource, Location};
use watershed_snapshot::{Binding, HealthStates, OwnerName, Snapshot};

use crate::health::{HealthTable, Sources, Verdicts};

/// Addresses of hosts that are not in the zones served here: the targets of
/// alias endpoints.
///
/// It is asked on the query path, so it must answer from memory.
pub trait HostnameAddresses: Send + Sync {
    /// The addresses of `hostname` for record type 1 (A) or 28 (AAAA);
    /// others are ignored. `None` when nothing is known, which makes the
    /// query fail; an empty list when the host is known to have none.
    fn addresses(&self, hostname: &OwnerName, record_type: u16) -> Option<Vec<IpAddr>>;
}

impl<F> HostnameAddresses for F
where
    F: Fn(&OwnerName, u16) -> Option<Vec<IpAddr>> + Send + Sync,
{
    fn addresses(&self, hostname: &OwnerName, record_type: u16) -> Option<Vec<IpAddr>> {
        self(hostname, record_type)
    }
}

/// What is read before the answers of a batch are written, as it may not be in
/// the processor's cache.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ahead {
    /// Names, with what lies and is bound there.
    pub(crate) names: bool,
    /// The locations of clients, if any policy looks at them.
    pub(crate) locations: bool,
}

impl Ahead {
    /// Names from which on they do not stay in the cache.
    const MANY: usize = 4096;

    /// The same for another snapshot than the one that it was made for.
    fn after(self, before: &Snapshot, snapshot: &Snapshot) -> Self {
        let mut missing = Self::MANY;
        let mut zones = snapshot.zones.values();
        let names = zones.any(|zone| {
            missing = missing.saturating_sub(zone.name_count());
            missing == 0
        });
        let mut versions = snapshot.versions.iter();
        // As with most changes of zones, versions are the same list.
        let locations = if Arc::ptr_eq(&before.versions, &snapshot.versions) {
            self.locations
        } else {
            versions.any(|version| version.policy.looks_at_location())
        };
        Self { names, locations }
    }
}

/// What queries are answered from at one moment.
#[derive(Clone)]
pub struct State {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) ahead: Ahead,
    by_hand: Arc<HealthStates>,
    verdicts: Arc<Verdicts>,
    /// Made from these three. The snapshot keeps versions where they are for
    /// as long as this state exists.
    health: Arc<HealthTable>,
    geo: Arc<GeoDatabase>,
    latency: Option<Arc<LatencyTable>>,
    pub(crate) hostnames: Arc<dyn HostnameAddresses>,
}

impl State {
    /// Nothing is served yet; everything is healthy, clients are located by
    /// the built-in table, and no other host's address is known.
    pub fn new() -> Self {
        Self {
            snapshot: Arc::default(),
            ahead: Ahead::default(),
            by_hand: Arc::default(),
            verdicts: Arc::default(),
            health: Arc::default(),
            geo: Arc::new(GeoDatabase::builtin()),
            latency: None,
            hostnames: Arc::new(|_: &OwnerName, _: u16| None),
        }
    }

    /// The same with another snapshot.
    #[must_use]
    pub fn with_snapshot(self, snapshot: Arc<Snapshot>) -> Self {
        let before = self.clone();
        Self {
            ahead: self.ahead.after(&self.snapshot, &snapshot),
            snapshot,
            ..self
        }
        .with_health_after(&before)
    }

    /// The same with other verdicts set by hand.
    #[must_use]
    pub fn with_health(self, by_hand: Arc<HealthStates>) -> Self {
        let before = self.clone();
        Self { by_hand, ..self }.with_health_after(&before)
    }

    /// The same with other verdicts of probes.
    #[must_use]
    pub fn with_verdicts(self, verdicts: Arc<Verdicts>) -> Self {
        let before = self.clone();
        Self { verdicts, ..self }.with_health_after(&before)
    }

    /// Works out anew what depends on what changed.
    fn with_health_after(self, before: &Self) -> Self {
        let (old, new, now) = (before.sources(), self.sources(), unix_time());
        if before.health.stays(old, new, now) {
            // As with most changes of zones.
            return self;
        }
        let health = Arc::new(before.health.after(old, new, now));
        Self { health, ..self }
    }

    fn sources(&self) -> Sources<'_> {
        Sources {
            snapshot: &self.snapshot,
            by_hand: &self.by_hand,
            verdicts: &self.verdicts,
        }
    }

    /// The same with another location database.
    #[must_use]
    pub fn with_geo(self, geo: Arc<GeoDatabase>) -> Self {
        Self { geo, ..self }
    }

    /// The same with another latency table; distance is used without one.
    #[must_use]
    pub fn with_latency(self, latency: Option<Arc<LatencyTable>>) -> Self {
        Self { latency, ..self }
    }

    /// The same with other addresses of foreign hosts.
    #[must_use]
    pub fn with_hostnames(self, hostnames: Arc<dyn HostnameAddresses>) -> Self {
        Self { hostnames, ..self }
    }

    pub(crate) fn locate(&self, address: IpAddr) -> Location {
        self.geo.lookup(address)
    }

    /// Reads what looking for these clients will read.
    pub(crate) fn read_locations_ahead(&self, clients: impl Iterator<Item = Ipv4Addr> + Clone) {
        self.geo.read_ahead(clients);
    }

    pub(crate) fn latency_source(&self) -> Option<&dyn LatencySource> {
        self.latency.as_deref().map(|table| table as _)
    }

    pub(crate) fn health_of(&self, binding: &Binding) -> Cow<'_, Health> {
        match self.health.of(binding) {
            Some(health) => Cow::Borrowed(health),
            // Not for a binding of this state's own snapshot.
            None => Cow::Owned(Health::all_healthy(&binding.version.policy)),
        }
    }

    /// As [`State::health_of`], for reading ahead.
    pub(crate) fn health_ahead(&self, binding: &Binding) -> Option<&Health> {
        self.health.of(binding)
    }

    /// The TTL of a binding's answers in seconds.
    pub(crate) fn ttl_of(&self, binding: &Binding) -> u32 {
        self.health.ttl(binding)
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

/// In whole seconds.
fn unix_time() -> i64 {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH);
    unix.map_or(0, |unix| i64::try_from(unix.as_secs()).unwrap_or(i64::MAX))
}

/// The current state. Readers take it without a lock; writers replace it
/// whole, so a query sees either all of a change or nothing of it.
#[derive(Default)]
pub(crate) struct StateCell(ArcSwap<State>);

impl StateCell {
    pub(crate) fn new(state: State) -> Self {
        Self(ArcSwap::from_pointee(state))
    }

    pub(crate) fn load(&self) -> Guard<Arc<State>> {
        self.0.load()
    }

    /// Replaces the state by what `change` makes of it. `change` runs again
    /// when another writer was faster.
    pub(crate) fn update(&self, change: impl Fn(State) -> State) {
        self.0.rcu(|state| change(State::clone(state)));
    }
}

//! The handle of a DNS node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use watershed_geo::{GeoDatabase, LatencyTable};
use watershed_snapshot::{HealthStates, Snapshot};

use crate::counts::QueryCounts;
use crate::handler::{Handler, Transport};
use crate::health::Verdicts;
use crate::server::{Listener, ServerError};
use crate::state::{HostnameAddresses, StateCell};
use crate::udp::limit::RateLimiter;
use crate::udp::{RateLimit, UdpOptions, UdpResponder};

/// How a node serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Largest UDP payload sent, in octets; values below 512 count as 512.
    /// The default of 1232 fits an unfragmented IPv6 packet of 1280 octets.
    pub udp_payload: u16,
    /// A TCP connection that sends no query for so long is closed (RFC 7766
    /// section 6.2.3 advises some seconds).
    pub tcp_idle: Duration,
    /// How UDP is served.
    pub udp: UdpOptions,
    /// How many answers a network gets by UDP; for all listeners together.
    pub rate_limit: RateLimit,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            udp_payload: 1232,
            tcp_idle: Duration::from_secs(10),
            udp: UdpOptions::default(),
            rate_limit: RateLimit::default(),
        }
    }
}

/// A DNS node. Clones share one state; every change takes effect with the
/// next query, whole, and loses none.
#[derive(Clone, Default)]
pub struct Node {
    state: Arc<StateCell>,
    counts: Arc<QueryCounts>,
    limiter: Option<Arc<RateLimiter>>,
    config: Config,
}

impl Node {
    /// A node that serves no zone yet, locates clients by the built-in table
    /// and takes everything as healthy.
    pub fn new(config: Config) -> Self {
        Self {
            state: Arc::default(),
            counts: Arc::default(),
            limiter: RateLimiter::new(&config.rate_limit).map(Arc::new),
            config,
        }
    }

    /// Serves `snapshot` from now on.
    pub fn publish(&self, snapshot: impl Into<Arc<Snapshot>>) {
        let snapshot = snapshot.into();
        self.state
            .update(|state| state.with_snapshot(Arc::clone(&snapshot)));
    }

    /// Goes by these health verdicts from now on, besides those of probes:
    /// what is unhealthy in here is unhealthy.
    pub fn set_health(&self, health: HealthStates) {
        let health = Arc::new(health);
        self.state
            .update(|state| state.with_health(Arc::clone(&health)));
    }

    /// Goes by these verdicts of probes from now on.
    pub fn set_verdicts(&self, verdicts: Verdicts) {
        let verdicts = Arc::new(verdicts);
        self.state
            .update(|state| state.with_verdicts(Arc::clone(&verdicts)));
    }

    /// Locates clients by this database from now on.
    pub fn set_geo(&self, geo: impl Into<Arc<GeoDatabase>>) {
        let geo = geo.into();
        self.state.update(|state| state.with_geo(Arc::clone(&geo)));
    }

    /// Takes latency from this table from now on, or from distance.
    pub fn set_latency(&self, latency: Option<LatencyTable>) {
        let latency = latency.map(Arc::new);
        self.state
            .update(|state| state.with_latency(latency.clone()));
    }

    /// Takes the addresses of alias targets outside the zones from here.
    pub fn set_hostnames(&self, hostnames: impl HostnameAddresses + 'static) {
        let hostnames: Arc<dyn HostnameAddresses> = Arc::new(hostnames);
        self.state
            .update(|state| state.with_hostnames(Arc::clone(&hostnames)));
    }

    /// Answers queries that come to `address` by UDP and TCP until the
    /// listener is stopped or dropped. Port 0 takes a free one, the same for
    /// both.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(&self, address: SocketAddr) -> Result<Listener, ServerError> {
        let Config { udp, tcp_idle, .. } = self.config;
        Listener::bind(address, self.handler(), udp, tcp_idle).await
    }

    /// Answers one packet, without a socket: what listeners do with it.
    /// `None` when there must be no reply.
    pub fn handle_packet(
        &self,
        packet: &[u8],
        source: SocketAddr,
        transport: Transport,
    ) -> Option<Vec<u8>> {
        self.handler().handle_packet(packet, source, transport)
    }

    /// Answers datagrams one after the other, without a socket: what each
    /// thread of a listener does with them.
    pub fn udp_responder(&self) -> UdpResponder {
        UdpResponder::new(self.handler())
    }

    /// How many queries were answered, and how.
    pub fn query_counts(&self) -> Arc<QueryCounts> {
        Arc::clone(&self.counts)
    }

    fn handler(&self) -> Handler {
        Handler {
            state: Arc::clone(&self.state),
            counts: Arc::clone(&self.counts),
            udp_payload: self.config.udp_payload.max(512),
            limiter: self.limiter.clone(),
        }
    }
}

//! The network that control plane, nodes and their clients share: a bridge
//! without a way out. Every cluster has its own, with the same addresses.
//!
//! | who | addresses |
//! | --- | --- |
//! | control plane, router, cluster DNS | 10.89.0.1 |
//! | nodes | 10.89.0.11, 10.89.0.12, ... |
//! | clients ([`Station`]) | any that is asked for |
//! | pods of the first node | 10.244.1.0/24 |
//! | Services | 10.96.0.0/16 |
//! | Services of type `LoadBalancer` | 10.89.53.0/24 |

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::netns::Namespace;

/// The control plane's machine, which also is everybody's router.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 89, 0, 1);

/// All pods.
pub(super) const PODS: &str = "10.244.0.0/16";

/// All Services.
pub(crate) const SERVICES: &str = "10.96.0.0/16";

/// The network.
#[derive(Clone, Debug)]
pub struct Lan {
    router: Namespace,
}

impl Lan {
    /// A new one.
    ///
    /// # Errors
    /// When this process may not make one.
    pub(crate) fn new() -> Result<Self> {
        let router = Namespace::new()?;
        router.ip("link add lan type bridge")?;
        router.ip(&format!("address add {GATEWAY}/24 dev lan"))?;
        router.ip("link set lan up")?;
        router.set("ipv4/ip_forward", "1")?;
        // A node has one address and one way to all others.
        router.set("ipv4/conf/all/send_redirects", "0")?;
        router.set("ipv4/conf/lan/send_redirects", "0")?;
        // Ports count when there are several ways to the same address.
        router.set("ipv4/fib_multipath_hash_policy", "1")?;
        Ok(Self { router })
    }

    /// The network as the control plane sees it.
    pub fn namespace(&self) -> &Namespace {
        &self.router
    }

    /// A client with an address of its own, which may be any.
    ///
    /// # Errors
    /// When it cannot be connected.
    pub fn station(&self, name: &str, address: Ipv4Addr) -> Result<Station> {
        let network = self.plug(name)?;
        network.ip(&format!("address add {address}/32 dev eth0"))?;
        network.ip(&format!("route add {GATEWAY} dev eth0"))?;
        network.ip(&format!("route add default via {GATEWAY} dev eth0"))?;
        self.router
            .ip(&format!("route replace {address}/32 dev lan"))?;
        Ok(Station { network, address })
    }

    /// Leads an address to nodes, as a load balancer or a router beside them
    /// does; to none, if none is given.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn route(
        &self,
        address: Ipv4Addr,
        nodes: impl IntoIterator<Item = Ipv4Addr>,
    ) -> Result<()> {
        let ways = nodes.into_iter().fold(String::new(), |ways, node| {
            format!("{ways} nexthop via {node}")
        });
        let route = match ways.as_str() {
            "" => format!("route replace blackhole {address}/32"),
            ways => format!("route replace {address}/32{ways}"),
        };
        self.router.ip(&route)
    }

    pub(super) fn plug_node(&self, number: u8) -> Result<Namespace> {
        let address = node_address(number);
        let network = self.plug(&node_name(number))?;
        network.ip(&format!("address add {address}/24 dev eth0"))?;
        network.ip(&format!("route add default via {GATEWAY}"))?;
        network.set("ipv4/ip_forward", "1")?;
        let pods = pods_of(number);
        self.router
            .ip(&format!("route replace {pods} via {address}"))?;
        if number == 1 {
            // Its kube-proxy serves those who are not on a node.
            self.router
                .ip(&format!("route replace {SERVICES} via {address}"))?;
        }
        Ok(network)
    }

    /// A network with a cable to the bridge, which both ends take down with them.
    fn plug(&self, name: &str) -> Result<Namespace> {
        let network = Namespace::new()?;
        let port = port(name);
        let other_end: PathBuf = network.path();
        self.router.ip(&format!(
            "link add {port} type veth peer name eth0 netns {}",
            other_end.display()
        ))?;
        self.router.ip(&format!("link set {port} master lan up"))?;
        network.ip("link set eth0 up")?;
        Ok(network)
    }
}

/// A machine on the network that has nothing to do with Kubernetes.
#[derive(Clone, Debug)]
pub struct Station {
    network: Namespace,
    address: Ipv4Addr,
}

impl Station {
    /// Its address, which is the only one.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Its network.
    pub fn network(&self) -> &Namespace {
        &self.network
    }

    /// A UDP socket with its address.
    ///
    /// # Errors
    /// When no port is free.
    pub fn udp(&self) -> Result<tokio::net::UdpSocket> {
        let local = SocketAddr::from((self.address, 0));
        self.network.udp(local).context("a client's socket")
    }
}

/// A node's name.
pub(crate) fn node_name(number: u8) -> String {
    format!("n{number}")
}

/// The bridge's end of a cable. Names of interfaces have at most 15 letters.
pub(super) fn port(name: &str) -> String {
    format!("to-{name:.12}")
}

/// A node's address.
pub(crate) fn node_address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 89, 0, 10 + number)
}

/// The network of a node's pods.
pub(super) fn pods_of(number: u8) -> String {
    format!("10.244.{number}.0/24")
}

//! Load balancers for all Services that ask for one, as the controller of a
//! cloud makes them: for clusters that stay.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Service;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::balancer::Balancer;
use super::lan::Lan;

/// How often it is looked for Services.
const PERIOD: Duration = Duration::from_secs(1);

/// Services have addresses 10.89.53.1 to 10.89.53.254.
const NETWORK: [u8; 3] = [10, 89, 53];

/// The load balancers of a cluster.
pub struct Balancers {
    client: Client,
    lan: Lan,
    nodes: Vec<Ipv4Addr>,
    /// By namespace and name of their Services, with the end of the address.
    running: BTreeMap<(String, String), (u8, Balancer)>,
}

impl Balancers {
    /// For a cluster with these nodes; none yet.
    pub fn new(client: Client, lan: &Lan, nodes: Vec<Ipv4Addr>) -> Self {
        Self {
            client,
            lan: lan.clone(),
            nodes,
            running: BTreeMap::new(),
        }
    }

    /// Follows the Services of the cluster. What fails is said on standard error
    /// and tried again.
    pub async fn run(mut self) {
        loop {
            if let Err(error) = self.look().await {
                eprintln!("load balancers: {error:#}");
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    async fn look(&mut self) -> Result<()> {
        let services: Api<Service> = Api::all(self.client.clone());
        let found = services.list(&ListParams::default()).await?.items;
        let asking = found.iter().filter_map(|service| {
            let port = health_port(service)?;
            Some((key(service), port))
        });
        let asking: BTreeMap<_, _> = asking.collect();
        self.running.retain(|key, _| asking.contains_key(key));
        for ((namespace, name), port) in asking {
            if !self
                .running
                .contains_key(&(namespace.clone(), name.clone()))
            {
                self.add(namespace, name, port).await?;
            }
        }
        Ok(())
    }

    async fn add(&mut self, namespace: String, name: String, port: u16) -> Result<()> {
        let taken: BTreeSet<u8> = self.running.values().map(|(number, _)| *number).collect();
        let number = (1..255).find(|number| !taken.contains(number));
        let number = number.context("no address is left")?;
        let [a, b, c] = NETWORK;
        let address = Ipv4Addr::new(a, b, c, number);
        let balancer = Balancer::start(&self.lan, self.nodes.clone(), address, port)?;
        let services: Api<Service> = Api::namespaced(self.client.clone(), &namespace);
        let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": address}]}}});
        let patch = Patch::Merge(status);
        services
            .patch_status(&name, &PatchParams::default(), &patch)
            .await?;
        self.running.insert((namespace, name), (number, balancer));
        Ok(())
    }
}

fn key(service: &Service) -> (String, String) {
    let namespace = service.namespace().unwrap_or_default();
    (namespace, service.name_any())
}

/// The port at which nodes say whether they have a pod of a Service; `None` if it
/// does not ask for a load balancer that keeps the addresses of clients.
fn health_port(service: &Service) -> Option<u16> {
    let spec = service.spec.as_ref()?;
    let asks = spec.type_.as_deref() == Some("LoadBalancer");
    let port = spec.health_check_node_port.filter(|_| asks)?;
    u16::try_from(port).ok()
}

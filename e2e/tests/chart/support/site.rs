//! A cluster to install the chart in, and clients of its DNS.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watershed_e2e::dns::{LoadOptions, Question, Reply, ask_by};
use watershed_e2e::netns::Namespace;
use watershed_e2e::node::{Balancer, Node, Station};
use watershed_e2e::{Audit, Cluster, Options, binaries, eventually};

use super::SOON;

/// Namespace of the release.
pub const HOME: &str = "watershed-system";

/// Names a file of values for clusters that are not this suite's own, such as
/// where they get the images from.
const VALUES: &str = "WATERSHED_E2E_VALUES";

/// Names the network in which the clients are, in a cluster that is not this
/// suite's own, as a file for `nsenter --net=`; without it they are on this
/// machine's.
const NETWORK: &str = "WATERSHED_E2E_NETWORK";

/// The address of the first Service that is made reachable.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 89, 53, 1);

/// The version and the tag of another build of the programs.
pub const NEXT: &str = "next";

/// An address in Germany, where the example has an endpoint of its own.
const BERLIN: Ipv4Addr = Ipv4Addr::new(130, 149, 0, 7);

/// A cluster without Watershed.
///
/// One that is not this suite's own must have what the chart's documentation
/// asks for: nodes that get the images ([`VALUES`] says from where), a load
/// balancer that this machine reaches (or the network of [`NETWORK`]), and no Watershed; what was installed is
/// left there. What takes nodes of the suite's own (clients with addresses of
/// the test's choice, power cuts, a metadata service) is not done there, and
/// [`Site::note`] says so.
pub struct Site {
    // Dropped before the cluster.
    balancers: Vec<Balancer>,
    station: Option<Station>,
    /// Where clients are who have no station.
    network: Option<Namespace>,
    /// The cluster.
    pub cluster: Cluster,
}

impl Site {
    /// Starts a cluster with nodes that have the images, and a client in Berlin.
    pub async fn start(name: &str, nodes: u8) -> Result<Self> {
        let options = Options {
            crds: false,
            audit: Audit::Off,
            nodes,
            ..Options::default().named(name)
        };
        let images = binaries::images()?;
        let cluster = Cluster::start(options).await?;
        let station = if cluster.nodes().is_empty() {
            None
        } else {
            cluster.import(&images)?;
            Some(cluster.lan()?.station("berlin", BERLIN)?)
        };
        Ok(Self {
            balancers: Vec::new(),
            station,
            network: network()?,
            cluster,
        })
    }

    /// Whether the nodes are the suite's own; if not, notes what is not shown.
    pub fn owns_nodes_for(&self, what: &str) -> bool {
        let owned = self.station.is_some();
        if !owned {
            self.note(&format!(
                "not shown in a cluster that is not our own: {what}"
            ));
        }
        owned
    }

    /// A figure or a finding: printed, and kept in `notes.txt` beside the logs.
    pub fn note(&self, text: &str) {
        println!("{text}");
        let notes = self.cluster.dir().join("notes.txt");
        let file = OpenOptions::new().create(true).append(true).open(&notes);
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{text}")) {
            eprintln!("{}: {error}", notes.display());
        }
    }

    /// The values that upgrade a program to another build, `operator` or `dns`. In
    /// a cluster that is not our own it is the same build once more. That programs
    /// of two formats work together, another suite shows.
    pub fn next_build(&self, program: &str) -> String {
        match self.station {
            Some(_) => {
                format!("--set {program}.image=ghcr.io/watershed-dns/watershed-{program}:{NEXT}")
            }
            None => format!("--set {program}.podAnnotations.build={NEXT}"),
        }
    }

    /// Gives the nodes the images of the other build.
    pub fn import_next_build(&self) -> Result<()> {
        if self.owns_nodes_for("an upgrade to another build") {
            self.cluster.import(&binaries::next_images()?)?;
        }
        Ok(())
    }

    /// `kubectl` with words that have no spaces.
    pub async fn kubectl(&self, words: &str) -> Result<String> {
        self.cluster.kubectl(words.split_whitespace()).await
    }

    /// `helm` with words that have no spaces.
    pub async fn helm(&self, words: &str) -> Result<String> {
        self.cluster.helm(words.split_whitespace()).await
    }

    /// Installs or upgrades the release `watershed` and waits for it.
    pub async fn install(&self, values: &str) -> Result<()> {
        let given = values_file().map(|file| format!("--values {file}"));
        let given = given.unwrap_or_default();
        let command = format!(
            "upgrade --install watershed charts/watershed --namespace {HOME} \
             --create-namespace --wait --timeout 5m {given} {values}"
        );
        match self.helm(&command).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.context(self.pods().await)),
        }
    }

    /// What there is, for messages.
    pub async fn pods(&self) -> String {
        let pods = self.kubectl("get pods --all-namespaces -o wide").await;
        let events = self
            .kubectl("events --all-namespaces --types=Warning")
            .await;
        format!(
            "{}\n{}",
            pods.unwrap_or_default(),
            events.unwrap_or_default()
        )
    }

    /// Makes a Service reachable and returns its address with port 53: the nodes
    /// of this suite have a load balancer, other clusters their own.
    pub async fn expose(&mut self, namespace: &str, service: &str) -> Result<SocketAddr> {
        let found = self.service(namespace, service).await?;
        if self.station.is_some() {
            let number = u8::try_from(self.balancers.len())?;
            let [a, b, c, d] = FIRST.octets();
            let address = Ipv4Addr::new(a, b, c, d + number);
            let port = found["spec"]["healthCheckNodePort"].as_u64();
            let port = port.context("the Service does not keep addresses of clients")?;
            self.give_address(namespace, service, address).await?;
            let nodes = self.cluster.nodes().iter().map(Node::address);
            let balancer = Balancer::start(
                self.cluster.lan()?,
                nodes.collect(),
                address,
                u16::try_from(port)?,
            )?;
            self.balancers.push(balancer);
        }
        let given = async || {
            let service = self.service(namespace, service).await?;
            let address = &service["status"]["loadBalancer"]["ingress"][0]["ip"];
            let address = address.as_str().context("the Service has no address yet")?;
            Ok(SocketAddr::new(address.parse::<IpAddr>()?, 53))
        };
        eventually("the Service has an address", SOON, given).await
    }

    /// Takes away what the test has made, from a cluster that stays: the objects
    /// while there is an operator to let go of them, then the releases.
    pub async fn finish(self, releases: &[&str], namespaces: &[&str]) -> Result<()> {
        if self.station.is_some() {
            return Ok(());
        }
        for namespace in namespaces {
            self.kubectl(&format!("delete tfr,tfrs --all -n {namespace}"))
                .await?;
            self.kubectl(&format!("delete namespace {namespace}"))
                .await?;
        }
        for release in releases {
            self.helm(&format!("uninstall {release} --namespace {release} --wait"))
                .await?;
            self.kubectl(&format!("delete namespace {release}")).await?;
        }
        self.helm(&format!("uninstall watershed --namespace {HOME} --wait"))
            .await?;
        self.kubectl(&format!("delete namespace {HOME}")).await?;
        Ok(())
    }

    /// Takes the load balancers away, as the Services that they were for have gone.
    pub fn forget_services(&mut self) {
        self.balancers.clear();
    }

    async fn service(&self, namespace: &str, name: &str) -> Result<Value> {
        let found = self
            .kubectl(&format!("get service {name} -n {namespace} -o json"))
            .await?;
        Ok(serde_json::from_str(&found)?)
    }

    /// As the controller of a load balancer does.
    async fn give_address(&self, namespace: &str, name: &str, address: Ipv4Addr) -> Result<()> {
        let patch = serde_json::json!({
            "status": {"loadBalancer": {"ingress": [{"ip": address}]}}
        });
        self.kubectl(&format!(
            "patch service {name} -n {namespace} --subresource=status --type=merge --patch {patch}"
        ))
        .await?;
        Ok(())
    }

    /// Asks once, as the client in Berlin or, in a foreign cluster, from here.
    pub async fn ask(&self, server: SocketAddr, question: &Question) -> Result<Reply> {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let socket = match (&self.station, &self.network) {
            (Some(station), _) => station.udp()?,
            (None, Some(network)) => network.udp(any)?,
            (None, None) => tokio::net::UdpSocket::bind(any).await?,
        };
        ask_by(&socket, server, question, Duration::from_secs(2)).await
    }

    /// Waits until a question is answered with these values, some times in a row
    /// as several nodes answer it.
    pub async fn answers(
        &self,
        server: SocketAddr,
        question: &Question,
        values: &[&str],
    ) -> Result<()> {
        let what = format!("{question} is answered with {values:?}");
        let all = async || {
            for _ in 0..20 {
                let reply = self.ask(server, question).await?;
                ensure!(reply.values() == values, "{}", reply.summary());
            }
            Ok(())
        };
        eventually(&what, SOON, all).await
    }

    /// A load from the client's address, by so many sockets: which pod gets a
    /// question depends on the port that it comes from.
    pub fn load(&self, server: SocketAddr, questions: &[Question], sockets: usize) -> LoadOptions {
        let options = LoadOptions::new(&vec![server; sockets], questions).rate(25);
        let station = self.station.as_ref().map(Station::network);
        match station.or(self.network.as_ref()) {
            Some(network) => options.from(network),
            None => options,
        }
    }
}

/// The network that the environment names.
fn network() -> Result<Option<Namespace>> {
    let path = env::var_os(NETWORK).filter(|path| !path.is_empty());
    path.map(|path| Namespace::open(Path::new(&path)))
        .transpose()
        .context(NETWORK)
}

/// The values that the environment gives for clusters that are not our own.
fn values_file() -> Option<String> {
    env::var(VALUES).ok().filter(|file| !file.is_empty())
}

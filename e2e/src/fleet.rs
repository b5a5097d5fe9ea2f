//! A cluster with operators and DNS nodes: what most suites begin with.
//!
//! Operators run as their service account, with the rights of `deploy/` and no
//! others. Certificates come from files, unless the setup leaves them to the
//! operator.

mod objects;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::certs::Authority;
use crate::dns::{Question, ask};
use crate::ports::free_address;
use crate::tools::repository;
use crate::{Audit, Cluster, Identity, Launch, Options, Process, binaries, eventually, http};

/// Namespace of the operator.
pub const HOME: &str = "watershed-system";

/// The operator's account, as the audit log has it.
pub const OPERATOR: &str = "system:serviceaccount:watershed-system:watershed-operator";

/// Longest time for anything that should take no more than some seconds.
pub const SOON: Duration = Duration::from_mins(1);

/// The operator's namespace, account and fleet.
const OBJECTS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: watershed-system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: watershed-operator, namespace: watershed-system}
---
apiVersion: watershed.dev/v1alpha1
kind: DNSFleet
metadata: {name: default, namespace: watershed-system}
spec: {}
";

/// What to start.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Name of the test, for its logs.
    pub name: String,
    /// How many DNS nodes; they are called `dns-0`, `dns-1`, …
    pub nodes: usize,
    /// How many operators; they are called `operator-0`, `operator-1`, …
    pub operators: usize,
    /// Whether the admission policies are installed.
    pub admission: bool,
    /// Whether the operator makes the certificates, in Secrets.
    pub managed_certificates: bool,
    /// More flags for every operator.
    pub operator_args: Vec<String>,
    /// More flags for every node.
    pub node_args: Vec<String>,
    /// Which requests to the API server are recorded.
    pub audit: Audit,
}

impl Default for Setup {
    /// Three nodes and an operator, with the admission policies.
    fn default() -> Self {
        Self {
            name: "fleet".to_owned(),
            nodes: 3,
            operators: 1,
            admission: true,
            managed_certificates: false,
            operator_args: Vec::new(),
            node_args: Vec::new(),
            audit: Audit::Writes,
        }
    }
}

impl Setup {
    /// The setup of a test of this name.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }
}

/// A DNS node.
pub struct Node {
    /// `watershed-dns`.
    pub process: Process,
    /// Where it answers queries.
    pub dns: SocketAddr,
    /// Where it tells about itself.
    pub http: SocketAddr,
    /// Its name.
    pub name: String,
}

/// An operator.
pub struct Operator {
    /// `watershed-operator run`.
    pub process: Process,
    /// Where it tells about itself.
    pub http: SocketAddr,
    /// Where nodes connect.
    pub fleet: SocketAddr,
}

/// A cluster with operators and nodes. All of it ends when this is dropped.
pub struct Fleet {
    // Dropped first, so that programs end before what they talk to.
    /// The nodes, in the order in which they were added.
    pub nodes: Vec<Node>,
    /// The operators, likewise.
    pub operators: Vec<Operator>,
    /// The control plane.
    pub cluster: Cluster,
    /// How further programs are started.
    pub setup: Setup,
    authority: Authority,
    kubeconfig: PathBuf,
    /// Where operators are or will be, so that nodes know all of them.
    addresses: Vec<SocketAddr>,
}

impl Fleet {
    /// Starts all of it, and waits until the operators are ready.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start(setup: Setup) -> Result<Self> {
        let options = Options {
            audit: setup.audit,
            ..Options::default().named(&setup.name)
        };
        let cluster = Cluster::start(options).await?;
        Self::start_in(cluster, setup).await
    }

    /// As [`start`](Self::start), in a cluster that runs already.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start_in(cluster: Cluster, setup: Setup) -> Result<Self> {
        cluster.apply(OBJECTS).await?;
        cluster
            .apply_path(repository().join("deploy/rbac.yaml"))
            .await?;
        if setup.admission {
            cluster
                .apply_path(repository().join("deploy/admission.yaml"))
                .await?;
        }
        let account = Identity::service_account(HOME, "watershed-operator");
        let addresses = (0..setup.operators.max(2)).map(|_| free_address());
        let (nodes, operators) = (setup.nodes, setup.operators);
        let mut fleet = Self {
            kubeconfig: cluster.kubeconfig_for(&account).await?,
            authority: Authority::new("fleet")?,
            addresses: addresses.collect::<Result<_>>()?,
            nodes: Vec::new(),
            operators: Vec::new(),
            cluster,
            setup,
        };
        for _ in 0..operators {
            fleet.add_operator(&[]).await?;
        }
        for number in 0..nodes {
            fleet.add_node(&format!("dns-{number}"), &[]).await?;
        }
        Ok(fleet)
    }

    /// Starts one more operator, with these flags, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn add_operator(&mut self, args: &[&str]) -> Result<&Operator> {
        let number = self.operators.len();
        let name = format!("operator-{number}");
        if self.addresses.len() <= number {
            self.addresses.push(free_address()?);
        }
        let (fleet, http) = (self.addresses[number], free_address()?);
        let log = self.cluster.dir().join(format!("{name}.log"));
        let mut launch = Launch::new(&name, binaries::operator()?, log)
            .args(["run", "--namespace", HOME, "--pod-name", &name])
            .args(["--fleet-listen", &fleet.to_string()])
            .args(["--advertise", &fleet.to_string()])
            .args(["--http", &http.to_string()]);
        if !self.setup.managed_certificates {
            let tls = self.cluster.dir().join(format!("{name}-tls"));
            self.authority
                .write(&tls, &self.authority.server(&["127.0.0.1"])?)?;
            launch = launch.arg("--tls-dir").arg(tls);
        }
        let launch = launch
            .args(&self.setup.operator_args)
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("RUST_LOG", "info,watershed_operator=debug");
        self.operators.push(Operator {
            process: Process::start(launch)?,
            http,
            fleet,
        });
        self.operator_is_ready(number).await?;
        Ok(&self.operators[number])
    }

    /// Waits until an operator says that it is ready.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn operator_is_ready(&self, number: usize) -> Result<()> {
        let operator = self.operators.get(number).context("no such operator")?;
        let ready = async || is_ready(operator.http).await;
        operator
            .process
            .eventually("the operator is ready", SOON, ready)
            .await
    }

    /// Starts one more node, with these flags.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn add_node(&mut self, name: &str, args: &[&str]) -> Result<&Node> {
        let dir = self.cluster.dir().join(name);
        let (tls, state) = (dir.join("tls"), dir.join("state"));
        std::fs::create_dir_all(&state)?;
        self.certify_node(name, &tls).await?;
        let (dns, http) = (free_address()?, free_address()?);
        let mut launch = Launch::new(name, binaries::dns()?, dir.join("node.log"))
            .args(["--listen", &dns.to_string(), "--http", &http.to_string()])
            .args(["--node", name, "--drain-seconds", "0"])
            .arg("--tls-dir")
            .arg(tls)
            .arg("--state")
            .arg(state);
        for address in &self.addresses {
            launch = launch.args(["--operator", &address.to_string()]);
        }
        let launch = launch.args(&self.setup.node_args).args(args);
        self.nodes.push(Node {
            process: Process::start(launch)?,
            dns,
            http,
            name: name.to_owned(),
        });
        self.nodes.last().context("no nodes")
    }

    /// Gives a node its certificate: by the tests' authority, or by the
    /// operator's with its own command.
    async fn certify_node(&self, name: &str, tls: &std::path::Path) -> Result<()> {
        if !self.setup.managed_certificates {
            return self
                .authority
                .write(tls, &self.authority.node("default", name)?);
        }
        let log = self.cluster.dir().join(format!("{name}-certificate.log"));
        let launch = Launch::new("certificate", binaries::operator()?, log)
            .args([
                "certificate",
                "--namespace",
                HOME,
                "--fleet",
                "default",
                "--node",
                name,
            ])
            .arg("--out")
            .arg(tls)
            .env("KUBECONFIG", self.cluster.kubeconfig());
        let command = Process::start(launch)?;
        eventually("the certificate is written", SOON, async || {
            let status = command.exited().context("it runs")?;
            ensure!(status.success(), "{}", command.last_words());
            Ok(())
        })
        .await
    }

    /// Where the nodes answer queries.
    pub fn servers(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.dns).collect()
    }

    /// Waits until every node answers a question with these values, in order.
    ///
    /// # Errors
    /// When one does not in time; what it answers instead.
    pub async fn answers_everywhere(&self, question: &Question, values: &[&str]) -> Result<()> {
        for node in &self.nodes {
            let what = format!("{} answers {values:?} to {question}", node.name);
            eventually(&what, SOON, async || {
                let reply = ask(node.dns, question, Duration::from_secs(1)).await?;
                ensure!(reply.values() == values, "{}", reply.summary());
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

/// # Errors
/// When the program is not ready; why.
async fn is_ready(address: SocketAddr) -> Result<()> {
    let (code, why) = http::get(address, "/readyz").await?;
    ensure!(code == 200, "{code}: {why}");
    Ok(())
}

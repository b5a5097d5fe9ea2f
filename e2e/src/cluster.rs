//! A Kubernetes control plane on this machine.
//!
//! ```no_run
//! # use watershed_e2e::{Cluster, Identity, Options};
//! # async fn test() -> anyhow::Result<()> {
//! let cluster = Cluster::start(Options::default()).await?;
//! cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}").await?;
//! println!("{}", cluster.kubectl(["get", "namespaces"]).await?);
//! # Ok(())
//! # }
//! ```
//!
//! A start takes some four seconds, one with controllers a second more. All ends
//! when the value is dropped, and when the test's process ends in any other way.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use crate::image;
use crate::node::{self, GATEWAY, Lan, Node, PAUSE, Site};
use crate::process::Process;
use crate::reaper;
use crate::run_dir;
use crate::tools::{self, Tools, repository};
use crate::wait::eventually;

mod audit;
mod control_plane;
mod identity;
mod kubeconfig;
mod manifests;
mod options;

pub use audit::{AuditEvent, Mark};
pub use identity::Identity;
pub use manifests::{Failures, parse as parse_manifests};
pub use options::{Audit, Options};

pub use crate::tools::Version;
use control_plane::ControlPlane;

/// `1` runs the tests against the cluster of `KUBECONFIG`. Both are asked for,
/// as a cluster that is merely the current one may be people's own.
pub const USE_KUBECONFIG: &str = "WATERSHED_E2E_USE_KUBECONFIG";

/// How long an API server may take until it is ready, on a busy machine.
const READY: Duration = Duration::from_mins(2);

/// Archives of images, below the cluster's directory.
const IMAGES: &str = "images";

/// Other programs may take a port between its choice and its use.
const START_ATTEMPTS: usize = 4;

/// A control plane, or the cluster that the environment names.
pub struct Cluster {
    dir: PathBuf,
    // These end in this order.
    nodes: Vec<Node>,
    plane: Option<ControlPlane>,
    lan: Option<Lan>,
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    client: Client,
    options: Options,
}

impl Cluster {
    /// Starts etcd and an API server and waits until it is ready; installs the
    /// definitions of `crds/` and starts controllers if the options say so.
    ///
    /// # Errors
    /// When a program is not built, does not start or is not ready in time.
    pub async fn start(options: Options) -> Result<Self> {
        if let Some(kubeconfig) = existing()? {
            return Self::attach(options, kubeconfig).await;
        }
        let mut attempt = 1;
        loop {
            match Self::try_start(&options).await {
                Err(error) if attempt < START_ATTEMPTS && control_plane::port_was_taken(&error) => {
                    eprintln!("a port was taken, starting again: {error:#}");
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_start(options: &Options) -> Result<Self> {
        ensure!(
            options.nodes == 0 || options.controller_manager,
            "nodes need controllers, see Options::controller_manager"
        );
        let tools = Tools::find(options.version)?;
        let dir = run_dir::new_dir(&options.name)?;
        eprintln!("{}: logs in {}", options.name, dir.display());
        let lan = if options.nodes > 0 {
            node::check_privileges()?;
            fs::create_dir(dir.join(IMAGES))?;
            reaper::remove_dir(&dir.join(IMAGES))?;
            Some(Lan::new()?)
        } else {
            None
        };
        let plane = ControlPlane::start(&tools, &dir, options, lan.as_ref())?;
        let kubeconfig = dir.join("admin.kubeconfig");
        kubeconfig::write(&kubeconfig, &plane.admin()?)?;
        let client = client_of(&kubeconfig).await?;
        let mut cluster = Self {
            dir,
            nodes: Vec::new(),
            plane: Some(plane),
            lan,
            kubectl: tools.kubectl(),
            kubeconfig,
            client,
            options: options.clone(),
        };
        cluster.ready().await?;
        cluster.prepare(&tools).await?;
        Ok(cluster)
    }

    /// Definitions come before the controllers, which learn of kinds only twice
    /// a minute and would collect no garbage of theirs until then.
    async fn prepare(&mut self, tools: &Tools) -> Result<()> {
        if self.options.crds {
            self.install_crds().await?;
        }
        if self.options.controller_manager
            && let Some(plane) = &mut self.plane
        {
            plane.start_controllers(tools)?;
            self.switch_on_nodes(tools)?;
            self.controllers_ready().await?;
        }
        for node in &self.nodes {
            node.ready(&self.client).await?;
        }
        Ok(())
    }

    /// Starts the nodes and what is only of use with them, and waits for none.
    fn switch_on_nodes(&mut self, tools: &Tools) -> Result<()> {
        let (Some(lan), Some(plane)) = (&self.lan, &mut self.plane) else {
            return Ok(());
        };
        plane.start_scheduler(tools)?;
        plane.start_dns(&tools::coredns()?)?;
        let pause = self.dir.join(IMAGES).join("pause.tar");
        image::of_program(PAUSE, &tools::pause()?, &pause)?;
        let site = Site {
            tools,
            dir: &self.dir,
            lan,
            pause: &pause,
        };
        for number in 1..=self.options.nodes {
            let (name, address) = (node::node_name(number), node::node_address(number));
            plane.write_node_credentials(&name, address)?;
            self.nodes.push(Node::start(&site, number)?);
        }
        Ok(())
    }

    /// Takes a cluster that runs already, installs the definitions if the
    /// options say so, and leaves it running.
    ///
    /// # Errors
    /// When the file is not a kubeconfig, or the API server is not ready in time.
    pub async fn attach(options: Options, kubeconfig: PathBuf) -> Result<Self> {
        let dir = run_dir::new_dir(&options.name)?;
        eprintln!("{}: the cluster of {}", options.name, kubeconfig.display());
        let client = client_of(&kubeconfig).await?;
        let kubectl = Tools::find(Version::Newest)?.kubectl();
        let cluster = Self {
            dir,
            nodes: Vec::new(),
            plane: None,
            lan: None,
            kubectl,
            kubeconfig,
            client,
            options,
        };
        cluster.ready().await?;
        if cluster.options.crds {
            cluster.install_crds().await?;
        }
        Ok(cluster)
    }

    /// A client with all rights.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A client for other credentials, see [`Cluster::kubeconfig_for`].
    ///
    /// # Errors
    /// When the file is not a kubeconfig.
    pub async fn client_of(&self, kubeconfig: &Path) -> Result<Client> {
        client_of(kubeconfig).await
    }

    /// The file with credentials that have all rights.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The directory of this cluster's logs, where a test may put its own files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The program `kubectl`, for what needs more than arguments.
    pub fn kubectl_program(&self) -> &Path {
        &self.kubectl
    }

    /// Runs `kubectl` with all rights and returns its standard output.
    ///
    /// # Errors
    /// When it fails; with what it printed.
    pub async fn kubectl(
        &self,
        args: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<String> {
        self.kubectl_as(&self.kubeconfig, args).await
    }

    /// Runs `kubectl` with other credentials and returns its standard output.
    ///
    /// # Errors
    /// When it fails; with what it printed.
    pub async fn kubectl_as(
        &self,
        kubeconfig: &Path,
        args: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<String> {
        let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        let shown = args.join(OsStr::new(" "));
        let shown = shown.display();
        let output = self.try_kubectl_as(kubeconfig, args).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!("kubectl {shown}: {}: {}", output.status, said.trim_end());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// As [`Cluster::kubectl_as`], for commands whose failure is of interest.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn try_kubectl_as(
        &self,
        kubeconfig: &Path,
        args: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<Output> {
        let mut command = Command::new(&self.kubectl);
        command
            .arg("--kubeconfig")
            .arg(kubeconfig)
            // What a cluster of yesterday had on this port is no concern of today's.
            .arg("--cache-dir")
            .arg(self.dir.join("kubectl-cache"))
            .args(args.into_iter().map(Into::into));
        let output = tokio::task::spawn_blocking(move || command.output()).await?;
        output.with_context(|| format!("cannot run {}", self.kubectl.display()))
    }

    /// Runs `helm` with all rights, at the root of the checkout, and returns its
    /// standard output.
    ///
    /// # Errors
    /// When it is not built or fails; with what it printed.
    pub async fn helm(
        &self,
        args: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<String> {
        let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        let shown = args.join(OsStr::new(" "));
        let mut command = Command::new(tools::helm()?);
        command.args(args).envs(self.environment());
        command.current_dir(repository());
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "helm {}: {}: {}",
            shown.display(),
            output.status,
            said.trim_end()
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What programs find this cluster by, with a cache of their own.
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let home = self.dir.join("helm");
        vec![
            ("KUBECONFIG", self.kubeconfig.clone()),
            ("KUBECACHEDIR", self.dir.join("kubectl-cache")),
            ("HELM_CACHE_HOME", home.join("cache")),
            ("HELM_CONFIG_HOME", home.join("config")),
            ("HELM_DATA_HOME", home.join("data")),
        ]
    }

    /// Applies documents of YAML, one after the other but definitions and
    /// namespaces first, by server-side apply with strict validation.
    ///
    /// # Errors
    /// All that were refused, with the server's reasons; the others are applied.
    pub async fn apply(&self, yaml: &str) -> Result<()> {
        let objects = manifests::parse(yaml)?;
        manifests::apply(&self.client, objects, 1).await
    }

    /// Applies a file, or all files `*.yaml` and `*.json` below a directory.
    ///
    /// # Errors
    /// As [`Cluster::apply`].
    pub async fn apply_path(&self, path: impl AsRef<Path>) -> Result<()> {
        let objects = manifests::read(path.as_ref())?;
        manifests::apply(&self.client, objects, 1).await
    }

    /// Applies many objects, so many at a time.
    ///
    /// # Errors
    /// As [`Cluster::apply`].
    pub async fn apply_objects(
        &self,
        objects: Vec<serde_json::Value>,
        at_a_time: usize,
    ) -> Result<()> {
        manifests::apply(&self.client, objects, at_a_time).await
    }

    /// Installs the definitions of `crds/` and waits until they are established.
    ///
    /// # Errors
    /// As [`Cluster::apply`].
    pub async fn install_crds(&self) -> Result<()> {
        self.apply_path(repository().join("crds")).await
    }

    /// A kubeconfig with the credentials of somebody else.
    ///
    /// # Errors
    /// When a service account does not exist.
    pub async fn kubeconfig_for(&self, identity: &Identity) -> Result<PathBuf> {
        let admin = Kubeconfig::read_from(&self.kubeconfig)?;
        let theirs = identity.kubeconfig(&self.client, admin).await?;
        let path = self
            .dir
            .join(format!("{}.kubeconfig", identity.file_stem()));
        kubeconfig::write(&path, &theirs)?;
        Ok(path)
    }

    /// Kills the API server. What it holds stays in etcd.
    ///
    /// # Errors
    /// When it is not this harness's own.
    pub fn stop_api_server(&self) -> Result<()> {
        self.api_server()?.kill()
    }

    /// Starts the API server again, on the same port, and waits until it is ready.
    ///
    /// # Errors
    /// When it is not this harness's own, or is not ready in time.
    pub async fn start_api_server(&self) -> Result<()> {
        self.api_server()?.restart()?;
        self.ready().await
    }

    /// The API server's process, to pause and resume it, or to see its memory.
    ///
    /// # Errors
    /// When it is not this harness's own.
    pub fn api_server(&self) -> Result<&Process> {
        Ok(self.plane()?.api_server())
    }

    /// The nodes; none unless the options ask for them.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The network of the nodes.
    ///
    /// # Errors
    /// When there are no nodes.
    pub fn lan(&self) -> Result<&Lan> {
        let lan = self.lan.as_ref();
        lan.context("this needs a cluster with nodes of its own, see Options::nodes")
    }

    /// The address of the cluster's DNS, as seen from its network.
    pub fn dns_address(&self) -> SocketAddr {
        (GATEWAY, 53).into()
    }

    /// The directory for archives of images. It is removed with a cluster that
    /// has nodes.
    pub fn images(&self) -> PathBuf {
        self.dir.join(IMAGES)
    }

    /// Makes the images of OCI archives known to all nodes.
    ///
    /// # Errors
    /// When one cannot be imported.
    pub fn import(&self, archives: &[PathBuf]) -> Result<()> {
        thread::scope(|scope| {
            let imports: Vec<_> = self
                .nodes
                .iter()
                .map(|node| scope.spawn(|| archives.iter().try_for_each(|file| node.import(file))))
                .collect();
            imports.into_iter().try_for_each(|import| {
                let outcome = import.join();
                outcome.map_err(|_| anyhow!("importing panicked"))?
            })
        })
    }

    /// The end of the audit log, for [`Cluster::requests_since`].
    ///
    /// # Errors
    /// When requests are not recorded, see [`Options::audit`].
    pub fn mark(&self) -> Result<Mark> {
        audit::mark(&self.audit_log()?)
    }

    /// The requests that the API server has answered since a mark and that the
    /// filter takes. A request is recorded before its answer is sent.
    ///
    /// # Errors
    /// When requests are not recorded, see [`Options::audit`].
    pub fn requests_since(
        &self,
        mark: Mark,
        filter: impl Fn(&AuditEvent) -> bool,
    ) -> Result<Vec<AuditEvent>> {
        audit::read(&self.audit_log()?, mark, filter)
    }

    /// All recorded requests that the filter takes.
    ///
    /// # Errors
    /// When requests are not recorded, see [`Options::audit`].
    pub fn requests(&self, filter: impl Fn(&AuditEvent) -> bool) -> Result<Vec<AuditEvent>> {
        self.requests_since(Mark::default(), filter)
    }

    fn plane(&self) -> Result<&ControlPlane> {
        let plane = self.plane.as_ref();
        plane.ok_or_else(|| anyhow!("not with {USE_KUBECONFIG}: this test needs its own cluster"))
    }

    fn audit_log(&self) -> Result<PathBuf> {
        if self.options.audit == Audit::Off {
            bail!("requests are not recorded: set `audit` in the options");
        }
        Ok(self.plane()?.audit_log())
    }

    async fn ready(&self) -> Result<()> {
        let probe = async || {
            let request = http_get("/readyz")?;
            let answer = self.client.request_text(request).await?;
            anyhow::ensure!(answer == "ok", "/readyz: {answer}");
            Ok(())
        };
        match &self.plane {
            Some(plane) => {
                let api_server = plane.api_server();
                let ready = api_server.eventually("the API server is ready", READY, probe);
                ready.await.map_err(|error| plane.explain(error))
            }
            None => eventually("the API server is ready", READY, probe).await,
        }
    }

    async fn controllers_ready(&self) -> Result<()> {
        let controllers = self.plane()?.controllers()?;
        let accounts = kube::Api::<k8s_openapi::api::core::v1::ServiceAccount>::namespaced(
            self.client(),
            "default",
        );
        let probe = async || Ok(accounts.get("default").await.map(drop)?);
        controllers
            .eventually("controllers work", READY, probe)
            .await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Programs first: they hold the files.
        self.nodes.clear();
        if self.plane.take().is_some() {
            let _ = fs::remove_dir_all(self.dir.join("etcd"));
            let _ = fs::remove_dir_all(self.images());
            let _ = fs::remove_dir_all(self.dir.join("kubectl-cache"));
        }
    }
}

fn existing() -> Result<Option<PathBuf>> {
    if env::var_os(USE_KUBECONFIG).is_none_or(|value| value != "1") {
        return Ok(None);
    }
    let file = env::var_os("KUBECONFIG").filter(|file| !file.is_empty());
    let file = file.with_context(|| format!("{USE_KUBECONFIG} is set, and KUBECONFIG is not"))?;
    Ok(Some(file.into()))
}

async fn client_of(kubeconfig: &Path) -> Result<Client> {
    let read = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("cannot read {}", kubeconfig.display()))?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

fn http_get(path: &str) -> Result<http::Request<Vec<u8>>> {
    Ok(http::Request::get(path).body(Vec::new())?)
}

//! Machines for pods: kubelet, containerd and kube-proxy on this machine, each
//! set in namespaces of its own.
//!
//! A node's network is a cable to the bridge of a [`Lan`], which has no way out:
//! what a pod says to a wrong address reaches nothing. Its first process holds
//! namespaces of processes, mounts and names, so that its end, like a power cut,
//! ends all pods at once and leaves no mount. Cgroups are removed after it.
//!
//! Images come from OCI archives ([`Node::import`]); nothing is pulled.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::{Api, Client};

use crate::netns::Namespace;
use crate::process::{Launch, Process};
use crate::reaper;
use crate::tools::Tools;

mod balancer;
mod cgroup;
mod config;
mod controller;
mod lan;
mod needs;

pub use balancer::Balancer;
use cgroup::Cgroup;
pub(crate) use config::PAUSE;
pub use controller::Balancers;
pub(crate) use lan::{GATEWAY, SERVICES, node_address, node_name};
pub use lan::{Lan, Station};
pub use needs::check as check_privileges;

/// Settles the namespaces and starts the programs, as process 1 of the node.
const INIT: &str = include_str!("node/init.sh");

/// How long a node may take until it is Ready, on a busy machine.
const READY: Duration = Duration::from_mins(2);

/// How long the control plane takes to miss a node: it is told within these
/// seconds that one is gone, in place of a minute.
pub const GRACE: Duration = Duration::from_secs(8);

/// What all nodes of a cluster have in common.
pub(crate) struct Site<'a> {
    /// The programs.
    pub(crate) tools: &'a Tools,
    /// The directory of the cluster.
    pub(crate) dir: &'a Path,
    /// The network.
    pub(crate) lan: &'a Lan,
    /// The image of the first process of each pod.
    pub(crate) pause: &'a Path,
}

/// One machine.
pub struct Node {
    number: u8,
    name: String,
    dir: PathBuf,
    lan: Namespace,
    network: Namespace,
    machine: Process,
    cgroup: Cgroup,
}

impl Node {
    /// Connects it and switches it on. Its credentials are in
    /// `<cluster>/<node>/kubelet.kubeconfig` and its certificate beside them.
    pub(crate) fn start(site: &Site<'_>, number: u8) -> Result<Self> {
        let name = lan::node_name(number);
        let dir = site.dir.join(&name);
        let network = site.lan.plug_node(number)?;
        let cgroup = Cgroup::new(&name)?;
        config::write(&dir, number, &cgroup)?;
        let init = dir.join("init.sh");
        fs::write(&init, INIT)?;
        let programs = site.tools.kubelet();
        let programs = programs.parent().context("the kubelet has no directory")?;
        // Images and layers are large, and none of the test's results.
        reaper::remove_dir(&dir.join("containerd"))?;
        let launch = Launch::new(&name, "unshare", dir.join("machine.log"))
            .within(Some(&network))
            .args(["--pid", "--fork", "--kill-child=KILL", "--mount"])
            .args(["--uts", "--ipc", "--mount-proc", "sh"])
            .arg(init)
            .arg(&name)
            .arg(lan::node_address(number).to_string())
            .arg(&dir)
            .arg(programs)
            .arg(site.pause);
        Ok(Self {
            number,
            name,
            dir,
            lan: site.lan.namespace().clone(),
            machine: Process::start(launch)?,
            network,
            cgroup,
        })
    }

    /// Its name, as Kubernetes knows it: `n1`, `n2`, ...
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        lan::node_address(self.number)
    }

    /// Its network, for what shall be asked from there.
    pub fn network(&self) -> &Namespace {
        &self.network
    }

    /// Cuts its power: all that runs on it ends at once.
    ///
    /// # Errors
    /// When something does not end.
    pub fn power_off(&self) -> Result<()> {
        self.machine.kill()?;
        // What is left there costs the next kubelet three seconds each.
        self.cgroup.empty()
    }

    /// Switches it on again after [`Node::power_off`], with its disk as it was.
    ///
    /// # Errors
    /// When it runs already or cannot be started.
    pub fn power_on(&self) -> Result<()> {
        self.machine.restart()
    }

    /// Pulls its cable.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn unplug(&self) -> Result<()> {
        self.lan
            .ip(&format!("link set {} down", lan::port(&self.name)))
    }

    /// Puts its cable back.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn plug(&self) -> Result<()> {
        self.lan
            .ip(&format!("link set {} up", lan::port(&self.name)))
    }

    /// Makes the images of an OCI archive known to it.
    ///
    /// # Errors
    /// When it is off or `ctr` fails.
    pub fn import(&self, archive: &Path) -> Result<()> {
        import(self.first_process()?, archive).with_context(|| self.name.clone())
    }

    /// Waits until the control plane calls it Ready.
    ///
    /// # Errors
    /// When it does not in time, or its first process ends.
    pub async fn ready(&self, client: &Client) -> Result<()> {
        let nodes: Api<NodeObject> = Api::all(client.clone());
        let ready = async || {
            let node = nodes.get(&self.name).await?;
            let conditions = node.status.and_then(|status| status.conditions);
            let conditions = conditions.unwrap_or_default();
            let ready = conditions
                .iter()
                .find(|condition| condition.type_ == "Ready");
            let ready = ready.context("it says nothing yet")?;
            let message = ready.message.clone().unwrap_or_default();
            ensure!(ready.status == "True", "{message}");
            Ok(())
        };
        let what = format!("{} is Ready", self.name);
        let outcome = self.machine.eventually(&what, READY, ready).await;
        outcome.with_context(|| format!("logs in {}", self.dir.display()))
    }

    /// The name of its cgroup in all hierarchies.
    pub fn cgroup(&self) -> &str {
        self.cgroup.name()
    }

    /// Process 1 of the node, by the number that it has outside.
    ///
    /// # Errors
    /// When it is off.
    pub fn first_process(&self) -> Result<u32> {
        let pid = self.machine.pid();
        let pid = pid.with_context(|| format!("{} is off", self.name))?;
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let first = children.split_whitespace().next();
        let first = first.with_context(|| format!("{} has no process yet", self.name))?;
        Ok(first.parse()?)
    }
}

/// Makes the images of an OCI archive known to the node with this first process.
///
/// # Errors
/// When it is off or `ctr` fails.
pub fn import(first_process: u32, archive: &Path) -> Result<()> {
    let archive = archive.to_str().context("a path of text")?;
    ctr(first_process, &["images", "import", archive])
}

fn ctr(first_process: u32, args: &[&str]) -> Result<()> {
    // The socket is in the node's own /run.
    let root = format!("/proc/{first_process}/root");
    let output = Command::new("ctr")
        .arg("--address")
        .arg(format!("{root}/run/containerd/containerd.sock"))
        .args(["--namespace", "k8s.io"])
        .args(args)
        .output()
        .context("cannot run ctr")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let args = args.join(" ");
    ensure!(output.status.success(), "ctr {args}: {}", said.trim_end());
    Ok(())
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = self.power_off() {
            eprintln!("{}: {error:#}", self.name);
        }
        // Images and layers; the logs stay.
        for large in ["containerd", "kubelet"] {
            let _ = fs::remove_dir_all(self.dir.join(large));
        }
    }
}

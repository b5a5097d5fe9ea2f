//! A control plane that stays in the background until it is ended.
//!
//! `up` starts this program again as a supervisor, in a session of its own, and
//! waits until the supervisor says where the kubeconfig is. `down` asks it to
//! end. What is known of a cluster stands in `target/dev-cluster/<name>/`.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::time::Duration;
use std::{env, thread, time::Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, setsid};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use watershed_e2e::node::{self, Balancers, Node};
use watershed_e2e::tools::Tools;
use watershed_e2e::{Audit, Cluster, Options, Version, run_dir};

const UP: Duration = Duration::from_mins(3);
const DOWN: Duration = Duration::from_secs(30);

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Start one, unless it runs, and print how to reach it.
    Up(UpArgs),
    /// End one.
    Down {
        #[command(flatten)]
        name: Name,
    },
    /// Make the images of OCI archives known to all nodes of one.
    Import {
        #[command(flatten)]
        name: Name,
        /// The archives.
        #[arg(required = true)]
        archives: Vec<PathBuf>,
    },
    /// List those that run.
    Status,
    /// What `up` starts in the background.
    #[command(hide = true)]
    Supervise(UpArgs),
}

#[derive(Args)]
pub(crate) struct Name {
    /// The cluster's name; several may run at once.
    #[arg(long, default_value = "dev")]
    name: String,
}

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        &self.name
    }

    /// The kubeconfig of a cluster that runs.
    pub(crate) fn kubeconfig(&self) -> Result<PathBuf> {
        let state = State::of(self)?;
        ensure!(
            state.supervisor().is_some() && state.kubeconfig().exists(),
            "no development cluster {name} runs. Start it: make dev-cluster NAME={name}",
            name = self.name
        );
        Ok(state.kubeconfig())
    }
}

#[derive(Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    name: Name,
    /// The oldest Kubernetes that is supported instead of the newest.
    #[arg(long)]
    oldest: bool,
    /// So many nodes, on which pods run; this needs root.
    #[arg(long, default_value_t = 0)]
    nodes: u8,
    /// Without Watershed's definitions, for Helm to install them.
    #[arg(long)]
    bare: bool,
}

impl UpArgs {
    fn version(&self) -> Version {
        if self.oldest {
            Version::Oldest
        } else {
            Version::Newest
        }
    }
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Up(args) => up(&args),
        Command::Down { name } => State::of(&name)?.down(),
        Command::Import { name, archives } => import(&name, &archives),
        Command::Status => status(),
        Command::Supervise(args) => supervise(&args),
    }
}

/// Standard output is for a shell to evaluate, standard error for people.
fn up(args: &UpArgs) -> Result<()> {
    let state = State::of(&args.name)?;
    let _lock = state.lock()?;
    let start = Instant::now();
    if state.supervisor().is_some() {
        eprintln!("{} runs already.", state.name);
    } else {
        // Said before the supervisor would find out.
        Tools::find(args.version())?;
        if args.nodes > 0 {
            node::check_privileges()?;
        }
        state.start(args)?;
        eprintln!(
            "{} is ready, {:.1} s.",
            state.name,
            start.elapsed().as_secs_f64()
        );
    }
    let tools = Tools::find(Version::Newest)?.kubectl();
    let tools = tools.parent().unwrap_or(Path::new(""));
    println!("export KUBECONFIG={}", state.kubeconfig().display());
    if args.bare {
        eprintln!("Watershed's definitions are not installed: Helm may.");
    }
    match state.machines()? {
        Some(machines) => introduce(&state.name, &machines),
        None => eprintln!("It has no nodes: no pod will run."),
    }
    eprintln!(
        "kubectl, if you have none: export PATH=$PATH:{}",
        tools.display()
    );
    eprintln!("To end it: make dev-cluster-down NAME={}", state.name);
    Ok(())
}

/// How to reach what only the cluster's own network reaches.
fn introduce(name: &str, machines: &Machines) {
    let network = machines.network.display();
    eprintln!("It has {} node(s).", machines.nodes.len());
    eprintln!("Nothing is pulled. To import images: make dev-images NAME={name}");
    eprintln!("Pods and Services are on a network of their own, and so are load balancers.");
    eprintln!("To run something there:");
    eprintln!("  nsenter --net={network} dig @10.89.0.1 kubernetes.default.svc.cluster.local");
}

fn import(name: &Name, archives: &[PathBuf]) -> Result<()> {
    let state = State::of(name)?;
    let machines = state.machines()?.filter(|_| state.supervisor().is_some());
    let machines = machines.with_context(|| {
        let name = &state.name;
        format!(
            "no development cluster {name} with nodes runs: make dev-cluster NAME={name} NODE=1"
        )
    })?;
    for archive in archives {
        for &node in &machines.nodes {
            node::import(node, archive)?;
        }
        eprintln!("{} is imported.", archive.display());
    }
    Ok(())
}

fn status() -> Result<()> {
    let mut running = 0;
    for entry in read_dir(&parent()?)? {
        let state = State::named(&entry)?;
        if let Some(pid) = state.supervisor() {
            println!(
                "{}: process {pid}, {}",
                state.name,
                state.kubeconfig().display()
            );
            running += 1;
        }
    }
    if running == 0 {
        println!("No development cluster runs.");
    }
    Ok(())
}

/// Lives as long as the cluster. Its end, of whatever kind, ends the cluster.
fn supervise(args: &UpArgs) -> Result<()> {
    setsid().context("leaving the terminal")?;
    let state = State::of(&args.name)?;
    let options = Options {
        name: state.name.clone(),
        version: args.version(),
        audit: Audit::Off,
        nodes: args.nodes,
        crds: !args.bare,
        ..Options::default()
    };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let cluster = Cluster::start(options).await?;
        // In one step: the file is the sign that all is ready.
        state.note_machines(&cluster)?;
        let written = state.dir.join("kubeconfig.new");
        fs::copy(cluster.kubeconfig(), &written)?;
        fs::rename(&written, state.kubeconfig())?;
        if cluster.nodes().is_empty() {
            terminate.recv().await;
            return Ok(());
        }
        let nodes = cluster.nodes().iter().map(Node::address).collect();
        let balancers = Balancers::new(cluster.client(), cluster.lan()?, nodes);
        tokio::select! {
            _ = terminate.recv() => {}
            () = balancers.run() => {}
        }
        Ok(())
    })
}

/// How the nodes of a cluster are reached while it runs.
#[derive(Deserialize, Serialize)]
struct Machines {
    /// Their network, for `nsenter`.
    network: PathBuf,
    /// Process 1 of each, by its number on this machine.
    nodes: Vec<u32>,
}

/// What is known of a cluster.
struct State {
    name: String,
    dir: PathBuf,
}

impl State {
    fn of(name: &Name) -> Result<Self> {
        Self::named(&name.name)
    }

    fn named(name: &str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        ensure!(
            !name.is_empty() && name.chars().all(plain),
            "{name:?} is no name for a cluster: letters, digits and dashes only"
        );
        Ok(Self {
            name: name.to_owned(),
            dir: parent()?.join(name),
        })
    }

    fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// What there is beside the control plane, `None` if there are no nodes.
    fn machines(&self) -> Result<Option<Machines>> {
        match fs::read(self.dir.join("machines")) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            machines => Ok(Some(serde_json::from_slice(&machines?)?)),
        }
    }

    fn note_machines(&self, cluster: &Cluster) -> Result<()> {
        if cluster.nodes().is_empty() {
            return Ok(());
        }
        let first_processes = cluster.nodes().iter().map(Node::first_process);
        let machines = Machines {
            network: cluster.lan()?.namespace().path(),
            nodes: first_processes.collect::<Result<_>>()?,
        };
        Ok(fs::write(
            self.dir.join("machines"),
            serde_json::to_vec(&machines)?,
        )?)
    }

    fn log(&self) -> PathBuf {
        self.dir.join("supervisor.log")
    }

    /// Held while a cluster is started or ended.
    fn lock(&self) -> Result<File> {
        fs::create_dir_all(&self.dir)?;
        let lock = File::create(self.dir.join("lock"))?;
        lock.lock()?;
        Ok(lock)
    }

    /// The supervisor's process, if it runs. Its number may be another's by now,
    /// so the process must be one that calls itself so.
    fn supervisor(&self) -> Option<i32> {
        let pid = fs::read_to_string(self.dir.join("pid"))
            .ok()?
            .trim()
            .parse()
            .ok()?;
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        let words: Vec<&str> = command.split('\0').collect();
        (words.contains(&"supervise") && words.contains(&self.name.as_str())).then_some(pid)
    }

    fn start(&self, args: &UpArgs) -> Result<()> {
        for former in [self.kubeconfig(), self.dir.join("machines")] {
            match fs::remove_file(former) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        let log = File::create(self.log())?;
        let child = Program::new(env::current_exe()?)
            .args(["dev-cluster", "supervise", "--name", &self.name])
            .args(args.oldest.then_some("--oldest"))
            .args(args.bare.then_some("--bare"))
            .args(["--nodes", &args.nodes.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        fs::write(self.dir.join("pid"), child.id().to_string())?;
        self.wait_ready(child)
    }

    fn wait_ready(&self, mut supervisor: Child) -> Result<()> {
        let start = Instant::now();
        while !self.kubeconfig().exists() {
            if let Some(status) = supervisor.try_wait()? {
                let log = fs::read_to_string(self.log()).unwrap_or_default();
                bail!("{} did not start: {status}\n{log}", self.name);
            }
            if start.elapsed() > UP {
                supervisor.kill()?;
                bail!(
                    "{} is not ready after {UP:?}, see {}",
                    self.name,
                    self.log().display()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn down(&self) -> Result<()> {
        let _lock = self.lock()?;
        if let Some(pid) = self.supervisor() {
            kill(Pid::from_raw(pid), Signal::SIGTERM)?;
            let start = Instant::now();
            while self.supervisor().is_some() {
                ensure!(
                    start.elapsed() < DOWN,
                    "{} (process {pid}) does not end",
                    self.name
                );
                thread::sleep(Duration::from_millis(20));
            }
            eprintln!("{} is down.", self.name);
        } else {
            eprintln!("{} does not run.", self.name);
        }
        fs::remove_dir_all(&self.dir).with_context(|| self.dir.display().to_string())
    }
}

fn parent() -> Result<PathBuf> {
    Ok(run_dir::target_dir()?.join("dev-cluster"))
}

fn read_dir(dir: &Path) -> Result<Vec<String>> {
    match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect(),
    }
}

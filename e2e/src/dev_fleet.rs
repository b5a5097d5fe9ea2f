//! An operator and nodes beside a development cluster, in the foreground.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use watershed_e2e::{Audit, Cluster, Fleet, Options, Process, Setup};

use crate::dev_cluster::Name;

/// How long a program may take to end by itself.
const PARTING: Duration = Duration::from_secs(10);

/// How often to look whether all programs still run.
const WATCH: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(crate) struct FleetArgs {
    #[command(flatten)]
    name: Name,
    /// How many nodes.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
}

/// Runs until it is interrupted, or a program ends by itself.
pub(crate) fn run(args: &FleetArgs) -> Result<()> {
    let kubeconfig = args.name.kubeconfig()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let mut end = End::listen()?;
        let fleet = tokio::select! {
            started = start(args, &kubeconfig) => started?,
            () = end.asked() => return Ok(()),
        };
        introduce(&fleet);
        let ended = tokio::select! {
            ended = failure(&fleet) => Err(ended),
            () = end.asked() => Ok(()),
        };
        stop(&fleet).await;
        ended
    })
}

/// Signals to end.
struct End {
    interrupt: Signal,
    terminate: Signal,
}

impl End {
    fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// As in earnest: the operator has its own account, and makes the certificates.
async fn start(args: &FleetArgs, kubeconfig: &Path) -> Result<Fleet> {
    let name = format!("{}-fleet", args.name.as_str());
    let options = Options {
        audit: Audit::Off,
        ..Options::default().named(&name)
    };
    let cluster = Cluster::attach(options, kubeconfig.to_owned()).await?;
    Fleet::start_in(
        cluster,
        Setup {
            nodes: args.nodes,
            managed_certificates: true,
            ..Setup::named(&name)
        },
    )
    .await
}

/// Where everything is, and what to try.
fn introduce(fleet: &Fleet) {
    for operator in &fleet.operators {
        let name = operator.process.name();
        println!("{name:<12} http://{}/metrics", operator.http);
    }
    for node in &fleet.nodes {
        let metrics = format!("http://{}/metrics", node.http);
        println!("{:<12} {metrics:<34} DNS on {}", node.name, node.dns);
    }
    println!("logs         {}", fleet.cluster.dir().display());
    if let Some(node) = fleet.nodes.first() {
        let (address, port) = (node.dns.ip(), node.dns.port());
        println!("\nTry it:");
        println!("  kubectl create namespace shop");
        println!("  kubectl apply --server-side -f examples/getting-started");
        println!("  kubectl get tfr --all-namespaces");
        println!("  dig @{address} -p {port} +short example.com +subnet=133.11.0.0/16");
    }
    println!("\nEnd it with Ctrl-C. What was applied stays in the cluster.");
}

/// Waits for a program to end by itself.
async fn failure(fleet: &Fleet) -> anyhow::Error {
    loop {
        if let Some(gone) = programs(fleet).find(|program| program.exited().is_some()) {
            return anyhow!("{} has ended; {}", gone.name(), gone.last_words());
        }
        tokio::time::sleep(WATCH).await;
    }
}

/// Ends all in good order, so that the next operator need not wait for the
/// Lease. What does not end in time is killed.
async fn stop(fleet: &Fleet) {
    for program in programs(fleet) {
        if program.exited().is_none()
            && let Err(error) = program.stop(PARTING).await
        {
            eprintln!("{error:#}");
        }
    }
}

fn programs(fleet: &Fleet) -> impl Iterator<Item = &Process> {
    let operators = fleet.operators.iter().map(|operator| &operator.process);
    operators.chain(fleet.nodes.iter().map(|node| &node.process))
}

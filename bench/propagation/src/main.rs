//! What it costs to bring a change to a thousand nodes.
//!
//! The operator's part runs in this process: the world of objects, the
//! compiler, the hub and its gRPC service over mutual TLS on the loopback. The
//! objects do not come from an API server, and no status is written. The pods
//! run in a second process: each is a stream of its own that speaks the
//! protocol of the fleet and takes what it is sent without building it; one
//! thousand real ones would not fit a machine. One real `watershed-dns` stands
//! among them and is asked by DNS.
//!
//! The figures are printed, and written to `target/bench/propagation.json`.

mod content;
mod crowd;
mod figures;
mod operator;
mod pods;
mod process;
mod real;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};

use self::content::{Content, Sizes};
use self::crowd::Crowd;
use self::figures::Figures;
use self::operator::Operator;
use self::process::Usage;
use self::real::RealNode;

/// How long anything may take at most.
const PATIENCE: Duration = Duration::from_mins(15);

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// `PolicyRecord` objects
    #[arg(long, default_value_t = 100_000)]
    records: usize,
    /// Policies that they share
    #[arg(long, default_value_t = 1000)]
    policies: usize,
    /// Simulated pods
    #[arg(long, default_value_t = 1000)]
    pods: usize,
    /// The program of the real node; by default beside this one
    #[arg(long)]
    node: Option<PathBuf>,
    /// Where to write the figures
    #[arg(long, default_value = "target/bench/propagation.json")]
    out: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// The process with all the pods; started by this program itself
    #[command(hide = true)]
    Pods(pods::Options),
}

fn main() -> Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    match &args.command {
        Some(Command::Pods(options)) => runtime.block_on(pods::run(options)),
        None => runtime.block_on(measure(&args)),
    }
}

async fn measure(args: &Args) -> Result<()> {
    let sizes = Sizes {
        records: args.records,
        policies: args.policies,
    };
    let mut figures = Figures::new(args.records, args.policies, args.pods);
    let mut content = fill(sizes, &mut figures)?;
    let directory = tempfile::tempdir()?;
    let mut operator = Operator::start(directory.path(), &mut content).await?;
    let mut crowd = Crowd::start(args.pods, &operator)?;
    eprintln!("first load");
    first_load(&operator, &mut crowd, &mut figures).await?;
    eprintln!("a real node");
    let node = args.node.clone().map_or_else(real::beside, Ok)?;
    let mut node = RealNode::start(&node, &operator, directory.path())?;
    start_of_a_real_node(&mut node, &sizes, &mut figures).await?;
    eprintln!("edits");
    edits(&operator, &mut crowd, &mut content, &mut node, &mut figures).await?;
    eprintln!("verdicts");
    verdicts(&operator, &mut crowd, &mut figures).await?;
    eprintln!("reconnect");
    operator = storm(operator, &mut crowd, &mut content, &mut figures).await?;
    figures.write(&args.out)?;
    drop(operator);
    Ok(())
}

/// All objects become what is to be served.
fn fill(sizes: Sizes, figures: &mut Figures) -> Result<Content> {
    let usage = Usage::of_self()?;
    let began = Instant::now();
    let content = Content::new(sizes)?;
    figures.seconds("compile_seconds", began.elapsed());
    let grown = Usage::of_self()?.memory.saturating_sub(usage.memory);
    figures.number("operator_octets_a_record_compiled", grown / sizes.records);
    Ok(content)
}

/// Every pod comes with nothing, and is sent everything.
async fn first_load(operator: &Operator, crowd: &mut Crowd, figures: &mut Figures) -> Result<()> {
    process::reset_peak()?;
    let before = (Usage::of_self()?, crowd.usage()?);
    let began = Instant::now();
    let applied = crowd.applied(1, PATIENCE).await?;
    figures.seconds("first_load_seconds", began.elapsed());
    figures.cpu("first_load", (&before.0, &Usage::of_self()?));
    figures.pods_cpu("first_load", (&before.1, &crowd.usage()?));
    figures.number("first_load_octets_a_pod", applied.octets / crowd.pods());
    figures.megabytes("operator_first_load_peak_megabytes", process::peak()?);
    operator.settled(PATIENCE).await?;
    figures.megabytes("operator_megabytes", Usage::of_self()?.memory);
    Ok(())
}

/// A real node comes with nothing.
async fn start_of_a_real_node(
    node: &mut RealNode,
    sizes: &Sizes,
    figures: &mut Figures,
) -> Result<()> {
    let began = Instant::now();
    let last = sizes.records - 1;
    node.answers(last, Content::address(sizes, last, 1), PATIENCE)
        .await?;
    figures.seconds("real_node_filled_seconds", began.elapsed());
    figures.megabytes("real_node_megabytes", node.usage()?.memory);
    Ok(())
}

/// One record goes to another version, several times.
async fn edits(
    operator: &Operator,
    crowd: &mut Crowd,
    content: &mut Content,
    node: &mut RealNode,
    figures: &mut Figures,
) -> Result<()> {
    const ROUNDS: u32 = 5;
    let mut last = Vec::new();
    let mut octets = Vec::new();
    let before = (Usage::of_self()?, crowd.usage()?);
    for round in 0..ROUNDS {
        // Each edit is a generation of its own: none waits for the one before.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let number = content.sizes().records / 2 + usize::try_from(round)?;
        let began = process::clock()?;
        let changes = content.edit(number, 2)?;
        operator.publish(changes);
        let applied = crowd.applied(u64::from(round) + 2, PATIENCE).await?;
        last.push(applied.last.saturating_sub(began));
        octets.push(applied.octets / crowd.pods());
        let address = Content::address(content.sizes(), number, 2);
        node.answers(number, address, PATIENCE).await?;
    }
    figures.series("edit_to_last_pod_seconds", &last);
    figures.number(
        "edit_octets_a_pod",
        octets.iter().max().copied().unwrap_or(0),
    );
    figures.cpu("five_edits", (&before.0, &Usage::of_self()?));
    figures.pods_cpu("five_edits", (&before.1, &crowd.usage()?));
    Ok(())
}

/// A target fails where it is probed, and recovers, several times.
async fn verdicts(operator: &Operator, crowd: &mut Crowd, figures: &mut Figures) -> Result<()> {
    const ROUNDS: usize = 5;
    operator.health_settled(PATIENCE).await?;
    crowd.reported(PATIENCE).await?;
    // Lists of checkers are on their way for as long as pods come.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = (Usage::of_self()?, crowd.usage()?);
    let mut last = Vec::new();
    for round in 0..ROUNDS {
        for healthy in [false, true] {
            let told = crowd.turn(round, healthy, PATIENCE).await?;
            last.push(told.last.saturating_sub(told.first));
        }
    }
    figures.series("verdict_to_last_pod_seconds", &last);
    figures.cpu("ten_verdicts", (&before.0, &Usage::of_self()?));
    figures.pods_cpu("ten_verdicts", (&before.1, &crowd.usage()?));
    Ok(())
}

/// The operator ends, and another takes its place at the same address.
async fn storm(
    operator: Operator,
    crowd: &mut Crowd,
    content: &mut Content,
    figures: &mut Figures,
) -> Result<Operator> {
    let successor = operator.end().await?;
    process::reset_peak()?;
    let before = (Usage::of_self()?, crowd.usage()?);
    let began = process::clock()?;
    let operator = successor.begin(content).await?;
    let welcomed = crowd.welcomed(2, PATIENCE).await?;
    figures.seconds("reconnect_seconds", welcomed.last.saturating_sub(began));
    operator.settled(PATIENCE).await?;
    figures.cpu("reconnect", (&before.0, &Usage::of_self()?));
    figures.pods_cpu("reconnect", (&before.1, &crowd.usage()?));
    figures.megabytes("operator_reconnect_peak_megabytes", process::peak()?);
    let serving = operator.serving().context("no pods")?;
    ensure!(
        serving == (crowd.pods() + 1, crowd.pods() + 1),
        "{serving:?} nodes serve what is desired after the reconnect"
    );
    Ok(operator)
}

//! `watershed serve`: answers DNS queries from a directory of manifests.
//!
//! One process runs what a cluster spreads over an operator and a fleet: the
//! `Standalone` control loop reads, mints and compiles, a DNS node answers.

mod health;
mod inputs;
mod log;
mod manifests;
mod objects;
mod probing;
mod recorded;
mod standalone;
mod state_dir;
mod watch;
mod welcome;
mod world;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use watershed_dns::{Config, Node, RateLimit};

use probing::Probing;
use standalone::Standalone;
use state_dir::StateDir;
use watch::Changes;

pub(crate) use recorded::recorded_health;

/// `watershed serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Every .yaml, .yml and .json file below the directory is read and watched. A change is compiled \
aside and takes effect whole; what is invalid is reported and keeps its last good form.

Examples:
  watershed serve examples/getting-started
  watershed serve dns/ --listen 0.0.0.0:5353 --geo-database GeoLite2-City.mmdb
  watershed serve dns/ --probe-allow 10.0.0.0/8  # probe private addresses, too
  watershed serve dns/ --health states.yaml      # take endpoints down by hand

Exit status: 0 when stopped by SIGINT or SIGTERM, 1 when it cannot start.")]
pub struct ServeArgs {
    /// Directory of manifests
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,

    /// Where to answer, by UDP and TCP
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5300")]
    pub listen: SocketAddr,

    /// Answers by UDP that one network (a /24 of IPv4, a /56 of IPv6) gets in a
    /// second, of those that are alike; 0 means no limit
    #[arg(
        long,
        value_name = "ANSWERS",
        default_value_t = RateLimit::default().per_second,
        value_parser = clap::value_parser!(u32).range(..=100_000)
    )]
    pub udp_rate_limit: u32,

    /// Of the answers over that limit send one in so many without records and
    /// with TC set, after which clients ask by TCP, and drop the others; 0 drops
    /// all
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = RateLimit::default().slip,
        value_parser = clap::value_parser!(u8).range(..=10)
    )]
    pub udp_rate_slip: u8,

    /// Networks that the limit does not hold for; may be given several times
    #[arg(long, value_name = "CIDR", value_parser = block, value_delimiter = ',')]
    pub udp_rate_exempt: Vec<IpNet>,

    /// Where minted versions are kept; by default a directory of its own in
    /// the user's state directory
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// Location database in MaxMind DB format, instead of the built-in country table
    #[arg(long, value_name = "FILE")]
    pub geo_database: Option<PathBuf>,

    /// Measured latency between client areas and regions, YAML or CSV
    #[arg(long, value_name = "FILE")]
    pub latency: Option<PathBuf>,

    /// States of health checks and alias endpoints, YAML. What is unhealthy
    /// there is unhealthy whatever probes say
    #[arg(long, value_name = "FILE")]
    pub health: Option<PathBuf>,

    /// Probe these addresses, too, which are private or loopback or otherwise
    /// not public; may be given several times
    #[arg(long, value_name = "CIDR", value_parser = block)]
    pub probe_allow: Vec<IpNet>,

    /// Certificates of authorities that count in probes besides the public
    /// ones, PEM
    #[arg(long, value_name = "FILE")]
    pub probe_ca: Option<PathBuf>,

    /// Make no probes: what the health file does not name is healthy
    #[arg(long, conflicts_with_all = ["probe_allow", "probe_ca"])]
    pub no_probes: bool,

    /// How to write the log on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// Log every query with the reason of its answer
    #[arg(short, long)]
    pub verbose: bool,
}

/// A block, or a single address.
fn block(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| "not an address or a block of addresses, such as 10.0.0.0/8".to_owned())
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// How queries are answered.
fn config(args: &ServeArgs) -> Config {
    Config {
        rate_limit: RateLimit {
            per_second: args.udp_rate_limit,
            slip: args.udp_rate_slip,
            exempt: args.udp_rate_exempt.clone(),
        },
        ..Config::default()
    }
}

/// Serves until a signal comes.
pub fn run(args: ServeArgs) -> ExitCode {
    start_log(&args);
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started");
    let served = runtime.and_then(|runtime| runtime.block_on(serve(args)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("watershed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// hickory-server writes two lines of its own for every query; ours says more.
fn start_log(args: &ServeArgs) {
    let level = if args.verbose {
        "info,hickory_server=warn,watershed_dns=debug"
    } else {
        "info,hickory_server=warn"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // Only a second start in one process could fail, and then there is a log.
    let _ = match args.log_format {
        LogFormat::Json => log.json().try_init(),
        LogFormat::Text => {
            let colours = anstream::AutoStream::choice(&std::io::stderr());
            let log = log.with_target(false);
            log.with_ansi(colours != anstream::ColorChoice::Never)
                .try_init()
        }
    };
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let directory = args.directory.canonicalize().with_context(|| {
        let directory = args.directory.display();
        format!("{directory} cannot be read: name a directory of manifests")
    })?;
    anyhow::ensure!(
        directory.is_dir(),
        "{} is not a directory: name the directory that holds it",
        args.directory.display()
    );
    let state = StateDir::open(args.state.as_deref(), &directory)?;
    let node = Node::new(config(&args));
    let files = [&args.geo_database, &args.latency, &args.health];
    let files: Vec<_> = files.into_iter().flatten().map(PathBuf::as_path).collect();
    let changes = Changes::watch(&directory, &files)
        .with_context(|| format!("{} cannot be watched", directory.display()))?;
    let probing = Probing::start(&args, &node)?;
    let mut found = probing.changed();
    let mut standalone = Standalone::new(&args, directory, state, node.clone(), probing)?;
    standalone.look();
    let mut listener = node.bind(args.listen).await?;
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    welcome::print(standalone.served(), listener.local_addr());
    let mut change = Box::pin(changes.next());
    loop {
        tokio::select! {
            changes = &mut change => {
                standalone.look();
                change.set(changes.next());
            }
            () = found.next() => standalone.look_at_health(),
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            failed = listener.failed() => failed?,
        }
    }
    tracing::info!("stopping");
    Ok(listener.shutdown().await?)
}

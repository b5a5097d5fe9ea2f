//! `watershed-dns`: a DNS node of a fleet.

mod args;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use watershed_dns::fleet::{self, Readiness, Running};
use watershed_dns::{Listener, Node, ServerError};
use watershed_geo::{GeoDatabase, LatencyTable};

use args::{Args, LogFormat};

/// What the program says that it is. Tests of upgrades need builds that differ,
/// and give one of them a version of its own when they compile it.
pub(crate) const VERSION: &str = match option_env!("WATERSHED_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

fn main() -> ExitCode {
    let args = Args::parse();
    start_log(args.log_format);
    match start(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the node cannot go on");
            ExitCode::FAILURE
        }
    }
}

/// hickory-server writes two lines of its own for every query.
fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("info,hickory_server=warn"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Json => log.json().init(),
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
    }
}

fn start(args: &Args) -> anyhow::Result<()> {
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        bail!("another provider of cryptography is in place");
    }
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
    let result = runtime.block_on(run(args));
    // A look-up of a host that hangs holds nobody up.
    runtime.shutdown_background();
    result
}

/// Serves what was kept, then joins the fleet, until a signal comes.
async fn run(args: &Args) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let node = Node::new(args.config());
    read_location_data(args, &node)?;
    let running = args.membership()?.start(&node)?;
    let mut listeners = bind(args, &node).await?;
    serve_http(args, &running).await?;
    let drain = tokio::select! {
        _ = terminate.recv() => match running.status.readiness() {
            Readiness::Ready => args.drain(),
            // Nobody sends queries here yet.
            Readiness::Empty | Readiness::Leaving => Duration::ZERO,
        },
        // A person at a terminal does not want to wait.
        _ = interrupt.recv() => Duration::ZERO,
        failed = any_failed(&mut listeners) => return Ok(failed?),
    };
    running.status.leave();
    tracing::info!(seconds = drain.as_secs(), "stopping");
    tokio::time::sleep(drain).await;
    for listener in listeners {
        listener.shutdown().await?;
    }
    running.stop().await;
    Ok(())
}

/// A node that starts with another database than it was told to would answer
/// wrongly in silence.
fn read_location_data(args: &Args, node: &Node) -> anyhow::Result<()> {
    if let Some(path) = &args.geo_database {
        let bytes = std::fs::read(path).with_context(|| unusable(path))?;
        node.set_geo(GeoDatabase::from_mmdb(bytes).with_context(|| unusable(path))?);
    }
    if let Some(path) = &args.latency {
        let text = std::fs::read_to_string(path).with_context(|| unusable(path))?;
        let table = if path.extension().is_some_and(|extension| extension == "csv") {
            LatencyTable::from_csv(&text)
        } else {
            LatencyTable::from_yaml(&text)
        };
        let table = table.map_err(|faults| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("{}: {}", unusable(path), faults.join("; "))
        })?;
        node.set_latency(Some(table));
    }
    Ok(())
}

fn unusable(path: &Path) -> String {
    format!("{} cannot be used", path.display())
}

async fn bind(args: &Args, node: &Node) -> anyhow::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for address in &args.listen {
        let listener = node.bind(*address).await?;
        tracing::info!(address = %listener.local_addr(), "answering queries");
        listeners.push(listener);
    }
    Ok(listeners)
}

async fn serve_http(args: &Args, running: &Running) -> anyhow::Result<()> {
    let listener = TcpListener::bind(args.http).await;
    let listener = listener.with_context(|| format!("cannot listen on {} (HTTP)", args.http))?;
    tracing::info!(address = %listener.local_addr()?, "serving HTTP");
    let router = fleet::router(Arc::clone(&running.status), Arc::clone(&running.metrics));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(())
}

/// Waits until a listener fails, which none does by itself.
async fn any_failed(listeners: &mut [Listener]) -> Result<(), ServerError> {
    let mut waiting = Vec::new();
    for listener in listeners {
        waiting.push(Box::pin(listener.failed()));
    }
    std::future::poll_fn(|context| {
        let mut polled = waiting.iter_mut().map(|one| one.as_mut().poll(context));
        polled
            .find(std::task::Poll::is_ready)
            .unwrap_or(std::task::Poll::Pending)
    })
    .await
}

//! `watershed-operator`: custom resources to a fleet of DNS nodes, and the
//! truth back as status.

mod args;
mod certificate;
mod definitions;
mod http;
mod log;
#[cfg(test)]
mod metrics_page;
mod nodes;
mod run;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use kube::Client;
use watershed_operator::control;
use watershed_operator::explain::explain;

use args::{Cli, Command, Run};

/// What the program says that it is. Tests of upgrades need builds that differ,
/// and give one of them a version of its own when they compile it.
pub(crate) const VERSION: &str = match option_env!("WATERSHED_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

/// How long a connection to the API server may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::Run(run) = &cli.command {
        log::start(run.log_format);
    }
    match start(&cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&cli.command, &error);
            ExitCode::FAILURE
        }
    }
}

/// One line with all causes: in the log, or to the person at the terminal.
fn say(command: &Command, error: &anyhow::Error) {
    match command {
        Command::Run(run) if !run.rehearse => {
            tracing::error!(error = explain(error.as_ref()), "the operator cannot go on");
        }
        _ => eprintln!("error: {}", explain(error.as_ref())),
    }
}

fn start(command: &Command) -> anyhow::Result<()> {
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        bail!("another provider of cryptography is in place");
    }
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
    let result = runtime.block_on(carry_out(command));
    // A request that hangs holds nobody up.
    runtime.shutdown_background();
    result
}

async fn carry_out(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Run(run) if run.rehearse => dry_run(run).await,
        Command::Run(run) => run::run(run, client().await?).await,
        Command::Certificate(order) => certificate::certificate(order, client().await?).await,
    }
}

async fn dry_run(run: &Run) -> anyhow::Result<()> {
    let config = run.control(&run.identity());
    let plan = control::dry_run(client().await?, &config).await;
    print!("{}", plan.context("the cluster cannot be read")?);
    Ok(())
}

/// Whether the API server answers is another matter: this only needs to know
/// where it is.
async fn client() -> anyhow::Result<Client> {
    let config = kube::Config::infer().await;
    let mut config = config.context("it is not known which cluster to use")?;
    config.connect_timeout = Some(CONNECT);
    Client::try_from(config).context("the configuration of the cluster cannot be used")
}

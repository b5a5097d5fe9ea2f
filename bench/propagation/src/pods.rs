//! Many pods in one process: each is a stream of its own that speaks the
//! protocol of the fleet. It takes what it is sent without building it.

mod board;
mod pod;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use tokio::sync::broadcast;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use self::board::Board;
use self::pod::Pod;
use crate::crowd::{Milestone, Turn};

/// Turns that a pod may be behind.
const TURNS: usize = 64;

/// How many pods, and where to.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many
    #[arg(long)]
    pods: usize,
    /// The operator
    #[arg(long)]
    operator: SocketAddr,
    /// Directory with ca.crt, tls.crt and tls.key
    #[arg(long)]
    tls_dir: PathBuf,
}

/// Runs them until nobody gives commands any more. Milestones that all have
/// reached are told on standard output.
///
/// # Errors
/// When the certificates cannot be read, or a command is none.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let endpoint = endpoint(options)?;
    let board = Arc::new(Board::new(options.pods));
    let (turns, _) = broadcast::channel(TURNS);
    for number in 0..options.pods {
        let pod = Pod::new(number, endpoint.clone(), Arc::clone(&board));
        tokio::spawn(pod.run(turns.subscribe()));
    }
    tokio::task::spawn_blocking(move || obey(&board, &turns)).await?
}

/// Carries out commands until there are no more.
fn obey(board: &Board, turns: &broadcast::Sender<Turn>) -> Result<()> {
    for command in std::io::stdin().lines() {
        let turn: Turn = serde_json::from_str(&command?)?;
        board.begin(Milestone::Told(turn.target, turn.healthy))?;
        turns.send(turn).context("there are no pods")?;
    }
    Ok(())
}

fn endpoint(options: &Options) -> Result<Endpoint> {
    let read = |name: &str| std::fs::read(options.tls_dir.join(name));
    let tls = ClientTlsConfig::new()
        .domain_name("localhost")
        .ca_certificate(Certificate::from_pem(read("ca.crt")?))
        .identity(Identity::from_pem(read("tls.crt")?, read("tls.key")?));
    let endpoint = Endpoint::from_shared(format!("https://{}", options.operator))?;
    Ok(endpoint.tls_config(tls)?)
}

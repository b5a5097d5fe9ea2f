//! `watershed-e2e dev-cluster`: a control plane to try things on.

use anyhow::Result;
use clap::{Parser, Subcommand};

mod dev_cluster;

/// A Kubernetes control plane on this machine, for people who develop Watershed.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start, end or list control planes that stay until they are ended.
    #[command(subcommand)]
    DevCluster(dev_cluster::Command),
}

fn main() -> Result<()> {
    let Command::DevCluster(command) = Args::parse().command;
    dev_cluster::run(command)
}

//! `watershed-e2e`: a control plane to try things on, and a fleet beside it.

use anyhow::Result;
use clap::{Parser, Subcommand};

mod dev_cluster;
mod dev_fleet;

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
    /// Run an operator and nodes beside such a control plane, in the foreground.
    DevFleet(dev_fleet::FleetArgs),
}

fn main() -> Result<()> {
    match Args::parse().command {
        Command::DevCluster(command) => dev_cluster::run(command),
        Command::DevFleet(args) => dev_fleet::run(&args),
    }
}

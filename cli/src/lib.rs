//! The `watershed` command line tool, as a library so that tests can use its
//! parts.
//!
//! A command is a pure function from its input to what it prints
//! ([`console::Printed`]); [`run`] is the thin edge around it.
//!
//! * [`scenario`]: a policy, a client and the state of the world, read from
//!   one document; [`walk`]: what happens then; [`simulate`], [`explain`] and
//!   [`graph`]: three ways to print it.
//! * [`validate`]: every fault of any number of files.
//! * [`exchange`]: import from and export to Route 53.
//! * [`policy_input`], [`manifest`]: policies in any form users have them.
//! * [`serve`]: the DNS server over a directory.
//! * [`health`]: what is healthy, on this machine or in a cluster;
//!   [`failback`]: clients return to what recovered.
//! * [`query`]: one question to a DNS server.

pub mod args;
pub mod cidr;
mod cluster;
mod commands;
pub mod console;
pub mod exchange;
pub mod explain;
pub mod failback;
pub mod finding;
pub mod graph;
pub mod health;
pub mod input;
mod labels;
pub mod latency;
pub mod manifest;
mod members;
mod mend;
mod pointer;
pub mod policy_input;
pub mod query;
pub mod record_type;
pub mod scenario;
mod schema;
pub mod serve;
pub mod simulate;
mod table;
pub mod trace;
pub mod validate;
pub mod walk;

use std::process::ExitCode;

use args::{Cli, Command};

/// Runs one command to its end.
pub fn run(cli: Cli) -> ExitCode {
    cli.color.apply();
    let printed = match cli.command {
        Command::Serve(args) => return serve::run(args),
        Command::Validate(args) => validate::run(&args),
        Command::Simulate(args) => commands::simulate(&args),
        Command::Explain(args) => commands::explain(&args),
        Command::Graph(args) => commands::graph(&args),
        Command::Import(args) => exchange::import(&args),
        Command::Export(args) => exchange::export(&args),
        Command::Health(args) => health::run(&args),
        Command::Failback(args) => failback::run(&args),
        Command::Query(args) => query::run(&args),
        Command::Completions(args) => commands::completions(&args),
    };
    printed.print()
}

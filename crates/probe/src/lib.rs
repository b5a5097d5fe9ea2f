//! Probes of health checks: HTTP, TCP, gRPC, DNS and Prometheus, and when each
//! is made.
//!
//! A [`Prober`] is given [`Assignment`]s and sends a [`Result`] for each probe.
//! Every probe opens a connection of its own, checks each address that it
//! connects to with [`Allowed`], and ends within the timeout of its check.
//! What peers send is bounded in length and escaped before people see it.

mod allow;
mod body;
mod client;
mod connect;
mod dns;
mod failure;
mod grpc;
mod http;
mod prober;
mod prometheus;
mod rota;
mod schedule;
mod tcp;
mod tls;
mod trace;

pub use allow::{Allowed, Forbidden};
pub use prober::{Assignment, Config, Prober, Result};

#[cfg(test)]
mod tests;

//! The DNS node: answers queries from a snapshot.
//!
//! * [`Node`] is the handle of a program: it publishes snapshots, health,
//!   location and latency data, and binds listeners.
//! * The responder is synchronous and knows no transport: a decoded question,
//!   the client's network and the state in, a reply out. It is the only place
//!   where the meaning of an answer is decided.
//! * Around it, one module each: EDNS and client subnet (RFC 6891, RFC 7871),
//!   messages and truncation, listeners.
//! * [`health`] probes what policies depend on, and makes the node answer by
//!   the verdicts of the fleet, or by its own.
//! * [`fleet`] is what makes a node the member of a fleet: it takes snapshots
//!   from an operator and keeps them on disk. The program `watershed-dns` is
//!   little more than that.
//!
//! Everything a query needs is behind one atomic pointer, so a change never
//! loses a query and no query sees half a change.

mod counts;
mod ecs;
mod edns;
pub mod fleet;
mod handler;
pub mod health;
mod hostnames;
mod log;
mod message;
mod node;
mod query;
mod reply;
mod responder;
mod screen;
mod server;
mod state;
mod udp;
mod writer;

pub use counts::QueryCounts;
pub use ecs::{ClientSubnet, EcsError};
pub use handler::Transport;
pub use hostnames::Hostnames;
pub use node::{Config, Node};
pub use query::{ClientNetwork, Query};
pub use reply::{Decided, Rcode, Records, Reply};
pub use responder::answer;
pub use server::{Listener, ServerError};
pub use state::{HostnameAddresses, State};
pub use udp::{Limited, Path, RateLimit, UdpOptions, UdpResponder};

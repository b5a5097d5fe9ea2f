//! The DNS node: answers queries from a snapshot.
//!
//! * [`Node`] is the handle of a program: it publishes snapshots, health,
//!   location and latency data, and binds listeners.
//! * The responder is synchronous and knows no transport: a decoded question,
//!   the client's network and the state in, a reply out. It is the only place
//!   where the meaning of an answer is decided.
//! * Around it, one module each: EDNS and client subnet (RFC 6891, RFC 7871),
//!   messages and truncation, listeners.
//!
//! Everything a query needs is behind one atomic pointer, so a change never
//! loses a query and no query sees half a change.

mod ecs;
mod edns;
mod handler;
mod log;
mod message;
mod node;
mod query;
mod reply;
mod responder;
mod screen;
mod server;
mod state;

pub use ecs::{ClientSubnet, EcsError};
pub use handler::Transport;
pub use node::{Config, Node};
pub use query::{ClientNetwork, Query};
pub use reply::{Decided, Rcode, Records, Reply};
pub use responder::answer;
pub use server::{Listener, ServerError};
pub use state::{HostnameAddresses, State};

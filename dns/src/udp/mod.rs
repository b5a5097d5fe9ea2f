//! Queries by UDP, which are nearly all.
//!
//! Threads of their own answer them, one a core, each with a socket of its
//! own at the same address; the system divides the clients among them. What
//! is usual takes the fast path, which reads the query where it lies and
//! writes the answer where it is sent from; all else goes to the handler that
//! TCP has as well. Both write octet for octet the same, and a test holds them
//! to it.
//!
//! * [`UdpResponder`]: one datagram in, one reply out; no socket.
//! * `datagram`, `query`, `answer`: the fast path.
//! * `limit`: how many answers a network gets, on both paths.
//! * `ahead`: reading for a whole batch what its answers need.
//! * `socket`, `batch`: the system's side.
//! * `worker`, [`UdpServer`]: threads, and how they stop.

mod affinity;
mod ahead;
mod answer;
mod batch;
mod datagram;
pub(crate) mod limit;
mod options;
mod query;
mod responder;
mod server;
mod socket;
mod worker;

pub use limit::{Limited, RateLimit};
pub use options::UdpOptions;
pub use responder::{Path, UdpResponder};
pub(crate) use server::{UdpServer, UdpSockets};

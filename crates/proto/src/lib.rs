//! The protocol between the operator and DNS nodes.
//!
//! The definitions are in `proto/`, and what is generated from them in
//! [`fleet_v1`]. Neither side works with the generated types: a resource is
//! turned into octets and back by [`encode`] and [`decode`], and messages are
//! turned into [`NodeMessage`] and [`OperatorMessage`], which hold nothing
//! that is malformed. Nothing here knows a socket.

mod address;
mod decode;
mod encode;
mod enrol;
mod error;
mod format;
mod message;
mod stage;

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    reason = "generated; the definitions in proto/ say what everything means"
)]
pub mod fleet_v1 {
    tonic::include_proto!("watershed.fleet.v1");
}

pub use decode::decode;
pub use encode::encode;
pub use enrol::{ENROL_AUDIENCE, ENROL_LIMIT};
pub use error::{DecodeError, MessageError};
pub use format::{NEWEST_FORMAT, OLDEST_FORMAT, format_needed};
pub use message::{Hello, Location, Nack, NackReason, NodeMessage, OperatorMessage, StagePart};
pub use stage::split;

/// The largest message in octets that either side accepts: 8 MiB. Parts of a
/// state are about 1 MiB ([`split`]), so only a resource of several MiB, which
/// no Kubernetes object makes, would come near it.
pub const MESSAGE_LIMIT: usize = 8 << 20;

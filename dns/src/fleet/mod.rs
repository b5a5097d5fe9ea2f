//! A DNS node as a member of a fleet.
//!
//! ```text
//!  operator ── stream ──▶ client ──▶ member thread ──▶ node: swap
//!                           ▲            │  │
//!                           └── answers ─┘  └──▶ keeper thread ──▶ disk
//! ```
//!
//! * [`Subscriber`] decides: messages in, effects out, nothing else.
//! * The member thread performs the effects. It decodes and builds states, so
//!   no query waits for that.
//! * The client keeps a stream to the operator that leads.
//! * The keeper writes what is served to disk, from which a node starts
//!   without any operator.

mod backoff;
mod build;
mod client;
mod connect;
mod enrol;
mod http;
mod incoming;
mod keeper;
mod member;
mod metrics;
mod self_test;
mod session;
mod start;
mod status;
mod store;
mod subscriber;
mod tls;

pub use build::{Builder, Built};
pub use client::Operators;
pub use connect::{Connect, Tcp};
pub use enrol::EnrolFiles;
pub use http::router;
pub use keeper::{Disk, Keeper};
pub use member::Place;
pub use metrics::{Metrics, collectors};
pub use start::{Membership, MembershipError, Running};
pub use status::{Readiness, Status};
pub use store::{Store, StoreError};
pub use subscriber::{Effect, Identity, Kept, Subscriber};
pub use tls::{Credentials, TlsFileError, TlsFiles};

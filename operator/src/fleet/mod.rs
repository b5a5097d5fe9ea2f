//! The fleet: what nodes are to serve goes out, and what they serve comes back.
//!
//! [`Publisher`] decides, and knows neither clock nor network. [`Fleets`] is
//! one of them for each fleet, [`Hub`] carries out what they ask for, and
//! [`server`] is the gRPC service that nodes connect to.

mod config;
mod event;
mod fleets;
mod hub;
mod identity;
mod metrics;
mod name;
mod publisher;
pub mod server;
mod view;

pub use config::Config;
pub use event::{Action, Content, Ending, Event};
pub use fleets::{Fleets, Tagged};
pub use hub::{Hub, HubConfig, HubEvent};
pub use identity::{Identity, IdentityError};
pub use metrics::Metrics;
pub use name::{FleetName, NodeName, StreamId};
pub use publisher::Publisher;
pub use view::{Cause, FleetView, NodeView, Progress, Quarantined};

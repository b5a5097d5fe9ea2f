//! Health of what the fleets answer with: reports of nodes come in, verdicts
//! and the holds of failback go out.
//!
//! [`Monitor`] does this for one fleet, beside its publisher, and like that one
//! it knows neither clock nor network: the verdicts are made by
//! [`watershed_health::fleet::Panel`], what follows for failover by
//! [`watershed_policy::Failback`]. Verdicts do not change what is published:
//! they take a shorter way, on the same streams.

mod content;
mod delays;
mod endpoints;
mod metrics;
mod monitor;
mod news;
mod outbox;
mod records;
mod slices;
mod view;

pub use content::{Content, RecordContent, Written};
pub use endpoints::{EndpointView, Seen, State, endpoint, state_of};
pub use metrics::Metrics;
pub use monitor::Monitor;
pub use news::{Failover, News, Transition, Whose};
pub use slices::{ServiceSlices, Slice};
pub use view::{FailoverView, HeldView, TargetView};

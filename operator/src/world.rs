//! Everything that the operator knows, as plain state: no client, no clock.

mod facts;
mod grace;
mod health;
mod homes;
mod pending;
mod state;

pub use facts::{Facts, Owner};
pub use health::HealthIndex;
pub use homes::Homes;
pub use pending::Pending;
pub use state::{FANOUT_LIMIT, World};

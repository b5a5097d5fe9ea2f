//! The operator: custom resources to a fleet of DNS nodes, and the truth back as status.

pub mod apply;
mod config_map;
pub mod control;
pub mod enrol;
pub mod explain;
pub mod fleet;
pub mod generation;
pub mod health;
pub mod leader;
pub mod object;
pub mod parts;
pub mod plan;
pub mod status;
pub mod tls;
pub mod watch;
pub mod world;

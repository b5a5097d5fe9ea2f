//! The operator: custom resources to a fleet of DNS nodes, and the truth back as status.

pub mod fleet;
pub mod generation;
pub mod tls;

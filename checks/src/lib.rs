//! What the checks of the workspace as a whole share.
//!
//! The checks themselves are the tests of this package: the crates depend on
//! each other only as the architecture says, the documentation's links, picture
//! and sample queries are true, and the examples are valid. No other package
//! depends on this one.

pub mod binary;
pub mod chart;
pub mod graph;
pub mod markdown;
pub mod tree;

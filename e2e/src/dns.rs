//! Questions to DNS nodes, and a steady load of them.

mod load;
mod query;
mod report;
#[cfg(test)]
mod tests;

pub use load::{Asked, LoadOptions, QueryLoad};
pub use query::{Question, Reply, ask, ask_by, ask_stream, ask_tcp};
pub use report::{Fault, Report, Run};

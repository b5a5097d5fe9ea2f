//! What the load generator and the echo share: batches of datagrams, and the
//! reading of DNS messages as far as a reply has to be judged.

mod batch;
mod judge;
mod stats;

pub use batch::{Batch, SLOTS, Wait, socket};
pub use judge::{Query, Verdict, answer_start, queries};
pub use stats::Latencies;

//! Health checks on a DNS node: what it probes, what it says of that, and by
//! which verdicts it answers.
//!
//! ```text
//!  operator ── checkers, verdicts, holds ──▶ agent ── what counts ──▶ node
//!           ◀── reports, beats ─────────────  │ ▲
//!                                 who probes  ▼ │ results
//!                                           prober
//! ```
//!
//! * `Agent` decides: inputs and times in, effects out, nothing else.
//! * [`HealthAgent`] starts what performs the effects, and gives a
//!   [`HealthHandle`] to tell it what happens. It needs no operator: then the
//!   node goes by its own results.
//! * [`Verdicts`] is what counts. A [`Node`](crate::Node) works out from it
//!   what queries need, when it changes and not when a query comes.

mod address;
mod agent;
mod failback;
mod handle;
pub(crate) mod metrics;
mod options;
mod reports;
mod share;
mod table;
#[cfg(test)]
mod tests;
mod verdicts;
mod view;

pub use handle::{HealthAgent, HealthHandle};
pub use options::HealthOptions;
pub(crate) use table::{HealthTable, Sources};
pub use verdicts::{Known, Verdicts};
pub use view::TargetView;

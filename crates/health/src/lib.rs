//! Health checks: what is probed, by whom, and what the results amount to.
//!
//! Everything here computes and nothing else: no clock, no socket. Times are
//! arguments. Probes are made by `watershed-probe`.
//!
//! 1. A [`Check`] is what a `HealthCheck` object says. With the address of an
//!    endpoint it makes a [`Target`].
//! 2. Every target is probed by the nodes that [`checkers`] chooses. Each
//!    counts its own results in a [`Tracker`].
//! 3. What the checkers report, the operator brings together in a
//!    [`Panel`](fleet::Panel): the fleet's verdict.
//! 4. A node goes by the fleet's verdict, or by its own while it is alone:
//!    [`NodeView`].
//! 5. [`Checks::is_healthy`] turns verdicts on targets into the health of an
//!    endpoint: disabled, forced, inverted and calculated checks.

mod assignment;
mod check;
mod checks;
pub mod fleet;
mod hold;
mod node_view;
mod target;
mod tracker;

pub use assignment::{Checker, checkers};
pub use check::{
    Calculated, Check, CheckerChoice, DnsProbe, EndpointSlices, Forced, GrpcProbe, HttpProbe,
    MissingData, ProbeKind, PrometheusProbe, TcpProbe, TlsOptions, WhenStale,
};
pub use checks::Checks;
pub use hold::Hold;
pub use node_view::NodeView;
pub use target::{Address, Target};
pub use tracker::{Outcome, OwnState, State, Tracker};

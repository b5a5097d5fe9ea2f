//! The decision core of Watershed.
//!
//! A traffic policy is a directed acyclic graph of routing rules over
//! endpoints. This crate turns a [`Document`] into a checked [`Policy`] and
//! answers three questions about it, all by one and the same evaluation of a
//! rule:
//!
//! * [`Policy::decide`]: which endpoints does this client get now?
//! * [`Policy::distribution`]: with which exact probability does it get which?
//! * [`Policy::explain`]: why does it get them?
//!
//! Nothing here reads a clock, a file, a socket or a source of randomness:
//! health, location, latency and draws are arguments. The semantics are those
//! of Route 53 Traffic Flow, with the choices of `docs/semantics.md` where
//! Route 53 is silent.

mod build;
mod client;
mod decide;
mod diagnostic;
mod distribution;
mod document;
mod evaluate;
mod explain;
mod failback;
mod health;
mod limits;
mod policy;
mod preference;
mod scope;
mod sticky;
mod to_document;
mod usual;

pub use client::{Client, Continent, Coordinates, CountryCode, LatencySource, Location, Place};
pub use decide::{Decision, Draw};
pub use diagnostic::{Code, Diagnostic, Path, Severity};
pub use distribution::{Distribution, Outcome};
pub use document::{
    Affinity, BranchSpec, Document, EndpointKind, EndpointSpec, Region, RuleKind, RuleSpec,
    Selector, Start, Target, Value,
};
pub use evaluate::{Fallback, View};
pub use explain::{BranchHealth, BranchReport, Measure, Recorder, Step, Verdict};
pub use failback::{Failback, FailbackMode, HeldRule};
pub use health::Health;
pub use limits::Limits;
pub use num_rational::BigRational;
pub use policy::{Branch, CheckId, CheckUse, Endpoint, EndpointId, Node, Policy, Rule, RuleId};
pub use scope::Scope;

//! Health checks by a fleet: real operator, real nodes, endpoints that fail in
//! every way, and queries throughout.

#![allow(unreachable_pub, missing_docs)]

mod alone;
mod detection;
mod failback;
mod kinds;
mod many;
#[allow(dead_code, reason = "another suite uses the rest")]
#[path = "../operator/measure.rs"]
mod measure;
mod site;
mod vantage;

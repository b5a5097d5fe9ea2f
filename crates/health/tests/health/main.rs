//! What results of probes amount to, row by row of what Route 53 says in
//! "How Amazon Route 53 determines whether a health check is healthy"
//! (docs.aws.amazon.com, DNS failover: determining health of endpoints), and
//! of where Watershed goes further.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod assignment;
mod checks;
mod handover;
mod node_view;
mod panel;
mod support;
mod tracker;

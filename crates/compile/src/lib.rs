//! From custom resources to a snapshot.
//!
//! Everything here computes and nothing acts: objects and answers to their
//! references go in; policies, findings, plans and snapshots come out.
//!
//! * [`compile_policy`] turns a document into a checked policy, with every
//!   finding; [`digest`] tells documents apart.
//! * [`parse_rdata`] reads record data.

mod digest;
mod document;
pub mod rdata;

pub use digest::{Digest, digest};
pub use document::{
    CidrLocations, ObjectAddress, References, check_names, compile_policy, convert, has_errors,
    is_node_name,
};
pub use rdata::{RdataError, parse_rdata};

//! From custom resources to a snapshot.
//!
//! Everything here computes and nothing acts: objects and answers to their
//! references go in; policies, findings, plans and snapshots come out.
//!
//! * [`compile_policy`] turns a document into a checked policy, with every
//!   finding; [`digest`] tells documents apart; [`parse_rdata`] reads record
//!   data.
//! * [`Resources`] is the index of all objects.
//! * [`mint::plan_one`] says which version is to be made of a working document.
//! * [`Compiler`] turns objects into resources for the nodes, with a
//!   [`Verdict`] on every object; it falls back to what was served before
//!   wherever a change cannot be, and makes anew only what a change concerns.

mod alias;
mod allowed;
mod asks;
mod attached;
mod changes;
mod collections;
mod compiler;
mod contents;
mod dependants;
mod digest;
mod document;
mod followed;
mod grants;
mod health_check;
mod health_checks;
pub mod mint;
mod object;
mod object_address;
mod previous;
pub mod rdata;
mod record;
mod resources;
mod rrset;
mod slot;
mod traffic_policy;
mod unsupported;
mod untargeted;
mod verdict;
mod version;
mod versions;
mod zone;
mod zones;

pub use changes::{Changes, Usage, ZoneCounts};
pub use compiler::Compiler;
pub use digest::{Digest, digest};
pub use document::{
    CidrLocations, ObjectAddresses, References, check_names, compile_policy, convert, has_errors,
    is_node_name,
};
pub use grants::{Grant, GrantFrom, GrantTo};
pub use object::{Age, Kind, ObjectKey, ObjectRef};
pub use object_address::{NoAddresses, ObjectAddress, ObjectAddressKey};
pub use previous::{Compiled, Previous, compile};
pub use rdata::{RdataError, parse_rdata};
pub use resources::{
    Applied, DEFAULT_NAMESPACE, Object, Resource, Resources, Table, Version, version_key,
};
pub use verdict::{Condition, ConditionType, Reason, Serving, Verdict};
pub use version::check_document;

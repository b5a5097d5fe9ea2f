//! From custom resources to a snapshot.
//!
//! Everything here computes and nothing acts: objects and answers to their
//! references go in; policies, findings, plans and snapshots come out.
//!
//! * [`compile_policy`] turns a document into a checked policy, with every
//!   finding; [`digest`] tells documents apart; [`parse_rdata`] reads record
//!   data.
//! * [`Resources`] is the index of all objects.
//! * [`mint::plan`] says which versions are to be made of working documents.
//! * [`compile`] turns the index into a snapshot, with a [`Verdict`] on every
//!   object, and falls back to what was served before wherever a change
//!   cannot be.

mod alias;
mod allowed;
mod attached;
mod changes;
mod checks;
mod compiler;
mod digest;
mod document;
mod draft;
mod filling;
mod grants;
pub mod mint;
mod object;
mod object_address;
mod previous;
pub mod rdata;
mod record;
mod resources;
mod rrset;
mod snapshot;
mod traffic_policy;
mod unsupported;
mod verdict;
mod version;
mod zone;

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
pub use previous::Previous;
pub use rdata::{RdataError, parse_rdata};
pub use resources::{
    Applied, DEFAULT_NAMESPACE, Object, Resource, Resources, Table, Version, version_key,
};
pub use snapshot::{Compiled, compile};
pub use verdict::{Condition, ConditionType, Reason, Serving, Verdict};
pub use version::check_document;

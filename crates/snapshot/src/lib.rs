//! What a DNS node serves at one moment: zones, compiled policies and the
//! names that the policies are bound to; and how it comes about.
//!
//! Objects give [`Resource`]s. In encoded form they make a [`ResourceSet`],
//! whose [`Digest`] and [`SnapshotId`] name a state of everything; [`judge`]
//! decides whether a node may move from one state to another. In decoded form
//! they make an [`Assembly`], and that the [`Snapshot`] to answer from.
//!
//! The types are plain data with their invariants checked on construction, so
//! that the query path has nothing left to check: names are absolute and lower
//! case, every name of a zone is inside it, no CNAME stands beside other data,
//! and empty non-terminals are nodes of their own. Nothing here knows a
//! socket, a clock or a file.

mod adoption;
mod assembly;
mod digest;
mod health;
mod map;
mod name;
mod node;
mod policy_version;
mod resource;
mod rrset;
mod set;
mod snapshot;
mod table;
mod targets;
mod zone;

pub use adoption::{Adoption, Held, SnapshotId, Term, judge};
pub use assembly::{Assembled, Assembly};
pub use digest::Digest;
pub use health::HealthStates;
pub use map::CowMap;
pub use name::{NameError, OwnerName};
pub use node::{Node, RrSets};
pub use policy_version::{Binding, PolicyVersion, RecordFailback, RecordTypes};
pub use resource::{
    Content, Fault, Placed, Records, Resource, ResourceKind, ResourceName, ResourceNameError,
    VersionBinding, ZoneHead,
};
pub use rrset::{RrSet, record_type};
pub use set::{BUCKETS, Delta, ResourceSet, ResourceSetBuilder};
pub use snapshot::Snapshot;
pub use targets::addresses;
pub use zone::{NameHash, Zone, ZoneBuilder, ZoneError};

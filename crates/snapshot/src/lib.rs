//! What a DNS node serves at one moment: zones, compiled policies and the
//! names that the policies are bound to.
//!
//! The types are plain data with their invariants checked on construction, so
//! that the query path has nothing left to check: names are absolute and lower
//! case, every name of a zone is inside it, no CNAME stands beside other data,
//! and empty non-terminals are nodes of their own. Nothing here knows a
//! socket, a clock or a file.

mod health;
mod name;
mod policy_version;
mod rrset;
mod zone;

pub use health::HealthStates;
pub use name::{NameError, OwnerName};
pub use policy_version::{Binding, PolicyVersion};
pub use rrset::{RrSet, record_type};
pub use zone::{Node, Snapshot, Zone, ZoneBuilder, ZoneError};

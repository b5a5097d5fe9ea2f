//! Why data cannot be in a zone.

use thiserror::Error;

use crate::name::OwnerName;

/// Why data cannot be in a zone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ZoneError {
    /// The start of authority is not one well-formed SOA record.
    #[error("zone {0}: the SOA record is malformed")]
    MalformedSoa(OwnerName),
    /// The name is not at or below the apex.
    #[error("{name} is outside the zone {apex}")]
    OutOfZone {
        /// The name.
        name: OwnerName,
        /// The zone.
        apex: OwnerName,
    },
    /// The type is served at the name already.
    #[error("{name} has data of type {record_type} already")]
    Duplicate {
        /// The name.
        name: OwnerName,
        /// IANA number of the type.
        record_type: u16,
    },
    /// A CNAME excludes other data at its name (RFC 1034 section 3.6.2), and
    /// so cannot stand at an apex.
    #[error("{0} would have a CNAME beside other data")]
    CnameConflict(OwnerName),
    /// A wildcard cannot delegate (RFC 4592 section 4.2).
    #[error("{0} is a wildcard and cannot have NS records")]
    WildcardDelegation(OwnerName),
    /// A set without records, or a policy bound without types.
    #[error("{0} would get a set without data")]
    Empty(OwnerName),
}

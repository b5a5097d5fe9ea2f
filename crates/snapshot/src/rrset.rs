//! Static data.

use crate::name::OwnerName;
use crate::record_type::{A, AAAA, CNAME, NS};

/// Largest TTL (RFC 2181 section 8).
const MAX_TTL: u32 = i32::MAX.unsigned_abs();

/// The records of one type at a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrSet {
    /// IANA type number.
    pub record_type: u16,
    /// Seconds, 0..=2147483647 (RFC 2181 section 8).
    pub ttl: u32,
    /// Record data in uncompressed wire form, at least one.
    pub rdata: Vec<Box<[u8]>>,
}

impl RrSet {
    /// Whether it can be served: there is data, the TTL is in range, and what
    /// the server itself reads (addresses, and the names of NS and CNAME
    /// records) is whole. Data of other types are not looked into.
    pub fn is_well_formed(&self) -> bool {
        let whole = |rdata: &[u8]| match self.record_type {
            A => rdata.len() == 4,
            AAAA => rdata.len() == 16,
            NS | CNAME => OwnerName::from_wire(rdata).is_ok(),
            _ => u16::try_from(rdata.len()).is_ok(),
        };
        self.ttl <= MAX_TTL && !self.rdata.is_empty() && self.rdata.iter().all(|rdata| whole(rdata))
    }
}

/// IANA numbers of the record types that the server treats specially.
pub mod record_type {
    /// Address, IPv4.
    pub const A: u16 = 1;
    /// Name server; below an apex it marks a zone cut.
    pub const NS: u16 = 2;
    /// Canonical name.
    pub const CNAME: u16 = 5;
    /// Start of authority.
    pub const SOA: u16 = 6;
    /// Host information; the stand-in of RFC 8482.
    pub const HINFO: u16 = 13;
    /// Address, IPv6.
    pub const AAAA: u16 = 28;
    /// Delegation signer; lives on the parent's side of a zone cut.
    pub const DS: u16 = 43;
}

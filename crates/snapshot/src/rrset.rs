//! Static data.

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

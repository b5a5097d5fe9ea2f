//! Which answers are counted together.
//!
//! Those to one network that are alike: whoever forges the addresses of a victim
//! should have to ask for many different things, and genuine clients of that
//! network should lose nothing else. What BIND, NSD and Knot count together is
//! compared in decision 31.

use std::hash::Hasher;
use std::net::IpAddr;

use watershed_snapshot::{OwnerName, Zone};

use crate::reply::Rcode;

/// Bits of an IPv4 address that are not of its network, a /24.
const IPV4_HOST_BITS: u32 = 32 - 24;
/// Bits of an IPv6 address that are not of its network, a /56.
const IPV6_HOST_BITS: u32 = 128 - 56;
/// Tells IPv6 networks, which have 56 bits, from IPv4 networks.
const IPV6: u64 = 1 << 63;

/// The network of a client. It is that of the datagram's source, whom an
/// answer would hit, and never that of a client subnet option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network(u64);

impl Network {
    pub(super) fn of(source: IpAddr) -> Self {
        Self(match source.to_canonical() {
            IpAddr::V4(address) => u64::from(address.to_bits() >> IPV4_HOST_BITS),
            IpAddr::V6(address) => {
                let network = address.to_bits() >> IPV6_HOST_BITS;
                IPV6 | u64::try_from(network).unwrap_or_default()
            }
        })
    }
}

/// What an answer turned out to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    pub(crate) rcode: Rcode,
    pub(crate) authoritative: bool,
    /// Whether there are records in the answer section.
    pub(crate) data: bool,
}

/// Answers that are counted together, if they go to one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account<'a> {
    kind: Kind,
    /// 0 where the type does not matter.
    record_type: u16,
    /// In wire form and lower case; empty where the name does not matter.
    name: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Data of a name and type.
    Data,
    /// The same, which a wildcard gave for a name below this one.
    Wildcard,
    /// No data of a type, at any name of a zone.
    NoData,
    /// Any name that a zone has not.
    NxDomain,
    /// From a zone to any other.
    Referral,
    /// This, whatever was asked.
    Error(Rcode),
}

impl Kind {
    fn number(self) -> u16 {
        match self {
            Self::Data => 0x100,
            Self::Wildcard => 0x200,
            Self::NoData => 0x300,
            Self::NxDomain => 0x400,
            Self::Referral => 0x500,
            // Below 256, all that there are.
            Self::Error(rcode) => rcode.number(),
        }
    }
}

impl<'a> Account<'a> {
    /// Of an answer about `name`, which was looked for in `zone`.
    pub(crate) fn of(
        zone: Option<&Zone>,
        name: &'a [u8],
        record_type: u16,
        answered: Answered,
    ) -> Self {
        let (Rcode::NoError | Rcode::NxDomain, Some(zone)) = (answered.rcode, zone) else {
            return Self::error(answered.rcode);
        };
        let kind = match answered.rcode {
            Rcode::NxDomain => Kind::NxDomain,
            _ if answered.data => return Self::data(zone, name, record_type),
            _ if answered.authoritative => Kind::NoData,
            _ => Kind::Referral,
        };
        let apex = name.len().saturating_sub(zone.apex.as_wire().len());
        Self {
            kind,
            record_type: 0,
            name: name.get(apex..).unwrap_or_default(),
        }
    }

    /// Of an error.
    pub(crate) fn error(rcode: Rcode) -> Self {
        Self {
            kind: Kind::Error(rcode),
            record_type: 0,
            name: &[],
        }
    }

    /// All names for which one wildcard stands are one: they cost nothing to
    /// invent. It is known by its parent, the closest of the names above that
    /// exist (RFC 4592 section 3.3.1).
    fn data(zone: &Zone, name: &'a [u8], record_type: u16) -> Self {
        let mut kind = Kind::Data;
        let mut counted = name;
        if zone.has_wildcards() && zone.node_by_wire(name).is_none() {
            let mut suffixes = OwnerName::suffixes_of(name).skip(1);
            kind = Kind::Wildcard;
            counted = suffixes
                .find(|suffix| zone.node_by_wire(suffix).is_some())
                .unwrap_or_default();
        }
        Self {
            kind,
            record_type,
            name: counted,
        }
    }

    /// Hashes it together with the network that the answers go to.
    pub(super) fn hash_with(&self, network: Network, hasher: &mut impl Hasher) {
        hasher.write_u64(network.0);
        // Whole words take less time than parts.
        hasher.write_u64(u64::from(self.kind.number()) << 16 | u64::from(self.record_type));
        // Nothing follows, so it needs no mark of its end.
        hasher.write(self.name);
    }
}

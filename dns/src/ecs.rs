//! Client subnet option (RFC 7871).
//!
//! hickory-proto decodes the option leniently, so the octets are read here:
//! the standard asks to refuse a malformed option, lest a resolver file
//! answers under the wrong network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::rdata::opt::{ClientSubnet as WireSubnet, EdnsOption};
use ipnet::IpNet;
use thiserror::Error;
use watershed_policy::Scope;

/// Code of the option.
pub(crate) const SUBNET: u8 = 8;

/// The network in the ECS option of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientSubnet {
    /// ADDRESS with zero bits after SOURCE PREFIX-LENGTH.
    address: IpAddr,
    /// SOURCE PREFIX-LENGTH: 0..=32 or 0..=128 by family.
    source_len: u8,
}

/// Why an ECS option is refused with FORMERR (RFC 7871 section 7.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EcsError {
    /// The option ends before its fixed fields.
    #[error("the option is shorter than four octets")]
    Short,
    /// FAMILY is neither 1 (IPv4) nor 2 (IPv6).
    #[error("address family {0} is unknown")]
    Family(u16),
    /// SOURCE PREFIX-LENGTH is longer than an address of the family.
    #[error("source prefix length {0} is too long for the family")]
    SourceLength(u8),
    /// SCOPE PREFIX-LENGTH is not 0, as it must be in a query.
    #[error("scope prefix length {0} in a query")]
    Scope(u8),
    /// ADDRESS has not just the octets that SOURCE PREFIX-LENGTH needs.
    #[error("{0} address octets do not fit the source prefix length")]
    AddressLength(usize),
    /// ADDRESS has bits set beyond SOURCE PREFIX-LENGTH.
    #[error("address bits are set beyond the source prefix length")]
    HostBits,
    /// The query has more than one ECS option.
    #[error("the option stands twice")]
    Repeated,
}

impl ClientSubnet {
    /// Reads the data of the option of a query.
    ///
    /// # Errors
    /// Any deviation from RFC 7871 section 6.
    pub fn from_query(data: &[u8]) -> Result<Self, EcsError> {
        let [family_high, family_low, source_len, scope, octets @ ..] = data else {
            return Err(EcsError::Short);
        };
        let family = u16::from_be_bytes([*family_high, *family_low]);
        let address = match family {
            1 => IpAddr::from(Ipv4Addr::from(padded(octets, *source_len)?)),
            2 => IpAddr::from(Ipv6Addr::from(padded(octets, *source_len)?)),
            _ => return Err(EcsError::Family(family)),
        };
        if *scope != 0 {
            return Err(EcsError::Scope(*scope));
        }
        let subnet = Self {
            address,
            source_len: *source_len,
        };
        match IpNet::new(address, *source_len) {
            Ok(network) if network.trunc() == network => Ok(subnet),
            _ => Err(EcsError::HostBits),
        }
    }

    /// The network; `None` when the resolver withholds it by a source prefix
    /// length of 0.
    pub fn network(self) -> Option<IpNet> {
        let network = IpNet::new(self.address, self.source_len).ok();
        network.filter(|network| network.prefix_len() > 0)
    }

    /// SCOPE PREFIX-LENGTH of a reply: the scope of the answer in the family of
    /// the address.
    ///
    /// The scope may be longer than the source prefix. RFC 7871 section 7.2.1
    /// means that as "the prefix was not specific enough", and section 7.3.1
    /// has resolvers file such an answer under the source prefix; cutting the
    /// scope would only hide that a longer source prefix gets a better answer.
    fn scope_len(self, scope: Scope) -> u8 {
        match (self.source_len, self.address) {
            // Nothing of the client was used, so the answer suits everyone
            // who withholds his network as well.
            (0, _) => 0,
            (_, IpAddr::V4(_)) => scope.ipv4,
            (_, IpAddr::V6(_)) => scope.ipv6,
        }
    }

    /// The option for a reply, as hickory takes it.
    pub(crate) fn reply_option(self, scope: Scope) -> EdnsOption {
        let scope_len = self.scope_len(scope);
        EdnsOption::Subnet(WireSubnet::new(self.address, self.source_len, scope_len))
    }

    /// Writes the option for a reply, code and length included.
    pub(crate) fn write_reply_option(self, scope: Scope, octets: &mut Vec<u8>) {
        let needed = self.source_len.div_ceil(8);
        let family = match self.address {
            IpAddr::V4(_) => 1,
            IpAddr::V6(_) => 2,
        };
        octets.extend_from_slice(&[0, SUBNET, 0, 4 + needed, 0, family]);
        octets.extend_from_slice(&[self.source_len, self.scope_len(scope)]);
        let needed = usize::from(needed);
        match self.address {
            IpAddr::V4(address) => octets.extend(address.octets().iter().take(needed)),
            IpAddr::V6(address) => octets.extend(address.octets().iter().take(needed)),
        }
    }
}

impl std::fmt::Display for ClientSubnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.source_len)
    }
}

/// An address of `N` octets from the truncated one on the wire.
fn padded<const N: usize>(octets: &[u8], source_len: u8) -> Result<[u8; N], EcsError> {
    let needed = usize::from(source_len).div_ceil(8);
    if needed > N {
        return Err(EcsError::SourceLength(source_len));
    }
    if octets.len() != needed {
        return Err(EcsError::AddressLength(octets.len()));
    }
    let mut address = [0; N];
    address[..needed].copy_from_slice(octets);
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_options() {
        let network = |data: &[u8]| ClientSubnet::from_query(data).unwrap().network();
        let v4 = network(&[0, 1, 24, 0, 192, 0, 2]);
        assert_eq!(v4, Some("192.0.2.0/24".parse().unwrap()));
        let odd = network(&[0, 1, 20, 0, 198, 51, 0x70]);
        assert_eq!(odd, Some("198.51.112.0/20".parse().unwrap()));
        let v6 = network(&[0, 2, 33, 0, 0x20, 1, 0xd, 0xb8, 0x80]);
        assert_eq!(v6, Some("2001:db8:8000::/33".parse().unwrap()));
        assert_eq!(network(&[0, 1, 0, 0]), None);
        assert_eq!(network(&[0, 2, 0, 0]), None);
    }

    #[test]
    fn malformed_options() {
        let cases: [(&[u8], EcsError); 11] = [
            (&[], EcsError::Short),
            (&[0, 1, 0], EcsError::Short),
            (&[0, 0, 0, 0], EcsError::Family(0)),
            (&[0, 3, 0, 0], EcsError::Family(3)),
            (&[0, 1, 33, 0, 1, 2, 3, 4, 5], EcsError::SourceLength(33)),
            (&[0, 2, 129, 0], EcsError::SourceLength(129)),
            (&[0, 1, 24, 24, 192, 0, 2], EcsError::Scope(24)),
            (&[0, 1, 24, 0, 192, 0], EcsError::AddressLength(2)),
            (&[0, 1, 24, 0, 192, 0, 2, 0], EcsError::AddressLength(4)),
            (&[0, 1, 0, 0, 0], EcsError::AddressLength(1)),
            (&[0, 1, 23, 0, 192, 0, 3], EcsError::HostBits),
        ];
        for (data, error) in cases {
            assert_eq!(ClientSubnet::from_query(data), Err(error), "{data:?}");
        }
    }

    #[test]
    fn scope_follows_the_family_and_is_not_cut() {
        let scope = Scope { ipv4: 26, ipv6: 48 };
        let scope_of = |data: &[u8]| {
            let subnet = ClientSubnet::from_query(data).unwrap();
            match subnet.reply_option(scope) {
                EdnsOption::Subnet(subnet) => subnet.scope_prefix(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(scope_of(&[0, 1, 24, 0, 192, 0, 2]), 26);
        assert_eq!(scope_of(&[0, 2, 16, 0, 0x20, 1]), 48);
        assert_eq!(scope_of(&[0, 1, 0, 0]), 0);
    }
}

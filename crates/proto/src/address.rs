//! Addresses on their way out and in.

use std::net::IpAddr;

use watershed_health::Address;

use crate::fleet_v1 as wire;

/// The longest host name in octets (RFC 1035 section 2.3.4).
const HOST: usize = 255;

impl From<&Address> for wire::Address {
    fn from(address: &Address) -> Self {
        use wire::address::Address as To;
        let to = match address {
            Address::Ip(IpAddr::V4(address)) => To::Ip(address.octets().to_vec()),
            Address::Ip(IpAddr::V6(address)) => To::Ip(address.octets().to_vec()),
            Address::Host(host) => To::Host(host.clone()),
        };
        Self { address: Some(to) }
    }
}

/// The address; `None` when it is none.
pub(crate) fn read(address: wire::Address) -> Option<Address> {
    use wire::address::Address as From;
    match address.address? {
        From::Ip(octets) => ip(&octets).map(Address::Ip),
        From::Host(host) => {
            let usual = !host.is_empty() && host.len() <= HOST;
            (usual && !host.chars().any(char::is_control)).then_some(Address::Host(host))
        }
    }
}

fn ip(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let sixteen = || <[u8; 16]>::try_from(octets).map(IpAddr::from);
    four.or_else(|_| sixteen()).ok()
}

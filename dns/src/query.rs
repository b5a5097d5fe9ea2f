//! A question, decoded.

use std::net::IpAddr;

use ipnet::IpNet;
use watershed_snapshot::OwnerName;

use crate::ecs::ClientSubnet;

/// One question of class IN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// QNAME.
    pub name: OwnerName,
    /// QTYPE, an IANA number.
    pub record_type: u16,
    /// For whom it is asked.
    pub client: ClientNetwork,
}

/// What the query says about where its client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientNetwork {
    /// The network of the ECS option or, without one, the address of the
    /// resolver.
    Known(IpNet),
    /// The resolver asks not to use an address (ECS with a source prefix
    /// length of 0).
    Withheld,
}

impl ClientNetwork {
    /// The client of a query that came from `source`.
    pub fn new(subnet: Option<ClientSubnet>, source: IpAddr) -> Self {
        match subnet {
            None => Self::Known(IpNet::from(source.to_canonical())),
            Some(subnet) => subnet.network().map_or(Self::Withheld, Self::Known),
        }
    }
}

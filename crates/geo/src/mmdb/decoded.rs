//! Records of a database, decoded when it is read: a look-up neither walks the
//! tree nor decodes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use maxminddb::{Reader, WithinOptions};
use watershed_policy::Location;

use super::{Record, location};
use crate::database::complete;
use crate::table::Ipv4Table;

/// Nodes of the largest tree that is decoded: those of a database of countries.
/// One of cities has several times as many, and would take seconds.
const MOST_NODES: usize = 2_000_000;
/// The most records that are decoded, each of 80 octets: a database of
/// countries has some hundreds.
const MOST_RECORDS: usize = 50_000;

/// The records of IPv4 networks.
pub(super) struct Decoded {
    networks: Ipv4Table,
    /// By number, completed; the first is for networks without a record.
    locations: Vec<Location>,
    /// Numbers by where in the file a record begins.
    numbers: HashMap<usize, u32>,
}

impl Decoded {
    /// `None` for a database that is too large, or whose tree is not one of
    /// IPv4 networks.
    pub(super) fn read(reader: &Reader<Vec<u8>>) -> Option<Self> {
        if reader.metadata().node_count as usize > MOST_NODES {
            return None;
        }
        let options = WithinOptions::default().include_networks_without_data();
        let all = reader.within("0.0.0.0/0".parse().ok()?, options).ok()?;
        let mut locations = vec![Location::unmapped()];
        let mut numbers = HashMap::new();
        let mut networks = Vec::new();
        for record in all {
            let record = record.ok()?;
            let number = match record.offset() {
                None => 0,
                Some(offset) => *numbers.entry(offset).or_insert_with(|| {
                    locations.push(complete(location(&record)));
                    u32::try_from(locations.len() - 1).unwrap_or_default()
                }),
            };
            if locations.len() > MOST_RECORDS {
                return None;
            }
            networks.push((ipv4_network(&record)?, number));
        }
        Some(Self {
            networks: Ipv4Table::new(networks)?,
            locations,
            numbers,
        })
    }

    pub(super) fn table(&self) -> &Ipv4Table {
        &self.networks
    }

    /// Where an address is.
    pub(super) fn find(&self, address: Ipv4Addr) -> Option<Location> {
        let (number, prefix_len) = self.networks.find(address);
        let location = self.locations.get(number as usize)?.clone();
        Some(Location {
            prefix_len: Some(prefix_len),
            ..location
        })
    }

    /// What a record tells.
    pub(super) fn of(&self, record: &Record<'_>) -> Option<Location> {
        let number = *self.numbers.get(&record.offset()?)?;
        self.locations.get(number as usize).cloned()
    }
}

fn ipv4_network(record: &Record<'_>) -> Option<Ipv4Net> {
    let network = record.network().ok()?;
    match network.ip() {
        IpAddr::V4(address) => Ipv4Net::new(address, network.prefix()).ok(),
        // The tree parts before IPv4 begins.
        IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::super::Mmdb;
    use super::*;
    use crate::testing;

    fn in_country(code: &str) -> Location {
        Location {
            country: code.parse().ok(),
            ..Location::default()
        }
    }

    proptest! {
        #[test]
        fn the_tree_tells_the_same(
            networks in proptest::collection::vec((any::<u32>(), 0..=32_u8, 0..3_usize), 1..30),
            others in proptest::collection::vec(any::<u32>(), 20),
        ) {
            let codes = ["DE", "US", "NZ"];
            let places: Vec<(IpNet, Location)> = networks
                .iter()
                .map(|(address, len, code)| {
                    let network = Ipv4Net::new((*address).into(), *len).unwrap().trunc();
                    (network.into(), in_country(codes[*code]))
                })
                .collect();
            let database = Mmdb::read(testing::mmdb(&places)).unwrap();
            let ends = places.iter().flat_map(|(net, _)| [net.network(), net.broadcast()]);
            let others = others.into_iter().map(|bits| IpAddr::V4(bits.into()));
            for address in ends.chain(others) {
                // A tree that parts before IPv4 begins is not decoded.
                prop_assert!(database.decoded.is_some() || networks.iter().all(|net| net.1 == 0));
                prop_assert_eq!(database.lookup(address), database.lookup_in_tree(address));
            }
        }
    }
}

//! Address blocks that nest, searched from the inside out.

use std::collections::{BTreeSet, HashMap};

use ipnet::IpNet;

use crate::prefix::{bits, widest};

/// A value per block of either family.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Blocks<T> {
    values: HashMap<IpNet, T>,
    ipv4: Family,
    ipv6: Family,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Family {
    /// Prefix lengths that occur: the only ones worth a search.
    lengths: BTreeSet<u8>,
    /// Where a block begins, and where the addresses after one begin.
    boundaries: BTreeSet<u128>,
}

impl<T: Default> Blocks<T> {
    /// How many blocks there are.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The value of `block`, made when it is not there yet.
    pub(super) fn entry(&mut self, block: IpNet) -> &mut T {
        let family = match block {
            IpNet::V4(_) => &mut self.ipv4,
            IpNet::V6(_) => &mut self.ipv6,
        };
        family.lengths.insert(block.prefix_len());
        family.boundaries.insert(bits(block.network()).0);
        let last = bits(block.broadcast()).0;
        family.boundaries.extend(last.checked_add(1));
        self.values.entry(block).or_default()
    }

    /// The values of the blocks that contain all of `network`, longest first.
    pub(super) fn containing(&self, network: &IpNet) -> impl Iterator<Item = &T> {
        let lengths = &self.family(network).lengths;
        lengths
            .range(..=network.prefix_len())
            .rev()
            .filter_map(|len| IpNet::new(network.addr(), *len).ok())
            .filter_map(|block| self.values.get(&block.trunc()))
    }

    /// Length of the widest prefix around `network`'s first address of which
    /// every block holds all or nothing.
    pub(super) fn undivided_len(&self, network: &IpNet) -> u8 {
        let (address, width) = bits(network.network());
        let boundaries = &self.family(network).boundaries;
        let first = boundaries
            .range(..=address)
            .next_back()
            .copied()
            .unwrap_or(0);
        let max = u128::MAX >> (128 - u32::from(width));
        let next = address
            .checked_add(1)
            .and_then(|next| boundaries.range(next..).next());
        let last = next.map_or(max, |next| (next - 1).min(max));
        widest(address, first, last, width)
    }

    fn family(&self, network: &IpNet) -> &Family {
        match network {
            IpNet::V4(_) => &self.ipv4,
            IpNet::V6(_) => &self.ipv6,
        }
    }
}

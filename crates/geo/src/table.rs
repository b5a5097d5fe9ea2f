//! What is known of IPv4 networks, laid out for few waits for memory.

use std::hint::black_box;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// Number of blocks: values of the first two octets of an address.
const BLOCKS: usize = 1 << 16;

/// A record for every IPv4 address, by number. The first two octets of an
/// address lead to a block. Most have one record, which is in the block; the
/// networks of the others lie side by side, so that a look-up rarely reads more
/// than two lines of the processor's cache.
pub(crate) struct Ipv4Table {
    blocks: Box<[Block]>,
    parts: Box<[Part]>,
}

/// The addresses of the same first two octets: 8 octets of memory.
#[derive(Clone, Copy)]
enum Block {
    /// All in one network, which may be larger.
    Whole { record: u32, prefix_len: u8 },
    /// In the parts from `first` on.
    Divided { first: u32, last: u16 },
}

/// A network within a block: 8 octets of memory.
#[derive(Clone, Copy)]
struct Part {
    /// The last two octets of its first address.
    start: u16,
    prefix_len: u8,
    record: u32,
}

impl Ipv4Table {
    /// A table of these networks and the numbers of their records; `None`
    /// unless they are in order and make the whole of IPv4, without a gap.
    pub(crate) fn new(networks: impl IntoIterator<Item = (Ipv4Net, u32)>) -> Option<Self> {
        let mut blocks = Vec::with_capacity(BLOCKS);
        let mut parts: Vec<Part> = Vec::new();
        let mut next = 0_u64;
        for (network, record) in networks {
            if u64::from(u32::from(network.network())) != next {
                return None;
            }
            let prefix_len = network.prefix_len();
            next += 1 << (32 - prefix_len);
            if let Some(short) = 16_u8.checked_sub(prefix_len) {
                let block = Block::Whole { record, prefix_len };
                blocks.resize(blocks.len() + (1 << short), block);
                continue;
            }
            let start = low_half(network.network());
            let at = u32::try_from(parts.len()).ok()?;
            match blocks.last_mut().filter(|_| start > 0) {
                Some(Block::Divided { last, .. }) => *last += 1,
                _ => blocks.push(Block::Divided { first: at, last: 0 }),
            }
            parts.push(Part {
                start,
                prefix_len,
                record,
            });
        }
        (next == 1 << 32).then(|| Self {
            blocks: blocks.into(),
            parts: parts.into(),
        })
    }

    /// Reads the networks of these addresses, of all at once, so that they wait
    /// for memory together.
    pub(crate) fn read_ahead(&self, addresses: impl Iterator<Item = Ipv4Addr> + Clone) {
        for address in addresses.clone() {
            black_box(self.blocks[block_of(address)]);
        }
        for address in addresses {
            black_box(self.find(address));
        }
    }

    /// The number of the record, and the length of the prefix around the
    /// address that has it.
    pub(crate) fn find(&self, address: Ipv4Addr) -> (u32, u8) {
        let low = low_half(address);
        match self.blocks[block_of(address)] {
            Block::Whole { record, prefix_len } => (record, prefix_len),
            Block::Divided { first, last } => {
                let (first, last) = (first as usize, usize::from(last));
                // The first part begins with the block, so one always fits.
                let behind = &self.parts[first + 1..=first + last];
                let fitting = behind.partition_point(|part| part.start <= low);
                let part = self.parts[first + fitting];
                (part.record, part.prefix_len)
            }
        }
    }
}

fn block_of(address: Ipv4Addr) -> usize {
    usize::try_from(u32::from(address) >> 16).unwrap_or(BLOCKS)
}

fn low_half(address: Ipv4Addr) -> u16 {
    let [.., third, fourth] = address.octets();
    u16::from_be_bytes([third, fourth])
}

#[cfg(test)]
mod tests {
    use ipnet::Ipv4Subnets;
    use proptest::prelude::*;

    use super::*;

    /// The largest networks between these addresses, with the number of the
    /// one before them as record.
    fn networks(bounds: &[u32]) -> Vec<(Ipv4Net, u32)> {
        let firsts = [0].into_iter().chain(bounds.iter().copied());
        let lasts = bounds.iter().map(|bound| bound - 1).chain([u32::MAX]);
        let ranges = (0..).zip(firsts.zip(lasts));
        let networks = ranges.flat_map(|(record, (first, last))| {
            let subnets = Ipv4Subnets::new(first.into(), last.into(), 0);
            subnets.map(move |network| (network, record))
        });
        networks.collect()
    }

    #[test]
    fn entries_are_small() {
        assert_eq!((size_of::<Block>(), size_of::<Part>()), (8, 8));
    }

    #[test]
    fn gaps_and_disorder_are_refused() {
        let net = |text: &str| (text.parse().unwrap(), 0);
        let halves = [net("0.0.0.0/1"), net("128.0.0.0/1")];
        assert!(Ipv4Table::new(halves).is_some());
        for networks in [
            vec![],
            vec![halves[0]],
            vec![halves[1], halves[0]],
            vec![halves[0], halves[0]],
            vec![halves[0], net("128.0.0.0/2"), net("192.0.0.0/24")],
        ] {
            assert!(Ipv4Table::new(networks).is_none());
        }
    }

    proptest! {
        #[test]
        fn finds_the_network_of_every_address(
            wide in proptest::collection::btree_set(1..=u32::MAX, 0..20),
            // In few blocks, so that they are divided more than once.
            narrow in proptest::collection::btree_set(0..0x3_0000_u32, 0..40),
        ) {
            let narrow = narrow.into_iter().map(|low| 0x0a00_0000 + low);
            let mut bounds: Vec<u32> = wide.into_iter().chain(narrow).collect();
            bounds.sort_unstable();
            bounds.dedup();
            let networks = networks(&bounds);
            let table = Ipv4Table::new(networks.iter().copied()).unwrap();
            let ends = networks.iter().flat_map(|(net, _)| [net.network(), net.broadcast()]);
            table.read_ahead(ends);
            for (network, record) in networks {
                for address in [network.network(), network.broadcast()] {
                    prop_assert_eq!(table.find(address), (record, network.prefix_len()));
                }
            }
        }
    }
}

//! The ECS scope of a decision: for which clients it holds.

use ipnet::IpNet;

use crate::client::{Client, LatencySource};

/// Prefix lengths for which the same distribution of answers holds (RFC 7871,
/// SCOPE PREFIX-LENGTH). 0 means that nothing about the client mattered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// For a client asking with an IPv4 network, 0..=32.
    pub ipv4: u8,
    /// For a client asking with an IPv6 network, 0..=128.
    pub ipv6: u8,
}

/// Granularity when the answer depends on the client but no lookup said for
/// which prefix, and the unit of client affinity. RFC 7871 section 11.1
/// recommends /24 and /56 as the most that resolvers send; /48 is what a site
/// gets and what Route 53 takes at most.
pub(crate) const DEFAULT_IPV4: u8 = 24;
pub(crate) const DEFAULT_IPV6: u8 = 48;

/// What of the client a decision depended on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dependence {
    location: bool,
    network: bool,
    /// Shortest prefix around the client that address comparisons allow.
    prefix_len: u8,
}

impl Dependence {
    pub(crate) fn merge(&mut self, other: Self) {
        self.location |= other.location;
        self.network |= other.network;
        self.prefix_len = self.prefix_len.max(other.prefix_len);
    }

    /// The client's location was looked at.
    pub(crate) fn location() -> Self {
        Self {
            location: true,
            ..Self::default()
        }
    }

    /// Measured latency was looked at.
    pub(crate) fn latency(client: &Client, source: Option<&dyn LatencySource>) -> Self {
        Self {
            location: true,
            network: false,
            prefix_len: source.map_or(0, |source| source.scope_prefix_len(client)),
        }
    }

    /// The client's /24 or /48 was hashed.
    pub(crate) fn affinity(client: &Client) -> Self {
        Self {
            location: false,
            network: true,
            prefix_len: client.network.map_or(0, |network| default_len(&network)),
        }
    }

    /// The client's network was compared with `blocks`: the answer holds for
    /// the widest prefix around it that lies in or out of each block as the
    /// client does.
    pub(crate) fn blocks<'a>(client: &Client, blocks: impl Iterator<Item = &'a IpNet>) -> Self {
        let prefix_len = client.network.map_or(0, |network| {
            let needed = blocks.filter_map(|block| separating_len(&network, block));
            needed.max().unwrap_or(0)
        });
        Self {
            location: false,
            network: true,
            prefix_len,
        }
    }

    /// The scope for a client, in both families: in its own as precise as
    /// known, in the other the default granularity.
    pub(crate) fn scope(self, client: &Client) -> Scope {
        if !self.location && !self.network {
            return Scope::default();
        }
        let mut scope = Scope {
            ipv4: DEFAULT_IPV4,
            ipv6: DEFAULT_IPV6,
        };
        match client.network {
            None => {}
            Some(network @ IpNet::V4(_)) => scope.ipv4 = self.own_family(client, &network).min(32),
            Some(network @ IpNet::V6(_)) => scope.ipv6 = self.own_family(client, &network).min(128),
        }
        scope
    }

    fn own_family(self, client: &Client, network: &IpNet) -> u8 {
        let looked_up = client.location.prefix_len;
        let by_location = self
            .location
            .then(|| looked_up.unwrap_or_else(|| default_len(network)));
        self.prefix_len.max(by_location.unwrap_or(0))
    }
}

fn default_len(network: &IpNet) -> u8 {
    match network {
        IpNet::V4(_) => DEFAULT_IPV4,
        IpNet::V6(_) => DEFAULT_IPV6,
    }
}

/// Length of the shortest prefix around `network`'s address that is inside
/// `block`, or apart from it; `None` for another family.
fn separating_len(network: &IpNet, block: &IpNet) -> Option<u8> {
    let common = match (network, block) {
        (IpNet::V4(a), IpNet::V4(b)) => {
            (u32::from(a.network()) ^ u32::from(b.network())).leading_zeros()
        }
        (IpNet::V6(a), IpNet::V6(b)) => {
            (u128::from(a.network()) ^ u128::from(b.network())).leading_zeros()
        }
        _ => return None,
    };
    let common = u8::try_from(common).unwrap_or(u8::MAX);
    if block.contains(network) {
        return Some(block.prefix_len());
    }
    // The block is apart from the client, or is a part of its network: one
    // bit more than what they share tells them apart.
    Some(common.min(block.prefix_len() - 1) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks_scope(client: &str, blocks: &[&str]) -> u8 {
        let client = Client {
            network: Some(client.parse().unwrap()),
            ..Client::default()
        };
        let blocks: Vec<IpNet> = blocks.iter().map(|b| b.parse().unwrap()).collect();
        Dependence::blocks(&client, blocks.iter())
            .scope(&client)
            .ipv4
    }

    #[test]
    fn scope_stays_within_the_matching_block() {
        assert_eq!(blocks_scope("192.0.2.1/32", &["192.0.2.0/24"]), 24);
    }

    #[test]
    fn scope_excludes_more_specific_blocks() {
        let blocks = ["192.0.2.0/24", "192.0.2.128/25"];
        assert_eq!(blocks_scope("192.0.2.1/32", &blocks), 25);
    }

    #[test]
    fn scope_of_an_unmatched_client_stops_before_the_block() {
        // 192.0.2.0 and 203.0.113.0 share their first four bits.
        assert_eq!(blocks_scope("203.0.113.9/32", &["192.0.2.0/24"]), 5);
    }

    #[test]
    fn other_family_does_not_narrow() {
        assert_eq!(blocks_scope("192.0.2.1/32", &["2001:db8::/32"]), 0);
    }
}

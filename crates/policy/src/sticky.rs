//! Weighted choice that sticks to the client's network.
//!
//! Weighted rendezvous hashing: every branch gets a score from a hash of
//! (rule, branch, network) and its weight, and the best score wins. A change
//! of one weight, or of one branch's health, moves only the networks that
//! have to move. Hash and logarithm are the same on every machine, so all
//! nodes of a fleet agree.

use std::hash::Hasher;
use std::net::IpAddr;

use ipnet::IpNet;
use siphasher::sip::SipHasher13;

use crate::scope::{DEFAULT_IPV4, DEFAULT_IPV6};

/// A branch that takes part in the choice.
#[derive(Clone, Copy)]
pub(crate) struct Contender<'a> {
    /// Position in the rule, returned when chosen.
    pub(crate) index: usize,
    /// Name of the target. It identifies the branch, so that reordering the
    /// branches moves nobody.
    pub(crate) name: &'a str,
    /// How many branches before this one lead to the same target.
    pub(crate) occurrence: usize,
    /// Positive.
    pub(crate) weight: u64,
}

/// Chooses among `contenders` for the client network; `None` when there are
/// none.
pub(crate) fn choose<'a>(
    network: IpNet,
    rule: &str,
    contenders: impl Iterator<Item = Contender<'a>>,
) -> Option<usize> {
    let network = unit(network);
    contenders
        .map(|contender| (contender.index, score(network, rule, contender)))
        .min_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(index, _)| index)
}

/// The network that shares one choice: the /24 or /48 around the client, or
/// its whole network when that is larger.
fn unit(network: IpNet) -> IpNet {
    let len = match network {
        IpNet::V4(_) => DEFAULT_IPV4,
        IpNet::V6(_) => DEFAULT_IPV6,
    };
    let len = len.min(network.prefix_len());
    IpNet::new(network.network(), len).map_or(network, |unit| unit.trunc())
}

/// An exponentially distributed score whose rate is the weight: the smallest
/// of several falls on each in proportion to its weight.
fn score(network: IpNet, rule: &str, contender: Contender<'_>) -> f64 {
    let mut hasher = SipHasher13::new();
    match network.addr() {
        IpAddr::V4(address) => hasher.write(&address.octets()),
        IpAddr::V6(address) => hasher.write(&address.octets()),
    }
    for part in [rule, contender.name] {
        hasher.write(part.as_bytes());
        hasher.write_u8(0xff);
    }
    hasher.write(&(contender.occurrence as u64).to_le_bytes());
    // 53 bits, shifted by a half so that the logarithm is never of zero.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let uniform = ((hasher.finish() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    #[expect(clippy::cast_precision_loss, reason = "weights are far below 2^53")]
    let weight = contender.weight as f64;
    -libm::log(uniform) / weight
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contenders<'a>(weights: &'a [(&'a str, u64)]) -> impl Iterator<Item = Contender<'a>> {
        let named = weights.iter().enumerate();
        named.map(|(index, (name, weight))| Contender {
            index,
            name,
            occurrence: 0,
            weight: *weight,
        })
    }

    fn pick(network: u32, weights: &[(&'static str, u64)]) -> usize {
        let address = IpAddr::from((network << 8).to_be_bytes());
        let net = IpNet::new(address, 24).unwrap();
        choose(net, "rule", contenders(weights)).unwrap()
    }

    #[test]
    fn shares_follow_weights() {
        let weights = [("a", 9), ("b", 1)];
        let b = (0..10_000).filter(|n| pick(*n, &weights) == 1).count();
        assert!(
            (850..1150).contains(&b),
            "{b} of 10000, expected about 1000"
        );
    }

    #[test]
    fn growing_a_weight_moves_clients_only_to_it() {
        for n in 0..5_000 {
            let before = pick(n, &[("a", 90), ("b", 10)]);
            let after = pick(n, &[("a", 90), ("b", 30)]);
            assert!(before == after || after == 1);
        }
    }

    #[test]
    fn addresses_of_one_network_agree() {
        let choice = |text: &str| {
            let weights = [("a", 1), ("b", 1), ("c", 1)];
            choose(text.parse().unwrap(), "r", contenders(&weights))
        };
        assert_eq!(choice("192.0.2.1/32"), choice("192.0.2.200/32"));
        assert_eq!(choice("2001:db8:1::1/128"), choice("2001:db8:1:ffff::/64"));
    }
}

//! Which addresses may be probed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Which addresses may be probed. By default every public address; loopback,
/// private, link-local and other special-purpose addresses (RFC 6890) only
/// when a block of the configuration holds them, and the addresses at which
/// clouds serve metadata only when they are listed themselves.
///
/// Addresses of documentation (RFC 5737, RFC 3849) are special as well: nothing
/// answers there, and examples are served as if all were well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    blocks: Vec<IpNet>,
}

/// Why an address may not be probed, in words that name what would allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidden(pub String);

/// Special-purpose IPv4 blocks: network, length of the prefix, what it is.
const SPECIAL_V4: [(Ipv4Addr, u8, &str); 14] = [
    (Ipv4Addr::UNSPECIFIED, 8, "this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared by carriers"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "protocol assignments"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// Special-purpose IPv6 blocks that hold no IPv4 address which can be told.
const SPECIAL_V6: [(Ipv6Addr, u8, &str); 11] = [
    (Ipv6Addr::UNSPECIFIED, 128, "unspecified"),
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    (
        Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0),
        48,
        "local NAT64",
    ),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64, "discard"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, "Teredo"),
    (
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
        32,
        "documentation",
    ),
    (
        Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),
        20,
        "documentation",
    ),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "private"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "link-local"),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, "site-local"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "multicast"),
];

/// Where clouds serve metadata, credentials and names to their machines only.
const METADATA: [IpAddr; 14] = [
    // AWS, Google Cloud, Azure, Oracle, OpenStack and others.
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    // AWS: tasks of ECS, pods of EKS.
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    // Azure.
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    // Google Cloud.
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    // Alibaba Cloud.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // Tencent Cloud.
    IpAddr::V4(Ipv4Addr::new(169, 254, 0, 23)),
    // Scaleway.
    IpAddr::V4(Ipv4Addr::new(169, 254, 42, 42)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)),
    // Oracle Cloud, former platform.
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    // OpenStack.
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
    // AWS: the resolver of a private network, which knows names within.
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 253)),
];

impl Allowed {
    /// Also these blocks.
    pub fn new(blocks: Vec<IpNet>) -> Self {
        Self { blocks }
    }

    /// Whether the address may be probed.
    ///
    /// # Errors
    /// When it may not.
    pub fn check(&self, address: IpAddr) -> std::result::Result<(), Forbidden> {
        let reached = reached(address);
        if METADATA.contains(&reached) {
            return if self.lists(reached) {
                Ok(())
            } else {
                Err(metadata(address, reached))
            };
        }
        let Some(block) = special(reached) else {
            return Ok(());
        };
        if self.holds(reached) || self.holds(address) {
            return Ok(());
        }
        Err(Forbidden(format!(
            "{address} is in {block}: it is probed only by nodes started with --probe-allow and a block that holds it"
        )))
    }

    fn holds(&self, address: IpAddr) -> bool {
        self.blocks.iter().any(|block| block.contains(&address))
    }

    /// Whether the address itself is listed.
    fn lists(&self, address: IpAddr) -> bool {
        let itself = IpNet::from(address);
        self.blocks.contains(&itself)
    }
}

fn metadata(address: IpAddr, reached: IpAddr) -> Forbidden {
    let itself = IpNet::from(reached);
    Forbidden(format!(
        "{address} serves the metadata of a cloud: it is probed only by nodes started with --probe-allow {itself}"
    ))
}

/// The address that packets to this one reach: the IPv4 address within, for
/// those IPv6 addresses that carry one.
fn reached(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => within(v6).map_or(address, IpAddr::V4),
    }
}

/// The IPv4 address in an IPv6 address: mapped, compatible (RFC 4291), NAT64
/// (RFC 6052) or 6to4 (RFC 3056).
fn within(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(v4(high, low))
        }
        // No IPv4 addresses: unspecified and loopback.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// The special-purpose block that holds the address, in words.
fn special(address: IpAddr) -> Option<String> {
    let held = |network: IpAddr, length: u8, what: &str| {
        let block = IpNet::new(network, length).ok()?;
        block
            .contains(&address)
            .then(|| format!("{block} ({what})"))
    };
    let v4 = SPECIAL_V4
        .iter()
        .map(|&(n, l, what)| (IpAddr::V4(n), l, what));
    let v6 = SPECIAL_V6
        .iter()
        .map(|&(n, l, what)| (IpAddr::V6(n), l, what));
    v4.chain(v6)
        .find_map(|(network, length, what)| held(network, length, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(blocks: &[&str], address: &str) -> std::result::Result<(), String> {
        let blocks = blocks.iter().map(|b| b.parse().unwrap()).collect();
        Allowed::new(blocks)
            .check(address.parse().unwrap())
            .map_err(|Forbidden(message)| message)
    }

    #[test]
    fn public_addresses_may_be_probed() {
        for address in [
            "192.0.1.1",
            "192.0.3.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.32.0.1",
            "2001:db9::1",
            "2606:4700::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            assert_eq!(allowed(&[], address), Ok(()), "{address}");
        }
    }

    #[test]
    fn special_addresses_need_a_block() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.1.1",
            "172.31.255.255",
            "192.0.2.1",
            "192.168.1.1",
            "198.19.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "2001:db8::1",
            "3fff::1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.1.1.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
        ] {
            let refused = allowed(&[], address).unwrap_err();
            assert!(refused.contains("--probe-allow"), "{refused}");
            assert!(
                allowed(&["0.0.0.0/0", "::/0"], address).is_ok(),
                "{address}"
            );
        }
    }

    #[test]
    fn the_message_names_the_block() {
        let message = allowed(&["10.0.0.0/8"], "192.168.7.7").unwrap_err();
        assert!(
            message.starts_with("192.168.7.7 is in 192.168.0.0/16 (private)"),
            "{message}"
        );
    }

    #[test]
    fn a_block_for_ipv4_holds_for_the_same_address_in_ipv6() {
        assert!(allowed(&["127.0.0.0/8"], "::ffff:127.0.0.1").is_ok());
        assert!(allowed(&["127.0.0.0/8"], "64:ff9b::7f00:1").is_ok());
        assert!(allowed(&["127.0.0.0/8"], "::ffff:10.0.0.1").is_err());
    }

    #[test]
    fn metadata_needs_its_own_entry() {
        for address in METADATA {
            let text = address.to_string();
            let message = allowed(&["0.0.0.0/0", "::/0"], &text).unwrap_err();
            let itself = IpNet::from(address).to_string();
            assert!(message.ends_with(&itself), "{message}");
            assert!(allowed(&[&itself], &text).is_ok());
        }
        assert!(allowed(&["0.0.0.0/0"], "::ffff:169.254.169.254").is_err());
        assert!(allowed(&["169.254.169.254/32"], "::ffff:169.254.169.254").is_ok());
        assert!(allowed(&["169.254.169.254/16"], "169.254.169.254").is_err());
    }
}

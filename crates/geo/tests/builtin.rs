//! The built-in country table.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::net::IpAddr;

use ipnet::IpNet;
use proptest::prelude::*;
use watershed_geo::{GeoDatabase, Location};
use watershed_policy::Continent;

fn lookup(address: &str) -> Location {
    GeoDatabase::builtin().lookup(address.parse().unwrap())
}

fn country(location: &Location) -> Option<String> {
    location.country.map(|country| country.to_string())
}

#[test]
fn a_location_has_country_continent_and_a_point() {
    // The K root server's prefix, allocated to the registry in Amsterdam.
    let location = lookup("193.0.14.129");
    assert_eq!(country(&location).as_deref(), Some("NL"));
    assert_eq!(location.continent, Some(Continent::Europe));
    assert!(location.coordinates.is_some());
    assert_eq!((location.subdivision, location.asn), (None, None));
}

#[test]
fn private_and_documentation_addresses_are_unmapped() {
    for address in [
        "10.0.0.1",
        "127.0.0.1",
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "::1",
        "2001:db8::1",
        "fe80::1",
        "0.0.0.0",
        "255.255.255.255",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ] {
        let prefix_len = lookup(address).prefix_len;
        assert!(prefix_len.is_some(), "{address}");
        let nothing = Location {
            prefix_len,
            ..Location::unmapped()
        };
        assert_eq!(lookup(address), nothing, "{address}");
    }
}

#[test]
fn the_documentation_tells_origin_date_and_extent() {
    let text = include_str!("../../../docs/location.md");
    let described = GeoDatabase::builtin().describe();
    // iptocc VERSION, DATE; N IPv4 and M IPv6 ranges
    let inside = described.split(['(', ')']).nth(1).unwrap();
    let words: Vec<&str> = inside
        .split([' ', ',', ';'])
        .filter(|w| !w.is_empty())
        .collect();
    let [
        name,
        version,
        date,
        ipv4,
        "IPv4",
        "and",
        ipv6,
        "IPv6",
        "ranges",
    ] = words[..]
    else {
        panic!("{described}");
    };
    let date: jiff::civil::Date = date.parse().unwrap();
    assert_eq!(name, "iptocc");
    let thousands = |number: &str| {
        let (head, tail) = number.split_at(number.len() - 3);
        format!("{head},{tail}")
    };
    for told in [
        format!("{version} |"),
        date.strftime("%-d %B %Y").to_string(),
        format!("{} IPv4 ranges", thousands(ipv4)),
        format!("{} IPv6 ranges", thousands(ipv6)),
    ] {
        assert!(
            text.contains(&told),
            "docs/location.md lacks {told:?}: {described}"
        );
    }
}

fn within(address: IpAddr, len: u8, entropy: u128) -> IpAddr {
    match IpNet::new(address, len).unwrap() {
        IpNet::V4(network) => {
            let host = u32::try_from(entropy >> 96).unwrap() & u32::from(network.hostmask());
            IpAddr::from((u32::from(network.network()) | host).to_be_bytes())
        }
        IpNet::V6(network) => {
            let host = entropy & u128::from(network.hostmask());
            IpAddr::from((u128::from(network.network()) | host).to_be_bytes())
        }
    }
}

/// Addresses all over, and where allocations are.
fn address() -> impl Strategy<Value = IpAddr> {
    let allocated_ipv6 = any::<u128>().prop_map(|bits| bits >> 3 | 1 << 125);
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::from(bits.to_be_bytes())),
        any::<u128>().prop_map(|bits| IpAddr::from(bits.to_be_bytes())),
        allocated_ipv6.prop_map(|bits| IpAddr::from(bits.to_be_bytes())),
        (0u128..0x20, any::<u128>()).prop_map(|(registry, bits)| {
            let allocated = (0x2001_0000 + registry * 0x100) << 96;
            IpAddr::from((allocated | bits >> 22).to_be_bytes())
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_location_holds_for_its_whole_prefix(address in address(), entropy in any::<u128>()) {
        let database = GeoDatabase::builtin();
        let location = database.lookup(address);
        let len = location.prefix_len.unwrap();
        for other in [
            within(address, len, entropy),
            within(address, len, 0),
            within(address, len, u128::MAX),
        ] {
            prop_assert_eq!(&database.lookup(other), &location, "{} of {}/{}", other, address, len);
        }
    }

    #[test]
    fn the_country_is_what_the_registries_say(address in address()) {
        let country = country(&GeoDatabase::builtin().lookup(address));
        let registry = iptocc::country_code(address.to_canonical()).filter(|code| *code != "EU");
        prop_assert_eq!(country.as_deref(), registry);
    }
}

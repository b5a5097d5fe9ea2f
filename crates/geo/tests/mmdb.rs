//! Reading databases in `MaxMind` DB format.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use proptest::prelude::*;
use watershed_geo::{GeoDatabase, Location, testing};
use watershed_policy::{Continent, Coordinates};

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn in_country(code: &str) -> Location {
    Location {
        country: Some(code.parse().unwrap()),
        ..Location::default()
    }
}

fn open(places: &[(IpNet, Location)]) -> GeoDatabase {
    GeoDatabase::from_mmdb(testing::mmdb(places)).unwrap()
}

#[test]
fn every_field_of_the_nested_shape_is_read() {
    let place = Location {
        country: Some("US".parse().unwrap()),
        subdivision: Some("NY".to_owned()),
        continent: Some(Continent::NorthAmerica),
        coordinates: Coordinates::new(40.71, -74.01),
        asn: Some(64500),
        prefix_len: Some(25),
    };
    let database = open(&[(net("192.0.2.0/25"), place.clone())]);
    assert_eq!(database.lookup(address("192.0.2.77")), place);
}

#[test]
fn what_follows_is_filled_in() {
    let database = open(&[(net("192.0.2.0/24"), in_country("FR"))]);
    let location = database.lookup(address("192.0.2.1"));
    assert_eq!(location.continent, Some(Continent::Europe));
    let paris = Coordinates::new(48.86, 2.35).unwrap();
    assert!(location.coordinates.unwrap().distance_km(paris) < 400.0);
}

#[test]
fn route53s_continent_wins_over_the_files() {
    let turkey = Location {
        continent: Some(Continent::Asia),
        ..in_country("TR")
    };
    let database = open(&[(net("192.0.2.0/24"), turkey)]);
    let location = database.lookup(address("192.0.2.1"));
    assert_eq!(location.continent, Some(Continent::Europe));
}

#[test]
fn the_prefix_is_that_of_the_record_or_of_the_gap() {
    let database = open(&[
        (net("192.0.2.0/24"), in_country("FR")),
        (net("192.0.2.128/25"), in_country("DE")),
        (net("2001:db8::/32"), in_country("NZ")),
    ]);
    let prefix_len = |text| database.lookup(address(text)).prefix_len.unwrap();
    assert_eq!(prefix_len("192.0.2.1"), 25, "the other half of the /24");
    assert_eq!(prefix_len("192.0.2.129"), 25);
    assert_eq!(prefix_len("2001:db8::1"), 32);
    assert_eq!(prefix_len("::ffff:192.0.2.1"), 96 + 25);
    // 192.0.2.0 and 203.0.113.0 share their first four bits.
    assert_eq!(prefix_len("203.0.113.1"), 5);
    assert_eq!(database.lookup(address("203.0.113.1")).country, None);
}

#[test]
fn a_database_without_ipv4_says_the_same_of_all_ipv4() {
    let database = open(&[(net("2001:db8::/32"), in_country("NZ"))]);
    let location = database.lookup(address("192.0.2.1"));
    assert_eq!((location.country, location.prefix_len), (None, Some(0)));
}

#[test]
fn flat_shapes_are_read() {
    let flat: BTreeMap<&str, &str> = BTreeMap::from([
        ("country_code", "NZ"),
        ("latitude", "-41.29"),
        ("longitude", "174.78"),
        ("state1", "Wellington"),
        ("asn", "AS64501"),
    ]);
    let bytes = testing::mmdb_of(&[(net("192.0.2.0/24"), flat)]);
    let location = GeoDatabase::from_mmdb(bytes)
        .unwrap()
        .lookup(address("192.0.2.1"));
    assert_eq!(
        location,
        Location {
            continent: Some(Continent::Oceania),
            coordinates: Coordinates::new(-41.29, 174.78),
            asn: Some(64501),
            prefix_len: Some(24),
            ..in_country("NZ")
        }
    );
}

#[test]
fn the_description_names_type_and_date() {
    let database = open(&[(net("192.0.2.0/24"), in_country("FR"))]);
    let text = database.describe();
    assert!(
        text.contains("Test-City") && text.contains("2026-11-01"),
        "{text}"
    );
}

#[test]
fn a_database_of_something_else_is_refused() {
    let records = BTreeMap::from([("domain", "example.com")]);
    let bytes = testing::mmdb_of(&[(net("192.0.2.0/24"), records)]);
    let error = GeoDatabase::from_mmdb(bytes).unwrap_err();
    assert!(error.to_string().contains("Test-City"), "{error}");
}

/// Networks that nest and touch.
fn network() -> impl Strategy<Value = IpNet> {
    let ipv4 = (any::<u32>(), 1u8..=32).prop_map(|(bits, len)| {
        let address = IpAddr::from((bits & 0xf000_000f).to_be_bytes());
        IpNet::new(address, len).unwrap().trunc()
    });
    let ipv6 = (any::<u128>(), 8u8..=128).prop_map(|(bits, len)| {
        // Outside ::/8, where IPv4 is.
        let address =
            IpAddr::from((bits & 0xff | 0x2001 << 112 | bits >> 120 << 100).to_be_bytes());
        IpNet::new(address, len).unwrap().trunc()
    });
    prop_oneof![ipv4, ipv6]
}

fn places() -> impl Strategy<Value = Vec<(IpNet, Location)>> {
    let country = prop::sample::select(vec!["DE", "FR", "NZ", "US"]);
    let place = (network(), country).prop_map(|(network, code)| (network, in_country(code)));
    prop::collection::vec(place, 1..12)
}

proptest! {
    #[test]
    fn the_longest_network_decides_and_holds_for_its_prefix(
        places in places(),
        client in network(),
        entropy in any::<u128>(),
    ) {
        let database = open(&places);
        let address = client.addr();
        let found = database.lookup(address);
        let matching = places.iter().filter(|(network, _)| network.contains(&address));
        let expected = matching.max_by_key(|(network, _)| network.prefix_len());
        prop_assert_eq!(found.country, expected.and_then(|(_, location)| location.country));

        let prefix = IpNet::new(address, found.prefix_len.unwrap()).unwrap();
        let other = match prefix {
            IpNet::V4(prefix) => {
                let host = u32::try_from(entropy >> 96).unwrap() & u32::from(prefix.hostmask());
                IpAddr::from((u32::from(prefix.network()) | host).to_be_bytes())
            }
            IpNet::V6(prefix) => {
                let host = entropy & u128::from(prefix.hostmask());
                IpAddr::from((u128::from(prefix.network()) | host).to_be_bytes())
            }
        };
        prop_assert_eq!(database.lookup(other), found, "{} and {}", address, other);
    }

    #[test]
    fn damaged_databases_never_panic(
        places in places(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        client in network(),
    ) {
        let mut bytes = testing::mmdb(&places);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let cut = bytes[..cut.index(bytes.len())].to_vec();
        for bytes in [bytes, cut] {
            if let Ok(database) = GeoDatabase::from_mmdb(bytes) {
                let _ = (database.lookup(client.addr()), database.describe());
            }
        }
    }
}

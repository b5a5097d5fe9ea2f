//! Latency tables: what applies to a client, for which prefix, and faults.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use ipnet::IpNet;
use proptest::prelude::*;
use watershed_geo::LatencyTable;
use watershed_policy::{Client, Continent, LatencySource, Location};

/// The example of docs/location.md.
fn documented() -> LatencyTable {
    let text = include_str!("../../../docs/location.md");
    let start = text.find("```yaml\n# latency.yaml").unwrap() + "```yaml\n".len();
    let end = start + text[start..].find("```").unwrap();
    LatencyTable::from_yaml(&text[start..end]).unwrap()
}

fn client(network: &str, country: &str, subdivision: Option<&str>, asn: Option<u32>) -> Client {
    Client {
        network: Some(network.parse().unwrap()),
        location: watershed_geo::complete(Location {
            country: Some(country.parse().unwrap()),
            subdivision: subdivision.map(str::to_owned),
            asn,
            ..Location::default()
        }),
    }
}

fn faults(text: &str) -> Vec<String> {
    let faults = LatencyTable::from_yaml(text).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn the_most_specific_area_that_names_the_region_decides() {
    let table = LatencyTable::from_yaml(
        "default: {a: 100}
continent/NA: {a: 90}
country/US: {a: 80}
country/US-CA: {a: 70}
asn/64500: {a: 60}
192.0.2.0/24: {a: 50, b: 5}
192.0.2.128/25: {a: 40}
",
    )
    .unwrap();
    let micros = |client: Client| table.latency_micros(&client, "a").unwrap();
    let away = "198.51.100.0/24";
    assert_eq!(micros(client(away, "FR", None, None)), 100_000);
    assert_eq!(micros(client(away, "MX", None, None)), 90_000);
    assert_eq!(micros(client(away, "US", None, None)), 80_000);
    assert_eq!(micros(client(away, "US", Some("CA"), None)), 70_000);
    assert_eq!(micros(client(away, "US", Some("CA"), Some(64500))), 60_000);
    assert_eq!(
        micros(client("192.0.2.1/32", "US", None, Some(64500))),
        50_000
    );
    assert_eq!(micros(client("192.0.2.129/32", "US", None, None)), 40_000);

    let inner = client("192.0.2.129/32", "US", None, None);
    assert_eq!(
        table.latency_micros(&inner, "b"),
        Some(5000),
        "from the outer block"
    );
    let wide = client("192.0.2.0/23", "US", None, None);
    assert_eq!(
        table.latency_micros(&wide, "a"),
        Some(80_000),
        "a block must hold all of it"
    );
    assert_eq!(table.latency_micros(&inner, "c"), None);
}

#[test]
fn a_client_of_which_nothing_is_known_gets_the_default() {
    let table = LatencyTable::from_yaml("default: {a: 1}\ncontinent/EU: {a: 2}").unwrap();
    assert_eq!(table.latency_micros(&Client::default(), "a"), Some(1000));
    assert_eq!(table.scope_prefix_len(&Client::default()), 0);
}

#[test]
fn decimals_are_kept_to_the_microsecond() {
    let table = LatencyTable::from_csv("area,region,milliseconds\ndefault,a,0.0416\n").unwrap();
    assert_eq!(table.latency_micros(&Client::default(), "a"), Some(42));
}

#[test]
fn a_region_answers_to_its_names_with_and_without_provider() {
    let table =
        LatencyTable::from_yaml("default: {us-east-1: 1, gcp/europe-west1: 2, rack-7: 3}").unwrap();
    let micros = |region| table.latency_micros(&Client::default(), region);
    assert_eq!(micros("aws/us-east-1"), Some(1000));
    assert_eq!(micros("europe-west1"), Some(2000));
    assert_eq!(micros("rack-7"), Some(3000));
    assert_eq!(micros("aws/rack-7"), None);
}

#[test]
fn both_formats_say_the_same() {
    let yaml = "asn/64500: {us-east-1: 12.5}\n2001:db8::/32: {us-east-1: 7}\n";
    let csv = "# measured\narea, region, milliseconds\nasn/64500, us-east-1, 12.5\n2001:db8::/32,us-east-1,7\n";
    assert_eq!(LatencyTable::from_yaml(yaml), LatencyTable::from_csv(csv));
}

#[test]
fn the_documented_table_is_read() {
    let table = documented();
    let office = client("203.0.113.9/32", "DE", None, None);
    assert_eq!(table.latency_micros(&office, "eu-central-1"), Some(2100));
    assert_eq!(table.scope_prefix_len(&office), 24);
    let germany = client("198.51.100.9/32", "DE", None, None);
    assert!(table.latency_micros(&germany, "eu-central-1") > Some(2100));
    assert_eq!(germany.location.continent, Some(Continent::Europe));
}

#[test]
fn every_fault_of_a_yaml_table_is_told_with_its_path() {
    let faults = faults(
        "192.0.2.1/24: {a: 1}
asn/AS1: {a: 1}
country/UK: {a: 1}
country/us: {a: 1}
country/US-cal: {a: 1}
continent/XX: {a: 1}
somewhere: {a: 1}
country/DE: {a: 1, b: -1, c: '2', d: .nan, a: 3, e: 60001}
country/FR: 7
country/NO: {aws/us-east-1: 1, us-east-1: 2}
country/FR: {a: 1}
",
    );
    let paths: Vec<&str> = faults
        .iter()
        .map(|f| f.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "192.0.2.1/24",
            "asn/AS1",
            "country/UK",
            "country/us",
            "country/US-cal",
            "continent/XX",
            "somewhere",
            "country/DE.b",
            "country/DE.c",
            "country/DE.d",
            "country/DE.a",
            "country/DE.e",
            "country/FR",
            "country/NO.us-east-1",
            "country/FR",
        ],
        "{faults:#?}"
    );
    assert!(
        faults[0].contains("did you mean 192.0.2.0/24?"),
        "{}",
        faults[0]
    );
}

#[test]
fn every_fault_of_a_csv_table_is_told_with_its_line() {
    let text = "area,region,milliseconds
default,a,1
default,a
nowhere,b,fast
default,a,2
default,,2
";
    let faults = LatencyTable::from_csv(text).unwrap_err();
    let lines: Vec<&str> = faults.iter().map(|fault| fault.at.as_str()).collect();
    assert_eq!(
        lines,
        ["line 3", "line 4", "line 4", "line 5", "line 6"],
        "{faults:#?}"
    );
}

#[test]
fn text_that_is_no_table_is_refused() {
    for text in ["", "[1, 2]", "area", "{", "default: {}"] {
        assert_eq!(faults(text).len(), 1, "{text}");
    }
    for text in [
        "",
        "region,area,milliseconds\n",
        "area,region,milliseconds\n",
    ] {
        assert_eq!(LatencyTable::from_csv(text).unwrap_err().len(), 1, "{text}");
    }
}

/// Blocks that often nest and touch: few bits vary.
fn block() -> impl Strategy<Value = IpNet> {
    let ipv4 = (0u32..64, 0u8..=32).prop_map(|(bits, len)| {
        IpNet::new(std::net::Ipv4Addr::from(bits << 26 | bits).into(), len)
            .unwrap()
            .trunc()
    });
    let ipv6 = (0u128..64, 0u8..=128).prop_map(|(bits, len)| {
        IpNet::new(std::net::Ipv6Addr::from(bits << 122 | bits).into(), len)
            .unwrap()
            .trunc()
    });
    prop_oneof![ipv4, ipv6]
}

fn table_of(blocks: &[IpNet]) -> LatencyTable {
    let lines = blocks
        .iter()
        .enumerate()
        .map(|(i, block)| format!("'{block}': {{a: {i}}}\n"));
    LatencyTable::from_yaml(&lines.collect::<String>()).unwrap()
}

fn within(network: IpNet, entropy: u128) -> IpNet {
    match network {
        IpNet::V4(network) => {
            let host = u32::try_from(entropy & u128::from(u32::MAX)).unwrap();
            let bits = u32::from(network.network()) | host & u32::from(network.hostmask());
            IpNet::from(std::net::IpAddr::from(bits.to_be_bytes()))
        }
        IpNet::V6(network) => {
            let bits = u128::from(network.network()) | entropy & u128::from(network.hostmask());
            IpNet::from(std::net::IpAddr::from(bits.to_be_bytes()))
        }
    }
}

fn at(network: IpNet) -> Client {
    Client {
        network: Some(network),
        location: Location::default(),
    }
}

proptest! {
    #[test]
    fn every_address_in_the_scope_has_the_same_latency(
        blocks in prop::collection::hash_set(block(), 1..12),
        client in block(),
        entropy in any::<u128>(),
    ) {
        let table = table_of(&blocks.into_iter().collect::<Vec<_>>());
        let client = within(client, entropy);
        let len = table.scope_prefix_len(&at(client));
        let scope = IpNet::new(client.addr(), len).unwrap().trunc();
        let other = within(scope, entropy.rotate_left(64) ^ entropy >> 3);
        let latency = |network| table.latency_micros(&at(network), "a");
        prop_assert_eq!(latency(client), latency(other), "{} {}", client, other);
        prop_assert_eq!(latency(client), latency(scope), "the scope itself as client");
    }

    #[test]
    fn the_longest_block_around_the_client_decides(
        blocks in prop::collection::hash_set(block(), 1..12),
        client in block(),
    ) {
        let blocks: Vec<IpNet> = blocks.into_iter().collect();
        let expected = (0u32..)
            .zip(&blocks)
            .filter(|(_, block)| block.contains(&client))
            .max_by_key(|(_, block)| block.prefix_len())
            .map(|(index, _)| index * 1000);
        prop_assert_eq!(table_of(&blocks).latency_micros(&at(client), "a"), expected);
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in "\\PC{0,60}", lines in "([a-z0-9/:.,{}-]{0,8}[\n ]){0,9}") {
        for text in [text, lines] {
            let _ = LatencyTable::from_yaml(&text);
            let _ = LatencyTable::from_csv(&format!("area,region,milliseconds\n{text}"));
        }
    }
}

//! Small location databases for tests, in the shape of `MaxMind`'s files.
//!
//! Only with the cargo feature `testing`, which other crates name in their
//! dev-dependencies.

use std::net::IpAddr;

use ipnet::IpNet;
use maxminddb_writer::Database;
use maxminddb_writer::metadata::IpVersion;
use serde::Serialize;
use watershed_policy::Location;

/// 2026-11-01T00:00:00Z, so that tests can tell the date they will read.
pub const BUILD_EPOCH: u64 = 1_793_491_200;

/// Type of the databases that [`mmdb`] writes.
pub const DATABASE_TYPE: &str = "Test-City";

/// A database that knows `places`, of both address families. More specific
/// networks win, in any order. A location's `prefix_len` is not written: it
/// follows from the network.
///
/// # Panics
///
/// When a value does not fit the format, which no [`Location`] does.
pub fn mmdb(places: &[(IpNet, Location)]) -> Vec<u8> {
    let records: Vec<(IpNet, Record<'_>)> = places
        .iter()
        .map(|(network, location)| (*network, Record::from(location)))
        .collect();
    mmdb_of(&records)
}

/// A database of any records, for shapes that [`mmdb`] does not write.
///
/// # Panics
///
/// When a value does not fit the format, such as a signed number of 64 bits.
#[expect(clippy::expect_used, reason = "a test has nothing better to do")]
pub fn mmdb_of<T: Serialize>(records: &[(IpNet, T)]) -> Vec<u8> {
    let mut database = Database::default();
    database.metadata.ip_version = IpVersion::V6;
    database.metadata.database_type = DATABASE_TYPE.into();
    database.metadata.binary_format_major_version = 2;
    database.metadata.build_epoch = BUILD_EPOCH;
    let mut sorted: Vec<&(IpNet, T)> = records.iter().collect();
    // Later insertions overwrite the part of the tree that they cover.
    sorted.sort_by_key(|(network, _)| network.prefix_len());
    for (network, record) in sorted {
        let data = database.insert_value(record).expect("a writable record");
        database.insert_node(path(network).into_iter(), data);
    }
    database
        .write_to(Vec::new())
        .expect("memory can be written")
}

/// The bits from the root of an IPv6 tree, in which IPv4 is at `::/96`.
fn path(network: &IpNet) -> Vec<bool> {
    let (number, len) = match network.network() {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 96 + network.prefix_len()),
        IpAddr::V6(address) => (u128::from(address), network.prefix_len()),
    };
    (0..len).map(|bit| number >> (127 - bit) & 1 == 1).collect()
}

#[derive(Serialize)]
struct Record<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    continent: Option<Continent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<Coded<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subdivisions: Option<[Coded<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Point>,
    #[serde(skip_serializing_if = "Option::is_none")]
    autonomous_system_number: Option<u32>,
}

#[derive(Serialize)]
struct Continent {
    code: &'static str,
}

#[derive(Serialize)]
struct Coded<'a> {
    iso_code: &'a str,
}

#[derive(Serialize)]
struct Point {
    latitude: f64,
    longitude: f64,
}

impl<'a> From<&'a Location> for Record<'a> {
    fn from(location: &'a Location) -> Self {
        Self {
            continent: location.continent.map(|c| Continent { code: c.code() }),
            country: location.country.as_ref().map(|country| Coded {
                iso_code: country.as_str(),
            }),
            subdivisions: location
                .subdivision
                .as_deref()
                .map(|iso_code| [Coded { iso_code }]),
            location: location.coordinates.map(|point| Point {
                latitude: point.latitude(),
                longitude: point.longitude(),
            }),
            autonomous_system_number: location.asn,
        }
    }
}

//! The location data of the comparison, made of the built-in country table so
//! that every server has the same: a database in the schema that all of them
//! read, and client networks with their country.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::Context;
use maxminddb_writer::Database;
use maxminddb_writer::metadata::IpVersion;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;
use watershed_geo::GeoDatabase;
use watershed_policy::Location;

/// Client networks to ask for.
const NETWORKS: usize = 50_000;

/// 2026-11-01, the date of the table.
const BUILD_EPOCH: u64 = 1_793_491_200;

/// Where IPv4 is in a tree of IPv6: at `::/96` for all readers, and at
/// `::ffff:0:0/96` for `CoreDNS`.
const PARENTS: [u128; 2] = [0, 0xffff << 32];

#[derive(Serialize)]
struct Record<'a> {
    continent: Continent,
    country: Country<'a>,
}

#[derive(Serialize)]
struct Continent {
    code: &'static str,
}

#[derive(Serialize)]
struct Country<'a> {
    iso_code: &'a str,
}

fn main() -> anyhow::Result<()> {
    let directory = std::env::args()
        .nth(1)
        .context("bench-countries DIRECTORY")?;
    let directory = PathBuf::from(directory);
    let table = GeoDatabase::builtin();
    std::fs::write(directory.join("country.mmdb"), database(&table)?)?;
    let file = std::fs::File::create(directory.join("networks.txt"))?;
    networks(&table, &mut BufWriter::new(file))
}

fn database(table: &GeoDatabase) -> anyhow::Result<Vec<u8>> {
    let mut database = Database::default();
    database.metadata.ip_version = IpVersion::V6;
    database.metadata.database_type = "GeoLite2-City".into();
    database.metadata.binary_format_major_version = 2;
    database.metadata.build_epoch = BUILD_EPOCH;
    // Each record once, as the writers of such databases do.
    let mut records = HashMap::new();
    let mut first = 0;
    while let Ok(address) = u32::try_from(first) {
        let location = table.lookup(IpAddr::V4(address.into()));
        let length = location.prefix_len.unwrap_or(32);
        if let Some((country, record)) = location.country.zip(record(&location)) {
            let data = match records.entry(country) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => *new.insert(database.insert_value(record)?),
            };
            for parent in PARENTS {
                let network = parent | u128::from(address);
                let bits = (0..96 + length).map(|bit| network >> (127 - bit) & 1 == 1);
                database.insert_node(bits.collect::<Vec<bool>>().into_iter(), data);
            }
        }
        first += 1_u64 << (32 - length);
    }
    Ok(database.write_to(Vec::new())?)
}

fn record(location: &Location) -> Option<Record<'_>> {
    Some(Record {
        continent: Continent {
            code: location.continent?.code(),
        },
        country: Country {
            iso_code: location.country.as_ref()?.as_str(),
        },
    })
}

/// Networks of 24 bits, each within one country, evenly over the mapped
/// addresses.
fn networks(table: &GeoDatabase, file: &mut impl Write) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(1);
    let mut count = 0;
    while count < NETWORKS {
        let network = Ipv4Addr::from(random.random::<u32>() & 0xffff_ff00);
        let location = table.lookup(network.into());
        let is_within = location.prefix_len.is_some_and(|length| length <= 24);
        if let Some(country) = location.country.filter(|_| is_within) {
            writeln!(file, "{network} {}", country.as_str())?;
            count += 1;
        }
    }
    Ok(file.flush()?)
}

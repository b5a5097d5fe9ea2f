//! Location databases in `MaxMind` DB format.

mod decoded;

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use maxminddb::PathElement::{Index, Key};
use maxminddb::{LookupResult, PathElement, Reader, WithinOptions};
use serde::{Deserialize, Deserializer, de};
use watershed_policy::{Continent, Coordinates, CountryCode, Location};

use crate::continents::is_country;
use crate::database::{GeoError, complete};
use crate::table::Ipv4Table;

use decoded::Decoded;

type Record<'a> = LookupResult<'a, Vec<u8>>;

/// A database, held in memory as it is in its file.
pub(crate) struct Mmdb {
    reader: Reader<Vec<u8>>,
    /// Its records, unless there are too many.
    decoded: Option<Decoded>,
}

impl fmt::Debug for Mmdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mmdb").field(self.reader.metadata()).finish()
    }
}

impl Mmdb {
    pub(crate) fn read(bytes: Vec<u8>) -> Result<Self, GeoError> {
        let reader = Reader::from_source(bytes)?;
        let mut database = Self {
            reader,
            decoded: None,
        };
        if database.tells_nothing() {
            let kind = database.reader.metadata().database_type.clone();
            return Err(GeoError::NoLocations(kind));
        }
        database.decoded = Decoded::read(&database.reader);
        Ok(database)
    }

    /// Whether there are records, but none of the first hold anything that is
    /// read: a database of something else, such as domain names, would leave
    /// everyone unmapped.
    fn tells_nothing(&self) -> bool {
        // Gaps count as well, so that a malformed tree cannot keep us here.
        const ENOUGH: usize = 10_000;
        let options = WithinOptions::default().include_networks_without_data();
        let Ok(networks) = self.reader.networks(options) else {
            return true;
        };
        let mut records = networks
            .take(ENOUGH)
            .flatten()
            .filter(Record::has_data)
            .peekable();
        records.peek().is_some() && records.all(|record| location(&record) == Location::unmapped())
    }

    pub(crate) fn describe(&self) -> String {
        let metadata = self.reader.metadata();
        let built = i64::try_from(metadata.build_epoch)
            .ok()
            .and_then(|second| Timestamp::from_second(second).ok())
            .map_or_else(
                || "on an unknown date".to_owned(),
                |t| t.strftime("%F").to_string(),
            );
        format!(
            "location database of type {kind}, built {built}, IPv{family}, {nodes} tree nodes",
            kind = metadata.database_type,
            family = if metadata.ip_version == 4 {
                "4 only"
            } else {
                "4 and IPv6"
            },
            nodes = metadata.node_count,
        )
    }

    /// What the database tells of an address, completed.
    pub(crate) fn lookup(&self, address: IpAddr) -> Location {
        let decoded = self.decoded.as_ref();
        let found = decoded.and_then(|decoded| match address {
            IpAddr::V4(address) => decoded.find(address),
            IpAddr::V6(_) => None,
        });
        found.unwrap_or_else(|| self.lookup_in_tree(address))
    }

    /// The table of IPv4 networks, if there is one.
    pub(crate) fn table(&self) -> Option<&Ipv4Table> {
        self.decoded.as_ref().map(Decoded::table)
    }

    /// The same, one bit of the address after the other.
    fn lookup_in_tree(&self, address: IpAddr) -> Location {
        match self.reader.lookup(address) {
            Ok(record) => Location {
                prefix_len: Some(prefix_len(&record, address)),
                ..self.completed(&record)
            },
            // The tree leads outside the file, or it has no IPv6 at all, which
            // is so for every IPv6 address.
            Err(_) => Location {
                prefix_len: Some(match address {
                    IpAddr::V6(_) if self.reader.metadata().ip_version == 4 => 0,
                    IpAddr::V6(_) => 128,
                    IpAddr::V4(_) => 32,
                }),
                ..Location::unmapped()
            },
        }
    }

    fn completed(&self, record: &Record<'_>) -> Location {
        let decoded = self.decoded.as_ref();
        let known = decoded.and_then(|decoded| decoded.of(record));
        known.unwrap_or_else(|| complete(location(record)))
    }
}

/// The length, in bits of the address's own family, of the network whose
/// addresses all lead to this record.
fn prefix_len(record: &Record<'_>, address: IpAddr) -> u8 {
    let width = if address.is_ipv4() { 32 } else { 128 };
    match (record.network(), address) {
        // The tree parts before IPv4 begins: all of IPv4 leads to one record.
        (Ok(network), IpAddr::V4(_)) if network.is_ipv6() => 0,
        (Ok(network), _) => network.prefix(),
        (Err(_), _) => width,
    }
}

/// What a record tells, before completion. Each field is read for itself: one
/// of an unexpected type is as good as absent.
fn location(record: &Record<'_>) -> Location {
    let country = country(record);
    Location {
        country,
        subdivision: country.and_then(|country| subdivision(record, country)),
        continent: continent(record),
        coordinates: coordinates(record),
        asn: asn(record),
        prefix_len: None,
    }
}

type FieldPath = &'static [PathElement<'static>];

/// Where databases keep a field: first as `MaxMind` nests it, then flat.
/// `registered_country` is not read: it is where the holder is registered.
const COUNTRY: [FieldPath; 3] = [
    &[Key("country"), Key("iso_code")],
    &[Key("country_code")],
    &[Key("country")],
];
const CONTINENT: [FieldPath; 3] = [
    &[Key("continent"), Key("code")],
    &[Key("continent_code")],
    &[Key("continent")],
];
const SUBDIVISION: [FieldPath; 2] = [
    &[Key("subdivisions"), Index(0), Key("iso_code")],
    &[Key("state1")],
];
const LATITUDE: [FieldPath; 2] = [&[Key("location"), Key("latitude")], &[Key("latitude")]];
const LONGITUDE: [FieldPath; 2] = [&[Key("location"), Key("longitude")], &[Key("longitude")]];
const ASN: [FieldPath; 2] = [&[Key("autonomous_system_number")], &[Key("asn")]];

fn country(record: &Record<'_>) -> Option<CountryCode> {
    let code: CountryCode = field(record, &COUNTRY)?.text()?.parse().ok()?;
    // Such as `EU` or `A1`, which some databases use for no country at all.
    is_country(code).then_some(code)
}

fn continent(record: &Record<'_>) -> Option<Continent> {
    field(record, &CONTINENT)?.text()?.parse().ok()
}

/// The subdivision's code. Flat databases often have a name there instead,
/// which is not a code and ignored.
fn subdivision(record: &Record<'_>, country: CountryCode) -> Option<String> {
    let text = field(record, &SUBDIVISION)?.text()?;
    let own_country = text.strip_prefix(country.as_str());
    let code = own_country
        .and_then(|rest| rest.strip_prefix('-'))
        .unwrap_or(text);
    let is_code = (1..=3).contains(&code.len())
        && code
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    is_code.then(|| code.to_owned())
}

fn coordinates(record: &Record<'_>) -> Option<Coordinates> {
    let latitude = field(record, &LATITUDE)?.number()?;
    let longitude = field(record, &LONGITUDE)?.number()?;
    Coordinates::new(latitude, longitude)
}

fn asn(record: &Record<'_>) -> Option<u32> {
    match field(record, &ASN)? {
        Scalar::Unsigned(number) => number.try_into().ok(),
        Scalar::Text(text) => text.strip_prefix("AS").unwrap_or(text).parse().ok(),
        Scalar::Number(_) => None,
    }
}

fn field<'a>(record: &Record<'a>, paths: &[FieldPath]) -> Option<Scalar<'a>> {
    paths
        .iter()
        .find_map(|path| record.decode_path(path).ok().flatten())
}

/// A value that is not a map, list or truth value.
#[derive(Clone, Copy)]
enum Scalar<'a> {
    Text(&'a str),
    Unsigned(u64),
    Number(f64),
}

impl<'a> Scalar<'a> {
    fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Unsigned(_) | Self::Number(_) => None,
        }
    }

    /// The value as a number: some databases have coordinates as text.
    fn number(self) -> Option<f64> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Unsigned(number) => u32::try_from(number).ok().map(f64::from),
            Self::Number(number) => Some(number),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> de::Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(text))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Unsigned(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        let number = i32::try_from(number).map_err(E::custom)?;
        Ok(Scalar::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number))
    }
}

//! Where an address is: the location databases behind one type.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use watershed_policy::Location;

use crate::mmdb::Mmdb;
use crate::{builtin, centroids, continents};

/// A source of locations. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GeoDatabase(Source);

#[derive(Clone, Debug)]
enum Source {
    Builtin,
    Mmdb(Arc<Mmdb>),
}

/// Why a location database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GeoError {
    /// The bytes are not a database that can be read.
    #[error("not a location database in MaxMind DB format: {0}")]
    Format(#[from] maxminddb::MaxMindDbError),
    /// The database is well-formed, but tells nothing that is asked of it.
    #[error(
        "database of type {0:?} has none of the fields country, continent, subdivision, \
         coordinates and autonomous system number that locations are read from"
    )]
    NoLocations(String),
}

impl GeoDatabase {
    /// The built-in table: country by registry allocation, nothing finer.
    pub fn builtin() -> Self {
        Self(Source::Builtin)
    }

    /// A database in `MaxMind` DB format, given as the content of its file.
    ///
    /// # Errors
    ///
    /// When the bytes are not such a database. Faults in single records do not
    /// show here: addresses that lead to one are unmapped.
    pub fn from_mmdb(bytes: Vec<u8>) -> Result<Self, GeoError> {
        Ok(Self(Source::Mmdb(Arc::new(Mmdb::read(bytes)?))))
    }

    /// What the database is: origin, date and what to expect of it.
    pub fn describe(&self) -> String {
        match &self.0 {
            Source::Builtin => builtin::describe(),
            Source::Mmdb(database) => database.describe(),
        }
    }

    /// Where `address` is, completed as by [`complete`], with the prefix
    /// around it for which this holds. Addresses of which nothing is known,
    /// and such that lead to a malformed record, are unmapped. An
    /// IPv4-mapped IPv6 address is looked up as IPv4.
    pub fn lookup(&self, address: IpAddr) -> Location {
        let canonical = address.to_canonical();
        let mut location = match &self.0 {
            Source::Builtin => builtin::lookup(canonical),
            Source::Mmdb(database) => database.lookup(canonical),
        };
        if canonical != address {
            location.prefix_len = location.prefix_len.map(|len| len + 96);
        }
        location
    }

    /// Reads the networks of these addresses, of all at once, so that they wait
    /// for memory together; a database without a table of them is not read.
    pub fn read_ahead(&self, addresses: impl Iterator<Item = Ipv4Addr> + Clone) {
        let table = match &self.0 {
            Source::Builtin => builtin::table(),
            Source::Mmdb(database) => database.table(),
        };
        if let Some(table) = table {
            table.read_ahead(addresses);
        }
    }
}

/// Fills in what follows from the rest: the continent from the country, and
/// the coordinates from the subdivision or else the country. For a country
/// that Route 53 assigns to a continent, that assignment replaces any other.
pub fn complete(mut location: Location) -> Location {
    let Some(country) = location.country else {
        return location;
    };
    location.continent = continents::continent_of(country).or(location.continent);
    if location.coordinates.is_none() {
        let part = location.subdivision.as_deref();
        location.coordinates = part
            .and_then(|part| centroids::subdivision_centroid(country, part))
            .or_else(|| centroids::country_centroid(country));
    }
    location
}

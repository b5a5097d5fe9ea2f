//! What is known of the client that asks: its network and its location.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;

/// The client of one query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Client {
    /// The network the client is known to be in: the ECS source prefix, or
    /// the resolver's address as a full-length prefix. `None` when a question
    /// is asked about a place rather than an address (simulation).
    pub network: Option<IpNet>,
    /// Where the client is.
    pub location: Location,
}

/// Where a client is, as far as a location database tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Location {
    /// ISO 3166-1 alpha-2 country.
    pub country: Option<CountryCode>,
    /// The part after the hyphen of the ISO 3166-2 code (`NY` of `US-NY`).
    pub subdivision: Option<String>,
    /// Continent, in Route 53's own assignment of countries.
    pub continent: Option<Continent>,
    /// Position; a country's or state's representative point when the
    /// database knows no better.
    pub coordinates: Option<Coordinates>,
    /// Number of the autonomous system.
    pub asn: Option<u32>,
    /// Length of the prefix around the client's address for which all of the
    /// above holds: 0..=32 for IPv4, 0..=128 for IPv6. `None` when the
    /// location did not come from a lookup by address.
    pub prefix_len: Option<u8>,
}

impl Location {
    /// A location of which nothing is known.
    pub fn unmapped() -> Self {
        Self::default()
    }
}

/// An ISO 3166-1 alpha-2 country code, upper case. Any two ASCII letters are
/// representable; whether a country of that code exists is not checked here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountryCode([u8; 2]);

impl CountryCode {
    /// The code, such as `"NZ"`.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl FromStr for CountryCode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => Err(()),
        }
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A continent by Route 53's two-letter code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Continent {
    /// `AF`.
    Africa,
    /// `AN`.
    Antarctica,
    /// `AS`.
    Asia,
    /// `EU`.
    Europe,
    /// `NA`.
    NorthAmerica,
    /// `OC`.
    Oceania,
    /// `SA`.
    SouthAmerica,
}

impl Continent {
    /// Every continent, by code.
    pub const ALL: [Self; 7] = [
        Self::Africa,
        Self::Antarctica,
        Self::Asia,
        Self::Europe,
        Self::NorthAmerica,
        Self::Oceania,
        Self::SouthAmerica,
    ];

    /// The two-letter code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Africa => "AF",
            Self::Antarctica => "AN",
            Self::Asia => "AS",
            Self::Europe => "EU",
            Self::NorthAmerica => "NA",
            Self::Oceania => "OC",
            Self::SouthAmerica => "SA",
        }
    }
}

impl FromStr for Continent {
    type Err = ();

    fn from_str(code: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|c| c.code() == code).ok_or(())
    }
}

impl fmt::Display for Continent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A point on Earth, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coordinates {
    latitude: f64,
    longitude: f64,
}

impl Coordinates {
    /// Mean radius of the Earth in kilometres (IUGG).
    const EARTH_RADIUS_KM: f64 = 6371.0088;

    /// A point at `latitude` -90..=90 and `longitude` -180..=180 degrees;
    /// `None` outside these ranges.
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let valid = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        valid.then_some(Self {
            latitude,
            longitude,
        })
    }

    /// Degrees north, -90..=90.
    pub fn latitude(self) -> f64 {
        self.latitude
    }

    /// Degrees east, -180..=180.
    pub fn longitude(self) -> f64 {
        self.longitude
    }

    /// Great-circle distance in kilometres (haversine).
    pub fn distance_km(self, other: Self) -> f64 {
        let (lat1, lat2) = (self.latitude.to_radians(), other.latitude.to_radians());
        let half_lat = (lat2 - lat1) / 2.0;
        let half_lon = (other.longitude - self.longitude).to_radians() / 2.0;
        let a = half_lat.sin().powi(2) + lat1.cos() * lat2.cos() * half_lon.sin().powi(2);
        2.0 * Self::EARTH_RADIUS_KM * a.sqrt().min(1.0).asin()
    }
}

/// A place that a geolocation branch names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A part of a country: `country/US-NY`.
    Subdivision(CountryCode, String),
    /// A country: `country/NO`.
    Country(CountryCode),
    /// A continent: `continent/EU`.
    Continent(Continent),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subdivision(country, part) => write!(f, "country/{country}-{part}"),
            Self::Country(country) => write!(f, "country/{country}"),
            Self::Continent(continent) => write!(f, "continent/{continent}"),
        }
    }
}

/// Measured latency between clients and regions.
pub trait LatencySource {
    /// Latency in microseconds from `client` to the region of that name, as
    /// the policy spells it; `None` when it was never measured.
    fn latency_micros(&self, client: &Client, region: &str) -> Option<u32>;

    /// Length of the prefix around the client's address for which
    /// [`Self::latency_micros`] answers alike, given that everything in
    /// `client.location` stays the same. 0 when only the location matters.
    fn scope_prefix_len(&self, client: &Client) -> u8;
}

//! The client of a scenario.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;
use watershed_geo::GeoDatabase;
use watershed_policy::{Client, Code, Continent, Coordinates, CountryCode, Location};

use crate::finding::Finding;
use crate::members::Members;

/// The members of `client`, all optional.
const MEMBERS: &[&str] = &[
    "address",
    "country",
    "subdivision",
    "continent",
    "latitude",
    "longitude",
    "asn",
    "unmapped",
];

/// What a scenario says of its client. Nothing at all is a client of which
/// nothing is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientSpec {
    /// Its network; a single address is a full-length prefix.
    pub network: Option<IpNet>,
    /// Its country, instead of that of the network.
    pub country: Option<CountryCode>,
    /// The part of the country, as in ISO 3166-2 after the hyphen.
    pub subdivision: Option<String>,
    /// Its continent, instead of that of the country.
    pub continent: Option<Continent>,
    /// Its position, instead of a representative point.
    pub coordinates: Option<Coordinates>,
    /// Number of its autonomous system.
    pub asn: Option<u32>,
    /// No database knows where it is.
    pub unmapped: bool,
}

impl ClientSpec {
    /// Reads the mapping at `path`.
    pub(super) fn read(value: &Value, path: &str, findings: &mut Vec<Finding>) -> Self {
        let Some(mut members) = Members::of(value, path, findings) else {
            return Self::default();
        };
        members.only(MEMBERS);
        let mut spec = Self {
            network: members.parsed("address", network),
            country: members.parsed("country", country),
            subdivision: members.text("subdivision").map(str::to_owned),
            continent: members.parsed("continent", continent),
            coordinates: coordinates(&mut members),
            asn: asn(&mut members),
            unmapped: members.flag("unmapped").unwrap_or(false),
        };
        spec.settle_subdivision(&mut members);
        if spec.unmapped {
            refuse_places_of_unmapped(&mut members);
        }
        spec
    }

    /// The client that a decision is asked about. `geo` gives the database
    /// in which the network is looked up, and is asked only if needed.
    pub fn locate<'g>(&self, geo: impl FnOnce() -> &'g GeoDatabase) -> Client {
        let location = match &self.network {
            Some(network) if !self.unmapped => self.override_with(geo().lookup(network.addr())),
            _ => self.override_with(Location::unmapped()),
        };
        Client {
            network: self.network,
            location,
        }
    }

    /// What was looked up, as far as the scenario does not say otherwise.
    /// What follows from a replaced part is replaced too: a client moved to
    /// another country is not left in the old one's place.
    fn override_with(&self, looked_up: Location) -> Location {
        let moved = self.country.is_some() || self.continent.is_some();
        let placed = moved || self.subdivision.is_some() || self.coordinates.is_some();
        let base = Location {
            asn: looked_up.asn,
            ..Location::unmapped()
        };
        let kept = if moved { base } else { looked_up };
        let mut location = watershed_geo::complete(Location {
            country: self.country.or(kept.country),
            coordinates: match &self.subdivision {
                Some(_) => self.coordinates,
                None => self.coordinates.or(kept.coordinates),
            },
            subdivision: self.subdivision.clone().or(kept.subdivision),
            asn: self.asn.or(kept.asn),
            // The prefix vouches for what was looked up, not for what is said.
            prefix_len: if placed { None } else { kept.prefix_len },
            continent: kept.continent,
        });
        location.continent = self.continent.or(location.continent);
        location
    }

    /// Takes `US-NY` for what it means, and asks for the country otherwise.
    fn settle_subdivision(&mut self, members: &mut Members<'_, '_>) {
        let Some(text) = self.subdivision.take() else {
            return;
        };
        let (prefix, part) = match text.split_once('-') {
            Some((prefix, part)) => (country(prefix).ok(), part),
            None => (self.country, text.as_str()),
        };
        let well_formed =
            (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
        if !well_formed || (prefix.is_none() && text.contains('-')) {
            let message = format!(
                "`{text}` is not a subdivision: give the part after the hyphen of its \
                 ISO 3166-2 code, such as NY"
            );
            members.fault(Code::InvalidValue, "subdivision", message);
        } else if prefix.is_some() && self.country.is_some() && prefix != self.country {
            let message = format!("`{text}` is not in the country that the client has");
            members.fault(Code::FieldConflict, "subdivision", message);
        } else if prefix.is_none() && self.network.is_none() && members.get("country").is_none() {
            let message = "A subdivision means nothing without its country: add `country`";
            members.fault(Code::MissingField, "country", message);
        } else {
            self.country = prefix;
            self.subdivision = Some(part.to_ascii_uppercase());
        }
    }
}

fn refuse_places_of_unmapped(members: &mut Members<'_, '_>) {
    const PLACES: [&str; 5] = [
        "country",
        "subdivision",
        "continent",
        "latitude",
        "longitude",
    ];
    for name in PLACES {
        if members.get(name).is_some() {
            let message = format!("A client with `unmapped: true` has no {name}: remove one");
            members.fault(Code::FieldConflict, name, message);
        }
    }
}

/// An address, or a prefix whose host bits are cleared.
fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    let network = address.or_else(|_| text.parse::<IpNet>());
    network.map(|network| network.trunc()).map_err(|_| {
        format!(
            "`{text}` is not an IP address or prefix: write for instance 203.0.113.7, \
             203.0.113.0/24 or 2001:db8::7"
        )
    })
}

fn country(text: &str) -> Result<CountryCode, String> {
    match text.parse::<CountryCode>() {
        Ok(code) if watershed_geo::is_country(code) => Ok(code),
        _ => Err(format!(
            "`{text}` is not a country: give its ISO 3166-1 code of two letters, such as NZ"
        )),
    }
}

fn continent(text: &str) -> Result<Continent, String> {
    text.parse().map_err(|()| {
        format!("`{text}` is not a continent: it is one of AF, AN, AS, EU, NA, OC and SA")
    })
}

fn coordinates(members: &mut Members<'_, '_>) -> Option<Coordinates> {
    let given = |members: &Members<'_, '_>, name| members.get(name).is_some();
    let latitude = in_range(members, "latitude", 90.0);
    let longitude = in_range(members, "longitude", 180.0);
    for (name, other) in [("latitude", "longitude"), ("longitude", "latitude")] {
        if given(members, other) && !given(members, name) {
            let message = format!("`{other}` means nothing without `{name}`: add it");
            members.fault(Code::MissingField, name, message);
        }
    }
    Coordinates::new(latitude?, longitude?)
}

fn in_range(members: &mut Members<'_, '_>, name: &str, most: f64) -> Option<f64> {
    let degrees = members.number(name)?;
    if (-most..=most).contains(&degrees) {
        return Some(degrees);
    }
    let message = format!("{degrees} degrees is not between -{most} and {most}");
    members.fault(Code::InvalidValue, name, message);
    None
}

fn asn(members: &mut Members<'_, '_>) -> Option<u32> {
    let number = members.whole("asn")?;
    let asn = u32::try_from(number).ok();
    if asn.is_none() {
        let message = format!("{number} is not an AS number: the largest is {}", u32::MAX);
        members.fault(Code::InvalidValue, "asn", message);
    }
    asn
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use watershed_geo::testing;

    /// A client of a database that knows one network in New York.
    fn located(client: &Value) -> Client {
        let there = Location {
            country: "US".parse().ok(),
            subdivision: Some("NY".to_owned()),
            coordinates: Coordinates::new(40.7, -74.0),
            asn: Some(64496),
            ..Location::default()
        };
        let network = "203.0.113.0/24".parse().unwrap();
        let geo = GeoDatabase::from_mmdb(testing::mmdb(&[(network, there)])).unwrap();
        let mut findings = Vec::new();
        let spec = ClientSpec::read(client, "client", &mut findings);
        assert_eq!(findings, [], "{client}");
        spec.locate(|| &geo)
    }

    #[test]
    fn what_is_not_said_is_looked_up() {
        let client = located(&json!({"address": "203.0.113.7"}));
        assert_eq!(client.network, "203.0.113.7/32".parse().ok());
        assert_eq!(client.location.continent, Some(Continent::NorthAmerica));
        assert_eq!(client.location.subdivision.as_deref(), Some("NY"));
        assert_eq!(client.location.prefix_len, Some(24));
    }

    #[test]
    fn another_country_takes_nothing_of_the_old_place_along() {
        let client = located(&json!({"address": "203.0.113.7", "country": "no"}));
        assert_eq!(client.location.continent, Some(Continent::Europe));
        assert_eq!(client.location.subdivision, None);
        assert!(client.location.coordinates.unwrap().latitude() > 55.0);
        // Where the client is was said, not looked up for a prefix.
        assert_eq!(client.location.prefix_len, None);
        // The network is still the same.
        assert_eq!(client.location.asn, Some(64496));
    }

    #[test]
    fn a_continent_that_is_said_beats_that_of_the_country() {
        let client = located(&json!({"country": "US", "continent": "EU"}));
        assert_eq!(client.location.continent, Some(Continent::Europe));
        let nowhere = located(&json!({"continent": "SA"}));
        assert_eq!(nowhere.location.country, None);
        assert_eq!(nowhere.location.coordinates, None);
    }

    #[test]
    fn a_subdivision_may_bring_its_country() {
        let client = located(&json!({"subdivision": "us-ca"}));
        assert_eq!(client.location.country, "US".parse().ok());
        assert_eq!(client.location.subdivision.as_deref(), Some("CA"));
        assert!(client.location.coordinates.unwrap().longitude() < -110.0);
    }

    #[test]
    fn an_unmapped_client_keeps_its_network_only() {
        let client = located(&json!({"address": "203.0.113.7/24", "unmapped": true}));
        assert_eq!(client.network, "203.0.113.0/24".parse().ok());
        assert_eq!(client.location, Location::unmapped());
    }

    #[test]
    fn every_fault_is_noted_with_its_path() {
        let mut findings = Vec::new();
        let client = json!({
            "unmapped": true, "country": "USA", "latitude": "north", "asn": -1, "ip": "192.0.2.1",
        });
        ClientSpec::read(&client, "client", &mut findings);
        let mut paths: Vec<&str> = findings.iter().map(|f| f.path.as_str()).collect();
        paths.sort_unstable();
        paths.dedup();
        let expected = [
            "client.asn",
            "client.country",
            "client.ip",
            "client.latitude",
            "client.longitude",
        ];
        assert_eq!(paths, expected);
    }
}

//! The areas that a latency table has rows for.

use std::str::FromStr;

use ipnet::IpNet;
use watershed_policy::{CountryCode, Place};

use crate::continents::is_country;

/// A set of clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Area {
    /// Those in an address block: `192.0.2.0/24`.
    Block(IpNet),
    /// Those in an autonomous system: `asn/64500`.
    System(u32),
    /// Those at a place: `country/US-CA`, `country/DE`, `continent/EU`.
    Place(Place),
    /// All: `default`.
    Default,
}

impl FromStr for Area {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            None if text == "default" => Ok(Self::Default),
            Some(("asn", number)) => system(number),
            Some(("country", code)) => place(code).map(Self::Place),
            Some(("continent", code)) => match code.parse() {
                Ok(continent) => Ok(Self::Place(Place::Continent(continent))),
                Err(()) => Err(format!(
                    "there is no continent {code:?}; use AF, AN, AS, EU, NA, OC or SA"
                )),
            },
            _ => block(text),
        }
    }
}

fn system(number: &str) -> Result<Area, String> {
    number.parse().map(Area::System).map_err(|_| {
        format!("{number:?} is no autonomous system number; write it plain, as in asn/64500")
    })
}

fn place(code: &str) -> Result<Place, String> {
    let (country, part) = match code.split_once('-') {
        None => (code, None),
        Some((country, part)) => (country, Some(part)),
    };
    let known: Option<CountryCode> = country.parse().ok().filter(|c| is_country(*c));
    let Some(known) = known.filter(|known| known.as_str() == country) else {
        return Err(format!(
            "there is no country {country:?}; use an ISO 3166-1 alpha-2 code in upper case"
        ));
    };
    match part {
        None => Ok(Place::Country(known)),
        Some(part) if is_part(part) => Ok(Place::Subdivision(known, part.to_owned())),
        Some(part) => Err(format!(
            "{part:?} is no subdivision; use an ISO 3166-2 code in upper case, as in country/US-CA"
        )),
    }
}

/// Whether this may follow the hyphen of an ISO 3166-2 code.
fn is_part(part: &str) -> bool {
    (1..=3).contains(&part.len())
        && part
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

fn block(text: &str) -> Result<Area, String> {
    let Ok(block) = text.parse::<IpNet>() else {
        return Err(format!(
            "{text:?} is no area; use a block such as 192.0.2.0/24, asn/NUMBER, country/CODE, \
             country/CODE-PART, continent/CODE or default"
        ));
    };
    let network = block.trunc();
    if block == network {
        Ok(Area::Block(block))
    } else {
        Err(format!(
            "{block} has bits set beyond its length; did you mean {network}?"
        ))
    }
}

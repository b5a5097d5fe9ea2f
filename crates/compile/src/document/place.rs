//! Places of geolocation branches: `continent/EU`, `country/NO`,
//! `country/US-CA`.

use watershed_geo::is_country;
use watershed_policy::{CountryCode, Place};

/// Reads a place. Codes are upper case, as in ISO 3166, so that equal places
/// are equal texts.
///
/// # Errors
/// What is wrong with it, as the rest of a sentence.
pub(super) fn parse(text: &str) -> Result<Place, String> {
    match text.split_once('/') {
        Some(("continent", code)) => continent(text, code),
        Some(("country", code)) => country(text, code),
        _ => Err(format!(
            "`{text}` is not a place; write continent/EU, country/NO or country/US-CA"
        )),
    }
}

fn continent(text: &str, code: &str) -> Result<Place, String> {
    code.parse().map(Place::Continent).map_err(|()| {
        format!("`{text}` is not a continent; the codes are AF, AN, AS, EU, NA, OC and SA")
    })
}

fn country(text: &str, code: &str) -> Result<Place, String> {
    let (country, part) = match code.split_once('-') {
        Some((country, part)) => (country, Some(part)),
        None => (code, None),
    };
    let unknown = || {
        format!(
            "`{text}`: there is no country `{country}`; take the ISO 3166-1 code of two capital letters"
        )
    };
    if country.bytes().any(|octet| octet.is_ascii_lowercase()) {
        return Err(unknown());
    }
    let country_code: CountryCode = country.parse().map_err(|()| unknown())?;
    if !is_country(country_code) {
        return Err(unknown());
    }
    match part {
        None => Ok(Place::Country(country_code)),
        Some(part) if is_subdivision(part) => Ok(Place::Subdivision(country_code, part.to_owned())),
        Some(part) => Err(format!(
            "`{text}`: `{part}` is not a subdivision; take the part after the hyphen of its \
             ISO 3166-2 code, one to three capital letters or digits"
        )),
    }
}

/// ISO 3166-2 gives one to three letters or digits after the hyphen.
fn is_subdivision(part: &str) -> bool {
    (1..=3).contains(&part.len())
        && (part.bytes()).all(|octet| octet.is_ascii_uppercase() || octet.is_ascii_digit())
}

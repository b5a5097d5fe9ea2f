//! Locations of a geo rule: continent, country, US state or default.

use watershed_crd::document::Branch;
use watershed_geo::is_country;
use watershed_policy::{Code, Continent, CountryCode};

use super::Walk;
use crate::format::{COUNTRIES_WITHOUT_RECORDS, US_STATES};
use crate::members::Members;

/// Codes that Watershed knows, but Route 53 does not.
const NOT_IN_ROUTE53: [&str; 1] = ["XK"];

/// The members of one location.
struct Location<'a> {
    is_default: Option<bool>,
    continent: Option<&'a str>,
    country: Option<&'a str>,
    subdivision: Option<&'a str>,
}

impl Walk {
    /// Sets where the branch of a geo rule applies.
    pub(super) fn location(&mut self, members: &Members<'_>, branch: &mut Branch) {
        let faults_before = self.faults.len();
        let location = Location {
            is_default: members.boolean("IsDefault", &mut self.faults),
            continent: members.text("Continent", &mut self.faults),
            country: members.text("Country", &mut self.faults),
            subdivision: members.text("Subdivision", &mut self.faults),
        };
        if self.faults.len() > faults_before {
            return;
        }
        let everywhere = location.country == Some("*") || location.is_default == Some(true);
        if everywhere {
            self.default_location(members, &location);
            branch.default = Some(true);
        } else if let Some(place) = self.named_location(members, &location) {
            branch.locations = Some(vec![place]);
        }
    }

    fn default_location(&mut self, members: &Members<'_>, location: &Location<'_>) {
        let country = location.country.is_some_and(|code| code != "*");
        if country || location.continent.is_some() || location.subdivision.is_some() {
            let message = "The default location excludes Continent, Country and Subdivision";
            self.fault(&members.place, Code::FieldConflict, message);
        }
        if location.is_default == Some(false) {
            let message = "IsDefault false contradicts Country \"*\", which is the default";
            self.fault(
                &members.place.member("IsDefault"),
                Code::FieldConflict,
                message,
            );
        }
    }

    /// The place as a `TrafficPolicy` document names it.
    fn named_location(&mut self, members: &Members<'_>, location: &Location<'_>) -> Option<String> {
        let place = &members.place;
        match (location.continent, location.country, location.subdivision) {
            (Some(_), None, None) => self.continent(members, location.continent?),
            (Some(_), ..) => {
                let message = "Continent excludes Country and Subdivision";
                self.fault(place, Code::FieldConflict, message);
                None
            }
            (None, Some(country), None) => self.country(members, country),
            (None, Some(country), Some(state)) => self.state(members, country, state),
            (None, None, Some(_)) => {
                let message = "Subdivision needs Country \"US\"";
                self.fault(&place.member("Country"), Code::MissingField, message);
                None
            }
            (None, None, None) => {
                let message = "Continent, Country or IsDefault true is missing";
                self.fault(place, Code::MissingField, message);
                None
            }
        }
    }

    fn continent(&mut self, members: &Members<'_>, code: &str) -> Option<String> {
        if code.parse::<Continent>().is_ok() {
            return Some(format!("continent/{code}"));
        }
        let all = Continent::ALL.map(Continent::code).join(", ");
        let message = format!("Continent must be one of {all}, not {code:?}");
        self.fault(
            &members.place.member("Continent"),
            Code::InvalidValue,
            message,
        );
        None
    }

    fn country(&mut self, members: &Members<'_>, code: &str) -> Option<String> {
        let place = members.place.member("Country");
        let parsed = code.parse::<CountryCode>().ok();
        let known = parsed.is_some_and(|c| c.as_str() == code && is_country(c));
        if !known || NOT_IN_ROUTE53.contains(&code) {
            let message = format!(
                "Country must be an ISO 3166-1 alpha-2 code in capitals or \"*\", not {code:?}"
            );
            self.fault(&place, Code::InvalidValue, message);
            return None;
        }
        if COUNTRIES_WITHOUT_RECORDS.contains(&code) {
            let message = format!("Route 53 has no location records for Country {code}");
            self.fault(&place, Code::InvalidValue, message);
            return None;
        }
        Some(format!("country/{code}"))
    }

    fn state(&mut self, members: &Members<'_>, country: &str, state: &str) -> Option<String> {
        if country != "US" {
            // The country's own fault, if it has one, stands beside.
            self.country(members, country);
            let message = format!("Subdivision needs Country \"US\", not {country:?}");
            let place = members.place.member("Subdivision");
            self.fault(&place, Code::FieldConflict, message);
            return None;
        }
        if US_STATES.contains(&state) {
            return Some(format!("country/US-{state}"));
        }
        let message =
            format!("Subdivision must be the code of a US state such as NY, not {state:?}");
        let place = members.place.member("Subdivision");
        self.fault(&place, Code::InvalidValue, message);
        None
    }
}

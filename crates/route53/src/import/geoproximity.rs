//! Locations of a geoproximity rule, in the form of either version.

use serde_json::Value;
use watershed_crd::document::{Branch, BranchCoordinates};
use watershed_geo::RegionKind;
use watershed_policy::Code;

use super::Walk;
use crate::format::{FormatVersion, REGION_PREFIX};
use crate::members::{Members, hundredths, hundredths_text};
use crate::place::Place;
use crate::regions::aws_region;

impl Walk {
    /// Sets the position and bias of a branch of a geoproximity rule.
    pub(super) fn position(&mut self, members: &Members<'_>, branch: &mut Branch) {
        branch.bias = self.bias(members);
        // A location in the other version's form was reported as misplaced;
        // what is wrong inside it is told as well.
        let flat = ["Region", "Latitude", "Longitude"];
        let has_flat = flat.iter().any(|name| members.has(name));
        let location = members.get("Location");
        if let Some(value) = location {
            self.location_object(&members.place.member("Location"), value, branch);
        }
        match (location, self.version) {
            (Some(_), _) if !has_flat => {}
            (None, Some(FormatVersion::V2023_05_09)) if !has_flat => {
                members.required("Location", &mut self.faults);
            }
            _ => self.flat_location(members, branch),
        }
    }

    fn bias(&mut self, members: &Members<'_>) -> Option<i32> {
        let bias = members.integer("Bias", &mut self.faults)?;
        if (-99..=99).contains(&bias) {
            return i32::try_from(bias).ok();
        }
        let message = format!("Bias must be -99 to 99, not {bias}");
        self.fault(&members.place.member("Bias"), Code::InvalidValue, message);
        None
    }

    /// 2015-10-01: `Region`, or `Latitude` and `Longitude`.
    fn flat_location(&mut self, members: &Members<'_>, branch: &mut Branch) {
        let coordinates = members.has("Latitude") || members.has("Longitude");
        match (members.has("Region"), coordinates) {
            (true, false) => {
                let name = members.text("Region", &mut self.faults);
                let place = members.place.member("Region");
                branch.region = self.named(&place, name, RegionKind::Region);
            }
            (false, true) => branch.coordinates = self.coordinates(members),
            (true, true) => {
                let message = "Region excludes Latitude and Longitude: keep one of them";
                self.fault(&members.place, Code::FieldConflict, message);
                self.coordinates(members);
            }
            (false, false) => {
                let message = "Region, or Latitude and Longitude, is missing";
                self.fault(&members.place, Code::MissingField, message);
            }
        }
    }

    /// 2023-05-09: `Location`, whose `Type` says which members it has.
    fn location_object(&mut self, place: &Place, value: &Value, branch: &mut Branch) {
        let kind = value.get("Type").and_then(Value::as_str);
        let known: &[&str] = match kind {
            Some("Region" | "LocalZone") => &["Type", "LocationName"],
            Some("Coordinate") => &["Type", "Latitude", "Longitude"],
            _ => &["Type", "LocationName", "Latitude", "Longitude"],
        };
        let members = Members::read(value, place.clone(), &[known], &mut self.faults);
        let Some(members) = members else { return };
        match kind {
            Some("Region") => branch.region = self.location_name(&members, RegionKind::Region),
            Some("LocalZone") => {
                branch.region = self.location_name(&members, RegionKind::LocalZone);
            }
            Some("Coordinate") => branch.coordinates = self.coordinates(&members),
            _ => self.location_type(&members),
        }
    }

    fn location_type(&mut self, members: &Members<'_>) {
        let Some(value) = members.required("Type", &mut self.faults) else {
            return;
        };
        let message = format!("Type must be Region, LocalZone or Coordinate, not {value}");
        self.fault(&members.place.member("Type"), Code::InvalidValue, message);
    }

    fn location_name(&mut self, members: &Members<'_>, kind: RegionKind) -> Option<String> {
        members.required("LocationName", &mut self.faults)?;
        let name = members.text("LocationName", &mut self.faults);
        self.named(&members.place.member("LocationName"), name, kind)
    }

    /// The bare code of a region or Local Zone whose position is known.
    fn named(&mut self, place: &Place, name: Option<&str>, kind: RegionKind) -> Option<String> {
        let name = name?;
        let member = place.member.rsplit('.').next().unwrap_or_default();
        let Some(code) = name.strip_prefix(REGION_PREFIX) else {
            let message = format!("{member} must begin with {REGION_PREFIX}, not {name:?}");
            self.fault(place, Code::InvalidValue, message);
            return None;
        };
        if aws_region(code).is_some_and(|region| region.kind == kind) {
            return Some(code.to_owned());
        }
        let what = match kind {
            RegionKind::LocalZone => "Local Zone",
            RegionKind::Region => "Region",
        };
        let message = format!("{member}: {code:?} is not an AWS {what} known here");
        self.fault(place, Code::InvalidValue, message);
        None
    }

    /// `Latitude` and `Longitude`, both needed, each with two decimals at most.
    fn coordinates(&mut self, members: &Members<'_>) -> Option<BranchCoordinates> {
        let latitude = self.coordinate(members, "Latitude", 90);
        let longitude = self.coordinate(members, "Longitude", 180);
        Some(BranchCoordinates {
            latitude: hundredths_text(latitude?),
            longitude: hundredths_text(longitude?),
        })
    }

    fn coordinate(&mut self, members: &Members<'_>, name: &'static str, limit: i32) -> Option<i32> {
        let value = members.required(name, &mut self.faults)?;
        match hundredths(value, limit) {
            Ok(value) => Some(value),
            Err(text) => {
                let place = members.place.member(name);
                self.fault(&place, Code::InvalidValue, format!("{name} {text}"));
                None
            }
        }
    }
}

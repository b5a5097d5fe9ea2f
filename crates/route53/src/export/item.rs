//! Items of rules: where they lead, their health, and when they apply.

use serde_json::{Map, Value, json};
use watershed_crd::document::{Branch, Endpoint};
use watershed_geo::{Provider, RegionKind, region};
use watershed_policy::{Coordinates, Path};

use super::Export;
use crate::format::{FormatVersion, REGION_PREFIX, RuleKind};
use crate::hosts::AliasType;
use crate::members::hundredths;
use crate::regions::is_latency_region;

type Item = Map<String, Value>;

impl<'a> Export<'a> {
    /// The items for a branch: one, or one for each of its places.
    pub(super) fn items(
        &mut self,
        kind: RuleKind,
        rule: &str,
        index: usize,
        branch: &Branch,
    ) -> Vec<Value> {
        let path = |field| Path::Branch(rule.to_owned(), index, Some(field));
        let mut item = self.selector(kind, path, branch);
        let Some(target) = self.target(kind, path, branch) else {
            return Vec::new();
        };
        item.extend(target);
        if kind != RuleKind::Geo {
            return vec![item.into()];
        }
        let places = self.places(path, branch);
        let of_place = |place: Item| place.into_iter().chain(item.clone()).collect::<Item>();
        places
            .into_iter()
            .map(|place| of_place(place).into())
            .collect()
    }

    fn selector(
        &mut self,
        kind: RuleKind,
        path: impl Fn(&'static str) -> Path,
        branch: &Branch,
    ) -> Item {
        match kind {
            RuleKind::Weighted => {
                let weight = branch.weight.unwrap_or_default();
                one("Weight", weight.to_string())
            }
            RuleKind::Latency => self.latency_region(path("region"), branch),
            RuleKind::Geoproximity => {
                let mut item = self.position(path, branch);
                if let Some(bias) = branch.bias {
                    item.insert("Bias".into(), bias.to_string().into());
                }
                item
            }
            RuleKind::Failover | RuleKind::Geo | RuleKind::Multivalue => Item::new(),
        }
    }

    fn endpoint_of(&self, branch: &Branch) -> Option<(&'a str, &'a Endpoint)> {
        let name = branch.endpoint.as_ref()?;
        let (name, endpoint) = self.document.endpoints.get_key_value(name)?;
        Some((name, endpoint))
    }

    /// The region of a branch, or that of the endpoint which it leads to.
    fn region_of(&self, branch: &Branch) -> Option<String> {
        let of_endpoint = || self.endpoint_of(branch)?.1.region.clone();
        branch.region.clone().or_else(of_endpoint)
    }

    fn latency_region(&mut self, path: Path, branch: &Branch) -> Item {
        let name = self.region_of(branch).unwrap_or_default();
        let code = name.strip_prefix("aws/").unwrap_or(&name);
        if is_latency_region(code) {
            return one("Region", code);
        }
        let message =
            format!("Route 53 routes by latency to AWS Regions only, and {name:?} is none");
        self.refuse(path, message);
        Item::new()
    }

    fn position(&mut self, path: impl Fn(&'static str) -> Path, branch: &Branch) -> Item {
        if let Some(at) = &branch.coordinates {
            return self.coordinates(&path("coordinates"), &at.latitude, &at.longitude);
        }
        let name = self.region_of(branch).unwrap_or_default();
        let Some(found) = region(&name) else {
            let message = format!("Nothing is known of a region {name:?}: write its coordinates");
            self.refuse(path("region"), message);
            return Item::new();
        };
        let code = format!("{REGION_PREFIX}{}", found.name);
        match (found.provider, found.kind, self.version) {
            (Provider::Aws, RegionKind::Region, FormatVersion::V2015_10_01) => one("Region", code),
            (Provider::Aws, RegionKind::Region, FormatVersion::V2023_05_09) => {
                one("Location", json!({"Type": "Region", "LocationName": code}))
            }
            (Provider::Aws, RegionKind::LocalZone, FormatVersion::V2023_05_09) => one(
                "Location",
                json!({"Type": "LocalZone", "LocationName": code}),
            ),
            // Route 53 does not know these by name, so it is told where they are.
            _ => self.coordinates_of(&path("region"), found.coordinates),
        }
    }

    fn coordinates_of(&mut self, path: &Path, at: Coordinates) -> Item {
        let (latitude, longitude) = (at.latitude().to_string(), at.longitude().to_string());
        self.coordinates(path, &latitude, &longitude)
    }

    fn coordinates(&mut self, path: &Path, latitude: &str, longitude: &str) -> Item {
        for (text, limit) in [(latitude, 90), (longitude, 180)] {
            if let Err(message) = hundredths(&json!(text), limit) {
                self.refuse(path.clone(), format!("For Route 53, {text} {message}"));
            }
        }
        let mut item = Item::new();
        if self.version == FormatVersion::V2023_05_09 {
            item.insert("Type".into(), "Coordinate".into());
        }
        item.insert("Latitude".into(), latitude.into());
        item.insert("Longitude".into(), longitude.into());
        match self.version {
            FormatVersion::V2015_10_01 => item,
            FormatVersion::V2023_05_09 => one("Location", item),
        }
    }

    fn places(&mut self, path: impl Fn(&'static str) -> Path, branch: &Branch) -> Vec<Item> {
        let mut items = Vec::new();
        for place in branch.locations.iter().flatten() {
            match location(place) {
                Some(item) => items.push(item),
                None => self.refuse(
                    path("locations"),
                    format!("Route 53 knows no parts of countries but US states: {place}"),
                ),
            }
        }
        if branch.default == Some(true) {
            items.push(one("IsDefault", true));
        }
        items
    }

    /// Where a branch leads and which health counts. `None` when the branch
    /// leads nowhere, which is a fault of the document itself.
    fn target(
        &mut self,
        kind: RuleKind,
        path: impl Fn(&'static str) -> Path,
        branch: &Branch,
    ) -> Option<Item> {
        let evaluate = branch.evaluate_target_health.unwrap_or(true);
        let own = branch
            .health_check_ref
            .as_ref()
            .map(|check| check.name.as_str());
        if let Some(rule) = &branch.rule {
            let mut item = one("RuleReference", rule.as_str());
            item.insert("EvaluateTargetHealth".into(), evaluate.into());
            return Some(with_check(item, own));
        }
        let (name, endpoint) = self.endpoint_of(branch)?;
        let of_endpoint = endpoint.health_check_ref.as_ref().filter(|_| evaluate);
        let item = self.endpoint_item(kind, name, endpoint, evaluate);
        match (own, of_endpoint.map(|check| check.name.as_str())) {
            (Some(own), Some(other)) if own != other => {
                if kind == RuleKind::Multivalue {
                    let message = "A multivalue item of Route 53 has one health check, but the endpoint has another";
                    self.refuse(path("healthCheckRef"), message);
                }
                let rule = self.checked_rule(name, with_check(item, Some(other)));
                let mut item = one("RuleReference", rule);
                item.insert("EvaluateTargetHealth".into(), true.into());
                Some(with_check(item, Some(own)))
            }
            (own, other) => Some(with_check(item, own.or(other))),
        }
    }

    /// The item that leads to an endpoint, without a health check.
    fn endpoint_item(
        &self,
        kind: RuleKind,
        name: &str,
        endpoint: &Endpoint,
        evaluate: bool,
    ) -> Item {
        let mut item = one("EndpointReference", name);
        // The health of a distribution cannot be evaluated: absence says so.
        let is_distribution = self.alias_of(endpoint) == Some(AliasType::CloudFront);
        if kind != RuleKind::Multivalue && !(is_distribution && evaluate) {
            item.insert("EvaluateTargetHealth".into(), evaluate.into());
        }
        item
    }

    /// A rule that leads to one endpoint under the endpoint's own check, for
    /// items that have a check besides.
    fn checked_rule(&mut self, name: &'a str, mut item: Item) -> String {
        if let Some(rule) = self.checked.get(name) {
            return rule.clone();
        }
        item.insert("Weight".into(), "1".into());
        let rule = self.free_rule_name(&format!("{name}-checked"));
        let value = json!({"RuleType": "weighted", "Items": [item]});
        self.rules.insert(rule.clone(), value);
        self.checked.insert(name, rule.clone());
        rule
    }
}

fn one(name: &str, value: impl Into<Value>) -> Item {
    Item::from_iter([(name.to_owned(), value.into())])
}

fn with_check(mut item: Item, check: Option<&str>) -> Item {
    if let Some(id) = check {
        item.insert("HealthCheck".into(), id.into());
    }
    item
}

/// A place of a `TrafficPolicy` document as the members of a location.
fn location(place: &str) -> Option<Item> {
    if let Some(code) = place.strip_prefix("continent/") {
        return Some(one("Continent", code));
    }
    let country = place.strip_prefix("country/")?;
    match country.split_once('-') {
        None => Some(one("Country", country)),
        Some(("US", state)) => {
            let mut item = one("Country", "US");
            item.insert("Subdivision".into(), state.into());
            Some(item)
        }
        Some(_) => None,
    }
}

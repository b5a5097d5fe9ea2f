//! CIDR collections that a scenario, or a set of manifests, gives.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde_json::Value;
use watershed_compile::CidrLocations;
use watershed_policy::Code;

use crate::finding::{Finding, join};
use crate::members::{Members, describe};

/// Blocks by location by collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CidrCollections(BTreeMap<String, CidrLocations>);

impl CidrCollections {
    /// The locations of the collection of that name.
    pub fn get(&self, name: &str) -> Option<&CidrLocations> {
        self.0.get(name)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a collection.
    pub fn insert(&mut self, name: &str, locations: CidrLocations) {
        self.0.insert(name.to_owned(), locations);
    }

    /// Reads the member `cidrCollections`.
    pub(crate) fn read(members: &mut Members<'_, '_>) -> Self {
        let mut collections = Self::default();
        for (name, value, path) in members.entries("cidrCollections") {
            let locations = locations(value, &path, members.findings());
            collections.insert(name, locations);
        }
        collections
    }
}

fn locations(value: &Value, path: &str, findings: &mut Vec<Finding>) -> CidrLocations {
    let Some(map) = value.as_object() else {
        let message = format!(
            "Locations with lists of blocks are expected here, not {}",
            describe(value)
        );
        findings.push(Finding::error(Code::InvalidValue, path, message));
        return BTreeMap::new();
    };
    let entries = map.iter();
    entries
        .map(|(name, value)| (name.clone(), blocks(value, &join(path, name), findings)))
        .collect()
}

fn blocks(value: &Value, path: &str, findings: &mut Vec<Finding>) -> Vec<String> {
    let Some(items) = value.as_array() else {
        let message = format!("A list of blocks is expected here, not {}", describe(value));
        findings.push(Finding::error(Code::InvalidValue, path, message));
        return Vec::new();
    };
    let mut blocks = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match item.as_str().filter(|text| text.parse::<IpNet>().is_ok()) {
            Some(text) => blocks.push(text.to_owned()),
            None => findings.push(Finding::error(
                Code::InvalidValue,
                format!("{path}[{index}]"),
                format!(
                    "A block such as 203.0.113.0/24 is expected here, not {}",
                    describe(item)
                ),
            )),
        }
    }
    blocks
}

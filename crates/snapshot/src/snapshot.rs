//! All that a node serves.

use std::collections::HashMap;
use std::sync::Arc;

use watershed_health::Checks;

use crate::map::CowMap;
use crate::name::OwnerName;
use crate::policy_version::PolicyVersion;
use crate::zone::Zone;

/// Zones up to which comparing a name with each apex is faster than hashing
/// the name and every name above it.
const FEW_ZONES: usize = 3;

/// All that a node serves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The zones by apex.
    pub zones: CowMap<OwnerName, Arc<Zone>>,
    /// Every policy version that is served at some name, once, by namespace,
    /// policy and number. Names that serve the same version share it.
    pub versions: Arc<[Arc<PolicyVersion>]>,
    /// The health checks, by `namespace/name`.
    pub checks: Checks,
}

impl Snapshot {
    /// A snapshot of these zones, without health checks; of two with one apex the later is kept.
    pub fn new(zones: impl IntoIterator<Item = Arc<Zone>>) -> Self {
        let zones = zones.into_iter().map(|zone| (zone.apex.clone(), zone));
        let zones: CowMap<_, _> = zones.collect();
        Self {
            versions: in_order(versions_of(&zones)),
            zones,
            checks: Checks::default(),
        }
    }

    /// The zone whose apex is the closest at or above `name`.
    pub fn zone_for(&self, name: &OwnerName) -> Option<&Arc<Zone>> {
        self.zone_for_wire(name.as_wire())
    }

    /// As [`Snapshot::zone_for`], by uncompressed wire form in lower case.
    pub fn zone_for_wire(&self, name: &[u8]) -> Option<&Arc<Zone>> {
        if self.zones.len() <= FEW_ZONES {
            let holding = self.zones.values();
            let holding = holding.filter(|zone| ends_in(name, zone.apex.as_wire()));
            return holding.max_by_key(|zone| zone.apex.as_wire().len());
        }
        OwnerName::suffixes_of(name).find_map(|suffix| self.zones.get(suffix))
    }
}

/// Whether a name is at or below another, both in wire form and lower case.
fn ends_in(name: &[u8], apex: &[u8]) -> bool {
    // Few names end in these octets without a label beginning there.
    name.ends_with(apex) && OwnerName::suffixes_of(name).any(|suffix| suffix.len() == apex.len())
}

/// The versions that are served at any name of the zones.
fn versions_of(zones: &CowMap<OwnerName, Arc<Zone>>) -> Vec<Arc<PolicyVersion>> {
    let nodes = zones.values().flat_map(|zone| zone.names());
    let bindings = nodes.flat_map(|(_, node)| &node.policies);
    let versions = bindings.map(|binding| (Arc::as_ptr(&binding.version), &binding.version));
    let distinct: HashMap<*const PolicyVersion, &Arc<PolicyVersion>> = versions.collect();
    distinct.into_values().cloned().collect()
}

/// Versions in the order in which a snapshot has them.
pub(crate) fn in_order(mut versions: Vec<Arc<PolicyVersion>>) -> Arc<[Arc<PolicyVersion>]> {
    let key = |version: &Arc<PolicyVersion>| {
        let PolicyVersion {
            namespace,
            policy_name,
            number,
            digest,
            ..
        } = &**version;
        (
            namespace.clone(),
            policy_name.clone(),
            *number,
            digest.clone(),
        )
    };
    versions.sort_by_cached_key(key);
    versions.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record_type::SOA;
    use crate::rrset::RrSet;

    fn name(text: &str) -> OwnerName {
        text.parse().unwrap()
    }

    fn zone(apex: &str) -> Arc<Zone> {
        let soa = RrSet {
            record_type: SOA,
            ttl: 1,
            rdata: vec![[0; 22].into()],
        };
        Arc::new(Zone::builder(name(apex), soa).unwrap().build())
    }

    #[test]
    fn closest_apex_wins() {
        let snapshot = Snapshot::new([zone("example.com"), zone("sub.example.com")]);
        let apex_of = |text: &str| snapshot.zone_for(&name(text)).map(|z| z.apex.to_string());
        assert_eq!(
            apex_of("a.sub.example.com").as_deref(),
            Some("sub.example.com.")
        );
        assert_eq!(apex_of("sub2.example.com").as_deref(), Some("example.com."));
        assert_eq!(apex_of("example.net"), None);
        // The same octets, but no label begins there.
        let within = OwnerName::from_wire(b"\x0a\x07example\x03com\x00");
        assert!(within.is_err() || snapshot.zone_for(&within.unwrap()).is_none());
    }

    #[test]
    fn few_zones_are_searched_like_many() {
        let apexes = ["example.com", "sub.example.com", "com"];
        let few = Snapshot::new(apexes.map(zone));
        let others = ["a.net", "b.net"];
        let many = Snapshot::new(apexes.into_iter().chain(others).map(zone));
        for text in [
            "www.example.com",
            "x.sub.example.com",
            "com",
            "org",
            ".",
            "xcom",
        ] {
            let apex = |snapshot: &Snapshot| snapshot.zone_for(&name(text)).map(|z| z.apex.clone());
            assert_eq!(apex(&few), apex(&many), "{text}");
        }
    }
}

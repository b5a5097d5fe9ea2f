//! Which fleet serves which resource.
//!
//! A zone names its fleet; what lies in a zone goes where the zone goes; a
//! version goes wherever something binds it, and a health check wherever a
//! version of its namespace goes. Work is in proportion to what changed.

use std::collections::{BTreeMap, BTreeSet};

use watershed_snapshot::{Content as At, OwnerName, Resource, ResourceKind, ResourceName};

use crate::fleet::{Content, FleetName, Tagged};

/// Everything that is published, and where.
#[derive(Clone, Debug, Default)]
pub struct Homes {
    entries: BTreeMap<ResourceName, Entry>,
    /// The fleet of each zone object.
    fleets: BTreeMap<ResourceName, FleetName>,
    /// Zone objects by apex.
    zones: BTreeMap<OwnerName, ResourceName>,
    /// What lies in a zone, by apex.
    within: BTreeMap<OwnerName, BTreeSet<ResourceName>>,
    /// Who binds a version.
    bound: BTreeMap<ResourceName, BTreeSet<ResourceName>>,
    /// The fleets of each version, as last told.
    versions: BTreeMap<ResourceName, BTreeSet<FleetName>>,
    /// How many versions of a namespace each fleet serves.
    namespaces: BTreeMap<String, BTreeMap<FleetName, usize>>,
    /// The health checks of each namespace.
    checks: BTreeMap<String, BTreeSet<ResourceName>>,
}

#[derive(Clone, Debug)]
struct Entry {
    content: Content,
    /// Apex of its zone; a version has none.
    apex: Option<OwnerName>,
    /// The versions that it binds.
    binds: BTreeSet<ResourceName>,
}

impl Homes {
    /// Takes up what changed, and gives what publishers must be told.
    pub fn update(&mut self, changes: Vec<(ResourceName, Option<Resource>)>) -> Vec<Tagged> {
        let mut touched = BTreeSet::new();
        for (name, resource) in changes {
            let former = self.apex_of(&name);
            self.unlink(&name, &mut touched);
            if let Some(resource) = resource {
                self.link(&name, &resource, &mut touched);
            }
            let apex = self
                .apex_of(&name)
                .filter(|apex| former.as_ref() != Some(apex));
            // What was there before its zone goes with it.
            touched.extend(apex.into_iter().flat_map(|apex| self.lies_in(&apex)));
            touched.insert(name);
        }
        self.spread(&mut touched);
        self.tagged(touched)
    }

    /// A zone object names this fleet from now on; gives what publishers must
    /// be told.
    pub fn settle(&mut self, zone: &ResourceName, fleet: FleetName) -> Vec<Tagged> {
        if self.fleets.get(zone) == Some(&fleet) {
            return Vec::new();
        }
        self.fleets.insert(zone.clone(), fleet);
        let apex = self.entries.get(zone).and_then(|entry| entry.apex.clone());
        let mut touched = apex.map(|apex| self.lies_in(&apex)).unwrap_or_default();
        self.spread(&mut touched);
        self.tagged(touched)
    }

    /// The fleet of a resource that is not a version.
    pub fn fleet_of(&self, name: &ResourceName) -> Option<&FleetName> {
        let apex = self.entries.get(name)?.apex.as_ref()?;
        self.fleets.get(self.zones.get(apex)?)
    }

    /// The fleets that serve a version.
    pub fn fleets_of_version(&self, version: &ResourceName) -> impl Iterator<Item = &FleetName> {
        self.versions.get(version).into_iter().flatten()
    }

    /// The fleets that serve any version of a namespace.
    pub fn fleets_of_namespace(&self, namespace: &str) -> impl Iterator<Item = &FleetName> {
        let fleets = self.namespaces.get(namespace).into_iter();
        fleets.flat_map(BTreeMap::keys)
    }

    /// Whether the resource is published at all.
    pub fn has(&self, name: &ResourceName) -> bool {
        self.entries.contains_key(name)
    }

    /// Everything, for a publisher that knows nothing yet.
    pub fn everything(&self) -> Vec<Tagged> {
        self.tagged(self.entries.keys().cloned().collect())
    }

    /// Size of a resource in octets, as nodes get it.
    pub fn size(&self, name: &ResourceName) -> Option<usize> {
        Some(self.entries.get(name)?.content.bytes.len())
    }

    /// The apex of the zone that this resource makes.
    fn apex_of(&self, zone: &ResourceName) -> Option<OwnerName> {
        let apex = self.entries.get(zone)?.apex.as_ref()?;
        (self.zones.get(apex) == Some(zone)).then(|| apex.clone())
    }

    /// What lies in a zone, and the versions that it binds.
    fn lies_in(&self, apex: &OwnerName) -> BTreeSet<ResourceName> {
        let within = self.within.get(apex).into_iter().flatten();
        let binds = within.clone().flat_map(|name| self.binds(name));
        binds.chain(within.cloned()).collect()
    }

    fn link(
        &mut self,
        name: &ResourceName,
        resource: &Resource,
        touched: &mut BTreeSet<ResourceName>,
    ) {
        let (apex, binds) = match resource {
            Resource::Zone(head) => {
                self.zones.insert(head.apex.clone(), name.clone());
                (Some(head.apex.clone()), BTreeSet::new())
            }
            Resource::Records(records) => {
                let bound = records
                    .placed
                    .iter()
                    .filter_map(|placed| match &placed.content {
                        At::Policy(binding) => Some(binding.version.clone()),
                        At::Static(_) => None,
                    });
                (Some(records.zone.clone()), bound.collect())
            }
            Resource::Version(_) => (None, BTreeSet::new()),
            Resource::Check(_) => {
                let checks = self.checks.entry(name.namespace().to_owned()).or_default();
                checks.insert(name.clone());
                (None, BTreeSet::new())
            }
        };
        if let Some(apex) = &apex {
            let within = self.within.entry(apex.clone()).or_default();
            within.insert(name.clone());
        }
        for version in &binds {
            let binders = self.bound.entry(version.clone()).or_default();
            binders.insert(name.clone());
            touched.insert(version.clone());
        }
        let content = Content::of(resource);
        let entry = Entry {
            content,
            apex,
            binds,
        };
        self.entries.insert(name.clone(), entry);
    }

    fn unlink(&mut self, name: &ResourceName, touched: &mut BTreeSet<ResourceName>) {
        let Some(entry) = self.entries.remove(name) else {
            return;
        };
        if name.kind() == ResourceKind::HealthCheck
            && let Some(checks) = self.checks.get_mut(name.namespace())
        {
            checks.remove(name);
        }
        if let Some(apex) = &entry.apex {
            if let Some(within) = self.within.get_mut(apex) {
                within.remove(name);
            }
            if name.kind() == ResourceKind::HostedZone && self.zones.get(apex) == Some(name) {
                self.zones.remove(apex);
            }
        }
        for version in entry.binds {
            if let Some(binders) = self.bound.get_mut(&version) {
                binders.remove(name);
            }
            touched.insert(version);
        }
    }

    /// Takes up where the touched versions go now; with them, checks of their
    /// namespaces may go to another fleet, or leave one.
    fn spread(&mut self, touched: &mut BTreeSet<ResourceName>) {
        let is_version = |name: &&ResourceName| name.kind() == ResourceKind::TrafficPolicyVersion;
        let versions: Vec<ResourceName> = touched.iter().filter(is_version).cloned().collect();
        for version in versions {
            let now: BTreeSet<FleetName> = if self.entries.contains_key(&version) {
                self.homes_of(&version)
            } else {
                BTreeSet::new()
            };
            let former = self.versions.remove(&version).unwrap_or_default();
            let namespace = version.namespace();
            let fleets = self.namespaces.entry(namespace.to_owned()).or_default();
            let before: BTreeSet<FleetName> = fleets.keys().cloned().collect();
            for fleet in now.difference(&former) {
                *fleets.entry(fleet.clone()).or_default() += 1;
            }
            for fleet in former.difference(&now) {
                if let Some(count) = fleets.get_mut(fleet) {
                    *count -= 1;
                }
            }
            fleets.retain(|_, count| *count > 0);
            if !fleets.keys().eq(&before) {
                touched.extend(self.checks.get(namespace).into_iter().flatten().cloned());
            }
            if self
                .namespaces
                .get(namespace)
                .is_some_and(BTreeMap::is_empty)
            {
                self.namespaces.remove(namespace);
            }
            if !now.is_empty() {
                self.versions.insert(version, now);
            }
        }
    }

    fn binds(&self, name: &ResourceName) -> BTreeSet<ResourceName> {
        let entry = self.entries.get(name);
        entry.map(|entry| entry.binds.clone()).unwrap_or_default()
    }

    fn tagged(&self, names: BTreeSet<ResourceName>) -> Vec<Tagged> {
        let tag = |name: ResourceName| Tagged {
            fleets: self.homes_of(&name),
            content: self.entries.get(&name).map(|entry| entry.content.clone()),
            name,
        };
        names.into_iter().map(tag).collect()
    }

    fn homes_of(&self, name: &ResourceName) -> BTreeSet<FleetName> {
        match name.kind() {
            ResourceKind::TrafficPolicyVersion => {}
            ResourceKind::HealthCheck => {
                let fleets = self.fleets_of_namespace(name.namespace());
                return fleets.cloned().collect();
            }
            _ => return self.fleet_of(name).cloned().into_iter().collect(),
        }
        let binders = self.bound.get(name).into_iter().flatten();
        binders
            .filter_map(|name| self.fleet_of(name).cloned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use watershed_snapshot::{Placed, Records, RrSet, VersionBinding, ZoneHead};

    use super::*;

    fn named(kind: ResourceKind, name: &str) -> ResourceName {
        ResourceName::new(kind, "shop", name)
    }

    fn zone(serial: u8) -> (ResourceName, Option<Resource>) {
        let set = |record_type, rdata: &[u8]| RrSet {
            record_type,
            ttl: 60,
            rdata: vec![rdata.into()],
        };
        let head = ZoneHead {
            apex: "example.com".parse().unwrap(),
            soa: set(6, &[serial; 22]),
            ns: set(2, b"\x00"),
        };
        let name = named(ResourceKind::HostedZone, "main");
        (name, Some(Resource::Zone(head)))
    }

    fn record(number: usize) -> (ResourceName, Option<Resource>) {
        let binding = VersionBinding {
            version: named(ResourceKind::TrafficPolicyVersion, "web-v1"),
            record_types: vec![1],
            ttl: 60,
            ttl_range: None,
            failback: None,
        };
        let records = Records {
            zone: "example.com".parse().unwrap(),
            placed: vec![Placed {
                owner: format!("n{number}.example.com").parse().unwrap(),
                content: At::Policy(binding),
            }],
        };
        let name = named(ResourceKind::PolicyRecord, &format!("n{number}"));
        (name, Some(Resource::Records(records)))
    }

    fn names(tagged: &[Tagged]) -> Vec<String> {
        tagged.iter().map(|one| one.name.to_string()).collect()
    }

    #[test]
    fn a_change_tells_publishers_of_itself_only() {
        let mut homes = Homes::default();
        let zone_name = zone(1).0;
        homes.settle(&zone_name, FleetName::new("default"));
        homes.update((0..100).map(record).collect());
        // The zone comes last, and what lies in it goes where it goes.
        let told = homes.update(vec![zone(1)]);
        assert_eq!(told.len(), 102, "the zone, the records and their version");
        assert!(told.iter().all(|one| one.fleets.len() == 1));
        assert_eq!(
            names(&homes.update(vec![zone(2)])),
            ["HostedZone/shop/main"]
        );
        let told = homes.update(vec![record(7), zone(3)]);
        let expected = [
            "HostedZone/shop/main",
            "PolicyRecord/shop/n7",
            "TrafficPolicyVersion/shop/web-v1",
        ];
        assert_eq!(names(&told), expected);
        homes.update(vec![(zone_name, None)]);
        assert_eq!(homes.update(vec![zone(4)]).len(), 102, "made anew");
    }
}

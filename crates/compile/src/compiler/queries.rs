//! What status wants to know. Every answer costs in proportion to itself.

use std::collections::{BTreeMap, BTreeSet};

use super::Compiler;
use crate::changes::{Usage, ZoneCounts};
use crate::contents::Claimant;
use crate::object::{Kind, ObjectKey, ObjectRef};
use crate::resources::policy_of;
use crate::verdict::Verdict;

impl Compiler {
    /// What was said last about an object.
    pub fn verdict(&self, object: &ObjectRef) -> Option<&Verdict> {
        self.verdicts.get(object)
    }

    /// What was said last about every object, by object.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.values()
    }

    /// Who needs a version, by the name of its object.
    pub fn in_use(&self, version: &ObjectKey) -> Usage {
        let mut usage = Usage::default();
        for claimant in self.contents.claimants(version) {
            match claimant {
                Claimant::Object(object) if object.kind == Kind::PolicyRecord => {
                    usage.records.insert(object.key.clone());
                }
                claimant => {
                    usage.aliases.insert(claimant.reporter());
                }
            }
        }
        if let Some((policy, number)) = self.number(version) {
            let asking = self.asks.records(&policy, number);
            usage.records.extend(asking.cloned());
            let channels = self.asks.channels(&policy, number);
            usage.channels.extend(channels.cloned());
        }
        usage
    }

    /// Policy and number of the version that a record asks for, whether or not
    /// there is such a version; of a channel, the one that it names now.
    pub fn asked(&self, record: &ObjectKey) -> Option<(ObjectKey, u32)> {
        self.asks.asked(record)
    }

    /// Number of a policy's highest version that can be served.
    pub fn latest(&self, policy: &ObjectKey) -> Option<u32> {
        let latest = self.versions.latest(&self.resources, policy);
        latest.map(|version| version.number)
    }

    /// Policy and number of a version.
    fn number(&self, version: &ObjectKey) -> Option<(ObjectKey, u32)> {
        let object = self.resources.versions.get(version);
        let listed = object.map(|object| (policy_of(object), object.spec.number()));
        listed.or_else(|| {
            let known = self.versions.known(version)?;
            let policy = ObjectKey::new(&known.namespace, &known.policy_name);
            Some((policy, known.number))
        })
    }

    /// The numbers of a policy's versions that something serves or that records
    /// ask for.
    pub fn versions_in_use(&self, policy: &ObjectKey) -> BTreeSet<u32> {
        let served = self.served_versions(policy).map(|(number, _)| number);
        served.chain(self.asks.numbers(policy)).collect()
    }

    /// How many records serve each version of a policy, by its number.
    pub fn records_of_policy(&self, policy: &ObjectKey) -> BTreeMap<u32, usize> {
        let served = self.served_versions(policy);
        let counted = served.map(|(number, version)| {
            let records = self.contents.claimants(version).filter(
                |claimant| matches!(claimant, Claimant::Object(o) if o.kind == Kind::PolicyRecord),
            );
            (number, records.count())
        });
        counted.filter(|(_, records)| *records > 0).collect()
    }

    /// The versions of a policy that something serves.
    fn served_versions(&self, policy: &ObjectKey) -> impl Iterator<Item = (u32, &ObjectKey)> {
        let prefix = format!("{}-v", policy.name);
        let first = ObjectKey::new(&policy.namespace, &prefix);
        let versions = self.contents.versions_from(first);
        let versions = versions.take_while(move |version| {
            version.namespace == policy.namespace && version.name.starts_with(&prefix)
        });
        versions.filter_map(move |key| {
            let version = self.versions.known(key)?;
            (version.policy_name == policy.name).then_some((version.number, key))
        })
    }

    /// How many sets of records a zone serves.
    pub fn records_of_zone(&self, zone: &ObjectKey) -> ZoneCounts {
        let zone = self.zones.get(zone);
        zone.map(|zone| self.contents.counts(&zone.apex))
            .unwrap_or_default()
    }

    /// The serial number of a zone that is served.
    pub fn serial(&self, zone: &ObjectKey) -> Option<u32> {
        self.zones.get(zone)?.serial
    }
}

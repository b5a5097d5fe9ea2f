//! Somebody who follows what a compiler tells, and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Display};

use watershed_compile::{Changes, Compiler, ObjectKey, ObjectRef, Usage, Verdict, ZoneCounts};
use watershed_snapshot::{Resource, ResourceName};

/// What a caller knows who follows the changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Follower {
    pub(crate) resources: BTreeMap<ResourceName, Resource>,
    pub(crate) verdicts: BTreeMap<ObjectRef, Verdict>,
}

impl Follower {
    #[track_caller]
    pub(crate) fn follow(&mut self, changes: &Changes) {
        for (name, resource) in changes.resources.clone() {
            let before = match resource.clone() {
                Some(resource) => self.resources.insert(name.clone(), resource),
                None => self.resources.remove(&name),
            };
            assert_ne!(before, resource, "{name} did not change");
        }
        for verdict in changes.verdicts.clone() {
            let object = verdict.object.clone();
            let before = self.verdicts.insert(object.clone(), verdict.clone());
            assert_ne!(
                before,
                Some(verdict),
                "the verdict on {object} did not change"
            );
        }
        for object in &changes.gone {
            assert!(self.verdicts.remove(object).is_some(), "{object}");
        }
    }
}

pub(crate) const NONE: [String; 0] = [];

/// What two maps do not have in common.
pub(crate) fn differences<K: Ord + Display, V: PartialEq + Debug>(
    ours: &BTreeMap<K, V>,
    theirs: &BTreeMap<K, V>,
) -> Vec<String> {
    let keys: BTreeSet<&K> = ours.keys().chain(theirs.keys()).collect();
    let different = keys
        .into_iter()
        .filter(|key| ours.get(key) != theirs.get(key));
    different
        .map(|key| format!("{key}: {:?} and {:?}", ours.get(key), theirs.get(key)))
        .collect()
}

pub(crate) type Answers = (
    BTreeMap<ObjectKey, Usage>,
    BTreeMap<ObjectKey, (ZoneCounts, Option<u32>)>,
    BTreeMap<ObjectKey, BTreeMap<u32, usize>>,
);

/// The answers to all questions.
pub(crate) fn answers(compiler: &Compiler) -> Answers {
    let resources = compiler.resources();
    let versions = resources.versions.keys();
    let zones = resources.hosted_zones.keys();
    let policies = resources.traffic_policies.keys();
    (
        versions.map(|k| (k.clone(), compiler.in_use(k))).collect(),
        zones
            .map(|k| (k.clone(), (compiler.records_of_zone(k), compiler.serial(k))))
            .collect(),
        policies
            .map(|k| (k.clone(), compiler.records_of_policy(k)))
            .collect(),
    )
}

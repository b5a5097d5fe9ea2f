//! The objects of a directory, with faults never taking a good object away.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::input::Source;
use crate::manifest::{self, Identity};
use crate::validate::{self, Located, Set, Unit};

/// The objects that count, by identity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<Object>", into = "Vec<Object>")]
pub(super) struct Manifests {
    objects: BTreeMap<Identity, Object>,
}

impl From<Vec<Object>> for Manifests {
    fn from(objects: Vec<Object>) -> Self {
        let objects = objects.into_iter();
        Self {
            objects: objects
                .map(|object| (manifest::identity(&object.value), object))
                .collect(),
        }
    }
}

impl From<Manifests> for Vec<Object> {
    fn from(manifests: Manifests) -> Self {
        manifests.objects.into_values().collect()
    }
}

/// An object and where it is from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Object {
    value: Value,
    file: String,
}

/// What a look at the directory gave.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The objects that count now.
    pub(super) manifests: Manifests,
    /// Everything that is wrong, or suspicious.
    pub(super) findings: Vec<Located>,
    /// Objects that count in an earlier form, because the present one has
    /// faults or cannot be read.
    pub(super) kept: Vec<Identity>,
}

impl Manifests {
    /// The objects.
    pub(super) fn values(&self) -> impl Iterator<Item = (&Identity, &Value)> {
        self.objects
            .iter()
            .map(|(identity, object)| (identity, &object.value))
    }

    /// The object of that identity.
    pub(super) fn get(&self, identity: &Identity) -> Option<&Value> {
        self.objects.get(identity).map(|object| &object.value)
    }

    /// Reads the directory anew. An object with faults keeps the form that
    /// `self` has of it; a file that cannot be read keeps its objects.
    pub(super) fn read(&self, directory: &Path) -> Reading {
        let set = validate::collect(&[Source::File(directory.to_owned())]);
        let found = validate::examine(&set);
        let mut reading = Reading::default();
        let mut refused = BTreeSet::new();
        let mut unreadable = BTreeSet::new();
        for (unit, findings) in set.units.iter().zip(found) {
            let faulty = findings.iter().any(crate::finding::Finding::is_error);
            if !faulty {
                reading.manifests.take(unit);
            } else if let Some(value) = unit.object() {
                refused.insert(manifest::identity(value));
            } else {
                unreadable.insert(unit.file.clone());
            }
            if counts(unit) {
                let located = findings
                    .into_iter()
                    .map(|finding| Located::new(unit, finding));
                reading.findings.extend(located);
            }
        }
        self.keep(&refused, &unreadable, &set, &mut reading);
        reading
    }

    fn take(&mut self, unit: &Unit) {
        let Some(value) = unit.object().filter(|value| is_ours(value)) else {
            return;
        };
        let object = Object {
            value: value.clone(),
            file: unit.file.clone(),
        };
        self.objects
            .entry(manifest::identity(value))
            .or_insert(object);
    }

    fn keep(
        &self,
        refused: &BTreeSet<Identity>,
        unreadable: &BTreeSet<String>,
        set: &Set,
        reading: &mut Reading,
    ) {
        // A directory that cannot be walked hides files of which nothing is
        // known, so everything from files not seen is kept.
        let files: BTreeSet<&str> = set.units.iter().map(|unit| unit.file.as_str()).collect();
        let hidden = unreadable.iter().any(|file| Path::new(file).is_dir());
        for (identity, object) in &self.objects {
            let lost = refused.contains(identity)
                || unreadable.contains(&object.file)
                || (hidden && !files.contains(object.file.as_str()));
            if lost && !reading.manifests.objects.contains_key(identity) {
                reading.kept.push(identity.clone());
                reading
                    .manifests
                    .objects
                    .insert(identity.clone(), object.clone());
            }
        }
    }
}

fn is_ours(value: &Value) -> bool {
    let version = value.get("apiVersion").and_then(Value::as_str);
    version.is_some_and(|version| version.starts_with("watershed.dev/"))
}

/// Scenarios and Route 53 documents may lie beside manifests; they are not
/// served, so their faults are not the server's business.
fn counts(unit: &Unit) -> bool {
    unit.content.is_err() || unit.object().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "apiVersion: watershed.dev/v1alpha1\nkind: CIDRCollection\nmetadata: {name: offices}\nspec: {locations: {hq: [192.0.2.0/24]}}\n";

    fn names(reading: &Reading) -> Vec<String> {
        reading
            .manifests
            .values()
            .map(|(identity, _)| identity.to_string())
            .collect()
    }

    #[test]
    fn a_broken_file_keeps_its_objects() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        std::fs::write(&file, GOOD).unwrap();
        let first = Manifests::default().read(directory.path());
        assert_eq!(names(&first), ["CIDRCollection default/offices"]);
        assert!(first.kept.is_empty() && first.findings.is_empty());

        std::fs::write(&file, "kind: [").unwrap();
        let broken = first.manifests.read(directory.path());
        assert_eq!(broken.manifests, first.manifests);
        assert_eq!(broken.kept.len(), 1);
        assert_eq!(broken.findings.len(), 1);
    }

    #[test]
    fn a_faulty_object_keeps_its_last_form() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        std::fs::write(&file, GOOD).unwrap();
        let first = Manifests::default().read(directory.path());
        std::fs::write(&file, GOOD.replace("locations", "place")).unwrap();
        let faulty = first.manifests.read(directory.path());
        assert_eq!(faulty.manifests, first.manifests);
        assert!(faulty.findings.len() >= 2, "{:?}", faulty.findings);
    }

    #[test]
    fn a_removed_object_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        std::fs::write(&file, GOOD).unwrap();
        let first = Manifests::default().read(directory.path());
        std::fs::remove_file(&file).unwrap();
        let reading = first.manifests.read(directory.path());
        assert!(names(&reading).is_empty() && reading.kept.is_empty());
    }

    #[test]
    fn what_is_no_manifest_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("scenario.yaml"),
            "policyFile: none.yaml\nclient: {}\n",
        )
        .unwrap();
        std::fs::write(directory.path().join("values.yaml"), "replicas: 2\n").unwrap();
        let reading = Manifests::default().read(directory.path());
        assert!(names(&reading).is_empty() && reading.findings.is_empty());
    }
}

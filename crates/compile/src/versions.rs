//! The versions that can be served.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watershed_snapshot::PolicyVersion;

use crate::object::ObjectKey;
use crate::resources::Resources;
use crate::verdict::Report;
use crate::version;

/// All versions that can be served, and those that still are although their
/// objects are gone.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    entries: BTreeMap<ObjectKey, Entry>,
    /// Those without an object.
    orphans: BTreeSet<ObjectKey>,
    /// Those whose objects have another document than what is served of them.
    outlived: BTreeSet<ObjectKey>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    /// Whether there is an object.
    listed: bool,
    compiled: Option<Arc<PolicyVersion>>,
}

impl Entry {
    /// What a record can tell of it.
    fn facet(&self) -> (bool, Option<(&str, &[u16])>) {
        let compiled = self.compiled.as_ref().filter(|_| self.listed);
        let facet = compiled.map(|v| (v.digest.as_str(), v.policy.record_types()));
        (self.listed, facet)
    }
}

/// What came of looking at a version again.
pub(crate) struct Updated {
    /// What is said about it; nothing when its object is gone.
    pub(crate) report: Option<Report>,
    /// Whether records that ask for it are to be looked at again.
    pub(crate) concerns_records: bool,
    /// Whether something else is to be served for it.
    pub(crate) differs: bool,
}

impl Versions {
    /// The version of that object name, if it can be asked for.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&Arc<PolicyVersion>> {
        let entry = self.entries.get(key)?;
        entry.compiled.as_ref().filter(|_| entry.listed)
    }

    /// The version of that object name, even if its object is gone.
    pub(crate) fn known(&self, key: &ObjectKey) -> Option<&Arc<PolicyVersion>> {
        self.entries.get(key)?.compiled.as_ref()
    }

    /// The highest version of a policy that can be asked for.
    pub(crate) fn latest(
        &self,
        resources: &Resources,
        policy: &ObjectKey,
    ) -> Option<&Arc<PolicyVersion>> {
        let versions = resources.versions_of(policy);
        let served = versions.filter_map(|(_, version)| self.get(&version.key));
        served.max_by_key(|version| version.number)
    }

    /// All of them, by object name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&ObjectKey, &Arc<PolicyVersion>)> {
        let entries = self.entries.iter();
        entries.filter_map(|(key, entry)| Some((key, entry.compiled.as_ref()?)))
    }

    /// Tells what a version was compiled to before a restart; whether that is
    /// news.
    pub(crate) fn restore(&mut self, key: &ObjectKey, version: &Arc<PolicyVersion>) -> bool {
        let entry = self.entries.entry(key.clone()).or_default();
        if !entry.listed {
            self.orphans.insert(key.clone());
        }
        let unknown = entry.compiled.is_none();
        entry.compiled.get_or_insert_with(|| Arc::clone(version));
        unknown
    }

    /// Versions whose objects were made anew with another document, while what
    /// they were before was served, which it is no longer.
    pub(crate) fn outlived(&self, is_served: impl Fn(&ObjectKey) -> bool) -> BTreeSet<ObjectKey> {
        let outlived = self.outlived.iter().filter(|key| !is_served(key));
        outlived.cloned().collect()
    }

    /// Looks at a version again. What it was before counts only as long as it
    /// is the same document or `is_served`.
    pub(crate) fn update(
        &mut self,
        resources: &Resources,
        key: &ObjectKey,
        is_served: impl Fn(&ObjectKey) -> bool,
    ) -> Updated {
        let mut before = self.entries.remove(key).unwrap_or_default();
        let seen = before.clone();
        self.outlived.remove(key);
        if let (Some(object), Some(compiled)) = (resources.versions.get(key), &before.compiled)
            && object.spec.digest.to_string() != compiled.digest
        {
            if is_served(key) {
                self.outlived.insert(key.clone());
            } else {
                before.compiled = None;
            }
        }
        let (after, report) = if let Some(object) = resources.versions.get(key) {
            let compiled = version::compile(resources, object, before.compiled.as_ref());
            let entry = Entry {
                listed: true,
                compiled: compiled.version,
            };
            (entry, Some(compiled.report))
        } else {
            let compiled = before.compiled.clone();
            let listed = false;
            (Entry { listed, compiled }, None)
        };
        let pointer = |entry: &Entry| entry.compiled.as_ref().map(Arc::as_ptr);
        let updated = Updated {
            report,
            concerns_records: seen.facet() != after.facet(),
            differs: pointer(&seen) != pointer(&after),
        };
        if after.listed {
            self.orphans.remove(key);
        } else {
            self.orphans.insert(key.clone());
        }
        self.entries.insert(key.clone(), after);
        updated
    }

    /// Forgets the versions without an object that nothing serves. The others
    /// stay known, so that another document under the same number is noticed.
    pub(crate) fn forget_orphans(&mut self, is_served: impl Fn(&ObjectKey) -> bool) {
        let entries = &mut self.entries;
        self.orphans.retain(|key| {
            let served = is_served(key);
            if !served {
                entries.remove(key);
            }
            served
        });
    }
}

//! The health checks that nodes get.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use watershed_health::Check;
use watershed_snapshot::{Resource as Served, ResourceKind, ResourceName};

use crate::object::ObjectKey;

/// All checks that are served, be it as their objects were before they had
/// faults.
#[derive(Debug, Default)]
pub(crate) struct HealthChecks {
    served: BTreeMap<ObjectKey, Arc<Check>>,
    /// What was served before a restart, until the objects have been looked
    /// at.
    restored: HashMap<ObjectKey, Arc<Check>>,
    /// Those that differ from what was told last.
    changed: BTreeSet<ObjectKey>,
}

impl HealthChecks {
    /// Tells what was served before a restart.
    pub(crate) fn restore(&mut self, key: ObjectKey, check: Arc<Check>) {
        self.restored.insert(key, check);
    }

    /// Forgets what nothing has taken up.
    pub(crate) fn end_restoration(&mut self) {
        self.restored.clear();
    }

    /// Takes up what an object asks for; without that, what was served stays.
    pub(crate) fn set(&mut self, key: &ObjectKey, check: Option<Check>) {
        let restored = self.restored.remove(key);
        let Some(check) = check.map(Arc::new).or(restored) else {
            return;
        };
        if self.served.get(key) != Some(&check) {
            self.served.insert(key.clone(), check);
            self.changed.insert(key.clone());
        }
    }

    /// An object is gone.
    pub(crate) fn remove(&mut self, key: &ObjectKey) {
        if self.served.remove(key).is_some() {
            self.changed.insert(key.clone());
        }
    }

    /// What is to be told.
    pub(crate) fn take_changes(&mut self) -> Vec<(ResourceName, Option<Served>)> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        let told = changed.map(|key| {
            let served = self.served.get(&key).cloned().map(Served::Check);
            (resource_name(&key), served)
        });
        told.collect()
    }

    /// Everything that is served.
    pub(crate) fn all(&self) -> impl Iterator<Item = (ResourceName, Served)> {
        let served = self.served.iter();
        served.map(|(key, check)| (resource_name(key), Served::Check(Arc::clone(check))))
    }
}

fn resource_name(key: &ObjectKey) -> ResourceName {
    ResourceName::new(ResourceKind::HealthCheck, &key.namespace, &key.name)
}

//! Health checks.

use std::collections::BTreeMap;
use std::sync::Arc;

use watershed_health::Check;

use super::{Changes, Edit};
use crate::resource::{Resource, ResourceKind};

impl Edit<'_> {
    /// Puts and removes health checks. The list is copied, which only a change
    /// of a health check pays for.
    pub(super) fn put_checks(&mut self, changes: &Changes) {
        let of_checks = |kind: ResourceKind| kind == ResourceKind::HealthCheck;
        if !changes.iter().any(|(name, _)| of_checks(name.kind())) {
            return;
        }
        let checks = self.snapshot.checks.iter();
        let checks = checks.map(|(id, check)| (id.clone(), Arc::clone(check)));
        let mut checks: BTreeMap<String, Arc<Check>> = checks.collect();
        for (name, resource) in changes.iter().filter(|(name, _)| of_checks(name.kind())) {
            let id = format!("{}/{}", name.namespace(), name.name());
            match resource {
                Some(Resource::Check(check)) => checks.insert(id, Arc::clone(check)),
                // Content of another kind is said to be at fault.
                Some(_) | None => checks.remove(&id),
            };
        }
        self.snapshot.checks = checks.into_iter().collect();
    }
}

//! Versions.

use watershed_compile::{Object, Version, digest};
use watershed_crd::traffic_policy_version::{Source, TrafficPolicyVersionStatus};
use watershed_snapshot::{ResourceKind, ResourceName};

use super::Planner;
use crate::object::{ObjectId, ObjectKind};
use crate::status::{self, VersionInput};
use crate::world::Facts;

impl<'a> Planner<'a> {
    pub(super) fn version(&mut self, id: &ObjectId, facts: &'a Facts) {
        let compiler = &self.world.compiler;
        let usage = compiler.in_use(&id.key);
        self.configure(id, facts, usage.is_used());
        let Some(look) = self.look::<TrafficPolicyVersionStatus>(id, facts) else {
            return;
        };
        let Some(version) = compiler.resources().versions.get(&id.key) else {
            return;
        };
        let kind = ResourceKind::TrafficPolicyVersion;
        let name = ResourceName::new(kind, &id.key.namespace, &id.key.name);
        let health = self.health_of_version(&id.key);
        let found = status::traffic_policy_version(&VersionInput {
            before: &look.before,
            generation: facts.generation,
            deleting: facts.deleting,
            verdict: &look.verdict,
            fault: look.fault,
            document: &version.spec.spec.document,
            digest: version.spec.digest.to_string(),
            origin: version.spec.origin,
            source: self.source(version),
            usage: &usage,
            serving: self.world.serving.get(&id.key).map(AsRef::as_ref),
            health: &health,
            expiry: self.expiry(&id.key),
            size: self.world.homes.size(&name),
            now: self.now,
        });
        self.settle(id, facts, (&look.before, found), |s| &s.conditions, None);
    }

    /// The edit that a version holds, while it is the last one of its policy.
    fn source(&self, version: &Object<Version>) -> Option<Source> {
        let policy = version.spec.spec.policy_name.as_str();
        let key = watershed_compile::ObjectKey::new(&version.key.namespace, policy);
        let object = self.world.compiler.resources().traffic_policies.get(&key)?;
        let working = object.spec.document.as_ref().map(digest);
        if working != Some(version.spec.digest) {
            return None;
        }
        let facts = self
            .world
            .objects
            .get(&ObjectId::new(ObjectKind::TrafficPolicy, key))?;
        let shortened = |text: &String| text.chars().take(128).collect();
        Some(Source {
            generation: Some(facts.generation),
            field_manager: facts.managers.last().map(shortened),
            author: facts.author.clone(),
            change_ref: facts.change_ref.clone(),
        })
    }
}

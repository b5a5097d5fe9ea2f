//! The objects that are served: those of the directory, and minted versions.

use std::collections::BTreeMap;

use serde_json::Value;
use watershed_compile::{Compiler, Kind, ObjectKey, ObjectRef, Resource};
use watershed_crd::TrafficPolicyVersion;

use super::manifests::Manifests;
use super::objects;
use super::state_dir::Numbers;
use crate::manifest::Identity;

/// The objects, and what is made of them.
pub(super) struct World {
    pub(super) compiler: Compiler,
    manifests: Manifests,
    minted: BTreeMap<ObjectKey, TrafficPolicyVersion>,
    /// Whether the compiler has the manifests as they are.
    is_present: bool,
}

impl World {
    /// Minted versions alone, and the highest numbers ever minted.
    pub(super) fn new(minted: Vec<TrafficPolicyVersion>, numbers: &Numbers) -> Self {
        let mut world = Self {
            compiler: Compiler::standalone(),
            manifests: Manifests::default(),
            minted: BTreeMap::new(),
            is_present: false,
        };
        for (policy, number) in numbers {
            if let (Some((namespace, name)), Ok(number)) =
                (policy.split_once('/'), u32::try_from(*number))
            {
                let policy = ObjectKey::new(namespace, name);
                world.compiler.note_number(&policy, number);
            }
        }
        for version in minted {
            world.mint(version);
        }
        world
    }

    /// Takes up what was served before: manifests, and by `namespace/name` the
    /// version that each record served.
    pub(super) fn recall(&mut self, manifests: Manifests, versions: &BTreeMap<String, u32>) {
        for (identity, manifest) in manifests.values() {
            let object = match typed(identity, manifest) {
                Some(Resource::PolicyRecord(mut record)) => {
                    let number = versions.get(&key(identity).to_string());
                    let Some(number) = number.and_then(|number| i32::try_from(*number).ok()) else {
                        continue;
                    };
                    record.spec.version = Some(number);
                    record.spec.channel = None;
                    record.spec.digest = None;
                    record.spec.paused = false;
                    Some(Resource::PolicyRecord(record))
                }
                object => object,
            };
            if let Some(object) = object {
                self.compiler.apply(object);
            }
        }
        self.manifests = manifests;
    }

    /// The objects of the directory.
    pub(super) fn manifests(&self) -> &Manifests {
        &self.manifests
    }

    /// Takes up the objects of the directory; whether any differs.
    pub(super) fn take(&mut self, manifests: Manifests) -> bool {
        if self.is_present && manifests == self.manifests {
            return false;
        }
        let before = std::mem::replace(&mut self.manifests, manifests);
        for (identity, _) in before.values() {
            if self.manifests.get(identity).is_none() {
                self.remove(identity);
            }
        }
        let manifests = std::mem::take(&mut self.manifests);
        for (identity, manifest) in manifests.values() {
            if !self.is_present || before.get(identity) != Some(manifest) {
                self.put(identity, manifest);
            }
        }
        self.manifests = manifests;
        self.is_present = true;
        true
    }

    fn put(&mut self, identity: &Identity, manifest: &Value) {
        let Some(object) = typed(identity, manifest) else {
            return;
        };
        // A version in a file that is edited is made anew: whether it may
        // differ depends on whether it is served.
        if let Resource::TrafficPolicyVersion(_) = &object {
            self.remove(identity);
        }
        self.compiler.apply(object);
    }

    fn remove(&mut self, identity: &Identity) {
        let key = key(identity);
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == identity.kind);
        if let Some(kind) = kind {
            self.compiler.delete(&ObjectRef::new(kind, key.clone()));
        }
        // A file may have stood before a minted version of the same name.
        let minted = self.minted.get(&key);
        if let Some(version) = minted.filter(|_| kind == Some(Kind::TrafficPolicyVersion)) {
            self.compiler.apply(version.clone());
        }
    }

    /// Adds a version that was minted.
    pub(super) fn mint(&mut self, version: TrafficPolicyVersion) {
        let resource = Resource::from(version.clone());
        self.minted.insert(resource.reference().key, version);
        self.compiler.apply(resource);
    }

    /// The minted version of that name.
    pub(super) fn minted(&self, version: &ObjectKey) -> Option<&TrafficPolicyVersion> {
        self.minted.get(version)
    }

    /// Removes a minted version.
    pub(super) fn forget(&mut self, version: &ObjectKey) {
        if self.minted.remove(version).is_some() {
            let object = ObjectRef::new(Kind::TrafficPolicyVersion, version.clone());
            self.compiler.delete(&object);
        }
    }
}

fn key(identity: &Identity) -> ObjectKey {
    ObjectKey::new(&identity.namespace, &identity.name)
}

/// The object of a manifest; `None` where a single machine has no use for it.
fn typed(identity: &Identity, manifest: &Value) -> Option<Resource> {
    match objects::typed(&identity.kind, manifest) {
        Ok(object) => object,
        Err(error) => {
            tracing::error!("{identity}: {error}");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use watershed_compile::mint::{Mint, plan};
    use watershed_crd::traffic_policy_version::Origin;

    use super::*;

    const ZONE: &str = "apiVersion: watershed.dev/v1alpha1\nkind: HostedZone\nmetadata: {name: example-com, namespace: shop}\nspec: {domain: example.com, nameservers: {names: [ns1.example.net]}}\n";
    const DOCUMENT: &str =
        "{recordTypes: [A], startEndpoint: a, endpoints: {a: {addresses: [192.0.2.1]}}}";

    fn policy() -> String {
        format!(
            "apiVersion: watershed.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{name: web, namespace: shop}}\nspec: {{document: {DOCUMENT}}}\n"
        )
    }

    fn version() -> String {
        format!(
            "apiVersion: watershed.dev/v1alpha1\nkind: TrafficPolicyVersion\nmetadata: {{name: web-v1, namespace: shop}}\nspec: {{policyName: web, version: 1, document: {DOCUMENT}}}\n"
        )
    }

    fn record(name: &str, ttl: u32) -> String {
        format!(
            "apiVersion: watershed.dev/v1alpha1\nkind: PolicyRecord\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{hostedZoneRef: {{name: example-com}}, name: {name}, ttlSeconds: {ttl}, policyRef: {{name: web}}, version: 1}}\n"
        )
    }

    fn write(directory: &Path, file: &str, content: &str) {
        fs::write(directory.join(file), content).unwrap();
    }

    /// Reads the directory and makes the versions that are to be made.
    fn look(world: &mut World, directory: &Path) -> bool {
        let reading = world.manifests().read(directory);
        assert!(reading.kept.is_empty(), "{:?}", reading.findings);
        let news = world.take(reading.manifests);
        for (_, mint) in plan(world.compiler.resources()) {
            if let Mint::Make(new) = mint {
                world.mint(objects::minted(*new));
            }
        }
        news
    }

    fn served(world: &mut World) -> Vec<String> {
        let changes = world.compiler.compile(1);
        let names = changes.resources.into_iter();
        names.map(|(name, _)| name.to_string()).collect()
    }

    #[test]
    fn an_edit_of_a_file_changes_what_it_concerns() {
        let directory = tempfile::tempdir().unwrap();
        let mut world = World::new(Vec::new(), &Numbers::new());
        write(directory.path(), "zone.yaml", ZONE);
        write(directory.path(), "policy.yaml", &policy());
        write(directory.path(), "www.yaml", &record("www", 60));
        write(directory.path(), "api.yaml", &record("api", 60));
        assert!(look(&mut world, directory.path()));
        assert_eq!(served(&mut world).len(), 4);
        assert!(!look(&mut world, directory.path()), "nothing changed");
        write(directory.path(), "api.yaml", &record("api", 5));
        assert!(look(&mut world, directory.path()));
        let changed = ["HostedZone/shop/example-com", "PolicyRecord/shop/api"];
        assert_eq!(served(&mut world), changed);
        fs::remove_file(directory.path().join("api.yaml")).unwrap();
        assert!(look(&mut world, directory.path()));
        assert_eq!(served(&mut world), changed);
    }

    #[test]
    fn a_minted_version_is_there_after_a_file_of_its_name_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let mut world = World::new(Vec::new(), &Numbers::new());
        let key = ObjectKey::new("shop", "web-v1");
        let origin = |world: &World| world.compiler.resources().versions[&key].spec.origin;
        write(directory.path(), "policy.yaml", &policy());
        look(&mut world, directory.path());
        assert_eq!(origin(&world), Origin::Minted);
        write(directory.path(), "version.yaml", &version());
        look(&mut world, directory.path());
        assert_eq!(origin(&world), Origin::Authored);
        fs::remove_file(directory.path().join("version.yaml")).unwrap();
        look(&mut world, directory.path());
        assert_eq!(origin(&world), Origin::Minted);
    }

    #[test]
    fn what_was_served_is_known_before_the_directory_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let mut former = World::new(Vec::new(), &Numbers::new());
        write(directory.path(), "zone.yaml", ZONE);
        write(directory.path(), "policy.yaml", &policy());
        write(directory.path(), "www.yaml", &record("www", 60));
        look(&mut former, directory.path());
        let minted = former.minted.values().cloned().collect();
        let manifests = former.manifests().clone();

        let mut world = World::new(minted, &Numbers::new());
        let versions = BTreeMap::from([("shop/www".to_owned(), 1)]);
        world.recall(manifests, &versions);
        assert_eq!(served(&mut world).len(), 3);
        // The version is not there; the one that was served stays.
        let broken = record("www", 60).replace("version: 1", "version: 9");
        write(directory.path(), "www.yaml", &broken);
        look(&mut world, directory.path());
        assert_eq!(served(&mut world), [""; 0]);
        let www = ObjectRef::new(Kind::PolicyRecord, ObjectKey::new("shop", "www"));
        let serving = world.compiler.verdict(&www).unwrap().serving.clone();
        assert_eq!(serving.map(|s| (s.version, s.stale)), Some((1, true)));
    }
}

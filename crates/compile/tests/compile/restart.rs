//! A compiler takes the place of another one, which knows the objects, what
//! their status says, and what nodes serve.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use watershed_compile::{Compiler, Kind, ObjectKey, ObjectRef, Reason, version_key};
use watershed_snapshot::{Content, Resource, ResourceKind, ResourceName, ZoneHead};

use crate::follower::{Follower, NONE, differences};
use crate::support::{POLICY, RECORD, ZONE, key, mint_into, objects};
use crate::universe::step;

/// The name of what an object gives the nodes.
fn resource_name(object: &ObjectRef) -> Option<ResourceName> {
    let kind = match object.kind {
        Kind::HostedZone => ResourceKind::ZoneRecords,
        Kind::PolicyRecord => ResourceKind::PolicyRecord,
        Kind::RecordSet => ResourceKind::RecordSet,
        Kind::HealthCheck => ResourceKind::HealthCheck,
        Kind::TrafficPolicyVersion => ResourceKind::TrafficPolicyVersion,
        _ => return None,
    };
    Some(ResourceName::new(
        kind,
        &object.key.namespace,
        &object.key.name,
    ))
}

fn serial(head: &ZoneHead) -> u32 {
    let rdata = &head.soa.rdata[0];
    let at = rdata.len() - 20;
    u32::from_be_bytes(rdata[at..at + 4].try_into().unwrap())
}

fn serials(served: &Follower) -> BTreeMap<ResourceName, u32> {
    let heads = served.resources.iter();
    let heads = heads.filter_map(|(name, resource)| match resource {
        Resource::Zone(head) => Some((name.clone(), serial(head))),
        _ => None,
    });
    heads.collect()
}

/// An operator that begins, as its control loop does it.
struct Successor {
    compiler: Compiler,
    served: Follower,
    time: u32,
}

impl Successor {
    /// Knows the objects and their status.
    fn of(former: &Compiler, served: &Follower, time: u32) -> Self {
        let resources = former.resources();
        let mut compiler = Compiler::of(resources.clone());
        for verdict in served.verdicts.values() {
            if let Some(serving) = &verdict.serving {
                let record = &resources.policy_records[&verdict.object.key];
                let policy = &record.spec.policy_ref;
                let policy = ObjectKey::new(
                    policy.namespace.as_ref().unwrap_or(&record.key.namespace),
                    &policy.name,
                );
                let version = resources
                    .versions
                    .get(&version_key(&policy, serving.version));
                let digest = version.map(|version| version.spec.digest.to_string());
                compiler.restore_active(&record.key, serving.version, digest.as_deref());
            }
        }
        let mut successor = Self {
            compiler,
            served: Follower::default(),
            time,
        };
        successor.compile();
        for (name, serial) in serials(served) {
            let zone = ObjectKey::new(name.namespace(), name.name());
            successor.compiler.set_serial(&zone, serial);
        }
        successor.compile();
        successor
    }

    fn compile(&mut self) {
        let changes = self.compiler.compile(self.time);
        self.served.follow(&changes);
    }

    /// What is wanted of what nodes serve.
    fn wanted(&self) -> BTreeSet<ResourceName> {
        let mut wanted = BTreeSet::new();
        for verdict in self.served.verdicts.values() {
            let key = &verdict.object.key;
            let record = self.compiler.resources().policy_records.get(key);
            let is_record = verdict.object.kind == Kind::PolicyRecord;
            let paused = is_record && record.is_some_and(|record| record.spec.paused);
            if !verdict.is_ready() || paused {
                wanted.extend(resource_name(&verdict.object));
            }
            if verdict.object.kind == Kind::HostedZone {
                let kind = ResourceKind::HostedZone;
                wanted.insert(ResourceName::new(kind, &key.namespace, &key.name));
            }
        }
        wanted
    }

    /// Learns what nodes serve.
    fn recall(&mut self, nodes: &BTreeMap<ResourceName, Resource>) {
        let mut names = self.wanted();
        for name in names.clone() {
            let Some(Resource::Records(records)) = nodes.get(&name) else {
                continue;
            };
            for placed in &records.placed {
                if let Content::Policy(binding) = &placed.content {
                    names.insert(binding.version.clone());
                }
            }
        }
        let given = names.into_iter();
        let given = given.filter_map(|name| Some((name.clone(), nodes.get(&name)?.clone())));
        let given: Vec<(ResourceName, Resource)> = given.collect();
        self.compiler.restore(given.clone());
        for (name, resource) in given {
            if let Resource::Zone(head) = resource {
                let zone = ObjectKey::new(name.namespace(), name.name());
                self.compiler.exceed_serial(&zone, &head);
            }
        }
        self.compile();
    }
}

/// Resources but heads of zones, whose numbers grow.
fn contents(served: &Follower) -> BTreeMap<ResourceName, Resource> {
    let resources = served.resources.clone().into_iter();
    let contents = resources.filter(|(name, _)| name.kind() != ResourceKind::HostedZone);
    contents.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn a_successor_serves_what_was_served(
        steps in prop::collection::vec((step(), any::<bool>()), 1..40),
    ) {
        let mut compiler = Compiler::new();
        let mut served = Follower::default();
        let mut time = 0;
        for (step, at_once) in steps {
            step.take(&mut compiler);
            if at_once {
                time += 100;
                served.follow(&compiler.compile(time));
            }
        }
        time += 100;
        served.follow(&compiler.compile(time));
        // Whoever is made anew while it is served is held by its finalizer.
        let mut verdicts = served.verdicts.values().flat_map(|verdict| &verdict.conditions);
        let conflict = verdicts.any(|condition| condition.reason == Reason::VersionConflict);
        prop_assume!(!conflict);

        let mut successor = Successor::of(&compiler, &served, time + 100);
        if successor.served.resources == served.resources {
            return Ok(());
        }
        successor.recall(&served.resources);
        prop_assert_eq!(differences(&contents(&successor.served), &contents(&served)), NONE);
        let (before, after) = (serials(&served), serials(&successor.served));
        prop_assert!(before.keys().eq(after.keys()), "{before:?} {after:?}");
        for (zone, number) in before {
            prop_assert!(after[&zone] >= number, "{zone} {number} {after:?}");
        }
    }
}

/// A compiler of these objects, and what it told.
fn running(manifests: &[&str]) -> (Compiler, Follower) {
    let mut compiler = Compiler::new();
    for object in objects(&manifests.join("---")) {
        compiler.apply(object);
    }
    mint_into(&mut compiler);
    let mut served = Follower::default();
    served.follow(&compiler.compile(1000));
    (compiler, served)
}

/// Edits something and compiles.
fn edit(compiler: &mut Compiler, served: &mut Follower, yaml: &str) {
    for object in objects(yaml) {
        compiler.apply(object);
    }
    served.follow(&compiler.compile(2000));
}

#[test]
fn a_successor_changes_nothing_that_need_not_change() {
    let (mut compiler, mut served) = running(&[ZONE, POLICY, RECORD]);
    edit(
        &mut compiler,
        &mut served,
        &RECORD.replace("version: 1", "version: 7"),
    );
    let successor = Successor::of(&compiler, &served, 3000);
    assert_eq!(
        differences(&successor.served.resources, &served.resources),
        NONE
    );
    assert_eq!(
        differences(&successor.served.verdicts, &served.verdicts),
        NONE
    );
}

#[test]
fn a_number_of_another_policy_is_not_taken_for_the_one_served() {
    let other = POLICY
        .replace("name: web", "name: api")
        .replace("192.0.2.1", "192.0.2.99");
    let (mut compiler, mut served) = running(&[ZONE, POLICY, RECORD, &other]);
    let serving = served.resources.clone();
    let moved = RECORD.replace("{name: web}, version: 1", "{name: api}, version: 7");
    edit(&mut compiler, &mut served, &moved);
    assert_eq!(differences(&served.resources, &serving), NONE);

    let mut successor = Compiler::of(compiler.resources().clone());
    let digest = compiler.resources().versions[&key("web-v1")]
        .spec
        .digest
        .to_string();
    successor.restore_active(&key("www"), 1, Some(&digest));
    let mut follower = Follower::default();
    follower.follow(&successor.compile(1000));
    let records = |follower: &Follower| {
        let names = follower.resources.keys();
        names.map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(records(&follower), ["HostedZone/shop/example-com"]);
    successor.restore(serving.clone().into_iter().collect());
    follower.follow(&successor.compile(1000));
    let contents = |resources: &BTreeMap<ResourceName, Resource>| {
        let kept = resources
            .iter()
            .filter(|(name, _)| name.kind() != ResourceKind::HostedZone);
        kept.map(|(name, r)| (name.clone(), r.clone()))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(contents(&follower.resources), contents(&serving));
}

#[test]
fn what_nodes_serve_has_precedence_over_what_status_says() {
    let next = POLICY.replace("192.0.2.1", "192.0.2.2");
    let (mut compiler, mut served) = running(&[ZONE, POLICY, RECORD]);
    for object in objects(&next) {
        compiler.apply(object);
    }
    mint_into(&mut compiler);
    edit(
        &mut compiler,
        &mut served,
        &RECORD.replace("version: 1", "version: 2, ttlSeconds: 7"),
    );
    edit(
        &mut compiler,
        &mut served,
        &RECORD.replace("version: 1", "version: 9"),
    );
    let mut successor = Compiler::of(compiler.resources().clone());
    // Status was not written before the former operator ended.
    successor.restore_active(&key("www"), 1, None);
    let mut follower = Follower::default();
    follower.follow(&successor.compile(2000));
    let www: ResourceName = "PolicyRecord/shop/www".parse().unwrap();
    assert_ne!(follower.resources[&www], served.resources[&www]);
    successor.restore(vec![(www.clone(), served.resources[&www].clone())]);
    follower.follow(&successor.compile(2000));
    assert_eq!(follower.resources[&www], served.resources[&www]);
}

#[test]
fn serial_numbers_do_not_go_back() {
    let (compiler, served) = running(&[ZONE, POLICY, RECORD]);
    let zone = key("example-com");
    let name: ResourceName = "HostedZone/shop/example-com".parse().unwrap();
    let Resource::Zone(head) = &served.resources[&name] else {
        panic!("no head");
    };
    // A clock that is behind, and status that is older than what nodes serve.
    let mut successor = Compiler::of(compiler.resources().clone());
    successor.compile(500);
    successor.set_serial(&zone, 900);
    successor.compile(500);
    assert_eq!(successor.serial(&zone), Some(900));
    successor.exceed_serial(&zone, head);
    successor.compile(500);
    assert_eq!(successor.serial(&zone), Some(1001));
    // A zone that could not be served before it was restored.
    let mut blank = Compiler::of(compiler.resources().clone());
    let broken = ZONE.replace("ns1.example.net.", "'ns 1'");
    for object in objects(&broken) {
        blank.apply(object);
    }
    blank.compile(500);
    assert_eq!(blank.serial(&zone), None);
    blank.restore(served.resources.clone().into_iter().collect());
    blank.exceed_serial(&zone, head);
    blank.compile(500);
    assert_eq!(blank.serial(&zone), Some(1000), "as nodes have it");
}

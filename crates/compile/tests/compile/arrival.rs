//! Objects arrive one by one, in any order, go, and come back as others of the
//! same name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use watershed_compile::{
    Compiler, ConditionType, Kind, ObjectKey, ObjectRef, Resource, Verdict, mint,
};
use watershed_snapshot::{Resource as Served, ResourceName};

use crate::follower::{Follower, NONE, answers, differences};
use crate::support::{POLICY, RECORD, ZONE, key, minted, objects};
use crate::universe::{gateway, grant};

/// A compiler with somebody who follows it and makes the versions that are to
/// be made, as the operator does.
#[derive(Default)]
struct Cluster {
    compiler: Compiler,
    follower: Follower,
    time: u32,
}

impl Cluster {
    fn new() -> Self {
        Self {
            compiler: Compiler::new(),
            ..Self::default()
        }
    }

    fn of(manifests: &[&str]) -> Self {
        let mut cluster = Self::new();
        cluster.apply(&manifests.join("---"));
        cluster.settle();
        cluster
    }

    fn apply(&mut self, yaml: &str) {
        for object in objects(yaml) {
            self.compiler.apply(object);
        }
    }

    fn delete(&mut self, kind: Kind, key: ObjectKey) {
        assert!(self.compiler.delete(&ObjectRef::new(kind, key)));
    }

    /// Compiles until there is no version to be made.
    fn settle(&mut self) {
        loop {
            self.time += 1;
            let changes = self.compiler.compile(self.time);
            self.follower.follow(&changes);
            let resources = self.compiler.resources();
            let policies = changes.policies.iter();
            let policies = policies.filter_map(|key| resources.traffic_policies.get(key));
            let plans = policies.map(|policy| (&policy.key, mint::plan_one(resources, policy)));
            let made: Vec<_> = plans.filter_map(|(key, plan)| minted(key, plan)).collect();
            if made.is_empty() {
                return;
            }
            for version in made {
                self.compiler.apply(version);
            }
        }
    }

    /// What is served, but for serial numbers.
    fn served(&self) -> BTreeMap<ResourceName, Served> {
        let served = self.follower.resources.iter();
        let served = served.map(|(name, resource)| (name.clone(), without_serial(resource)));
        served.collect()
    }

    fn names(&self) -> Vec<String> {
        let names = self.follower.resources.keys();
        names.map(ToString::to_string).collect()
    }

    fn verdict(&self, kind: Kind, key: ObjectKey) -> String {
        let verdict = &self.follower.verdicts[&ObjectRef::new(kind, key)];
        let ready = verdict.condition(ConditionType::Ready);
        format!("{} {}", ready.reason, ready.message)
    }

    fn is_ready(&self, kind: Kind, key: ObjectKey) -> bool {
        self.follower.verdicts[&ObjectRef::new(kind, key)].is_ready()
    }

    fn serial(&self) -> u32 {
        self.compiler.serial(&key("example-com")).unwrap()
    }

    /// Addresses of the endpoints of a version in service.
    fn addresses(&self, version: &str) -> Vec<String> {
        let name = format!("TrafficPolicyVersion/shop/{version}");
        let Served::Version(version) = &self.follower.resources[&name.parse().unwrap()] else {
            panic!("{name} is no version");
        };
        let endpoints = version.policy.endpoints().iter();
        let values = endpoints.flat_map(|endpoint| &endpoint.values);
        values.map(ToString::to_string).collect()
    }
}

fn without_serial(resource: &Served) -> Served {
    let mut resource = resource.clone();
    if let Served::Zone(head) = &mut resource {
        for rdata in &mut head.soa.rdata {
            // Before REFRESH, RETRY, EXPIRE and MINIMUM.
            let end = rdata.len() - 16;
            rdata[end - 4..end].fill(0);
        }
    }
    resource
}

fn examples() -> Vec<Resource> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/getting-started");
    let files = fs::read_dir(directory).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let manifests = paths.filter(|path| path.extension().is_some_and(|e| e == "yaml"));
    let mut manifests: Vec<_> = manifests.collect();
    manifests.sort();
    let read = |path| objects(&fs::read_to_string(path).unwrap());
    manifests.into_iter().flat_map(read).collect()
}

proptest! {
    #[test]
    fn the_examples_come_to_the_same_in_any_order(
        arriving in Just(examples()).prop_shuffle(),
        leaving in Just(examples()).prop_shuffle(),
    ) {
        let mut expected = Cluster::new();
        for object in examples() {
            expected.compiler.apply(object);
        }
        expected.settle();
        prop_assert!(expected.follower.verdicts.values().all(Verdict::is_ready));

        let mut cluster = Cluster::new();
        for object in arriving {
            cluster.compiler.apply(object);
            cluster.settle();
        }
        let (ours, theirs) = (&cluster.follower.verdicts, &expected.follower.verdicts);
        prop_assert_eq!(differences(ours, theirs), NONE);
        prop_assert_eq!(differences(&cluster.served(), &expected.served()), NONE);
        let serials = |(uses, zones, records): crate::follower::Answers| {
            let counts = zones.into_iter().map(|(zone, (counts, _))| (zone, counts));
            (uses, counts.collect::<Vec<_>>(), records)
        };
        let (ours, theirs) = (answers(&cluster.compiler), answers(&expected.compiler));
        prop_assert_eq!(serials(ours), serials(theirs));

        let versions = cluster.compiler.resources().versions.keys().cloned();
        let versions = versions.map(|key| ObjectRef::new(Kind::TrafficPolicyVersion, key));
        let versions: Vec<ObjectRef> = versions.collect();
        let objects = leaving.iter().map(Resource::reference);
        for object in objects.chain(versions) {
            cluster.compiler.delete(&object);
            cluster.time += 1;
            cluster.follower.follow(&cluster.compiler.compile(cluster.time));
        }
        prop_assert_eq!(cluster.names(), NONE);
        prop_assert!(cluster.follower.verdicts.is_empty());
        prop_assert_eq!(cluster.compiler.held(), Vec::new());
    }
}

#[test]
fn labels_that_arrive_last_let_records_in() {
    let selector = "{from: Selector, selector: {matchLabels: {dns: 'yes'}}}";
    let zone = format!("{ZONE}  allowedRecords: [{{namespaces: {selector}}}]\n");
    let foreign = RECORD
        .replace("namespace: shop", "namespace: blog")
        .replace(
            "{name: example-com}",
            "{name: example-com, namespace: shop}",
        );
    let policy = POLICY.replace("namespace: shop", "namespace: blog");
    let mut cluster = Cluster::of(&[&zone, &foreign, &policy]);
    let www = ObjectKey::new("blog", "www");
    assert!(!cluster.is_ready(Kind::PolicyRecord, www.clone()));
    let labels = BTreeMap::from([("dns".to_owned(), "yes".to_owned())]);
    assert!(cluster.compiler.set_namespace_labels("blog", Some(labels)));
    cluster.settle();
    assert!(cluster.is_ready(Kind::PolicyRecord, www.clone()));
    cluster.compiler.set_namespace_labels("blog", None);
    cluster.settle();
    assert!(!cluster.is_ready(Kind::PolicyRecord, www));
    assert_eq!(cluster.names(), ["HostedZone/shop/example-com"]);
}

/// A record at www, created at that second.
fn record(name: &str, namespace: &str, second: u32) -> String {
    let metadata = format!(
        "{{name: {name}, namespace: {namespace}, creationTimestamp: '2026-01-01T00:00:{second:02}Z'}}"
    );
    RECORD
        .replace("{name: www, namespace: shop}", &metadata)
        .replace(
            "{name: example-com}",
            "{name: example-com, namespace: shop}",
        )
        .replace("{name: web}", "{name: web, namespace: shop}")
}

#[test]
fn an_object_made_anew_comes_after_those_that_stayed() {
    for together in [true, false] {
        let (old, young) = (record("a", "shop", 1), record("b", "shop", 2));
        let mut cluster = Cluster::of(&[ZONE, POLICY, &old, &young]);
        assert!(cluster.is_ready(Kind::PolicyRecord, key("a")));
        cluster.delete(Kind::PolicyRecord, key("a"));
        if !together {
            cluster.settle();
        }
        cluster.apply(&record("a", "shop", 3));
        cluster.settle();
        assert!(cluster.is_ready(Kind::PolicyRecord, key("b")), "{together}");
        assert_eq!(
            cluster.verdict(Kind::PolicyRecord, key("a")),
            "NameConflict spec.name: type A at www.example.com. is already served by PolicyRecord b"
        );
    }
}

#[test]
fn of_objects_as_old_as_each_other_the_first_by_name_has_the_name() {
    let zone = format!("{ZONE}  allowedRecords: [{{namespaces: {{from: All}}}}]\n");
    let set = "
apiVersion: watershed.dev/v1alpha1
kind: RecordSet
metadata: {name: x, namespace: blog, creationTimestamp: '2026-01-01T00:00:05Z'}
spec: {hostedZoneRef: {name: example-com, namespace: shop}, name: www, type: A, values: [192.0.2.7]}
";
    let rivals = [
        set.to_owned(),
        record("x", "blog", 5),
        record("a", "shop", 5),
        record("b", "shop", 5),
    ];
    let holders = [
        (Kind::RecordSet, ObjectKey::new("blog", "x")),
        (Kind::PolicyRecord, ObjectKey::new("blog", "x")),
        (Kind::PolicyRecord, key("a")),
        (Kind::PolicyRecord, key("b")),
    ];
    // Every rotation of them, forwards and backwards, compiled in between.
    for turn in 0..rivals.len() * 2 {
        let mut order = rivals.clone();
        order.rotate_left(turn % rivals.len());
        if turn >= rivals.len() {
            order.reverse();
        }
        let mut cluster = Cluster::of(&[&zone, POLICY]);
        cluster.compiler.set_grant(
            key("g"),
            Some(grant(
                ("PolicyRecord", "blog"),
                ("watershed.dev", "TrafficPolicy"),
                None,
            )),
        );
        for rival in &order {
            cluster.apply(rival);
            cluster.settle();
        }
        // One after the other leaves, and the next one has the name.
        for (index, (kind, holder)) in holders.iter().enumerate() {
            for (place, (kind, key)) in holders.iter().enumerate().skip(index) {
                let is_first = place == index;
                assert_eq!(
                    cluster.is_ready(*kind, key.clone()),
                    is_first,
                    "{turn} {key}"
                );
            }
            cluster.delete(*kind, holder.clone());
            cluster.settle();
        }
    }
}

/// A version that somebody wrote, with this address.
fn authored(address: &str) -> String {
    format!(
        "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicyVersion
metadata: {{name: web-v1, namespace: shop}}
spec:
  policyName: web
  version: 1
  document: {{recordTypes: [A], startEndpoint: a, endpoints: {{a: {{addresses: [{address}]}}}}}}
"
    )
}

#[test]
fn a_version_made_anew_is_another_one_unless_it_is_served() {
    let version = || key("web-v1");
    for together in [true, false] {
        let mut cluster = Cluster::of(&[ZONE, &authored("192.0.2.1")]);
        cluster.delete(Kind::TrafficPolicyVersion, version());
        if !together {
            cluster.settle();
        }
        cluster.apply(&authored("192.0.2.2"));
        cluster.apply(RECORD);
        cluster.settle();
        assert!(cluster.is_ready(Kind::TrafficPolicyVersion, version()));
        assert_eq!(cluster.addresses("web-v1"), ["192.0.2.2"]);

        // Now it is served, and stays as it is until the record has moved.
        cluster.delete(Kind::TrafficPolicyVersion, version());
        if !together {
            cluster.settle();
        }
        cluster.apply(&authored("192.0.2.3"));
        cluster.settle();
        assert_eq!(cluster.addresses("web-v1"), ["192.0.2.2"]);
        assert_eq!(
            cluster.verdict(Kind::TrafficPolicyVersion, version()),
            "VersionConflict spec.document: a version may not change; make a new version under a \
             new number"
        );
        cluster.delete(Kind::PolicyRecord, key("www"));
        cluster.settle();
        assert!(cluster.is_ready(Kind::TrafficPolicyVersion, version()));
        cluster.apply(RECORD);
        cluster.settle();
        assert_eq!(cluster.addresses("web-v1"), ["192.0.2.3"]);
    }
}

#[test]
fn an_edit_of_a_version_can_be_taken_back() {
    let mut cluster = Cluster::of(&[ZONE, RECORD, &authored("192.0.2.1")]);
    cluster.apply(&authored("192.0.2.2"));
    cluster.settle();
    assert!(!cluster.is_ready(Kind::TrafficPolicyVersion, key("web-v1")));
    assert_eq!(cluster.addresses("web-v1"), ["192.0.2.1"]);
    cluster.apply(&authored("192.0.2.1"));
    cluster.settle();
    assert!(cluster.is_ready(Kind::TrafficPolicyVersion, key("web-v1")));
}

#[test]
fn a_version_that_goes_while_it_is_served_is_served_until_its_records_move() {
    let mut cluster = Cluster::of(&[ZONE, POLICY, RECORD]);
    let serial = cluster.serial();
    cluster.delete(Kind::TrafficPolicyVersion, key("web-v1"));
    cluster.delete(Kind::TrafficPolicy, key("web"));
    cluster.settle();
    assert_eq!(cluster.addresses("web-v1"), ["192.0.2.1", "2001:db8::1"]);
    assert_eq!(cluster.serial(), serial, "nothing in the zone differs");
    assert!(!cluster.is_ready(Kind::PolicyRecord, key("www")));
    let uses = cluster.compiler.in_use(&key("web-v1"));
    assert!(uses.records.contains(&key("www")));
    // Its number is not given again.
    cluster.apply(&POLICY.replace("192.0.2.1", "192.0.2.2"));
    cluster.settle();
    assert!(
        cluster
            .compiler
            .resources()
            .versions
            .contains_key(&key("web-v2"))
    );
    cluster.apply(&RECORD.replace("version: 1", "version: 2"));
    cluster.settle();
    assert_eq!(
        cluster.names(),
        [
            "HostedZone/shop/example-com",
            "PolicyRecord/shop/www",
            "TrafficPolicyVersion/shop/web-v2"
        ]
    );
    assert!(cluster.serial() > serial);
}

#[test]
fn a_zone_that_goes_takes_its_names_along_and_brings_them_back() {
    let zone = ZONE.to_owned() + "  records:\n  - {name: a, type: A, values: [192.0.2.1]}\n";
    for together in [true, false] {
        let mut cluster = Cluster::of(&[&zone, POLICY, RECORD]);
        let (before, serial) = (cluster.served(), cluster.serial());
        assert_eq!(before.len(), 4);
        cluster.delete(Kind::HostedZone, key("example-com"));
        if !together {
            cluster.settle();
            assert_eq!(cluster.names(), NONE);
            assert_eq!(
                cluster.verdict(Kind::PolicyRecord, key("www")),
                "ZoneNotFound spec.hostedZoneRef: there is no zone shop/example-com"
            );
            let used = cluster.compiler.in_use(&key("web-v1"));
            assert!(used.is_used(), "the record still asks for it");
        }
        cluster.apply(&zone);
        cluster.settle();
        assert_eq!(differences(&cluster.served(), &before), NONE);
        // A zone that is the same all the time keeps its number.
        assert_eq!(cluster.serial() > serial, !together);
    }
}

const GATEWAY: &str = "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: web, namespace: shop}
spec:
  document:
    recordTypes: [A]
    startRule: r
    rules:
      r: {type: MultiValue, branches: [{endpoint: a}, {endpoint: b}]}
    endpoints:
      a: {objectRef: {kind: Gateway, name: public, namespace: infra}}
      b: {addresses: [192.0.2.9]}
";

#[test]
fn what_a_grant_gave_is_withdrawn_with_it() {
    let mut cluster = Cluster::of(&[ZONE, GATEWAY, RECORD]);
    let to_gateway = (ObjectKey::new("infra", "g"), gateway_grant());
    let address = watershed_compile::ObjectAddress::Ip([192, 0, 2, 77].into());
    cluster
        .compiler
        .set_object_addresses(gateway(), Some(vec![address]));
    cluster.settle();
    assert!(!cluster.is_ready(Kind::PolicyRecord, key("www")));
    cluster
        .compiler
        .set_grant(to_gateway.0.clone(), Some(to_gateway.1));
    cluster.settle();
    assert!(cluster.is_ready(Kind::PolicyRecord, key("www")));
    assert_eq!(cluster.addresses("web-v1"), ["192.0.2.77", "192.0.2.9"]);
    // Addresses that are lost stay in use; those that are not shared do not.
    cluster
        .compiler
        .set_object_addresses(gateway(), Some(Vec::new()));
    cluster.settle();
    assert_eq!(cluster.addresses("web-v1"), ["192.0.2.77", "192.0.2.9"]);
    cluster.compiler.set_grant(to_gateway.0, None);
    cluster.settle();
    assert_eq!(cluster.addresses("web-v1"), ["192.0.2.9"]);
    let verdict = cluster.verdict(Kind::TrafficPolicyVersion, key("web-v1"));
    assert!(verdict.starts_with("RefNotPermitted"), "{verdict}");
}

fn gateway_grant() -> watershed_compile::Grant {
    let to = ("gateway.networking.k8s.io", "Gateway");
    grant(("TrafficPolicy", "shop"), to, Some("public"))
}

const ALIAS: &str = "
apiVersion: watershed.dev/v1alpha1
kind: RecordSet
metadata: {name: pay, namespace: shop}
spec: {hostedZoneRef: {name: example-com}, name: pay, type: A, aliasTo: {policyRecordRef: {name: foreign, namespace: blog}}}
";

#[test]
fn a_policy_that_is_not_shared_any_more_is_withdrawn_with_its_aliases() {
    let zone = format!("{ZONE}  allowedRecords: [{{namespaces: {{from: All}}}}]\n");
    let foreign = record("foreign", "blog", 1);
    let shared = grant(
        ("PolicyRecord", "blog"),
        ("watershed.dev", "TrafficPolicy"),
        None,
    );
    let mut cluster = Cluster::of(&[&zone, POLICY, &foreign, ALIAS]);
    assert_eq!(cluster.names(), ["HostedZone/shop/example-com"]);
    let unshare = |cluster: &mut Cluster| {
        cluster.compiler.set_grant(key("g"), None);
    };
    let close_zone = |cluster: &mut Cluster| cluster.apply(ZONE);
    for close in [unshare as fn(&mut Cluster), close_zone] {
        cluster.compiler.set_grant(key("g"), Some(shared.clone()));
        cluster.apply(&zone);
        cluster.settle();
        assert!(cluster.is_ready(Kind::RecordSet, key("pay")));
        assert_eq!(cluster.names().len(), 4);
        close(&mut cluster);
        cluster.settle();
        assert_eq!(cluster.names(), ["HostedZone/shop/example-com"]);
    }
}

#[test]
fn a_policy_that_comes_back_begins_anew_when_nothing_is_left_of_it() {
    let declared = POLICY.replace("spec:\n", "spec:\n  version: 1\n");
    let mut cluster = Cluster::of(&[ZONE, &declared]);
    assert!(cluster.is_ready(Kind::TrafficPolicy, key("web")));
    cluster.delete(Kind::TrafficPolicy, key("web"));
    cluster.delete(Kind::TrafficPolicyVersion, key("web-v1"));
    cluster.settle();
    cluster.apply(&declared.replace("192.0.2.1", "192.0.2.2"));
    cluster.settle();
    assert!(cluster.is_ready(Kind::TrafficPolicy, key("web")));
    assert!(cluster.is_ready(Kind::TrafficPolicyVersion, key("web-v1")));
    // As long as there is a policy, its numbers are not given again.
    cluster.delete(Kind::TrafficPolicyVersion, key("web-v1"));
    cluster.settle();
    assert!(!cluster.is_ready(Kind::TrafficPolicy, key("web")));
}

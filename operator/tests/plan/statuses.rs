//! Objects as they look to those who watch them, in a file for the test of the
//! tools that do (`checks/tests/gitops.rs`).

use std::collections::BTreeMap;
use std::path::Path;

use jiff::SignedDuration;
use serde_json::Value;
use watershed_operator::object::ObjectKind::{
    self, CIDRCollection, DNSFleet, HealthCheck, HostedZone, PolicyRecord, RecordSet,
    TrafficPolicy, TrafficPolicyVersion,
};

use crate::cluster::Cluster;
use crate::{ZONE, policy, record, started};

const OTHERS: &str = "
apiVersion: watershed.dev/v1alpha1
kind: RecordSet
metadata: {name: text, namespace: shop}
spec:
  hostedZoneRef: {name: example-com}
  name: text
  type: TXT
  ttlSeconds: 300
  values: [hello]
---
apiVersion: watershed.dev/v1alpha1
kind: HealthCheck
metadata: {name: https, namespace: shop}
spec:
  http: {path: /healthz}
---
apiVersion: watershed.dev/v1alpha1
kind: CIDRCollection
metadata: {name: offices, namespace: shop}
spec:
  locations: {headquarters: [203.0.113.0/25]}
";

const FLEET: &str = "
apiVersion: watershed.dev/v1alpha1
kind: DNSFleet
metadata: {name: default, namespace: shop}
spec: {minProgrammedPercent: 100, nodeStaleSeconds: 120}
";

/// `scripts/generate` sets `WATERSHED_GENERATE`: then the file is written
/// instead of compared.
#[test]
fn watchers_see_what_the_file_has() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan/statuses.yaml");
    let text = serde_yaml::to_string(&statuses()).expect("YAML");
    if std::env::var_os("WATERSHED_GENERATE").is_some() {
        std::fs::write(&path, text).expect("it can be written");
        return;
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        text, known,
        "run `make generate` and look at the difference"
    );
}

/// The objects by what is shown.
fn statuses() -> BTreeMap<&'static str, Value> {
    let mut shown = BTreeMap::new();
    all_is_well(&mut shown);
    under_way(&mut shown);
    without_nodes(&mut shown);
    for_a_person(&mut shown);
    held_while_in_use(&mut shown);
    shown
}

type Shown = BTreeMap<&'static str, Value>;

fn all_is_well(shown: &mut Shown) {
    let mut cluster = started();
    cluster.apply(OTHERS);
    cluster.settle();
    let objects: [(&str, ObjectKind, &str); 7] = [
        ("record, served", PolicyRecord, "www"),
        ("zone, served", HostedZone, "example-com"),
        ("policy, minted", TrafficPolicy, "web"),
        ("version, accepted", TrafficPolicyVersion, "web-v1"),
        ("record set, served", RecordSet, "text"),
        ("health check, without targets", HealthCheck, "https"),
        ("blocks, accepted", CIDRCollection, "offices"),
    ];
    for (name, kind, object) in objects {
        shown.insert(name, seen(&cluster, kind, object));
    }
}

fn under_way(shown: &mut Shown) {
    let mut cluster = started();
    cluster.apply(&record("blog", 1));
    shown.insert("record, not seen yet", seen(&cluster, PolicyRecord, "blog"));
    cluster.apply(&record("www", 9));
    shown.insert("record, edited", seen(&cluster, PolicyRecord, "www"));
    cluster.settle();
    let waiting = seen(&cluster, PolicyRecord, "www");
    shown.insert("record, version on its way", waiting);
    let mut cluster = Cluster::new();
    cluster.nodes.programmed = 1;
    for object in [ZONE, &policy("192.0.2.1"), &record("www", 1)] {
        cluster.apply(object);
    }
    cluster.settle();
    let programming = seen(&cluster, PolicyRecord, "www");
    shown.insert("record, on one node of three", programming);
    shown.insert(
        "zone, on one node of three",
        seen(&cluster, HostedZone, "example-com"),
    );
}

fn without_nodes(shown: &mut Shown) {
    let mut cluster = Cluster::new();
    cluster.apply(FLEET);
    cluster.settle();
    shown.insert("fleet, without nodes", seen(&cluster, DNSFleet, "default"));
}

fn for_a_person(shown: &mut Shown) {
    let mut cluster = started();
    cluster.apply(&record("www", 9));
    cluster.settle();
    cluster.now += SignedDuration::from_mins(11);
    cluster.look_at_everything();
    let missing = seen(&cluster, PolicyRecord, "www");
    shown.insert("record, version missing for long", missing);
    cluster.apply(&record("twin", 1).replace("name: twin\n", "name: api\n"));
    cluster.settle();
    shown.insert("record, name taken", seen(&cluster, PolicyRecord, "twin"));
}

fn held_while_in_use(shown: &mut Shown) {
    let mut cluster = started();
    cluster.delete(TrafficPolicyVersion, "web-v1");
    cluster.delete(HostedZone, "example-com");
    cluster.settle();
    let version = seen(&cluster, TrafficPolicyVersion, "web-v1");
    shown.insert("version, deleted while in use", version);
    let zone = seen(&cluster, HostedZone, "example-com");
    shown.insert("zone, deleted while in use", zone);
}

/// An object as a client has it, without who wrote what.
fn seen(cluster: &Cluster, kind: ObjectKind, name: &str) -> Value {
    let mut object = cluster.get(kind, name).expect("the object").clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    object
}

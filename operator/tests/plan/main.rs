//! Plans: what is written when, and that it comes to rest.

#![allow(unreachable_pub, missing_docs)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail a test"
)]

mod cluster;
mod health;
mod statuses;

use serde_json::json;
use watershed_operator::object::ObjectKind::{
    HostedZone, PolicyRecord, TrafficPolicy, TrafficPolicyVersion,
};
use watershed_snapshot::{ResourceKind, ResourceName};

use self::cluster::Cluster;

const ZONE: &str = "
apiVersion: watershed.dev/v1alpha1
kind: HostedZone
metadata: {name: example-com, namespace: shop}
spec:
  domain: example.com
  fleetName: default
  soa: {adminEmail: hostmaster@example.com}
  nameservers: {names: [ns1.example.net]}
";

fn policy(address: &str) -> String {
    format!(
        "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {{name: web, namespace: shop, annotations: {{watershed.dev/author: dana@example.com}}}}
spec:
  versionHistoryLimit: 1
  document:
    recordTypes: [A]
    startEndpoint: one
    endpoints: {{one: {{addresses: [{address}]}}}}
"
    )
}

fn record(name: &str, version: u32) -> String {
    format!(
        "
apiVersion: watershed.dev/v1alpha1
kind: PolicyRecord
metadata: {{name: {name}, namespace: shop}}
spec:
  hostedZoneRef: {{name: example-com}}
  name: {name}
  ttlSeconds: 60
  policyRef: {{name: web}}
  version: {version}
"
    )
}

/// A zone, a policy with one version, and two records that serve it.
fn started() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.apply(ZONE);
    cluster.apply(&policy("192.0.2.1"));
    cluster.apply(&record("www", 1));
    cluster.apply(&record("api", 1));
    cluster.settle();
    cluster
}

#[test]
fn objects_come_to_rest_and_stay_so() {
    let mut cluster = started();
    let www = cluster.get(PolicyRecord, "www").expect("www");
    assert_eq!(www["status"]["activeVersion"], 1);
    assert_eq!(www["status"]["fleet"]["summary"], "3/3");
    assert_eq!(
        cluster.condition(PolicyRecord, "www", "Ready"),
        "Ready=True Programmed: version 1 on 3 of 3 nodes"
    );
    assert_eq!(
        cluster.condition(PolicyRecord, "www", "Stalled"),
        "no Stalled"
    );
    let version = cluster
        .get(TrafficPolicyVersion, "web-v1")
        .expect("the version");
    assert_eq!(version["status"]["source"]["author"], "dana@example.com");
    assert_eq!(version["status"]["origin"], "Minted");
    assert_eq!(version["status"]["records"]["total"], 2);
    assert_eq!(
        version["metadata"]["finalizers"],
        json!(["watershed.dev/in-use"])
    );
    assert_eq!(version["metadata"]["ownerReferences"][0]["name"], "web");
    assert_eq!(version["metadata"].get("labels"), None);
    assert!(cluster.look_at_everything().is_empty());
}

#[test]
fn whatever_the_order_the_end_is_the_same() {
    let objects = [
        ZONE.to_owned(),
        policy("192.0.2.1"),
        record("www", 1),
        record("api", 1),
    ];
    let orders = [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]];
    let ends = orders.map(|order| {
        let mut cluster = Cluster::new();
        for index in order {
            cluster.apply(&objects[index]);
            cluster.settle();
        }
        cluster.look_at_everything();
        ["www", "api"].map(|name| cluster.get(PolicyRecord, name).expect("it")["status"].clone())
    });
    for end in &ends {
        assert_eq!(*end, ends[0]);
    }
}

#[test]
fn an_edit_writes_nothing_to_records_that_are_pinned() {
    let mut cluster = started();
    cluster.apply(&policy("192.0.2.2"));
    let written = cluster.settle();
    assert!(
        written.contains(&"make TrafficPolicyVersion shop/web-v2".to_owned()),
        "{written:?}"
    );
    let records: Vec<_> = written
        .iter()
        .filter(|line| line.contains("PolicyRecord"))
        .collect();
    assert!(records.is_empty(), "{records:?}");
    cluster.apply(&record("www", 2));
    let written = cluster.settle();
    assert!(
        !written.iter().any(|line| line.contains("shop/api")),
        "{written:?}"
    );
    let www = cluster.get(PolicyRecord, "www").expect("www");
    assert_eq!(www["status"]["history"][0]["cause"], "Rollout");
    cluster.apply(&record("www", 1));
    cluster.settle();
    let www = cluster.get(PolicyRecord, "www").expect("www");
    assert_eq!(www["status"]["history"][0]["cause"], "Rollback");
    assert_eq!(www["status"]["activeVersion"], 1);
}

#[test]
fn the_same_document_again_makes_nothing() {
    let mut cluster = started();
    cluster.apply(&policy("192.0.2.2"));
    cluster.settle();
    cluster.apply(&policy("192.0.2.1"));
    let written = cluster.settle();
    assert!(
        !written.iter().any(|line| line.starts_with("make")),
        "{written:?}"
    );
    let policy = cluster.get(TrafficPolicy, "web").expect("the policy");
    assert_eq!(policy["status"]["mintedVersion"], 1);
    assert_eq!(policy["status"]["highestVersion"], 2);
}

#[test]
fn a_version_in_use_is_held_until_it_is_free() {
    let mut cluster = started();
    cluster.apply(&policy("192.0.2.2"));
    cluster.settle();
    cluster.delete(TrafficPolicyVersion, "web-v1");
    cluster.settle();
    assert_eq!(
        cluster.condition(TrafficPolicyVersion, "web-v1", "Ready"),
        "Ready=False InUse: deletion waits: in use by 2 PolicyRecords"
    );
    cluster.apply(&record("www", 2));
    cluster.apply(&record("api", 2));
    cluster.settle();
    assert_eq!(cluster.get(TrafficPolicyVersion, "web-v1"), None);
    cluster.delete(HostedZone, "example-com");
    cluster.settle();
    assert_eq!(
        cluster.condition(HostedZone, "example-com", "Ready"),
        "Ready=False InUse: deletion waits: 2 objects in the zone"
    );
    for name in ["www", "api"] {
        cluster.delete(PolicyRecord, name);
    }
    cluster.settle();
    assert_eq!(cluster.get(HostedZone, "example-com"), None);
}

#[test]
fn a_version_that_somebody_else_applies_is_theirs() {
    let mut cluster = started();
    let version = cluster
        .get(TrafficPolicyVersion, "web-v1")
        .expect("the version")
        .clone();
    cluster.apply(&version.to_string());
    assert_eq!(cluster.settle()[0], "hold TrafficPolicyVersion shop/web-v1");
    let version = cluster
        .get(TrafficPolicyVersion, "web-v1")
        .expect("the version");
    assert_eq!(version["metadata"]["ownerReferences"], json!([]));
    assert_eq!(
        version["metadata"]["finalizers"],
        json!(["watershed.dev/in-use"])
    );
    assert_eq!(version["status"]["origin"], "Authored");
    assert!(cluster.look_at_everything().is_empty());
}

#[test]
fn minted_versions_beyond_the_limit_go_unless_a_record_may_return_to_them() {
    let mut cluster = started();
    for number in 2..=6 {
        cluster.apply(&policy(&format!("192.0.2.{number}")));
        cluster.settle();
    }
    let left = |cluster: &Cluster| -> Vec<u32> {
        let name = |number: &u32| format!("web-v{number}");
        (1..=6)
            .filter(|n| cluster.get(TrafficPolicyVersion, &name(n)).is_some())
            .collect()
    };
    // In use, one that is kept, and the working document.
    assert_eq!(left(&cluster), [1, 5, 6]);
    cluster.apply(&record("www", 6));
    cluster.apply(&record("api", 6));
    cluster.settle();
    cluster.apply(&policy("192.0.2.7"));
    cluster.settle();
    assert_eq!(
        left(&cluster),
        [1, 5, 6],
        "1 is in the history of two records"
    );
}

#[test]
fn what_becomes_of_nodes_later_is_not_written_to_records() {
    let mut cluster = started();
    cluster.nodes.programmed = 1;
    let written = cluster.look_at_everything();
    assert!(written.is_empty(), "{written:?}");
}

#[test]
fn a_refusal_names_the_node_and_its_reason() {
    let mut cluster = started();
    let name = ResourceName::new(ResourceKind::PolicyRecord, "shop", "www");
    cluster.nodes.rejected.push((name, "refused by --refuse"));
    cluster.apply(&policy("192.0.2.2"));
    cluster.settle();
    cluster.apply(&record("www", 2));
    cluster.settle();
    assert_eq!(
        cluster.condition(PolicyRecord, "www", "Programmed"),
        "Programmed=False RejectedByNodes: node dns-1: refused by --refuse"
    );
    let www = cluster.get(PolicyRecord, "www").expect("www");
    assert_eq!(
        (
            &www["status"]["activeVersion"],
            &www["status"]["targetVersion"]
        ),
        (&json!(1), &json!(2))
    );
    assert!(
        cluster
            .condition(PolicyRecord, "www", "Ready")
            .ends_with("version 1 is served at www.example.com."),
        "{}",
        cluster.condition(PolicyRecord, "www", "Ready")
    );
}

#[test]
fn trouble_is_named_and_what_is_served_meanwhile() {
    let mut cluster = started();
    cluster.apply(&record("www", 9));
    cluster.settle();
    insta::assert_snapshot!(
        cluster.condition(PolicyRecord, "www", "Ready"),
        @"Ready=False VersionNotFound: spec.version: policy web has no version 9; version 1 is served at www.example.com."
    );
    assert_eq!(
        cluster.get(PolicyRecord, "www").expect("www")["status"]["activeVersion"],
        1
    );
}

#[test]
fn a_plan_is_told_in_lines() {
    let mut cluster = started();
    cluster.apply(&policy("192.0.2.2"));
    cluster.apply(&record("www", 2));
    cluster.apply(&record("blog", 1));
    let before = cluster.get(PolicyRecord, "www").cloned();
    insta::assert_snapshot!(watershed_operator::plan::foresee(&mut cluster.world, cluster.now), @"
    hold     TrafficPolicyVersion shop/web-v2  (in use: it cannot be deleted)
    make     TrafficPolicyVersion shop/web-v2  (made version 2 of generation 2)
    status   HostedZone shop/example-com  Accepted=True Accepted: own records: 0, RecordSets: 0, PolicyRecords: 3
    status   PolicyRecord shop/blog  Accepted=True Accepted, ResolvedRefs=True Resolved, serves version 1
    status   PolicyRecord shop/www  serves version 2 in place of 1
    status   TrafficPolicyVersion shop/web-v2  Accepted=True Accepted: 0 rules, 1 endpoint, depth 0, ResolvedRefs=True Resolved
    6 things to do
    ");
    assert_eq!(cluster.get(PolicyRecord, "www").cloned(), before);
}

//! A small world of objects that get in each other's way, and edits of it.

use std::collections::BTreeMap;
use std::fmt;

use proptest::prelude::*;
use watershed_compile::{
    Compiler, Grant, GrantFrom, GrantTo, ObjectAddress, ObjectAddressKey, ObjectKey, Resource,
};

use crate::support::objects;

/// One edit.
#[derive(Clone)]
pub(crate) enum Step {
    /// Of an object, as its manifest.
    Apply(String),
    Delete(String),
    /// Whether namespace `blog` has the label that zones ask for.
    Label(bool),
    /// Whether `shop` and `infra` share what they have with `blog` and `shop`.
    Grants(bool),
    /// Addresses of the Gateway `infra/public`.
    Addresses(Option<Vec<ObjectAddress>>),
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apply(manifest) => write!(f, "apply {manifest}"),
            Self::Delete(manifest) => {
                let object = objects(manifest).remove(0);
                write!(f, "delete {}", object.reference())
            }
            Self::Label(on) => write!(f, "label {on}"),
            Self::Grants(on) => write!(f, "grants {on}"),
            Self::Addresses(addresses) => write!(f, "addresses {addresses:?}"),
        }
    }
}

impl Step {
    pub(crate) fn take(&self, compiler: &mut Compiler) {
        match self.clone() {
            Self::Apply(manifest) => {
                compiler.apply(objects(&manifest).remove(0));
            }
            Self::Delete(manifest) => {
                compiler.delete(&objects(&manifest).remove(0).reference());
            }
            Self::Label(on) => {
                let labels = BTreeMap::from([("dns".to_owned(), "yes".to_owned())]);
                compiler.set_namespace_labels("blog", on.then_some(labels));
            }
            Self::Grants(on) => {
                for (namespace, from, to) in [
                    (
                        "shop",
                        ("PolicyRecord", "blog"),
                        ("watershed.dev", "TrafficPolicy"),
                    ),
                    (
                        "infra",
                        ("TrafficPolicy", "shop"),
                        ("gateway.networking.k8s.io", "Gateway"),
                    ),
                ] {
                    let grant = grant(from, to, None);
                    compiler.set_grant(ObjectKey::new(namespace, "g"), on.then_some(grant));
                }
            }
            Self::Addresses(addresses) => {
                compiler.set_object_addresses(gateway(), addresses);
            }
        }
    }
}

pub(crate) fn gateway() -> ObjectAddressKey {
    ObjectAddressKey {
        group: "gateway.networking.k8s.io".to_owned(),
        kind: "Gateway".to_owned(),
        namespace: "infra".to_owned(),
        name: "public".to_owned(),
    }
}

/// A grant from objects of this API to objects of a group and kind.
pub(crate) fn grant(from: (&str, &str), to: (&str, &str), name: Option<&str>) -> Grant {
    Grant {
        from: vec![GrantFrom {
            group: "watershed.dev".to_owned(),
            kind: from.0.to_owned(),
            namespace: from.1.to_owned(),
        }],
        to: vec![GrantTo {
            group: to.0.to_owned(),
            kind: to.1.to_owned(),
            name: name.map(str::to_owned),
        }],
    }
}

fn manifest(kind: &str, metadata: &str, spec: &str) -> String {
    format!(
        "apiVersion: watershed.dev/v1alpha1\nkind: {kind}\nmetadata: {{{metadata}}}\nspec: {{{spec}}}\n"
    )
}

/// Metadata of an object created at some second.
fn named(name: &str, namespace: &str, second: u32) -> String {
    format!(
        "name: {name}, namespace: {namespace}, generation: {second}, \
         creationTimestamp: '2026-01-01T00:00:{second:02}Z'"
    )
}

fn zones() -> Vec<String> {
    let mut zones = Vec::new();
    let servers = "nameservers: {names: [ns1.example.com, ns2.example.net]}";
    for extra in [
        "",
        "records: [{name: '@', type: A, aliasTo: {policyRecordRef: {name: www}}}, {name: x, type: A, aliasTo: {name: y}}, {name: y, type: A, aliasTo: {name: www}}, {name: www, type: TXT, values: [zone]}]",
        "records: [{name: x, type: A, aliasTo: {name: y}}, {name: y, type: A, aliasTo: {name: x}}, {name: www, type: A, values: [192.0.2.9]}, {name: www, type: A, values: [192.0.2.8]}]",
        "records: [{name: ns1, type: A, values: [192.0.2.53]}, {name: y, type: AAAA, values: [x]}]",
        "allowedRecords: [{namespaces: {from: All}, kinds: [PolicyRecord, RecordSet, HostedZone]}]",
        "allowedRecords: [{namespaces: {from: All}, types: [TXT, A]}]",
        "allowedRecords: [{namespaces: {from: Selector, selector: {matchLabels: {dns: 'yes'}}}}]",
    ] {
        let spec = format!("domain: example.com, {servers}, {extra}");
        zones.push(manifest("HostedZone", &named("main", "shop", 20), &spec));
    }
    let broken = "domain: example.com, nameservers: {names: ['ns 1']}";
    zones.push(manifest("HostedZone", &named("main", "shop", 20), broken));
    for (name, namespace, second, domain) in [
        ("twin", "blog", 10, "example.com"),
        ("twin", "blog", 30, "example.com"),
        ("sub", "shop", 10, "sub.example.com"),
        ("sub", "blog", 30, "sub.example.com"),
    ] {
        let spec = format!("domain: {domain}, {servers}");
        zones.push(manifest(
            "HostedZone",
            &named(name, namespace, second),
            &spec,
        ));
    }
    zones
}

const A: &str =
    "document: {recordTypes: [A], startEndpoint: a, endpoints: {a: {addresses: [192.0.2.1]}}}";
const BOTH: &str = "document: {recordTypes: [A, AAAA], startEndpoint: a, endpoints: {a: {addresses: [192.0.2.1, '2001:db8::1']}}}";
const BLOCKS: &str = "document: {recordTypes: [A], startRule: r, rules: {r: {type: CIDR, cidrCollectionRef: {name: offices}, branches: [{cidrLocation: hq, endpoint: a}, {default: true, endpoint: a}]}}, endpoints: {a: {addresses: [192.0.2.1], healthCheckRef: {name: hc}}}}";
const CHECKED: &str = "document: {recordTypes: [A], startRule: r, rules: {r: {type: Failover, branches: [{rule: s, healthCheckRef: {name: sum}}, {endpoint: a}]}, s: {type: Failover, branches: [{endpoint: a}, {endpoint: b}]}}, endpoints: {a: {addresses: [192.0.2.1], healthCheckRef: {name: hc}}, b: {addresses: [192.0.2.2]}}}";
const OBJECT: &str = "document: {recordTypes: [A], startEndpoint: a, endpoints: {a: {objectRef: {kind: Gateway, name: public, namespace: infra}}}}";
const RECORD: &str = "document: {recordTypes: [A], startEndpoint: a, endpoints: {a: {policyRecordRef: {name: other}}}}";

fn policies() -> Vec<String> {
    let mut manifests = Vec::new();
    for spec in [
        "channels: {stable: 1}",
        "channels: {stable: 2}",
        A,
        BLOCKS,
        CHECKED,
        OBJECT,
    ] {
        manifests.push(manifest("TrafficPolicy", &named("web", "shop", 1), spec));
    }
    for (number, document) in [
        (1, A),
        (1, BOTH),
        (2, BLOCKS),
        (3, OBJECT),
        (4, RECORD),
        (5, BOTH),
        (6, CHECKED),
    ] {
        let metadata = named(&format!("web-v{number}"), "shop", number);
        let spec = format!("policyName: web, version: {number}, {document}");
        manifests.push(manifest("TrafficPolicyVersion", &metadata, &spec));
    }
    manifests
}

fn records() -> Vec<String> {
    let mut manifests = Vec::new();
    let record = |name: &str, namespace: &str, second, owner: &str, spec: &str| {
        let spec = format!(
            "hostedZoneRef: {{name: main, namespace: shop}}, name: {owner}, policyRef: {{name: web, namespace: shop}}, {spec}"
        );
        manifest("PolicyRecord", &named(name, namespace, second), &spec)
    };
    for spec in [
        "version: 1",
        "version: 1, ttlSeconds: 5",
        "version: 2",
        "version: 3",
        "version: 4",
        "version: 5",
        "channel: stable",
        "version: 6, failback: {mode: Manual}",
        "version: 1, ttl: {minSeconds: 5, maxSeconds: 60}",
        "channel: latest",
        "version: 9",
        "version: 9, paused: true",
        "version: 2, paused: true",
    ] {
        manifests.push(record("www", "shop", 5, "www", spec));
    }
    for (second, owner, spec) in [
        (4, "www", "version: 1"),
        (6, "www", "version: 5"),
        (6, "a.sub", "version: 1"),
        (6, "sub", "version: 3"),
    ] {
        manifests.push(record("other", "shop", second, owner, spec));
    }
    for (owner, spec) in [
        ("blog", "version: 1"),
        ("blog", "channel: latest"),
        ("www", "version: 3"),
    ] {
        manifests.push(record("foreign", "blog", 3, owner, spec));
    }
    let elsewhere = record("www", "shop", 5, "www", "version: 1");
    manifests.push(elsewhere.replace("name: main, namespace: shop", "name: twin, namespace: blog"));
    manifests
}

fn sets() -> Vec<String> {
    let mut manifests = Vec::new();
    for (name, namespace, owner, spec) in [
        (
            "set",
            "shop",
            "pay",
            "type: A, aliasTo: {policyRecordRef: {name: www}}",
        ),
        (
            "set",
            "shop",
            "pay",
            "type: A, aliasTo: {policyRecordRef: {name: foreign, namespace: blog}}",
        ),
        ("set", "shop", "pay", "type: A, aliasTo: {name: blog}"),
        ("set", "shop", "pay", "type: AAAA, aliasTo: {name: x}"),
        ("set", "shop", "y", "type: A, values: [192.0.2.3]"),
        ("set", "shop", "www", "type: CNAME, values: [a.example.net]"),
        ("set", "shop", "www", "type: TXT, values: [x]"),
        ("set", "shop", "www.sub", "type: TXT, values: [x]"),
        ("text", "blog", "www", "type: TXT, values: [y]"),
        ("text", "blog", "'@'", "type: A, values: [192.0.2.7]"),
    ] {
        let spec = format!("hostedZoneRef: {{name: main, namespace: shop}}, name: {owner}, {spec}");
        manifests.push(manifest("RecordSet", &named(name, namespace, 7), &spec));
    }
    manifests
}

fn others() -> Vec<String> {
    vec![
        manifest(
            "CIDRCollection",
            "name: offices, namespace: shop",
            "locations: {hq: [203.0.113.0/24]}",
        ),
        manifest(
            "CIDRCollection",
            "name: offices, namespace: shop",
            "locations: {hq: [198.51.100.0/24]}",
        ),
        manifest(
            "CIDRCollection",
            "name: offices, namespace: shop",
            "locations: {lab: [x]}",
        ),
        manifest("HealthCheck", "name: hc, namespace: shop", "tcp: {port: 1}"),
        manifest(
            "HealthCheck",
            "name: hc, namespace: shop",
            "tcp: {port: 1}, http: {port: 2}",
        ),
        manifest(
            "HealthCheck",
            "name: hc, namespace: shop",
            "tcp: {port: 1}, address: 192.0.2.5",
        ),
        manifest(
            "HealthCheck",
            "name: hc, namespace: shop",
            "calculated: {healthChecks: [up], minHealthy: 1}",
        ),
        manifest(
            "HealthCheck",
            "name: sum, namespace: shop",
            "calculated: {healthChecks: [hc], minHealthy: 1}",
        ),
        manifest(
            "HealthCheck",
            "name: sum, namespace: shop",
            "calculated: {healthChecks: [hc, up], minHealthy: 3}",
        ),
        manifest(
            "HealthCheck",
            "name: up, namespace: shop",
            "prometheus: {url: 'http://prometheus', query: up, min: '1'}",
        ),
    ]
}

fn manifests() -> Vec<String> {
    [zones(), policies(), records(), sets(), others()].concat()
}

/// All forms of all objects.
pub(crate) fn everything() -> Vec<Resource> {
    objects(&manifests().join("---\n"))
}

/// Any edit; objects are applied more often than deleted.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    let object = || prop::sample::select(manifests());
    let addresses = vec![
        None,
        Some(vec![]),
        Some(vec![ObjectAddress::Ip([192, 0, 2, 77].into())]),
        Some(vec![ObjectAddress::Hostname("lb.example.net".to_owned())]),
    ];
    prop_oneof![
        8 => object().prop_map(Step::Apply),
        3 => object().prop_map(Step::Delete),
        1 => any::<bool>().prop_map(Step::Label),
        1 => any::<bool>().prop_map(Step::Grants),
        1 => prop::sample::select(addresses).prop_map(Step::Addresses),
    ]
}

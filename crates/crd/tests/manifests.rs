//! Manifests of every kind: what is sound passes and keeps all its fields,
//! and of what is not every fault is told.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use jsonschema::Validator;
use serde_json::{Value, json};
use support::{edited, manifest};
use watershed_crd::{KINDS, Manifest, ManifestError, schema_for, validation_schema};

fn strict(kind: &str) -> Validator {
    jsonschema::validator_for(&validation_schema(kind).unwrap()).unwrap()
}

/// Where the schema of its kind refuses a manifest, sorted.
fn refused(manifest: &Value) -> Vec<String> {
    let kind = manifest["kind"].as_str().unwrap();
    let validator = strict(kind);
    let errors = validator.iter_errors(manifest);
    let mut refused: Vec<String> = errors
        .map(|error| error.instance_path().as_str().to_owned())
        .collect();
    refused.sort();
    refused
}

#[test]
fn full_manifests_pass() {
    for kind in KINDS {
        let manifest = manifest(kind);
        let validator = strict(kind);
        let errors: Vec<_> = validator.iter_errors(&manifest).collect();
        assert!(errors.is_empty(), "{kind}: {errors:?}");
        // The strict schema leaves the status open; the definition does not.
        let validator = jsonschema::validator_for(&schema_for(kind).unwrap()).unwrap();
        let errors: Vec<_> = validator.iter_errors(&manifest).collect();
        assert!(errors.is_empty(), "{kind}: {errors:?}");
    }
}

/// A full manifest that misses a field of its spec would prove less.
#[test]
fn full_manifests_have_the_fields_of_their_spec() {
    // The ways to check are alternatives, and so are values and aliases.
    let alternatives = [
        "tcp",
        "grpc",
        "dns",
        "calculated",
        "endpointSlices",
        "prometheus",
        "aliasTo",
        "channel",
    ];
    for kind in KINDS {
        let schema = schema_for(kind).unwrap();
        let fields = schema["properties"]["spec"]["properties"]
            .as_object()
            .unwrap();
        let spec = &manifest(kind)["spec"];
        for name in fields.keys() {
            let there = spec.get(name).is_some() || alternatives.contains(&name.as_str());
            assert!(there, "{kind}: spec.{name}");
        }
    }
}

#[test]
fn manifests_pass_through_their_types_without_loss() {
    for kind in KINDS {
        let written = manifest(kind);
        let read = Manifest::from_value(written.clone()).unwrap();
        let again = serde_json::to_value(&read).unwrap();
        contains(kind, &again, &written);
        assert_eq!(Manifest::from_value(again).unwrap(), read, "{kind}");
    }
}

/// Everything written is read; defaults may have come in addition.
fn contains(at: &str, all: &Value, part: &Value) {
    match (all, part) {
        (Value::Object(all), Value::Object(part)) => {
            for (name, value) in part {
                let at = format!("{at}.{name}");
                contains(&at, all.get(name).unwrap_or(&Value::Null), value);
            }
        }
        (Value::Array(all), Value::Array(part)) => {
            assert_eq!(all.len(), part.len(), "{at}");
            for (index, (all, part)) in all.iter().zip(part).enumerate() {
                contains(&format!("{at}[{index}]"), all, part);
            }
        }
        _ => assert_eq!(all, part, "{at}"),
    }
}

#[test]
fn a_manifest_knows_what_it_is() {
    let policy = Manifest::from_value(manifest("TrafficPolicy")).unwrap();
    assert_eq!(policy.kind(), "TrafficPolicy");
    assert_eq!(policy.name(), "storefront");
    assert_eq!(policy.namespace(), Some("web"));
    let nameless = edited("DNSFleet", &[("/metadata", json!({}))]);
    let fleet = Manifest::from_value(nameless).unwrap();
    assert_eq!((fleet.name(), fleet.namespace()), ("", None));
}

#[test]
fn other_objects_are_refused() {
    let refusal = |value| Manifest::from_value(value).unwrap_err();
    assert!(matches!(
        refusal(json!({})),
        ManifestError::Untyped("apiVersion")
    ));
    let kindless = json!({"apiVersion": "watershed.dev/v1alpha1"});
    assert!(matches!(refusal(kindless), ManifestError::Untyped("kind")));
    let secret = refusal(json!({"apiVersion": "v1", "kind": "Secret"}));
    assert_eq!(
        secret.to_string(),
        "the API version is `watershed.dev/v1alpha1`, not `v1`"
    );
    let unknown = refusal(edited("DNSFleet", &[("/kind", json!("Fleet"))]));
    assert!(
        unknown
            .to_string()
            .starts_with("there is no kind `Fleet`; the kinds are CIDR")
    );
    let broken = refusal(edited("RecordSet", &[("/spec/type", json!("MD"))]));
    assert!(
        broken.to_string().contains("unknown variant `MD`"),
        "{broken}"
    );
}

/// What no API server takes would be served by nobody, without a word.
#[test]
fn names_are_those_that_an_api_server_takes() {
    let (name, namespace) = ("/metadata/name", "/metadata/namespace");
    let refused = |pointer: &str, text: &str| {
        refused(&edited("DNSFleet", &[(pointer, json!(text))])) == [pointer.to_owned()]
    };
    for text in ["a", "web-1", "0a.b-c.9"] {
        assert!(!refused(name, text), "{text}");
    }
    for text in [
        "",
        "a/b",
        "Web",
        "-a",
        "a-",
        "a..b",
        ".a",
        "a_b",
        "a b",
        &"a".repeat(254),
    ] {
        assert!(refused(name, text), "{text}");
    }
    assert!(!refused(namespace, "web-1"));
    for text in ["", "a/b", "Web", "a.b", &"a".repeat(64)] {
        assert!(refused(namespace, text), "{text}");
    }
}

#[test]
fn every_fault_of_a_manifest_is_told() {
    let broken = edited(
        "TrafficPolicy",
        &[
            ("/spec/version", json!(0)),
            ("/spec/owner", json!("web")),
            ("/spec/document/recordTypes/0", json!("NS")),
            (
                "/spec/document/rules/split/branches/0/weight",
                json!(10_001),
            ),
            ("/spec/document/rules/split/type", json!("weighted")),
            (
                "/spec/document/rules/near/branches/1/coordinates/latitude",
                json!("90.5"),
            ),
            (
                "/spec/document/rules/places/branches/0/locations/0",
                json!("NO"),
            ),
            ("/spec/document/endpoints/osl/address", json!("192.0.2.10")),
            ("/spec/document/endpoints/pdx/hostname", json!("not a host")),
        ],
    );
    assert_eq!(
        refused(&broken),
        [
            "/spec",
            "/spec/document/endpoints/osl",
            "/spec/document/endpoints/pdx/hostname",
            "/spec/document/recordTypes/0",
            "/spec/document/rules/near/branches/1/coordinates/latitude",
            "/spec/document/rules/places/branches/0/locations/0",
            "/spec/document/rules/places/branches/0/locations/0",
            "/spec/document/rules/split/branches/0/weight",
            "/spec/document/rules/split/type",
            "/spec/version",
        ]
    );
}

#[test]
fn names_are_checked_like_values() {
    let cases = [
        (
            "TrafficPolicy",
            "/spec/document/rules",
            json!({"by place": {"type": "MultiValue", "branches": [{"endpoint": "a"}]}}),
        ),
        (
            "TrafficPolicyVersion",
            "/spec/document/endpoints",
            json!({"-a": {"values": ["10 mx1.example.net."]}}),
        ),
        ("TrafficPolicy", "/spec/channels", json!({"Stable": 1})),
        (
            "CIDRCollection",
            "/spec/locations",
            json!({"head quarters": ["203.0.113.0/24"]}),
        ),
    ];
    for (kind, pointer, value) in cases {
        assert_eq!(
            refused(&edited(kind, &[(pointer, value)])),
            [pointer],
            "{kind}"
        );
    }
}

/// YAML 1.1 reads `NO`, `on` and the like as booleans.
#[test]
fn values_of_another_type_are_refused() {
    let cases = [
        (
            "TrafficPolicy",
            "/spec/document/rules/places/branches/3/default",
            json!(false),
        ),
        (
            "TrafficPolicy",
            "/spec/document/rules/places/branches/0/locations/0",
            json!(false),
        ),
        (
            "TrafficPolicy",
            "/spec/document/endpoints/osl/drain",
            json!("yes"),
        ),
        ("TrafficPolicy", "/spec/description", json!(3)),
        ("PolicyRecord", "/spec/version", json!("12")),
        ("PolicyRecord", "/spec/ttlSeconds", json!(1.5)),
        ("HostedZone", "/spec/domain", json!("example.com.")),
        ("HostedZone", "/spec/records/0/name", json!("www.")),
        ("HealthCheck", "/spec/http/expectedStatuses/1", json!(304)),
        ("RecordSet", "/spec/type", json!("a")),
        ("CIDRCollection", "/spec/locations/headquarters", json!([])),
        ("DNSFleet", "/spec/minProgrammedPercent", json!(101)),
    ];
    for (kind, pointer, value) in cases {
        let manifest = edited(kind, &[(pointer, value)]);
        assert_eq!(refused(&manifest), [pointer], "{kind}");
    }
}

#[test]
fn what_every_object_needs_is_asked_for() {
    for kind in KINDS {
        let bare = json!({"apiVersion": "watershed.dev/v1alpha1", "kind": kind});
        assert_eq!(refused(&bare), ["", ""], "{kind}: metadata and spec");
        let nameless = edited(kind, &[("/metadata", json!({"namespace": "web"}))]);
        assert_eq!(refused(&nameless), ["/metadata"], "{kind}");
        let later = edited(kind, &[("/apiVersion", json!("watershed.dev/v2"))]);
        assert_eq!(refused(&later), ["/apiVersion"], "{kind}");
    }
}

#[test]
fn metadata_and_status_are_left_to_the_server() {
    for kind in KINDS {
        let seen = edited(
            kind,
            &[
                ("/metadata/labels", json!({"team": "web"})),
                ("/metadata/managedFields", json!([{"manager": "kubectl"}])),
                ("/status", json!({"unheardOf": {"by": "this version"}})),
            ],
        );
        assert_eq!(refused(&seen), [""; 0], "{kind}");
    }
}

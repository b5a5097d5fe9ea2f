//! The definitions in `crds/`: up to date, and in the form that API servers
//! accept.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Map, Value, json};
use watershed_crd::{KINDS, definition, definition_yaml, plural, schema_for};

#[test]
fn files_are_up_to_date() {
    let directory = support::path("../../crds");
    let mut expected = BTreeSet::new();
    for kind in KINDS {
        let name = format!("{}.yaml", plural(kind).unwrap());
        let file = fs::read_to_string(directory.join(&name)).unwrap_or_default();
        let yaml = definition_yaml(kind).unwrap().unwrap();
        assert!(
            file == yaml,
            "crds/{name} is stale: run `make generate`, or `cargo run -p watershed-crd --bin crdgen`"
        );
        expected.insert(name);
    }
    let files = fs::read_dir(directory).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.collect::<BTreeSet<_>>(), expected, "files of crds/");
}

#[test]
fn an_unknown_kind_has_no_definition() {
    assert_eq!(definition("Policy"), None);
    assert_eq!(schema_for("trafficpolicy"), None);
    assert_eq!(plural(""), None);
}

#[test]
fn names_are_those_of_the_reference() {
    let names = |kind: &str| {
        let names = definition(kind).unwrap()["spec"]["names"].clone();
        (names["plural"].clone(), names["shortNames"][0].clone())
    };
    let expected = [
        ("CIDRCollection", "cidrcollections", "tfcc"),
        ("DNSFleet", "dnsfleets", "tff"),
        ("HealthCheck", "healthchecks", "tfhc"),
        ("HostedZone", "hostedzones", "tfz"),
        ("PolicyRecord", "policyrecords", "tfr"),
        ("RecordSet", "recordsets", "tfrs"),
        ("TrafficPolicy", "trafficpolicies", "tfp"),
        ("TrafficPolicyVersion", "trafficpolicyversions", "tfpv"),
    ];
    assert_eq!(expected.map(|(kind, _, _)| kind), KINDS);
    for (kind, plural, short_name) in expected {
        assert_eq!(names(kind), (json!(plural), json!(short_name)));
    }
}

#[test]
fn every_kind_is_namespaced_with_a_status() {
    for kind in KINDS {
        let spec = &definition(kind).unwrap()["spec"];
        assert_eq!(spec["scope"], "Namespaced", "{kind}");
        assert_eq!(spec["group"], "watershed.dev", "{kind}");
        assert_eq!(spec["names"]["categories"], json!(["watershed"]), "{kind}");
        assert_eq!(spec["names"]["listKind"], format!("{kind}List"));
        let version = &spec["versions"][0];
        assert_eq!(version["name"], "v1alpha1", "{kind}");
        assert_eq!(version["subresources"]["status"], json!({}), "{kind}");
    }
}

/// A column of a field that does not exist stays empty without a word.
#[test]
fn printer_columns_show_fields_that_exist() {
    for kind in KINDS {
        let version = definition(kind).unwrap()["spec"]["versions"][0].clone();
        let columns = version["additionalPrinterColumns"].as_array().unwrap();
        let names: Vec<&str> = columns
            .iter()
            .map(|column| column["name"].as_str().unwrap())
            .collect();
        assert!(names.contains(&"Ready") || kind == "TrafficPolicyVersion");
        assert_eq!(names.last(), Some(&"Age"), "{kind}");
        let schema = &version["schema"]["openAPIV3Schema"];
        for column in columns {
            let path = column["jsonPath"].as_str().unwrap();
            assert!(shows(schema, path, &column["type"]), "{kind}: {path}");
        }
    }
}

fn shows(schema: &Value, path: &str, column_type: &Value) -> bool {
    if path == ".metadata.creationTimestamp" {
        return column_type == "date";
    }
    if let Some(rest) = path.strip_prefix(".status.conditions[?(@.type==\"") {
        return rest.ends_with(".status") || rest.ends_with(".reason");
    }
    let pointer = path.replace('.', "/properties/");
    let field = schema.pointer(&pointer);
    // kubectl prints whole numbers in text columns as well.
    field.is_some_and(|field| field["type"] == *column_type || *column_type == "string")
}

#[test]
fn selectable_fields_exist() {
    for kind in KINDS {
        let version = definition(kind).unwrap()["spec"]["versions"][0].clone();
        let fields = version["selectableFields"].as_array().cloned();
        for field in fields.unwrap_or_default() {
            let path = field["jsonPath"].as_str().unwrap();
            let pointer = path.replace('.', "/properties/");
            let schema = &version["schema"]["openAPIV3Schema"];
            assert!(schema.pointer(&pointer).is_some(), "{kind}: {path}");
        }
    }
}

#[test]
fn conditions_are_a_map_by_type() {
    for kind in KINDS {
        let schema = schema_for(kind).unwrap();
        let status = &schema["properties"]["status"];
        let conditions = &status["properties"]["conditions"];
        assert_eq!(conditions["x-kubernetes-list-type"], "map", "{kind}");
        assert_eq!(conditions["x-kubernetes-list-map-keys"], json!(["type"]));
        assert_eq!(conditions["maxItems"], 16);
        assert_eq!(status["default"]["observedGeneration"], 0);
        for (index, name) in ["Accepted", "Ready"].into_iter().enumerate() {
            let condition = &status["default"]["conditions"][index];
            assert_eq!(condition["type"], name);
            assert_eq!(condition["status"], "Unknown");
            assert_eq!(condition["reason"], "Pending");
        }
    }
}

/// Every schema has a type, every list and map of it an element type and a
/// bound, every text a bound: without them the API server takes each rule that
/// walks over them for too costly.
#[test]
fn schemas_are_structural_and_bounded() {
    for kind in KINDS {
        each_schema(kind, &schema_for(kind).unwrap(), &mut |at, schema| {
            let bound = match schema["type"].as_str() {
                Some("object") if schema.contains_key("additionalProperties") => "maxProperties",
                Some("object") => "properties",
                Some("array") => "maxItems",
                Some("string") if schema.contains_key("enum") => "enum",
                Some("string") if schema.get("format") == Some(&json!("date-time")) => "format",
                Some("string") if is_type(kind, at) => "type",
                Some("string") => "maxLength",
                Some("integer") => "minimum",
                Some("boolean") => "type",
                other => panic!("{at}: type {other:?}"),
            };
            assert!(schema.contains_key(bound), "{at} has no {bound}");
        });
    }
}

/// `apiVersion` and `kind` have their limits from the server.
fn is_type(kind: &str, at: &str) -> bool {
    matches!(at.strip_prefix(kind), Some(".apiVersion" | ".kind"))
}

#[test]
fn schemas_say_nothing_that_api_servers_do_not_know() {
    let known_formats = ["int32", "int64", "date-time"];
    for kind in KINDS {
        each_schema(kind, &schema_for(kind).unwrap(), &mut |at, schema| {
            for name in [
                "$ref", "nullable", "title", "oneOf", "anyOf", "allOf", "not",
            ] {
                assert!(!schema.contains_key(name), "{at} has {name}");
            }
            if let Some(format) = schema.get("format") {
                assert!(known_formats.contains(&format.as_str().unwrap()), "{at}");
            }
            for name in ["minimum", "maximum"] {
                assert!(schema.get(name).is_none_or(Value::is_i64), "{at}.{name}");
            }
            let values = schema.get("enum").and_then(Value::as_array);
            assert!(
                values.is_none_or(|values| !values.contains(&Value::Null)),
                "{at}"
            );
        });
    }
}

/// List types decide what server-side apply merges.
#[test]
fn lists_say_how_they_merge() {
    for kind in KINDS {
        each_schema(kind, &schema_for(kind).unwrap(), &mut |at, schema| {
            if schema["type"] != "array" {
                return;
            }
            let items = &schema["items"];
            match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
                Some("atomic") => {}
                Some("set") => assert_ne!(items["type"], "object", "{at}"),
                Some("map") => {
                    for key in schema["x-kubernetes-list-map-keys"].as_array().unwrap() {
                        let required = items["required"].as_array().unwrap();
                        assert!(required.contains(key), "{at}: {key} may be absent");
                    }
                }
                other => panic!("{at}: list type {other:?}"),
            }
        });
    }
}

/// A default that appears in a later release would show up in old immutable
/// versions and change their digests.
#[test]
fn nothing_in_a_document_has_a_default() {
    for kind in ["TrafficPolicy", "TrafficPolicyVersion"] {
        let schema = schema_for(kind).unwrap();
        let document = &schema["properties"]["spec"]["properties"]["document"];
        each_schema("document", document, &mut |at, schema| {
            assert!(!schema.contains_key("default"), "{at}");
        });
    }
}

#[test]
fn required_fields_exist() {
    for kind in KINDS {
        each_schema(kind, &schema_for(kind).unwrap(), &mut |at, schema| {
            let required = schema.get("required").and_then(Value::as_array);
            for name in required.into_iter().flatten() {
                let field = &schema["properties"][name.as_str().unwrap()];
                assert!(field.is_object(), "{at}: {name}");
                assert!(field.get("default").is_none(), "{at}: {name} has a default");
            }
        });
    }
}

/// Client-side apply keeps a copy of the object in an annotation, which may
/// have 256 kB.
#[test]
fn definitions_are_small() {
    for kind in KINDS {
        let size = definition(kind).unwrap().to_string().len();
        assert!(size < 40_000, "{kind}: {size} bytes");
    }
}

fn each_schema(at: &str, schema: &Value, visit: &mut impl FnMut(&str, &Map<String, Value>)) {
    let schema = schema
        .as_object()
        .unwrap_or_else(|| panic!("{at} is no schema"));
    visit(at, schema);
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, below) in properties.into_iter().flatten() {
        each_schema(&format!("{at}.{name}"), below, visit);
    }
    for below in ["items", "additionalProperties"] {
        if let Some(schema) = schema.get(below) {
            each_schema(&format!("{at}.{below}"), schema, visit);
        }
    }
}

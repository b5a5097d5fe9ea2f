//! What becomes what on import.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use serde_json::{Value, json};
use watershed_route53::{
    FormatVersion, Rename, Renamed, fault_text, import, import_value, merge_places, portable_names,
};

/// The imported document as JSON.
#[track_caller]
fn imported(document: &Value) -> Value {
    match import_value(document) {
        Ok(import) => serde_json::to_value(import.document).unwrap(),
        Err(faults) => panic!("{}\n{document:#}", fault_text(&faults)),
    }
}

fn document(version: &str, rules: &Value) -> Value {
    json!({
        "AWSPolicyFormatVersion": version,
        "RecordType": "A",
        "StartRule": "r",
        "Endpoints": {
            "a": {"Type": "value", "Value": "192.0.2.1"},
            "b": {"Type": "value", "Value": "192.0.2.2"},
        },
        "Rules": rules,
    })
}

/// The only rule of a document, imported.
#[track_caller]
fn rule(version: &str, rule: &Value) -> Value {
    imported(&document(version, &json!({"r": rule})))["rules"]["r"].clone()
}

#[test]
fn a_whole_document() {
    let value = document(
        "2015-10-01",
        &json!({"r": {
            "RuleType": "failover",
            "Primary": {"EndpointReference": "a", "HealthCheck": "hc-a", "EvaluateTargetHealth": "false"},
            "Secondary": {"RuleReference": "s"},
        }, "s": {
            "RuleType": "multivalue",
            "Items": [{"EndpointReference": "a"}, {"EndpointReference": "b", "HealthCheck": "hc-b"}],
        }}),
    );
    assert_eq!(
        imported(&value),
        json!({
            "recordTypes": ["A"],
            "startRule": "r",
            "rules": {
                "r": {"type": "Failover", "branches": [
                    {"endpoint": "a", "healthCheckRef": {"name": "hc-a"}, "evaluateTargetHealth": false},
                    {"rule": "s"},
                ]},
                "s": {"type": "MultiValue", "branches": [
                    {"endpoint": "a"},
                    {"endpoint": "b", "healthCheckRef": {"name": "hc-b"}},
                ]},
            },
            "endpoints": {
                "a": {"addresses": ["192.0.2.1"]},
                "b": {"addresses": ["192.0.2.2"]},
            },
        })
    );
    assert_eq!(
        import_value(&value).unwrap().format_version,
        FormatVersion::V2015_10_01
    );
}

#[test]
fn weighted() {
    let found = rule(
        "2023-05-09",
        &json!({"RuleType": "weighted", "Items": [
            {"EndpointReference": "a", "Weight": "0"}, {"EndpointReference": "b", "Weight": 255},
        ]}),
    );
    let branches = json!([{"endpoint": "a", "weight": 0}, {"endpoint": "b", "weight": 255}]);
    assert_eq!(found, json!({"type": "Weighted", "branches": branches}));
}

#[test]
fn latency() {
    let found = rule(
        "2015-10-01",
        &json!({"RuleType": "latency", "Regions": [
            {"EndpointReference": "a", "Region": "us-east-1"},
            {"EndpointReference": "b", "Region": "eu-central-2"},
        ]}),
    );
    let branches = json!([{"endpoint": "a", "region": "us-east-1"}, {"endpoint": "b", "region": "eu-central-2"}]);
    assert_eq!(found, json!({"type": "Latency", "branches": branches}));
}

#[test]
fn geo() {
    let found = rule(
        "2015-10-01",
        &json!({"RuleType": "geo", "Locations": [
            {"EndpointReference": "a", "Continent": "EU"},
            {"EndpointReference": "a", "Country": "US", "Subdivision": "NY"},
            {"EndpointReference": "b", "Country": "NO", "IsDefault": "false"},
            {"EndpointReference": "b", "Country": "*"},
        ]}),
    );
    let branches = json!([
        {"endpoint": "a", "locations": ["continent/EU"]},
        {"endpoint": "a", "locations": ["country/US-NY"]},
        {"endpoint": "b", "locations": ["country/NO"]},
        {"endpoint": "b", "default": true},
    ]);
    assert_eq!(found, json!({"type": "Geolocation", "branches": branches}));
}

#[test]
fn geoproximity_of_either_version() {
    let old = rule(
        "2015-10-01",
        &json!({"RuleType": "geoproximity", "GeoproximityLocations": [
            {"EndpointReference": "a", "Region": "aws:route53:us-east-1", "Bias": "-7"},
            {"EndpointReference": "b", "Latitude": "51.50", "Longitude": -0.07, "Bias": 12},
        ]}),
    );
    let new = rule(
        "2023-05-09",
        &json!({"RuleType": "geoproximity", "GeoproximityLocations": [
            {"EndpointReference": "a", "Bias": -7,
                "Location": {"Type": "Region", "LocationName": "aws:route53:us-east-1"}},
            {"EndpointReference": "b", "Bias": "12",
                "Location": {"Type": "Coordinate", "Latitude": 51.5, "Longitude": "-0.07"}},
        ]}),
    );
    let branches = json!([
        {"endpoint": "a", "region": "us-east-1", "bias": -7},
        {"endpoint": "b", "coordinates": {"latitude": "51.5", "longitude": "-0.07"}, "bias": 12},
    ]);
    assert_eq!(old, json!({"type": "Geoproximity", "branches": branches}));
    assert_eq!(new, old);
}

#[test]
fn endpoints() {
    let endpoint = |record_type: &str, endpoint: Value| {
        imported(&json!({
            "AWSPolicyFormatVersion": "2015-10-01",
            "RecordType": record_type,
            "StartEndpoint": "e",
            "Endpoints": {"e": endpoint},
        }))["endpoints"]["e"]
            .clone()
    };
    let value = |record_type: &str, value: &str| {
        endpoint(record_type, json!({"Type": "value", "Value": value}))
    };
    assert_eq!(
        value("AAAA", "2001:DB8::1"),
        json!({"addresses": ["2001:DB8::1"]})
    );
    assert_eq!(
        value("CNAME", "www.example.net."),
        json!({"hostname": "www.example.net."})
    );
    assert_eq!(
        value("MX", "10 mx.example.net"),
        json!({"values": ["10 mx.example.net"]})
    );
    let host = "web-1.elb.us-east-1.amazonaws.com";
    assert_eq!(
        endpoint("A", json!({"Type": "network-load-balancer", "Value": host})),
        json!({"hostname": host})
    );
    assert_eq!(
        endpoint(
            "A",
            json!({"Type": "s3-website", "Region": "us-east-2", "Value": "www.example.com"})
        ),
        json!({"hostname": "www.example.com.s3-website.us-east-2.amazonaws.com"})
    );
}

#[test]
fn warnings_have_paths_in_the_words_of_route_53() {
    let mut value = document(
        "2015-10-01",
        &json!({"r": {"RuleType": "weighted", "Items": [
            {"EndpointReference": "a", "Weight": 1}, {"EndpointReference": "a", "Weight": 0, "HealthCheck": "x"},
        ]}}),
    );
    value["Endpoints"]["with.dot"] = value["Endpoints"]["b"].take();
    value["Endpoints"].as_object_mut().unwrap().remove("b");
    let findings = import_value(&value).unwrap().findings;
    let paths: Vec<String> = findings.iter().map(|d| d.path.to_string()).collect();
    assert!(
        paths.contains(&"Endpoints[\"with.dot\"]".to_owned()),
        "{findings:?}"
    );
    assert!(
        paths.contains(&"Rules.r.Items[1].Weight".to_owned()),
        "{findings:?}"
    );
}

#[test]
fn ids_become_names_everywhere_they_are_used() {
    let value = json!({
        "AWSPolicyFormatVersion": "2015-10-01",
        "RecordType": "A",
        "StartRule": "first rule",
        "Endpoints": {"the endpoint": {"Type": "value", "Value": "192.0.2.1"}},
        "Rules": {
            "first rule": {"RuleType": "weighted", "Items": [{"RuleReference": "second_", "Weight": 1}]},
            "second_": {"RuleType": "weighted", "Items": [
                {"EndpointReference": "the endpoint", "Weight": 1, "HealthCheck": "HC_1"},
            ]},
        },
    });
    let (document, renames) = portable_names(&import_value(&value).unwrap().document);
    assert_eq!(
        serde_json::to_value(document).unwrap(),
        json!({
            "recordTypes": ["A"],
            "startRule": "first-rule",
            "rules": {
                "first-rule": {
                    "type": "Weighted",
                    "comment": "Route 53 id: first rule",
                    "branches": [{"rule": "second", "weight": 1}],
                },
                "second": {
                    "type": "Weighted",
                    "comment": "Route 53 id: second_",
                    "branches": [
                        {"endpoint": "the-endpoint", "weight": 1, "healthCheckRef": {"name": "hc-1"}},
                    ],
                },
            },
            "endpoints": {
                "the-endpoint": {"addresses": ["192.0.2.1"], "comment": "Route 53 id: the endpoint"},
            },
        })
    );
    let rename = |what, from: &str, to: &str| Rename {
        what,
        from: from.to_owned(),
        to: to.to_owned(),
    };
    assert_eq!(
        renames,
        [
            rename(Renamed::Rule, "first rule", "first-rule"),
            rename(Renamed::Rule, "second_", "second"),
            rename(Renamed::Endpoint, "the endpoint", "the-endpoint"),
            rename(Renamed::HealthCheck, "HC_1", "hc-1"),
        ]
    );
}

#[test]
fn places_with_one_target_share_a_branch() {
    let value = document(
        "2015-10-01",
        &json!({"r": {"RuleType": "geo", "Locations": [
            {"EndpointReference": "a", "Country": "DE"},
            {"EndpointReference": "b", "Country": "FR"},
            {"EndpointReference": "a", "Country": "AT"},
            {"EndpointReference": "a", "Country": "CH", "HealthCheck": "hc"},
            {"EndpointReference": "a", "IsDefault": true},
        ]}}),
    );
    let merged = merge_places(&import_value(&value).unwrap().document);
    assert_eq!(
        serde_json::to_value(&merged.rules["r"].branches).unwrap(),
        json!([
            {"endpoint": "a", "locations": ["country/DE", "country/AT"]},
            {"endpoint": "b", "locations": ["country/FR"]},
            {"endpoint": "a", "locations": ["country/CH"], "healthCheckRef": {"name": "hc"}},
            {"endpoint": "a", "default": true},
        ])
    );
}

#[test]
fn the_answer_of_the_aws_command_is_taken_as_it_is() {
    let value = document(
        "2015-10-01",
        &json!({"r": {"RuleType": "weighted", "Items": [{"EndpointReference": "a", "Weight": 1}]}}),
    );
    let answer = json!({"TrafficPolicy": {
        "Id": "12345678-abcd-9876-fedc-1a2b3c4de5f6",
        "Version": 3,
        "Name": "shop",
        "Type": "A",
        "Document": value.to_string(),
    }});
    assert_eq!(import(&answer.to_string()), import(&value.to_string()));
}

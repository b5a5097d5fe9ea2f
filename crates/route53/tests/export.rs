//! What export rewrites, and what it refuses.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use serde_json::{Value, json};
use watershed_crd::document::{RecordType, TrafficPolicyDocument};
use watershed_route53::{FormatVersion, export, for_record_type, import_value};

const V2015: FormatVersion = FormatVersion::V2015_10_01;
const V2023: FormatVersion = FormatVersion::V2023_05_09;

fn document(value: Value) -> TrafficPolicyDocument {
    serde_json::from_value(value).unwrap()
}

/// A document for A with the rule `r` over the endpoints `a`, `b` and `c`.
fn with_rule(rule: Value) -> Value {
    let mut document = json!({
        "recordTypes": ["A"],
        "startRule": "r",
        "rules": {"r": rule},
        "endpoints": {
            "a": {"addresses": ["192.0.2.1"]},
            "b": {"addresses": ["192.0.2.2"]},
            "c": {"addresses": ["192.0.2.3"]},
        },
    });
    document["rules"]["r"] = rule;
    document
}

#[track_caller]
fn exported(value: &Value, version: FormatVersion) -> Value {
    export(&document(value.clone()), version).unwrap_or_else(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        panic!("{value:#}\n{faults:#?}")
    })
}

/// Path and message of everything that keeps a document from being exported.
#[track_caller]
fn refused(value: Value) -> Vec<String> {
    let faults = export(&document(value), V2015).unwrap_err();
    faults
        .iter()
        .map(|d| format!("{}: {}", d.path, d.message))
        .collect()
}

#[test]
fn a_document_is_written_in_the_words_of_route_53() {
    let value = with_rule(json!({"type": "Weighted", "branches": [
        {"endpoint": "a", "weight": 3, "healthCheckRef": {"name": "hc-a"}},
        {"endpoint": "b", "weight": 1},
        {"endpoint": "c", "weight": 0},
    ]}));
    let expected = json!({
        "AWSPolicyFormatVersion": "2015-10-01",
        "RecordType": "A",
        "StartRule": "r",
        "Endpoints": {
            "a": {"Type": "value", "Value": "192.0.2.1"},
            "b": {"Type": "value", "Value": "192.0.2.2"},
            "c": {"Type": "value", "Value": "192.0.2.3"},
        },
        "Rules": {"r": {"RuleType": "weighted", "Items": [
            {"Weight": "3", "EndpointReference": "a", "EvaluateTargetHealth": true, "HealthCheck": "hc-a"},
            {"Weight": "1", "EndpointReference": "b", "EvaluateTargetHealth": true},
            {"Weight": "0", "EndpointReference": "c", "EvaluateTargetHealth": true},
        ]}},
    });
    assert_eq!(exported(&value, V2015), expected);
}

#[test]
fn a_start_endpoint_stands_alone() {
    let value = json!({
        "recordTypes": ["MX"],
        "startEndpoint": "m",
        "endpoints": {"m": {"values": ["10 mx.example.net."], "healthCheckRef": {"name": "x"}}},
    });
    let expected = json!({
        "AWSPolicyFormatVersion": "2023-05-09",
        "RecordType": "MX",
        "StartEndpoint": "m",
        "Endpoints": {"m": {"Type": "value", "Value": "10 mx.example.net."}},
    });
    assert_eq!(exported(&value, V2023), expected);
}

#[test]
fn host_names_tell_the_type_of_an_alias() {
    let value = |host: &str| {
        json!({
            "recordTypes": ["A"],
            "startEndpoint": "e",
            "endpoints": {"e": {"hostname": host}},
        })
    };
    for (host, kind, region) in [
        ("d111111abcdef8.cloudfront.net", "cloudfront", None),
        (
            "web-1.us-east-1.elb.amazonaws.com",
            "application-load-balancer",
            None,
        ),
        (
            "dualstack.web-1.us-east-1.elb.amazonaws.com",
            "elastic-load-balancer",
            None,
        ),
        (
            "web-1.elb.us-east-1.amazonaws.com",
            "network-load-balancer",
            None,
        ),
        (
            "shop.us-east-1.elasticbeanstalk.com",
            "elastic-beanstalk",
            None,
        ),
        (
            "www.example.com.s3-website-us-east-1.amazonaws.com",
            "s3-website",
            Some("us-east-1"),
        ),
    ] {
        let endpoint = &exported(&value(host), V2015)["Endpoints"]["e"];
        assert_eq!(endpoint["Type"], kind, "{host}");
        assert_eq!(endpoint["Value"], host);
        assert_eq!(endpoint.get("Region").and_then(Value::as_str), region);
    }
    assert_eq!(
        refused(value("lb.example.net")),
        [
            "endpoints.e.hostname: Route 53 aliases lead to AWS resources only, and lb.example.net is not the name of one"
        ]
    );
}

#[test]
fn the_health_check_of_an_endpoint_moves_to_what_leads_there() {
    let mut value = with_rule(json!({"type": "Failover", "branches": [
        {"endpoint": "a"},
        {"endpoint": "b", "evaluateTargetHealth": false},
    ]}));
    value["endpoints"]["a"]["healthCheckRef"] = json!({"name": "hc-a"});
    value["endpoints"]["b"]["healthCheckRef"] = json!({"name": "hc-b"});
    let rule = &exported(&value, V2015)["Rules"]["r"];
    assert_eq!(
        rule["Primary"],
        json!({"EndpointReference": "a", "EvaluateTargetHealth": true, "HealthCheck": "hc-a"})
    );
    assert_eq!(
        rule["Secondary"],
        json!({"EndpointReference": "b", "EvaluateTargetHealth": false})
    );
}

#[test]
fn two_health_checks_make_a_rule_between() {
    let mut value = with_rule(json!({"type": "Failover", "branches": [
        {"endpoint": "a", "healthCheckRef": {"name": "own"}},
        {"endpoint": "b", "healthCheckRef": {"name": "hc-b"}},
    ]}));
    value["endpoints"]["a"]["healthCheckRef"] = json!({"name": "hc-a"});
    value["endpoints"]["b"]["healthCheckRef"] = json!({"name": "hc-b"});
    let rules = &exported(&value, V2015)["Rules"];
    assert_eq!(
        rules["r"],
        json!({
            "RuleType": "failover",
            "Primary": {"RuleReference": "a-checked", "EvaluateTargetHealth": true, "HealthCheck": "own"},
            "Secondary": {"EndpointReference": "b", "EvaluateTargetHealth": true, "HealthCheck": "hc-b"},
        })
    );
    assert_eq!(
        rules["a-checked"],
        json!({"RuleType": "weighted", "Items": [
            {"EndpointReference": "a", "EvaluateTargetHealth": true, "Weight": "1", "HealthCheck": "hc-a"},
        ]})
    );
}

#[test]
fn evaluate_target_health_is_written_out_where_it_means_something() {
    let mut value = with_rule(json!({"type": "Failover", "branches": [
        {"rule": "s"},
        {"endpoint": "lb", "evaluateTargetHealth": false},
    ]}));
    value["rules"]["s"] = json!({"type": "Failover", "branches": [
        {"endpoint": "lb"}, {"endpoint": "cdn"},
    ]});
    value["endpoints"]["lb"] = json!({"hostname": "web-1.elb.us-east-1.amazonaws.com"});
    value["endpoints"]["cdn"] = json!({"hostname": "d111111abcdef8.cloudfront.net"});
    let rules = &exported(&value, V2015)["Rules"];
    assert_eq!(rules["r"]["Primary"]["EvaluateTargetHealth"], true);
    assert_eq!(rules["r"]["Secondary"]["EvaluateTargetHealth"], false);
    assert_eq!(rules["s"]["Primary"]["EvaluateTargetHealth"], true);
    assert_eq!(rules["s"]["Secondary"].get("EvaluateTargetHealth"), None);
}

#[test]
fn more_tiers_are_rules_within_rules() {
    let mut value = with_rule(json!({"type": "Failover", "branches": [
        {"endpoint": "a"}, {"endpoint": "b"}, {"endpoint": "c"}, {"endpoint": "d"},
    ]}));
    value["endpoints"]["d"] = json!({"addresses": ["192.0.2.4"]});
    let rules = &exported(&value, V2015)["Rules"];
    let nested = |rule: &str| json!({"RuleReference": rule, "EvaluateTargetHealth": true});
    assert_eq!(
        rules["r"],
        json!({"RuleType": "failover", "Primary": {"EndpointReference": "a", "EvaluateTargetHealth": true}, "Secondary": nested("r-tier-2")})
    );
    assert_eq!(
        rules["r-tier-2"],
        json!({"RuleType": "failover", "Primary": {"EndpointReference": "b", "EvaluateTargetHealth": true}, "Secondary": nested("r-tier-3")})
    );
    assert_eq!(
        rules["r-tier-3"],
        json!({"RuleType": "failover", "Primary": {"EndpointReference": "c", "EvaluateTargetHealth": true}, "Secondary": {"EndpointReference": "d", "EvaluateTargetHealth": true}})
    );
}

#[test]
fn weights_are_divided_by_what_they_have_in_common() {
    let weighted = |a: i32, b: i32, c: i32| {
        with_rule(json!({"type": "Weighted", "branches": [
            {"endpoint": "a", "weight": a}, {"endpoint": "b", "weight": b}, {"endpoint": "c", "weight": c},
        ]}))
    };
    let rule = &exported(&weighted(900, 100, 0), V2015)["Rules"]["r"];
    let weights: Vec<&Value> = (0..3).map(|i| &rule["Items"][i]["Weight"]).collect();
    assert_eq!(weights, ["9", "1", "0"]);
    assert_eq!(
        refused(weighted(999, 1, 0)),
        [
            "rules.r.branches: The weights cannot be written as 0 to 255, Route 53's range, without changing the shares"
        ]
    );
}

#[test]
fn each_place_is_a_location_of_its_own() {
    let value = with_rule(json!({"type": "Geolocation", "branches": [
        {"endpoint": "a", "locations": ["continent/EU", "country/US-CA"]},
        {"endpoint": "b", "locations": ["country/NO"]},
        {"endpoint": "c", "default": true},
    ]}));
    let rule = &exported(&value, V2015)["Rules"]["r"];
    assert_eq!(
        rule["Locations"],
        json!([
            {"Continent": "EU", "EndpointReference": "a", "EvaluateTargetHealth": true},
            {"Country": "US", "Subdivision": "CA", "EndpointReference": "a", "EvaluateTargetHealth": true},
            {"Country": "NO", "EndpointReference": "b", "EvaluateTargetHealth": true},
            {"IsDefault": true, "EndpointReference": "c", "EvaluateTargetHealth": true},
        ])
    );
}

#[test]
fn positions_are_written_in_the_form_of_the_version() {
    let value = || {
        with_rule(json!({"type": "Geoproximity", "branches": [
            {"endpoint": "a", "region": "aws/us-east-1", "bias": -10},
            {"endpoint": "b", "coordinates": {"latitude": "53.35", "longitude": "-6.26"}},
            {"endpoint": "c", "region": "us-west-2-lax-1"},
        ]}))
    };
    let locations =
        |version| exported(&value(), version)["Rules"]["r"]["GeoproximityLocations"].clone();
    let old = locations(V2015);
    assert_eq!(old[0]["Region"], "aws:route53:us-east-1");
    assert_eq!(old[0]["Bias"], "-10");
    assert_eq!(
        (&old[1]["Latitude"], &old[1]["Longitude"]),
        (&json!("53.35"), &json!("-6.26"))
    );
    assert!(
        old[2].get("Region").is_none() && old[2]["Latitude"].is_string(),
        "{}",
        old[2]
    );
    let new = locations(V2023);
    assert_eq!(
        new[0]["Location"],
        json!({"Type": "Region", "LocationName": "aws:route53:us-east-1"})
    );
    assert_eq!(
        new[1]["Location"],
        json!({"Type": "Coordinate", "Latitude": "53.35", "Longitude": "-6.26"})
    );
    assert_eq!(
        new[2]["Location"],
        json!({"Type": "LocalZone", "LocationName": "aws:route53:us-west-2-lax-1"})
    );
}

#[test]
fn latency_knows_aws_regions_only() {
    let value = with_rule(json!({"type": "Latency", "branches": [
        {"endpoint": "a", "region": "eu-west-1"},
        {"endpoint": "b", "region": "gcp/europe-west1"},
    ]}));
    assert_eq!(
        refused(value),
        [
            "rules.r.branches[1].region: Route 53 routes by latency to AWS Regions only, and \"gcp/europe-west1\" is none"
        ]
    );
}

#[test]
fn everything_that_route_53_lacks_is_listed() {
    let mut value = with_rule(json!({
        "type": "Weighted",
        "affinity": "Client",
        "minHealthyPercent": 50,
        "branches": [
            {"endpoint": "a", "weight": 1}, {"endpoint": "b", "weight": 1}, {"rule": "s", "weight": 1},
        ],
    }));
    value["recordTypes"] = json!(["A", "AAAA"]);
    value["rules"]["s"] = json!({"type": "CIDR", "branches": [
        {"endpoint": "c", "cidrs": ["203.0.113.0/24"]}, {"endpoint": "a", "default": true},
    ]});
    value["endpoints"]["b"]["drain"] = json!(true);
    assert_eq!(
        refused(value),
        [
            "recordTypes: Route 53 serves one record type per document: export A and AAAA one by one",
            "endpoints.b.drain: Route 53 has no drain: remove the branches that lead here, or fail its health check",
            "rules.r.affinity: Route 53 draws anew for every query: it has no affinity",
            "rules.r.minHealthyPercent: Route 53 uses unhealthy items only when none is healthy: it has no minimum",
            "rules.s.type: Route 53 traffic policies have no rules of type CIDR",
        ]
    );
}

#[test]
fn a_multivalue_rule_has_one_check_for_each_item() {
    let mut value = with_rule(json!({"type": "MultiValue", "maxAnswers": 2, "branches": [
        {"endpoint": "a", "healthCheckRef": {"name": "own"}}, {"endpoint": "b"}, {"endpoint": "c"},
    ]}));
    value["endpoints"]["a"]["healthCheckRef"] = json!({"name": "hc-a"});
    assert_eq!(
        refused(value.clone()),
        [
            "rules.r.maxAnswers: Route 53 always answers with up to 8 values",
            "rules.r.branches[0].healthCheckRef: A multivalue item of Route 53 has one health check, but the endpoint has another",
        ]
    );
    value["rules"]["r"]["maxAnswers"] = json!(3);
    value["rules"]["r"]["branches"][0]["healthCheckRef"] = json!({"name": "hc-a"});
    let rule = &exported(&value, V2015)["Rules"]["r"];
    assert_eq!(
        rule["Items"][0],
        json!({"EndpointReference": "a", "HealthCheck": "hc-a"})
    );
}

#[test]
fn a_policy_of_both_families_is_exported_one_by_one() {
    let mut value = with_rule(json!({"type": "Failover", "branches": [
        {"endpoint": "a"}, {"endpoint": "b"},
    ]}));
    value["recordTypes"] = json!(["A", "AAAA"]);
    value["endpoints"] = json!({
        "a": {"addresses": ["192.0.2.1", "2001:db8::1"]},
        "b": {"addresses": ["192.0.2.2"]},
    });
    let both = document(value);
    let ipv4 = export(&for_record_type(&both, RecordType::A), V2015).unwrap();
    assert_eq!(ipv4["Endpoints"]["a"]["Value"], "192.0.2.1");
    assert!(import_value(&ipv4).is_ok());
    let faults = export(&for_record_type(&both, RecordType::AAAA), V2015).unwrap_err();
    let paths: Vec<String> = faults.iter().map(|d| d.path.to_string()).collect();
    assert!(
        paths.iter().all(|path| path.starts_with("endpoints.b")),
        "{faults:?}"
    );
}

#[test]
fn faults_of_the_document_itself_are_told_as_well() {
    let mut value = with_rule(json!({"type": "Failover", "branches": [
        {"endpoint": "nowhere"}, {"endpoint": "b"},
    ]}));
    value["endpoints"]["b"]["drain"] = json!(true);
    let faults = refused(value);
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("rules.r.branches[0]"), "{faults:?}");
    assert!(faults[1].starts_with("endpoints.b.drain"), "{faults:?}");
}

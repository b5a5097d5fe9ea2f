//! Every fault of a document, as the line that a person reads.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use serde_json::{Value, json};
use watershed_route53::{fault_line, fault_text, import, import_value};

/// The fault lines of a document, none when it is accepted.
fn lines(document: &Value) -> Vec<String> {
    match import_value(document) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(fault_line).collect(),
    }
}

/// A document with two endpoints, `a` and `b`, and the rule `r`.
fn with_rule(rule: &Value) -> Value {
    json!({
        "AWSPolicyFormatVersion": "2015-10-01",
        "RecordType": "A",
        "StartRule": "r",
        "Endpoints": {
            "a": {"Type": "value", "Value": "192.0.2.1"},
            "b": {"Type": "value", "Value": "192.0.2.2"},
        },
        "Rules": {"r": rule},
    })
}

/// A document of that type with the endpoint `e`.
fn with_endpoint(record_type: &str, endpoint: &Value) -> Value {
    json!({
        "AWSPolicyFormatVersion": "2015-10-01",
        "RecordType": record_type,
        "StartEndpoint": "e",
        "Endpoints": {"e": endpoint},
    })
}

/// The document of version 2023-05-09 with that geoproximity location.
fn with_location(location: &Value) -> Value {
    let mut document = with_rule(&json!({
        "RuleType": "geoproximity",
        "GeoproximityLocations": [location],
    }));
    document["AWSPolicyFormatVersion"] = json!("2023-05-09");
    document
}

#[track_caller]
fn check(document: &Value, expected: &[&str]) {
    assert_eq!(lines(document), expected, "{document:#}");
}

#[test]
fn top_level() {
    let mut document = with_rule(&json!({
        "RuleType": "weighted",
        "Items": [{"EndpointReference": "a", "Weight": 1}, {"EndpointReference": "b", "Weight": 1}],
    }));
    check(&document, &[]);
    document["_note"] = json!("x");
    document["Metrics"] = json!([]);
    document["AWSPolicyFormatVersion"] = json!("2024-01-01");
    document["RecordType"] = json!("NS");
    document["StartEndpoint"] = json!("a");
    check(
        &document,
        &[
            "_note: _note is not a member of the format; the members here are AWSPolicyFormatVersion, RecordType, StartEndpoint, StartRule, Endpoints, Rules.",
            "Metrics: Metrics is not a member of the format; the members here are AWSPolicyFormatVersion, RecordType, StartEndpoint, StartRule, Endpoints, Rules.",
            "AWSPolicyFormatVersion: AWSPolicyFormatVersion must be 2015-10-01 or 2023-05-09, not \"2024-01-01\".",
            "RecordType: RecordType \"NS\" cannot be served by a traffic policy; the types are A, AAAA, CNAME, MX, TXT, SRV, CAA, HTTPS, SVCB, NAPTR, PTR, SPF, TLSA, SSHFP.",
            "document: StartEndpoint and StartRule exclude each other: keep one of them.",
        ],
    );
}

#[test]
fn an_empty_document_misses_everything() {
    check(
        &json!({}),
        &[
            "AWSPolicyFormatVersion: AWSPolicyFormatVersion is missing.",
            "RecordType: RecordType is missing.",
            "document: StartRule or StartEndpoint is missing.",
            "Endpoints: Endpoints is missing.",
        ],
    );
    check(
        &json!([]),
        &["document: This must be an object, not an array."],
    );
}

#[test]
fn rules_beside_a_start_endpoint() {
    let mut document = with_endpoint("A", &json!({"Type": "value", "Value": "192.0.2.1"}));
    check(&document, &[]);
    document["Rules"] = json!({"r": {"RuleType": "weighted", "Items": [
        {"EndpointReference": "e", "Weight": 1}]}});
    check(
        &document,
        &["Rules: Rules have no effect beside StartEndpoint: start at one of them or remove them."],
    );
}

#[test]
fn endpoint_values_fit_the_record_type() {
    let bad = [
        (
            "A",
            "2001:db8::1",
            "e: Value \"2001:db8::1\" is not a valid IPv4 address.",
        ),
        (
            "A",
            "192.0.2.256",
            "e: Value \"192.0.2.256\" is not a valid IPv4 address.",
        ),
        (
            "AAAA",
            "192.0.2.1",
            "e: Value \"192.0.2.1\" is not a valid IPv6 address.",
        ),
    ];
    for (record_type, value, line) in bad {
        let endpoint = json!({"Type": "value", "Value": value});
        check(&with_endpoint(record_type, &endpoint), &[line]);
    }
    for (record_type, value) in [
        ("MX", "mx.example.net"),
        ("SRV", "1 2 x host.example.net"),
        ("TXT", "\"open"),
        ("CNAME", "a..example.net"),
        ("CAA", "0 issue"),
    ] {
        let endpoint = json!({"Type": "value", "Value": value});
        let found = lines(&with_endpoint(record_type, &endpoint));
        assert_eq!(found.len(), 1, "{record_type} {value}: {found:?}");
        assert!(found[0].starts_with("e: "), "{found:?}");
    }
}

#[test]
fn endpoint_values_of_every_type_are_accepted() {
    for (record_type, value) in [
        ("A", "192.0.2.1"),
        ("AAAA", "2001:db8::1"),
        ("CAA", "0 issue \"ca.example.net\""),
        ("CNAME", "www.example.net"),
        ("HTTPS", "1 . alpn=\"h2\""),
        ("MX", "10 mx.example.net"),
        (
            "NAPTR",
            "10 100 \"S\" \"SIP+D2U\" \"\" _sip._udp.example.net.",
        ),
        ("PTR", "host.example.net"),
        ("SPF", "\"v=spf1 -all\""),
        ("SRV", "1 10 5269 xmpp.example.net."),
        ("SSHFP", "1 1 1234567890abcdef1234567890abcdef12345678"),
        ("SVCB", "1 host.example.net. port=8443"),
        (
            "TLSA",
            "3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ),
        ("TXT", "\"some text\" \"more\""),
    ] {
        let endpoint = json!({"Type": "value", "Value": value});
        check(&with_endpoint(record_type, &endpoint), &[]);
    }
}

#[test]
fn endpoint_members() {
    check(
        &with_endpoint(
            "A",
            &json!({"Type": "value", "value": "192.0.2.1", "HealthCheck": "x"}),
        ),
        &[
            "e: value is not a member: member names are case sensitive: did you mean Value.",
            "e: HealthCheck does not belong here: it is a member of the items of rules.",
        ],
    );
    check(
        &with_endpoint("A", &json!({"Type": "alb", "Value": "192.0.2.1"})),
        &[
            "e: Type must be one of value, cloudfront, application-load-balancer, elastic-load-balancer, network-load-balancer, elastic-beanstalk, s3-website, not \"alb\".",
        ],
    );
    check(
        &with_endpoint("A", &json!({"Value": 5})),
        &["e: Type is missing.", "e: Value must be a string, not 5."],
    );
    check(
        &with_endpoint(
            "A",
            &json!({"Type": "value", "Value": "192.0.2.1", "Region": "us-east-1"}),
        ),
        &["e: Region belongs to endpoints of type s3-website only: remove it."],
    );
    check(
        &with_endpoint("A", &json!("192.0.2.1")),
        &["e: This must be an object, not \"192.0.2.1\"."],
    );
}

#[test]
fn the_form_of_aws_host_names_is_checked_with_all_faults_at_once() {
    let endpoint = |host: &str| json!({"Type": "elastic-load-balancer", "Value": host});
    let mut document = with_rule(
        &json!({"RuleType": "geoproximity", "GeoproximityLocations": [
            {"EndpointReference": "us", "Region": "aws:route53:us-east-1"},
            {"EndpointReference": "eu", "Region": "aws:route53:eu-west-1"},
        ]}),
    );
    document["Endpoints"] = json!({
        "us": endpoint("web-0123456789abcdef.elb.us-east-1.amazonaws.com"),
        "eu": endpoint("web-fedcba9876543210.elb.eu-west-1.amazonaws.com"),
    });
    let faults = import_value(&document).unwrap_err();
    assert_eq!(
        fault_text(&faults),
        "us: Value is not a valid ELB Classic load balancer name.;eu: Value is not a valid ELB Classic load balancer name."
    );
    for id in ["us", "eu"] {
        document["Endpoints"][id]["Type"] = json!("network-load-balancer");
    }
    check(&document, &[]);
}

#[test]
fn aws_endpoints_need_addresses_as_record_type() {
    let alias = json!({"Type": "cloudfront", "Value": "d111111abcdef8.cloudfront.net"});
    check(&with_endpoint("AAAA", &alias), &[]);
    check(
        &with_endpoint("CNAME", &alias),
        &["e: Type cloudfront needs RecordType A or AAAA, not CNAME."],
    );
    let website = json!({"Type": "s3-website", "Region": "us-east-1", "Value": "www.example.com"});
    check(&with_endpoint("A", &website), &[]);
    check(
        &with_endpoint("AAAA", &website),
        &["e: Type s3-website needs RecordType A, not AAAA."],
    );
}

#[test]
fn websites_need_their_region() {
    let website = |region: Value, value: &str| {
        let mut endpoint = json!({"Type": "s3-website", "Region": region, "Value": value});
        if region.is_null() {
            endpoint.as_object_mut().unwrap().remove("Region");
        }
        with_endpoint("A", &endpoint)
    };
    let host = "www.example.com.s3-website-eu-west-1.amazonaws.com";
    check(&website(json!("eu-west-1"), host), &[]);
    check(&website(Value::Null, host), &["e: Region is missing."]);
    check(
        &website(Value::Null, "www.example.com"),
        &["e: Region is missing."],
    );
    check(
        &website(json!("us-east-1"), host),
        &["e: Value is in eu-west-1, but Region is us-east-1."],
    );
    check(
        &website(json!("europe-west1"), "www.example.com"),
        &["e: Region \"europe-west1\" is not an AWS Region such as us-east-1."],
    );
    check(
        &website(json!("us-east-1"), "No Bucket"),
        &["e: Value is not a valid S3 bucket or website endpoint name."],
    );
}

#[test]
fn rule_types_and_members() {
    check(
        &with_rule(
            &json!({"RuleType": "Weighted", "Items": [{"EndpointReference": "a", "Weight": 256}]}),
        ),
        &[
            "r: RuleType must be one of failover, geo, geoproximity, latency, multivalue, weighted, not \"Weighted\".",
            "r: Items[0]: Weight must be 0 to 255, not 256.",
        ],
    );
    check(
        &with_rule(&json!({"Items": []})),
        &["r: RuleType is missing."],
    );
    check(
        &with_rule(&json!({"RuleType": "latency", "Items": [], "Bogus": 1})),
        &[
            "r: Items does not belong here; the members here are RuleType, Regions.",
            "r: Bogus is not a member of the format; the members here are RuleType, Regions.",
            "r: Regions is missing.",
        ],
    );
    check(
        &with_rule(&json!({"RuleType": "weighted", "Items": []})),
        &["r: Items must have at least one item."],
    );
    check(
        &with_rule(&json!({"RuleType": "weighted", "Items": {}})),
        &["r: Items must be an array, not an object."],
    );
    check(
        &with_rule(&json!({"RuleType": "weighted", "Items": ["a"]})),
        &["r: Items[0] must be an object, not \"a\"."],
    );
}

#[test]
fn items_lead_to_one_thing() {
    check(
        &with_rule(&json!({"RuleType": "weighted", "Items": [
            {"Weight": 1},
            {"Weight": 1, "EndpointReference": "a", "RuleReference": "r"},
            {"Weight": 1, "EndpointReference": "nowhere"},
            {"Weight": 1, "EndpointReference": 7},
        ]})),
        &[
            "r: Items[0]: EndpointReference or RuleReference is missing.",
            "r: Items[1]: EndpointReference and RuleReference exclude each other: keep one of them.",
            "r: Items[3]: EndpointReference must be a string, not 7.",
            "r: Items[2]: there is no endpoint `nowhere`.",
        ],
    );
}

#[test]
fn weights() {
    let with_weight = |weight: Value| {
        with_rule(&json!({"RuleType": "weighted", "Items": [
            {"EndpointReference": "a", "Weight": weight},
            {"EndpointReference": "b", "Weight": 1, "EvaluateTargetHealth": "true"},
        ]}))
    };
    for good in [json!(0), json!("0"), json!(255), json!("255")] {
        check(&with_weight(good), &[]);
    }
    check(
        &with_weight(json!("-1")),
        &["r: Items[0]: Weight must be 0 to 255, not -1."],
    );
    check(
        &with_weight(json!(1.5)),
        &["r: Items[0]: Weight must be a whole number, not 1.5."],
    );
    check(
        &with_weight(json!("")),
        &["r: Items[0]: Weight must be a whole number, not \"\"."],
    );
    check(
        &with_rule(&json!({"RuleType": "weighted", "Items": [{"EndpointReference": "a"}]})),
        &["r: Items[0]: Weight is missing."],
    );
}

#[test]
fn failover_has_two_tiers() {
    check(
        &with_rule(&json!({"RuleType": "failover", "Primary": {"EndpointReference": "a"}})),
        &["r: Secondary is missing."],
    );
    check(
        &with_rule(&json!({
            "RuleType": "failover",
            "Primary": {"EndpointReference": "a", "HealthCheck": "x".repeat(65)},
            "Secondary": {"EndpointReference": "b", "EvaluateTargetHealth": "maybe", "Weight": 1},
        })),
        &[
            "r: Primary: HealthCheck must have 1 to 64 characters.",
            "r: Secondary: Weight does not belong here; the members here are EndpointReference, RuleReference, EvaluateTargetHealth, HealthCheck.",
            "r: Secondary: EvaluateTargetHealth must be true or false, not \"maybe\".",
        ],
    );
}

#[test]
fn latency_regions_are_bare_codes() {
    let with_regions = |regions: &[&str]| {
        let item = |region: &&str| json!({"EndpointReference": "a", "Region": region});
        let items: Vec<Value> = regions.iter().map(item).collect();
        with_rule(&json!({"RuleType": "latency", "Regions": items}))
    };
    check(
        &with_regions(&["us-east-1", "eusc-de-east-1", "cn-north-1"]),
        &[],
    );
    check(
        &with_regions(&[
            "aws:route53:us-east-1",
            "aws/us-east-1",
            "us-east-9",
            "us-west-2-lax-1",
        ]),
        &[
            "r: Regions[0]: Region of a latency rule is a bare code without aws:route53:, not \"aws:route53:us-east-1\".",
            "r: Regions[1]: Region must be the code of an AWS Region such as us-east-1, not \"aws/us-east-1\".",
            "r: Regions[2]: Region must be the code of an AWS Region such as us-east-1, not \"us-east-9\".",
            "r: Regions[3]: Region must be the code of an AWS Region such as us-east-1, not \"us-west-2-lax-1\".",
        ],
    );
    let twice = lines(&with_regions(&["us-east-1", "eu-west-1", "us-east-1"]));
    assert_eq!(twice.len(), 1, "{twice:?}");
    assert!(twice[0].starts_with("r: Regions[2]: "), "{twice:?}");
}

#[test]
fn locations_of_a_geo_rule() {
    let with_place = |place: Value| {
        let mut item = place;
        item["EndpointReference"] = json!("a");
        with_rule(&json!({"RuleType": "geo", "Locations": [item]}))
    };
    for good in [
        json!({"Continent": "EU"}),
        json!({"Country": "NO"}),
        json!({"Country": "US", "Subdivision": "NY"}),
        json!({"Country": "PR"}),
        json!({"Country": "*"}),
        json!({"Country": "*", "IsDefault": "true"}),
        json!({"IsDefault": true}),
        json!({"IsDefault": false, "Country": "DE"}),
    ] {
        check(&with_place(good), &[]);
    }
    let bad = [
        (json!({}), "Continent, Country or IsDefault true is missing"),
        (
            json!({"IsDefault": false}),
            "Continent, Country or IsDefault true is missing",
        ),
        (
            json!({"Continent": "EUR"}),
            "Continent must be one of AF, AN, AS, EU, NA, OC, SA, not \"EUR\"",
        ),
        (
            json!({"Continent": "EU", "Country": "DE"}),
            "Continent excludes Country and Subdivision",
        ),
        (
            json!({"Country": "us"}),
            "Country must be an ISO 3166-1 alpha-2 code in capitals or \"*\", not \"us\"",
        ),
        (
            json!({"Country": "ZZ"}),
            "Country must be an ISO 3166-1 alpha-2 code in capitals or \"*\", not \"ZZ\"",
        ),
        (
            json!({"Country": "XK"}),
            "Country must be an ISO 3166-1 alpha-2 code in capitals or \"*\", not \"XK\"",
        ),
        (
            json!({"Country": "HM"}),
            "Route 53 has no location records for Country HM",
        ),
        (
            json!({"Country": "CA", "Subdivision": "ON"}),
            "Subdivision needs Country \"US\", not \"CA\"",
        ),
        (
            json!({"Subdivision": "NY"}),
            "Subdivision needs Country \"US\"",
        ),
        (
            json!({"Country": "US", "Subdivision": "PR"}),
            "Subdivision must be the code of a US state such as NY, not \"PR\"",
        ),
        (
            json!({"IsDefault": true, "Continent": "EU"}),
            "The default location excludes Continent, Country and Subdivision",
        ),
        (
            json!({"Country": "*", "IsDefault": false}),
            "IsDefault false contradicts Country \"*\", which is the default",
        ),
        (
            json!({"IsDefault": "yes"}),
            "IsDefault must be true or false, not \"yes\"",
        ),
    ];
    for (place, text) in bad {
        check(&with_place(place), &[&format!("r: Locations[0]: {text}.")]);
    }
}

#[test]
fn each_location_stands_once() {
    let item = |place: Value| {
        let mut item = place;
        item["EndpointReference"] = json!("a");
        item
    };
    for place in [
        json!({"Continent": "EU"}),
        json!({"Country": "NO"}),
        json!({"Country": "US", "Subdivision": "NY"}),
        json!({"IsDefault": true}),
    ] {
        let items = [item(place.clone()), item(place.clone())];
        let found = lines(&with_rule(&json!({"RuleType": "geo", "Locations": items})));
        assert_eq!(found.len(), 1, "{place}: {found:?}");
        assert!(found[0].starts_with("r: Locations[1]: "), "{found:?}");
    }
}

#[test]
fn geoproximity_of_2015() {
    let with_item = |members: Value| {
        let mut item = members;
        item["EndpointReference"] = json!("a");
        with_rule(&json!({"RuleType": "geoproximity", "GeoproximityLocations": [item]}))
    };
    for good in [
        json!({"Region": "aws:route53:us-east-1", "Bias": "-99"}),
        json!({"Latitude": "51.50", "Longitude": "-0.07", "Bias": 99}),
        json!({"Latitude": -90, "Longitude": 180.0}),
    ] {
        check(&with_item(good), &[]);
    }
    let prefix = "r: GeoproximityLocations[0]: ";
    let bad = [
        (
            json!({}),
            vec!["Region, or Latitude and Longitude, is missing"],
        ),
        (json!({"Latitude": "1"}), vec!["Longitude is missing"]),
        (
            json!({"Region": "us-east-1"}),
            vec!["Region must begin with aws:route53:, not \"us-east-1\""],
        ),
        (
            json!({"Region": "aws:route53:us-east-9"}),
            vec!["Region: \"us-east-9\" is not an AWS Region known here"],
        ),
        (
            json!({"Region": "aws:route53:us-west-2-lax-1"}),
            vec!["Region: \"us-west-2-lax-1\" is not an AWS Region known here"],
        ),
        (
            json!({"Region": "aws:route53:us-east-1", "Latitude": 1, "Longitude": 1}),
            vec!["Region excludes Latitude and Longitude: keep one of them"],
        ),
        (
            json!({"Latitude": "90.01", "Longitude": "-180.5"}),
            vec![
                "Latitude must be -90 to 90, not 90.01",
                "Longitude must be -180 to 180, not -180.5",
            ],
        ),
        (
            json!({"Latitude": "43.6532", "Longitude": -79.3832}),
            vec![
                "Latitude has more than two decimals: 43.6532",
                "Longitude has more than two decimals: -79.3832",
            ],
        ),
        (
            json!({"Region": "aws:route53:us-east-1", "Bias": 100}),
            vec!["Bias must be -99 to 99, not 100"],
        ),
        (
            json!({"Location": {"Type": "Region", "LocationName": "aws:route53:us-east-1"}}),
            vec![
                "Location does not belong here: documents of version 2015-10-01 have Region, or Latitude and Longitude",
            ],
        ),
    ];
    for (members, texts) in bad {
        let expected: Vec<String> = texts
            .iter()
            .map(|text| format!("{prefix}{text}."))
            .collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(&with_item(members), &expected);
    }
}

#[test]
fn geoproximity_of_2023() {
    let with =
        |location: Value| with_location(&json!({"EndpointReference": "a", "Location": location}));
    for good in [
        json!({"Type": "Region", "LocationName": "aws:route53:us-east-1"}),
        json!({"Type": "LocalZone", "LocationName": "aws:route53:us-west-2-lax-1"}),
        json!({"Type": "Coordinate", "Latitude": "51.5", "Longitude": 0}),
    ] {
        check(&with(good), &[]);
    }
    let prefix = "r: GeoproximityLocations[0]: ";
    let bad = [
        (
            json!({"LocationName": "aws:route53:us-east-1"}),
            "Type is missing",
        ),
        (
            json!({"Type": "City"}),
            "Type must be Region, LocalZone or Coordinate, not \"City\"",
        ),
        (json!({"Type": "Region"}), "LocationName is missing"),
        (
            json!({"Type": "LocalZone", "LocationName": "aws:route53:us-east-1"}),
            "LocationName: \"us-east-1\" is not an AWS Local Zone known here",
        ),
        (
            json!({"Type": "Coordinate", "Latitude": 1}),
            "Longitude is missing",
        ),
        (
            json!({"Type": "Coordinate", "Latitude": 1, "Longitude": 2, "LocationName": "x"}),
            "LocationName does not belong here; the members here are Type, Latitude, Longitude",
        ),
        (
            json!("us-east-1"),
            "Location must be an object, not \"us-east-1\"",
        ),
    ];
    for (location, text) in bad {
        check(&with(location), &[&format!("{prefix}{text}.")]);
    }
    check(
        &with_location(&json!({"EndpointReference": "a"})),
        &["r: GeoproximityLocations[0]: Location is missing."],
    );
    check(
        &with_location(&json!({"EndpointReference": "a", "Latitude": "43.6532", "Longitude": "1"})),
        &[
            "r: GeoproximityLocations[0]: Latitude does not belong here: in a document of version 2023-05-09 it is part of Location.",
            "r: GeoproximityLocations[0]: Longitude does not belong here: in a document of version 2023-05-09 it is part of Location.",
            "r: GeoproximityLocations[0]: Latitude has more than two decimals: 43.6532.",
        ],
    );
}

#[test]
fn wrong_capitals_are_told_with_what_is_wrong_inside() {
    check(
        &with_rule(
            &json!({"RuleType": "geoproximity", "GeoProximityLocations": [
                {"EndpointReference": "a", "Latitude": "51.505", "Longitude": "-0.07", "Bias": "0"},
            ]}),
        ),
        &[
            "r: GeoProximityLocations is not a member: member names are case sensitive: did you mean GeoproximityLocations.",
            "r: GeoproximityLocations[0]: Latitude has more than two decimals: 51.505.",
        ],
    );
}

#[test]
fn multivalue_is_always_a_leaf_of_plain_values() {
    let mut document = with_rule(&json!({"RuleType": "multivalue", "Items": [
        {"EndpointReference": "a", "HealthCheck": "hc"},
        {"RuleReference": "r"},
        {"EndpointReference": "lb", "EvaluateTargetHealth": true},
    ]}));
    document["Endpoints"]["lb"] =
        json!({"Type": "network-load-balancer", "Value": "lb-1.elb.us-east-1.amazonaws.com"});
    check(
        &document,
        &[
            "r: Items[1]: RuleReference does not belong here; the members here are EndpointReference, HealthCheck.",
            "r: Items[2]: EvaluateTargetHealth does not belong here; the members here are EndpointReference, HealthCheck.",
            "r: Items[2]: EndpointReference of a multivalue rule must lead to an endpoint of type value, not network-load-balancer.",
        ],
    );
    let mut names =
        with_rule(&json!({"RuleType": "multivalue", "Items": [{"EndpointReference": "a"}]}));
    names["RecordType"] = json!("CNAME");
    names["Endpoints"] = json!({"a": {"Type": "value", "Value": "a.example.net"}});
    check(
        &names,
        &["r: A multivalue rule cannot serve CNAME: a name has one CNAME at most."],
    );
}

#[test]
fn distributions_have_no_health_to_evaluate() {
    let document = |evaluate: bool| {
        let mut document = with_rule(&json!({
            "RuleType": "failover",
            "Primary": {"EndpointReference": "cdn", "EvaluateTargetHealth": evaluate},
            "Secondary": {"EndpointReference": "b"},
        }));
        document["Endpoints"]["cdn"] =
            json!({"Type": "cloudfront", "Value": "d111111abcdef8.cloudfront.net"});
        document
    };
    check(&document(false), &[]);
    check(
        &document(true),
        &["r: Primary: EvaluateTargetHealth cannot be true for an endpoint of type cloudfront."],
    );
}

#[test]
fn rules_that_lead_back_to_themselves() {
    let mut document = with_rule(&json!({
        "RuleType": "failover",
        "Primary": {"RuleReference": "s"},
        "Secondary": {"EndpointReference": "a"},
    }));
    document["Rules"]["s"] = json!({
        "RuleType": "failover",
        "Primary": {"RuleReference": "r"},
        "Secondary": {"EndpointReference": "b", "HealthCheck": 5},
    });
    let found = lines(&document);
    assert_eq!(
        found[0],
        "s: Secondary: HealthCheck must be a string, not 5."
    );
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].contains('r'), "{found:?}");
}

#[test]
fn everything_at_once() {
    let document = json!({
        "AWSPolicyFormatVersion": "2015-10-01",
        "RecordType": "A",
        "StartRule": "start",
        "Comment": "left from a template",
        "Endpoints": {
            "a": {"Type": "value", "Value": "192.0.2.1"},
            "b": {"Type": "value", "Value": "192.0.2.300"},
        },
        "Rules": {
            "start": {
                "RuleType": "failover",
                "Primary": {"RuleReference": "split"},
                "Secondary": {"RuleReference": "fast"},
            },
            "split": {"RuleType": "weighted", "Items": [
                {"Weight": 256, "EndpointReference": "a"},
                {"Weight": "1", "RuleReference": "start"},
            ]},
            "fast": {"RuleType": "latency", "Regions": [
                {"Region": "us-east-1", "EndpointReference": "a"},
                {"Region": "us-east-1", "EndpointReference": "b"},
                {"Region": "eu-west-1", "RuleReference": "near"},
            ]},
            "near": {"RuleType": "geoproximity", "GeoproximityLocations": [
                {"Latitude": "51.5074", "Longitude": "-0.1", "EndpointReference": "a"},
                {"Region": "aws:route53:us-east-1", "EndpointReference": "nowhere"},
            ]},
        },
    });
    check(
        &document,
        &[
            "Comment: Comment is not a member of the format; the members here are AWSPolicyFormatVersion, RecordType, StartEndpoint, StartRule, Endpoints, Rules.",
            "b: Value \"192.0.2.300\" is not a valid IPv4 address.",
            "split: Items[0]: Weight must be 0 to 255, not 256.",
            "near: GeoproximityLocations[0]: Latitude has more than two decimals: 51.5074.",
            "fast: Regions[1]: us-east-1 is already named by Regions[0].",
            "near: GeoproximityLocations[1]: there is no endpoint `nowhere`.",
            "start: Primary: leads back to itself: split > start > split.",
        ],
    );
}

#[test]
fn limits() {
    let items = |count: u32| -> Vec<Value> {
        let item = |i: u32| json!({"EndpointReference": format!("e{i}"), "Weight": 1});
        (0..count).map(item).collect()
    };
    let document = |kind: &str, holder: &str, items: Vec<Value>| {
        let mut document = with_rule(&json!({"RuleType": kind}));
        document["Endpoints"] = (0..items.len())
            .map(|i| {
                (
                    format!("e{i}"),
                    json!({"Type": "value", "Value": format!("192.0.2.{i}")}),
                )
            })
            .collect::<serde_json::Map<_, _>>()
            .into();
        document["Rules"]["r"][holder] = items.into();
        document
    };
    check(&document("weighted", "Items", items(100)), &[]);
    assert_eq!(lines(&document("weighted", "Items", items(101))).len(), 1);
    let near = |count: u32| -> Vec<Value> {
        let item =
            |i: u32| json!({"EndpointReference": format!("e{i}"), "Latitude": i, "Longitude": 0});
        (0..count).map(item).collect()
    };
    check(
        &document("geoproximity", "GeoproximityLocations", near(30)),
        &[],
    );
    let found = lines(&document("geoproximity", "GeoproximityLocations", near(31)));
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn text_may_be_too_long_or_repeat_members() {
    let document = with_endpoint("A", &json!({"Type": "value", "Value": "192.0.2.1"})).to_string();
    assert!(import(&document).is_ok());
    let padded = format!("{document}{}", " ".repeat(102_400 - document.len()));
    assert!(import(&padded).is_ok());
    let faults = import(&format!("{padded} ")).unwrap_err();
    assert_eq!(
        fault_text(&faults),
        "document: The document has more than 102400 characters."
    );
    let twice = document.replacen("\"Type\"", "\"Type\":\"cloudfront\",\"Type\"", 1);
    let faults = import(&twice).unwrap_err();
    assert_eq!(
        fault_text(&faults),
        "e: Type occurs twice in the same object: remove one of them."
    );
}

#[test]
fn thousands_of_faults_are_told_in_no_time() {
    let item = |i: u32| json!({"EndpointReference": "nowhere", "Weight": "x", "X": i});
    let items: Vec<Value> = (0..1500).map(item).collect();
    let rule = json!({"RuleType": "weighted", "Items": items});
    let mut document = with_rule(&rule);
    for id in 0..20 {
        document["Rules"][format!("r{id}")] = json!({"RuleType": "latency", "Regions": 1});
    }
    let started = std::time::Instant::now();
    let found = lines(&document);
    // One for each X, each Weight and each reference, and some at the rules.
    assert!(found.len() > 4500, "{}", found.len());
    assert!(started.elapsed().as_secs() < 10);
}

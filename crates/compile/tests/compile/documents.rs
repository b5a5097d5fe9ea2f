//! Findings about documents, as text.

use std::collections::BTreeMap;

use watershed_compile::{
    CidrLocations, NoAddresses, ObjectAddress, References, check_names, compile_policy, convert,
};
use watershed_crd::document::{ObjectReference, TrafficPolicyDocument};
use watershed_policy::{EndpointKind, Limits, Policy, Selector, Severity, Value};

fn document(yaml: &str) -> TrafficPolicyDocument {
    serde_yaml::from_str(yaml).unwrap_or_else(|error| panic!("{error} in {yaml}"))
}

fn compile(yaml: &str) -> (Option<Policy>, Vec<String>) {
    let (policy, findings) = compile_policy(&document(yaml), &References::none(), &Limits::api());
    (policy, findings.iter().map(ToString::to_string).collect())
}

/// A document of one rule whose branches lead to endpoint `a`.
fn one_rule(rule: &str) -> String {
    format!(
        "{{recordTypes: [A], startRule: r, rules: {{r: {rule}}}, \
         endpoints: {{a: {{addresses: [192.0.2.1]}}, b: {{addresses: [192.0.2.2]}}}}}}"
    )
}

#[track_caller]
fn refused(yaml: &str, expected: &[&str]) {
    let (policy, findings) = compile(yaml);
    assert_eq!(findings, expected, "{yaml}");
    assert!(policy.is_none(), "{yaml}");
}

#[test]
fn branches_have_the_fields_of_their_rule() {
    for (rule, expected) in [
        (
            "{type: Weighted, branches: [{endpoint: a}, {endpoint: b, weight: -1}]}",
            &[
                "error: rules.r.branches[0].weight: a branch of a Weighted rule needs a weight [missing-field]",
                "error: rules.r.branches[1].weight: -1 is negative; a weight is 0 or more [invalid-value]",
            ][..],
        ),
        (
            "{type: Weighted, branches: [{endpoint: a, weight: 10001}, {endpoint: b, weight: 1, bias: 5}]}",
            &[
                "error: rules.r.branches[0].weight: 10001 is not between 0 and 10000 [invalid-value]",
                "error: rules.r.branches[1].bias: a branch of a Weighted rule has no bias, which belongs to Geoproximity; remove it [misplaced-field]",
            ],
        ),
        (
            "{type: Failover, affinity: Client, maxAnswers: 2, branches: [{endpoint: a, default: true}, {endpoint: b, region: eu-west-1}]}",
            &[
                "error: rules.r.affinity: a Failover rule has no affinity, only a Weighted rule does; remove it [misplaced-field]",
                "error: rules.r.maxAnswers: a Failover rule has no maxAnswers, only a MultiValue rule does; remove it [misplaced-field]",
                "error: rules.r.branches[0].default: a branch of a Failover rule has no default, which belongs to Geolocation and CIDR; remove it [misplaced-field]",
                "error: rules.r.branches[1].region: a branch of a Failover rule has no region, which belongs to Latency and Geoproximity; remove it [misplaced-field]",
            ],
        ),
        (
            "{type: MultiValue, maxAnswers: -3, minHealthyPercent: 300, branches: [{endpoint: a}, {endpoint: b}]}",
            &[
                "error: rules.r.maxAnswers: must be between 1 and 8 [invalid-value]",
                "error: rules.r.minHealthyPercent: must be between 1 and 100 [invalid-value]",
            ],
        ),
        (
            "{type: Failover, branches: [{}, {endpoint: a, rule: r}]}",
            &[
                "error: rules.r.branches[0]: a branch leads to a rule or an endpoint; set one of the two [missing-field]",
                "error: rules.r.branches[1]: rule and endpoint exclude each other; remove one [field-conflict]",
            ],
        ),
    ] {
        refused(&one_rule(rule), expected);
    }
}

#[test]
fn places_are_those_that_exist() {
    refused(
        &one_rule(
            "{type: Geolocation, branches: [
               {endpoint: a, locations: [country/XX, continent/XX, NO, country/no, country/US-NEWY, country/NO]},
               {endpoint: b, locations: [continent/EU], default: true},
               {endpoint: b, default: false},
               {endpoint: b}]}",
        ),
        &[
            "error: rules.r.branches[0].locations: `NO` is not a place; write continent/EU, country/NO or country/US-CA [invalid-value]",
            "error: rules.r.branches[0].locations: `continent/XX` is not a continent; the codes are AF, AN, AS, EU, NA, OC and SA [invalid-value]",
            "error: rules.r.branches[0].locations: `country/US-NEWY`: `NEWY` is not a subdivision; take the part after the hyphen of its ISO 3166-2 code, one to three capital letters or digits [invalid-value]",
            "error: rules.r.branches[0].locations: `country/XX`: there is no country `XX`; take the ISO 3166-1 code of two capital letters [invalid-value]",
            "error: rules.r.branches[0].locations: `country/no`: there is no country `no`; take the ISO 3166-1 code of two capital letters [invalid-value]",
            "error: rules.r.branches[1]: locations and default exclude each other; make two branches [field-conflict]",
            "error: rules.r.branches[2].default: the only value is true; leave the field out of other branches [invalid-value]",
            "error: rules.r.branches[3]: a branch of a Geolocation rule needs locations, or default: true [missing-field]",
        ],
    );
}

#[test]
fn geoproximity_needs_a_position() {
    let branch = |latitude: &str, longitude: &str| {
        format!(
            "{{endpoint: a, coordinates: {{latitude: \"{latitude}\", longitude: \"{longitude}\"}}}}"
        )
    };
    let rule = format!(
        "{{type: Geoproximity, branches: [{}, {}, {}, {{endpoint: a, region: mars-1}}, \
         {{endpoint: a}}, {{endpoint: a, region: eu-west-1, bias: 100}}, \
         {{endpoint: a, region: eu-west-1, coordinates: {{latitude: \"1\", longitude: \"1\"}}}}]}}",
        branch("53.3498", "-6.26"),
        branch("90.01", "-180.5"),
        branch("1e1", "+5"),
    );
    refused(
        &one_rule(&rule),
        &[
            "error: rules.r.branches[0].coordinates: latitude `53.3498` has more than two decimals [invalid-value]",
            "error: rules.r.branches[1].coordinates: latitude `90.01` is not between -90 and 90 [invalid-value]",
            "error: rules.r.branches[1].coordinates: longitude `-180.5` is not between -180 and 180 [invalid-value]",
            "error: rules.r.branches[2].coordinates: latitude `1e1` is not a number of degrees such as \"53.35\" or \"-6.26\" [invalid-value]",
            "error: rules.r.branches[2].coordinates: longitude `+5` is not a number of degrees such as \"53.35\" or \"-6.26\" [invalid-value]",
            "error: rules.r.branches[3].region: `mars-1` is not a region of AWS, Google Cloud or Azure, so that its position is not known; write coordinates [invalid-value]",
            "error: rules.r.branches[4]: a branch of a Geoproximity rule needs a region or coordinates, or a region of its endpoint [missing-field]",
            "error: rules.r.branches[5].bias: 100 is not between -99 and 99 [invalid-value]",
            "error: rules.r.branches[6]: region and coordinates exclude each other; remove one [field-conflict]",
        ],
    );
}

#[test]
fn a_region_may_come_from_the_endpoint_and_may_be_measured_only() {
    let yaml = "{recordTypes: [A], startRule: r, rules: {r: {type: Latency, branches: [
        {endpoint: a}, {endpoint: b, region: own-1}]}}, endpoints: {
        a: {addresses: [192.0.2.1], region: gcp/europe-west1},
        b: {addresses: [192.0.2.2], region: eu-west-1}}}";
    let (converted, _) = convert(&document(yaml), &References::none());
    let regions: Vec<_> = (converted.rules[0].branches.iter())
        .map(|branch| match &branch.selector {
            Selector::Region(region) => (region.name.as_str(), region.coordinates.is_some()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(regions, [("gcp/europe-west1", true), ("own-1", false)]);
    let (policy, findings) = compile(yaml);
    assert!(policy.is_some());
    assert_eq!(
        findings,
        [
            "warning: rules.r.branches[1].region: `own-1` is not a region of AWS, Google Cloud or Azure: without measured latency its branch comes last, for its distance is not known [unknown-region]"
        ]
    );
}

#[test]
fn blocks_are_own_ones_and_those_of_a_collection() {
    let collection: CidrLocations = BTreeMap::from([
        (
            "hq".into(),
            vec!["203.0.113.0/24".into(), "2001:db8:40::/48".into()],
        ),
        ("bad".into(), vec!["203.0.113.0".into()]),
    ]);
    let cidr_collections = |name: &str| (name == "offices").then_some(&collection);
    let references = References {
        cidr_collections: &cidr_collections,
        ..References::none()
    };
    let compile = |rule: &str| {
        let document = document(&one_rule(rule));
        let (policy, findings) = compile_policy(&document, &references, &Limits::api());
        (
            policy,
            findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        )
    };
    let (policy, findings) = compile(
        "{type: CIDR, cidrCollectionRef: {name: offices}, branches: [
           {endpoint: a, cidrs: [198.51.100.7/24], cidrLocation: hq}, {endpoint: b, default: true}]}",
    );
    let Some(Selector::Blocks(blocks)) =
        policy.map(|policy| policy.rules()[0].branches[0].selector.clone())
    else {
        panic!("{findings:?}")
    };
    let blocks: Vec<String> = blocks.iter().map(ToString::to_string).collect();
    assert_eq!(
        blocks,
        ["198.51.100.0/24", "203.0.113.0/24", "2001:db8:40::/48"]
    );
    assert_eq!(
        findings,
        [
            "warning: rules.r.branches[0].cidrs: `198.51.100.7/24` has bits set behind its prefix; taken as 198.51.100.0/24 [ignored]"
        ]
    );
    for (rule, expected) in [
        (
            "{type: CIDR, cidrCollectionRef: {name: offices}, branches: [{endpoint: a, cidrLocation: lab}, {endpoint: a, cidrLocation: bad}]}",
            &[
                "error: rules.r.branches[0].cidrLocation: the CIDR collection `offices` has no location `lab` [unknown-reference]",
                "error: rules.r.branches[1].cidrLocation: `203.0.113.0` is not a block; write an address and a prefix length, such as 192.0.2.0/24 [invalid-value]",
            ][..],
        ),
        (
            "{type: CIDR, cidrCollectionRef: {name: homes}, branches: [{endpoint: a, cidrLocation: hq}]}",
            &[
                "error: rules.r.cidrCollectionRef: there is no CIDR collection `homes` [unknown-reference]",
            ],
        ),
        (
            "{type: CIDR, branches: [{endpoint: a, cidrLocation: hq}]}",
            &[
                "error: rules.r.cidrCollectionRef: a cidrLocation needs the rule's cidrCollectionRef to say of which collection [missing-field]",
            ],
        ),
    ] {
        let (policy, findings) = compile(rule);
        assert_eq!(findings, expected);
        assert!(policy.is_none());
    }
}

#[test]
fn endpoints_have_one_source_that_fits_the_type() {
    for (types, endpoint, expected) in [
        (
            "A",
            "{}",
            "endpoints.a: an endpoint needs addresses, hostname, objectRef or policyRecordRef [missing-field]",
        ),
        (
            "A",
            "{addresses: []}",
            "endpoints.a.addresses: addresses needs at least one member [missing-field]",
        ),
        (
            "A",
            "{addresses: [192.0.2.1], hostname: a.example.com}",
            "endpoints.a: addresses and hostname exclude each other; keep one [field-conflict]",
        ),
        (
            "A",
            "{addresses: [192.0.2.256]}",
            "endpoints.a.addresses: `192.0.2.256` is not an IPv4 or IPv6 address [invalid-value]",
        ),
        (
            "A",
            "{addresses: [192.0.2.1, 192.0.2.1]}",
            "endpoints.a.addresses: 192.0.2.1 is listed twice [duplicate]",
        ),
        (
            "A",
            "{addresses: [\"2001:db8::1\"]}",
            "endpoints.a.addresses: 2001:db8::1 is no answer for type A [record-type]",
        ),
        (
            "A",
            "{hostname: 192.0.2.1}",
            "endpoints.a.hostname: `192.0.2.1` is an address, not a host name [invalid-value]",
        ),
        (
            "A",
            "{hostname: a b.example.com}",
            "endpoints.a.hostname: `a b.example.com` contains white space or a control character [invalid-value]",
        ),
        (
            "A",
            "{hostname: \"*.example.com\"}",
            "endpoints.a.hostname: `*.example.com` is not a host name: `*` has other characters than letters, digits, `-` and `_`, or begins or ends with `-` [invalid-value]",
        ),
        (
            "A",
            "{values: [x]}",
            "endpoints.a.values: a policy of type A has no endpoint with values; write addresses, hostname, objectRef or policyRecordRef [record-type]",
        ),
        (
            "CNAME",
            "{addresses: [192.0.2.1]}",
            "endpoints.a.addresses: a policy of type CNAME has no endpoint with addresses; write hostname [record-type]",
        ),
        (
            "MX",
            "{hostname: mx.example.com}",
            "endpoints.a.hostname: a policy of type MX has no endpoint with hostname; write values [record-type]",
        ),
        (
            "MX",
            "{values: [mx.example.com]}",
            "endpoints.a.values: `mx.example.com` is not MX data: the preference `mx.example.com` is not a number between 0 and 65535 [invalid-value]",
        ),
        (
            "MX",
            "{values: [1 mx.example.com, 1 MX.example.com.]}",
            "endpoints.a.values: 1 MX.example.com. is listed twice [duplicate]",
        ),
        (
            "A",
            "{objectRef: {kind: Service, name: web}}",
            "endpoints.a.objectRef: objectRef needs a cluster, where the addresses of Service web are known; outside of one write addresses or hostname [unknown-reference]",
        ),
        (
            "A",
            "{policyRecordRef: {name: web}}",
            "endpoints.a.policyRecordRef: there is no PolicyRecord `web` [unknown-reference]",
        ),
    ] {
        let yaml =
            format!("{{recordTypes: [{types}], startEndpoint: a, endpoints: {{a: {endpoint}}}}}");
        refused(&yaml, &[&format!("error: {expected}")]);
    }
}

#[test]
fn every_type_carries_its_data() {
    for (record_type, number, value) in [
        ("MX", 15, "10 mx1.example.net."),
        ("TXT", 16, "v=spf1 -all"),
        ("SRV", 33, "1 10 443 a.example.com."),
        ("CAA", 257, "0 issue ca.example.net"),
        ("HTTPS", 65, "1 . alpn=h2"),
        ("SVCB", 64, "0 svc.example.net."),
        (
            "NAPTR",
            35,
            "100 10 u E2U+sip !^.*$!sip:info@example.com! .",
        ),
        ("PTR", 12, "host.example.com."),
        ("SPF", 99, "v=spf1 -all"),
        ("TLSA", 52, "3 1 1 00ff"),
        ("SSHFP", 44, "1 1 00ff"),
    ] {
        let yaml = format!(
            "{{recordTypes: [{record_type}], startEndpoint: a, endpoints: {{a: {{values: [\"{value}\"]}}}}}}"
        );
        let (policy, findings) = compile(&yaml);
        assert_eq!(findings, [""; 0], "{record_type}");
        let policy = policy.unwrap();
        assert_eq!(policy.record_types(), [number]);
        let values: Vec<String> = policy.endpoints()[0]
            .values
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(values, [value]);
    }
}

#[test]
fn names_and_objects_have_a_status_of_their_own() {
    let policy_records = |name: &str| (name == "www").then(|| "www.example.com.".to_owned());
    let objects = |object: &ObjectReference| {
        let addresses = vec![
            ObjectAddress::Ip("192.0.2.7".parse().unwrap()),
            ObjectAddress::Hostname("lb.example.net".into()),
        ];
        (object.name == "web")
            .then_some(addresses)
            .ok_or(NoAddresses::NotFound)
    };
    let references = References {
        policy_records: &policy_records,
        objects: Some(&objects),
        check_id: &|name| format!("shop/{name}"),
        ..References::none()
    };
    let document = document(
        "{recordTypes: [A], startRule: r, rules: {r: {type: MultiValue, branches: [
           {endpoint: host}, {endpoint: object}, {endpoint: plain}, {endpoint: record, healthCheckRef: {name: hc}}]}},
         endpoints: {host: {hostname: Lb.example.net.}, object: {objectRef: {kind: Service, name: web}},
           plain: {addresses: [192.0.2.1], healthCheckRef: {name: hc}, drain: true}, record: {policyRecordRef: {name: www}}}}",
    );
    let (policy, _) = compile_policy(&document, &references, &Limits::api());
    let policy = policy.unwrap();
    let kinds: Vec<_> = policy
        .endpoints()
        .iter()
        .map(|endpoint| endpoint.kind)
        .collect();
    let (alias, plain) = (EndpointKind::Alias, EndpointKind::Value);
    assert_eq!(kinds, [alias, alias, plain, alias]);
    assert_eq!(
        policy.endpoints()[0].values,
        [Value::Hostname("Lb.example.net.".into())]
    );
    assert_eq!(policy.endpoints()[1].values.len(), 2);
    assert_eq!(
        policy.endpoints()[3].values,
        [Value::Hostname("www.example.com.".into())]
    );
    assert!(policy.endpoints()[2].drain);
    assert!(policy.check_ids().into_iter().eq(["shop/hc"]));
}

#[test]
fn a_surplus_family_is_a_warning() {
    let (policy, findings) = compile(
        "{recordTypes: [A], startEndpoint: a, endpoints: {a: {addresses: [192.0.2.1, \"2001:db8::1\"]}}}",
    );
    assert!(policy.is_some());
    assert_eq!(
        findings,
        ["warning: endpoints.a.addresses: 2001:db8::1 is no answer for type A [ignored]"]
    );
}

#[test]
fn faults_of_all_layers_are_told_together() {
    refused(
        "{recordTypes: [], startRule: r, startEndpoint: a,
          rules: {r: {type: Weighted, branches: [{rule: s, weight: 1}, {endpoint: gone, weight: 70000}]},
                  s: {type: Failover, branches: [{rule: r}, {endpoint: a, weight: 1}]}},
          endpoints: {a: {addresses: [x]}}}",
        &[
            "error: document: startRule and startEndpoint exclude each other; remove one [field-conflict]",
            "error: recordTypes: name the DNS type that the policy serves, or both A and AAAA [missing-field]",
            "error: rules.r.branches[1].endpoint: there is no endpoint `gone` [unknown-endpoint]",
            "error: rules.r.branches[1].weight: 70000 is not between 0 and 10000 [invalid-value]",
            "error: rules.s.branches[0].rule: leads back to itself: r > s > r [cycle]",
            "error: rules.s.branches[1].weight: a branch of a Failover rule has no weight, which belongs to Weighted; remove it [misplaced-field]",
            "error: endpoints.a.addresses: `x` is not an IPv4 or IPv6 address [invalid-value]",
        ],
    );
}

#[test]
fn manifests_restrict_names_and_conversion_does_not() {
    let yaml = "{recordTypes: [A], startRule: rule 1, rules: {rule 1: {type: Failover, branches: [
        {endpoint: -a}, {endpoint: ok}]}}, endpoints: {-a: {addresses: [192.0.2.1]}, ok: {addresses: [192.0.2.2]}}}";
    let (policy, findings) = compile(yaml);
    assert!(policy.is_some(), "{findings:?}");
    let names = check_names(&document(yaml));
    let paths: Vec<String> = names
        .iter()
        .map(|finding| finding.path.to_string())
        .collect();
    assert_eq!(
        paths,
        [
            "rules.rule 1",
            "endpoints.-a",
            "startRule",
            "rules.rule 1.branches[0].endpoint"
        ]
    );
    assert!(
        names
            .iter()
            .all(|finding| finding.severity() == Severity::Error)
    );
}

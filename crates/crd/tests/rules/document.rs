//! Documents that the rules of the policy document refuse.

use serde_json::{Value, json};

use crate::{Case, case};

pub const START: &str = "exactly one of `startRule` and `startEndpoint` must be set";
pub const TARGETS: &str = "every `rule` and `endpoint` of a branch must name another rule or an endpoint of this document";
pub const CYCLE: &str = "rules must not form a cycle and may be at most 8 deep";
pub const POSITIONS: &str = "a branch of a Latency or Geoproximity rule needs a `region`, its own or \
    its endpoint's; Geoproximity also takes `coordinates`";
pub const VALUES: &str = "`values` is for record types other than A, AAAA and CNAME, which take \
    `addresses`, `hostname`, `objectRef`";
pub const COMPLETE: &str = "branches lack what the rule type needs: Weighted `weight`; Geolocation \
    one of `locations` and `default`; Geoproximity not both of `region` and `coordinates`; CIDR \
    `default` or else `cidrs` or `cidrLocation`; Failover 2 or more branches";
pub const FOREIGN: &str = "a branch has a field of another rule type (weight: Weighted; region: \
    Latency, Geoproximity; locations: Geolocation; coordinates, bias: Geoproximity; cidrs, \
    cidrLocation: CIDR, the latter with `cidrCollectionRef`; default: Geolocation, CIDR)";
pub const RULE_FIELDS: &str =
    "`affinity` is only for Weighted, `maxAnswers` for MultiValue, `cidrCollectionRef` for CIDR";
pub const ONE_TARGET: &str = "exactly one of `rule` and `endpoint` must be set";
pub const ONE_VALUE: &str = "exactly one of `addresses`, `hostname`, `values`, `objectRef` and \
    `policyRecordRef` must be set";

pub fn start_and_references() -> Vec<Case> {
    let policy = "TrafficPolicy";
    vec![
        case(policy, [("/spec/document/startRule", Value::Null)], START),
        case(
            policy,
            [("/spec/document/startEndpoint", json!("osl"))],
            START,
        ),
        case(
            policy,
            [("/spec/document/startRule", json!("osl"))],
            "`startRule` must name a rule",
        ),
        case(
            policy,
            [
                ("/spec/document/startRule", Value::Null),
                ("/spec/document/startEndpoint", json!("offices")),
            ],
            "`startEndpoint` must name an endpoint",
        ),
        case(
            policy,
            [("/spec/document/rules/split/branches/0/rule", json!("osl"))],
            TARGETS,
        ),
        case(
            policy,
            [(
                "/spec/document/rules/split/branches/1/endpoint",
                json!("near"),
            )],
            TARGETS,
        ),
        case(
            policy,
            [("/spec/document/rules/several", Value::Null)],
            TARGETS,
        ),
        case(
            policy,
            [(
                "/spec/document/rules/primary/branches/0",
                json!({"rule": "offices"}),
            )],
            CYCLE,
        ),
        case(
            policy,
            [("/spec/document/recordTypes", json!(["A", "MX"]))],
            "only A and AAAA may be combined",
        ),
        case(
            policy,
            [(
                "/spec/document/endpoints/a b",
                json!({"hostname": "a.example.net"}),
            )],
            "endpoint names must match ^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$",
        ),
        case(
            policy,
            [(
                "/spec/document/rules/-a",
                json!({"type": "MultiValue", "branches": [{"endpoint": "osl"}]}),
            )],
            "rule names must match ^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$",
        ),
    ]
}

pub fn branches() -> Vec<Case> {
    let branch = |rule: &str, value: Value| match rule {
        "split" => [("/spec/document/rules/split/branches/1", value)],
        "near" => [("/spec/document/rules/near/branches/0", value)],
        "fast" => [("/spec/document/rules/fast/branches/1", value)],
        "places" => [("/spec/document/rules/places/branches/0", value)],
        "offices" => [("/spec/document/rules/offices/branches/0", value)],
        "primary" => [("/spec/document/rules/primary/branches/0", value)],
        _ => [("/spec/document/rules/several/branches/0", value)],
    };
    let osl = |fields: Value| {
        let mut branch = json!({"endpoint": "osl"});
        for (name, value) in fields.as_object().unwrap() {
            branch[name] = value.clone();
        }
        branch
    };
    let place = json!({"latitude": "1", "longitude": "1"});
    let cases = [
        (
            "primary",
            json!({"rule": "several", "endpoint": "osl"}),
            ONE_TARGET,
        ),
        ("split", osl(json!({})), COMPLETE),
        ("places", osl(json!({})), COMPLETE),
        ("offices", osl(json!({})), COMPLETE),
        (
            "near",
            osl(json!({"region": "us-east-1", "coordinates": place})),
            COMPLETE,
        ),
        ("near", osl(json!({})), POSITIONS),
        ("fast", osl(json!({})), POSITIONS),
        ("several", osl(json!({"weight": 1})), FOREIGN),
        ("primary", osl(json!({"region": "us-east-1"})), FOREIGN),
        (
            "primary",
            osl(json!({"locations": ["continent/EU"]})),
            FOREIGN,
        ),
        (
            "fast",
            osl(json!({"region": "us-east-1", "bias": 1})),
            FOREIGN,
        ),
        ("fast", osl(json!({"coordinates": place})), FOREIGN),
        ("several", osl(json!({"cidrs": ["192.0.2.0/24"]})), FOREIGN),
        ("several", osl(json!({"default": true})), FOREIGN),
        (
            "offices",
            osl(json!({"cidrs": ["192.0.2.0"]})),
            "must be CIDR blocks",
        ),
        (
            "places",
            osl(json!({"default": true})),
            "at most one branch may be the default",
        ),
        (
            "offices",
            osl(json!({"default": true})),
            "at most one branch may be the default",
        ),
    ];
    let mut cases: Vec<Case> = cases
        .into_iter()
        .map(|(rule, value, message)| case("TrafficPolicy", branch(rule, value), message))
        .collect();
    let two_ways = json!({"endpoint": "osl", "cidrLocation": "headquarters", "default": true});
    cases.push(Case {
        messages: vec![COMPLETE, "at most one branch may be the default"],
        ..case("TrafficPolicy", branch("offices", two_ways), "")
    });
    cases.push(Case {
        messages: vec![ONE_TARGET, TARGETS],
        ..case("TrafficPolicy", branch("primary", json!({})), "")
    });
    cases
}

pub fn rules() -> Vec<Case> {
    let policy = "TrafficPolicy";
    vec![
        case(
            policy,
            [(
                "/spec/document/rules/primary/branches",
                json!([{"endpoint": "osl"}]),
            )],
            COMPLETE,
        ),
        case(
            policy,
            [(
                "/spec/document/rules/offices/cidrCollectionRef",
                Value::Null,
            )],
            FOREIGN,
        ),
        case(
            policy,
            [("/spec/document/rules/primary/affinity", json!("Client"))],
            RULE_FIELDS,
        ),
        case(
            policy,
            [("/spec/document/rules/split/maxAnswers", json!(2))],
            RULE_FIELDS,
        ),
        case(
            policy,
            [(
                "/spec/document/rules/near/cidrCollectionRef",
                json!({"name": "offices"}),
            )],
            RULE_FIELDS,
        ),
    ]
}

pub fn endpoints() -> Vec<Case> {
    let policy = "TrafficPolicy";
    let mail = "TrafficPolicyVersion";
    let group = "`group` does not belong to `kind`";
    vec![
        case(
            policy,
            [("/spec/document/endpoints/osl/addresses", Value::Null)],
            ONE_VALUE,
        ),
        case(
            policy,
            [(
                "/spec/document/endpoints/osl/hostname",
                json!("a.example.net"),
            )],
            ONE_VALUE,
        ),
        case(
            policy,
            [(
                "/spec/document/endpoints/osl/addresses/0",
                json!("192.0.2.256"),
            )],
            "must be IPv4 or IPv6 addresses",
        ),
        case(
            policy,
            [(
                "/spec/document/endpoints/osl",
                json!({"values": ["192.0.2.1"]}),
            )],
            VALUES,
        ),
        case(
            mail,
            [(
                "/spec/document/endpoints/first",
                json!({"hostname": "mx.example.net"}),
            )],
            VALUES,
        ),
        case(
            policy,
            [("/spec/document/recordTypes", json!(["CNAME"]))],
            "a CNAME policy must not have `addresses`",
        ),
        case(
            policy,
            [("/spec/document/endpoints/lb/objectRef/group", Value::Null)],
            group,
        ),
        case(
            policy,
            [(
                "/spec/document/endpoints/lb/objectRef/kind",
                json!("Ingress"),
            )],
            group,
        ),
        case(
            policy,
            [(
                "/spec/document/endpoints/lb/objectRef/kind",
                json!("ServiceImport"),
            )],
            group,
        ),
        case(
            policy,
            [(
                "/spec/document/endpoints/lb/objectRef/kind",
                json!("Service"),
            )],
            group,
        ),
    ]
}

//! The CEL rules of the definitions, evaluated without an API server: each
//! refuses what it should, and says so in its own words.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use kube_cel::{CompiledSchema, Validator, apply_defaults, compile_schema};
use serde_json::{Value, json};
use support::{edited, manifest};
use watershed_crd::{KINDS, schema_for};

/// An edit to the full manifest of a kind, and the messages it must give.
struct Case {
    kind: &'static str,
    edits: Vec<(&'static str, Value)>,
    messages: Vec<&'static str>,
}

fn case(
    kind: &'static str,
    edits: impl IntoIterator<Item = (&'static str, Value)>,
    message: &'static str,
) -> Case {
    Case {
        kind,
        edits: edits.into_iter().collect(),
        messages: vec![message],
    }
}

/// The schemas, compiled once: that takes longer than all their evaluations.
static COMPILED: LazyLock<BTreeMap<&str, (Value, CompiledSchema)>> = LazyLock::new(|| {
    let schemas = KINDS.map(|kind| (kind, schema_for(kind).unwrap()));
    let compiled = schemas.map(|(kind, schema)| {
        let compiled = compile_schema(&schema);
        (kind, (schema, compiled))
    });
    compiled.into_iter().collect()
});

/// The messages of the rules that refuse `object` as an update of `old`.
fn refusals(kind: &str, object: &Value, old: Option<&Value>) -> BTreeSet<String> {
    let (schema, compiled) = &COMPILED[kind];
    let object = apply_defaults(schema, object);
    let old = old.map(|old| apply_defaults(schema, old));
    match Validator::new().validate_compiled(compiled, &object, old.as_ref()) {
        Ok(()) => BTreeSet::new(),
        Err(errors) => errors.into_vec().into_iter().map(|e| e.message).collect(),
    }
}

fn check(cases: Vec<Case>) {
    for Case {
        kind,
        edits,
        messages,
    } in cases
    {
        let found = refusals(kind, &edited(kind, &edits), None);
        let expected = messages.iter().map(|message| (*message).to_owned());
        assert_eq!(found, expected.collect(), "{kind} with {edits:?}");
    }
}

const START: &str = "exactly one of `startRule` and `startEndpoint` must be set";
const TARGETS: &str = "every `rule` and `endpoint` of a branch must name another rule or an endpoint of this document";
const CYCLE: &str = "rules must not form a cycle and may be at most 8 deep";
const POSITIONS: &str = "a branch of a Latency or Geoproximity rule needs a `region`, its own or \
    its endpoint's; Geoproximity also takes `coordinates`";
const VALUES: &str = "`values` is for record types other than A, AAAA and CNAME, which take \
    `addresses`, `hostname`, `objectRef`";
const COMPLETE: &str = "branches lack what the rule type needs: Weighted `weight`; Geolocation \
    one of `locations` and `default`; Geoproximity not both of `region` and `coordinates`; CIDR \
    `default` or else `cidrs` or `cidrLocation`; Failover 2 or more branches";
const FOREIGN: &str = "a branch has a field of another rule type (weight: Weighted; region: \
    Latency, Geoproximity; locations: Geolocation; coordinates, bias: Geoproximity; cidrs, \
    cidrLocation: CIDR, the latter with `cidrCollectionRef`; default: Geolocation, CIDR)";
const RULE_FIELDS: &str =
    "`affinity` is only for Weighted, `maxAnswers` for MultiValue, `cidrCollectionRef` for CIDR";
const ONE_TARGET: &str = "exactly one of `rule` and `endpoint` must be set";
const ONE_VALUE: &str = "exactly one of `addresses`, `hostname`, `values`, `objectRef` and \
    `policyRecordRef` must be set";

#[test]
fn full_manifests_are_accepted() {
    for kind in KINDS {
        let manifest = manifest(kind);
        assert_eq!(refusals(kind, &manifest, None), BTreeSet::new(), "{kind}");
        let same = refusals(kind, &manifest, Some(&manifest));
        assert_eq!(same, BTreeSet::new(), "{kind}, unchanged");
    }
}

/// Every rule must parse, and have a message of its own.
#[test]
fn every_rule_compiles() {
    for kind in KINDS {
        compiles(kind, &COMPILED[kind].1);
    }
}

fn compiles(at: &str, schema: &CompiledSchema) {
    for rule in &schema.validations {
        let compiled = rule
            .as_ref()
            .unwrap_or_else(|error| panic!("{at}: {error}"));
        assert!(
            compiled.rule.message.is_some(),
            "{at}: {}",
            compiled.rule.rule
        );
    }
    for (name, below) in &schema.properties {
        compiles(&format!("{at}.{name}"), below);
    }
    let below = [&schema.items, &schema.additional_properties];
    for below in below.into_iter().flatten() {
        compiles(&format!("{at}[]"), below);
    }
}

fn start_and_references() -> Vec<Case> {
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

fn branches() -> Vec<Case> {
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

fn rules() -> Vec<Case> {
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

fn endpoints() -> Vec<Case> {
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

fn other_kinds() -> Vec<Case> {
    let alias = json!({"name": "www"});
    let union = "exactly one of `values` and `aliasTo` must be set";
    let alias_types = "`aliasTo` is only for A and AAAA";
    let alias_union = "exactly one of `policyRecordRef` and `name` must be set";
    let record = "PolicyRecord";
    vec![
        case(
            "TrafficPolicy",
            [("/metadata/name", json!("a".repeat(201)))],
            "metadata.name must be no more than 200 characters",
        ),
        case(
            "TrafficPolicy",
            [("/spec/document", Value::Null)],
            "`version` needs `document`",
        ),
        case(
            "TrafficPolicy",
            [("/spec/channels/latest", json!(1))],
            "channel names must match ^[a-z]([-a-z0-9]{0,30}[a-z0-9])?$ and must not be `latest`",
        ),
        case(
            "TrafficPolicyVersion",
            [("/metadata/name", json!("mail-v4"))],
            "metadata.name must be `<spec.policyName>-v<spec.version>`",
        ),
        case("RecordSet", [("/spec/values", Value::Null)], union),
        Case {
            messages: vec![union, alias_types],
            ..case("RecordSet", [("/spec/aliasTo", alias.clone())], "")
        },
        case(
            "HostedZone",
            [("/spec/records/2/aliasTo", Value::Null)],
            union,
        ),
        case(
            "HostedZone",
            [("/spec/records/2/type", json!("MX"))],
            alias_types,
        ),
        case(
            "HostedZone",
            [("/spec/records/2/aliasTo/name", json!("www"))],
            alias_union,
        ),
        case(
            "HostedZone",
            [("/spec/records/3/aliasTo", json!({}))],
            alias_union,
        ),
        case(
            "HostedZone",
            [("/spec/allowedRecords/1/namespaces/from", json!("Selector"))],
            "`selector` must be set if and only if `from` is Selector",
        ),
        case(
            "CIDRCollection",
            [("/spec/locations/head quarters", json!(["192.0.2.0/24"]))],
            "location names must match ^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$",
        ),
        case(
            "HealthCheck",
            [("/spec/tcp", json!({"port": 443}))],
            "exactly one of `http`, `tcp`, `grpc`, `dns`, `calculated`, `workload`, \
             `endpointSlices` and `prometheus` must be set",
        ),
        case(
            "HealthCheck",
            [("/spec/timeoutSeconds", json!(10))],
            "`timeoutSeconds` must be less than `intervalSeconds`",
        ),
        case(
            "HealthCheck",
            [
                ("/spec/http", Value::Null),
                ("/spec/prometheus", json!({"query": "up"})),
            ],
            "`min` or `max` must be set",
        ),
        case(
            record,
            [("/spec/channel", json!("stable"))],
            "exactly one of `version` and `channel` must be set",
        ),
    ]
}

fn records() -> Vec<Case> {
    let record = "PolicyRecord";
    let canary = "`canary` must be set if and only if `strategy` is Canary";
    let failback = "`durationSeconds` must be set if and only if `mode` is After";
    vec![
        case(
            record,
            [
                ("/spec/version", Value::Null),
                ("/spec/channel", json!("stable")),
            ],
            "`digest` needs `version`",
        ),
        case(record, [("/spec/rollout/strategy", Value::Null)], canary),
        case(record, [("/spec/rollout/canary", Value::Null)], canary),
        case(
            record,
            [("/spec/rollout/canary/steps/1/percent", json!(1))],
            "`percent` must not fall from step to step",
        ),
        case(
            record,
            [("/spec/rollout/canary/steps/0/pause", json!("UntilApproved"))],
            "at most one of `pause` and `pauseSeconds` may be set",
        ),
        case(
            record,
            [(
                "/spec/rollout/canary/analysis/metrics/0/builtin",
                Value::Null,
            )],
            "exactly one of `builtin` and `prometheus` must be set",
        ),
        case(
            record,
            [("/spec/rollout/canary/analysis/metrics/0/min", Value::Null)],
            "`min` or `max` must be set",
        ),
        case(
            record,
            [("/spec/failback/durationSeconds", Value::Null)],
            failback,
        ),
        case(record, [("/spec/failback/mode", json!("Manual"))], failback),
        case(
            record,
            [("/spec/ttl/minSeconds", json!(61))],
            "`minSeconds` must not exceed `maxSeconds`",
        ),
    ]
}

#[test]
fn a_document_starts_somewhere_and_refers_to_what_exists() {
    check(start_and_references());
}

#[test]
fn branches_have_what_their_rule_needs_and_nothing_else() {
    check(branches());
}

#[test]
fn rules_have_the_fields_of_their_type() {
    check(rules());
}

#[test]
fn endpoints_have_one_value_that_fits() {
    check(endpoints());
}

#[test]
fn the_other_kinds_are_consistent() {
    check(other_kinds());
    check(records());
}

/// A chain of `length` rules, each leading to the next.
fn chain(length: usize) -> Value {
    let mut rules = json!({});
    for depth in 1..length {
        let branches = json!([{"rule": format!("r{}", depth + 1)}, {"endpoint": "osl"}]);
        rules[format!("r{depth}")] = json!({"type": "MultiValue", "branches": branches});
    }
    let last = json!({"type": "MultiValue", "branches": [{"endpoint": "osl"}]});
    rules[format!("r{length}")] = last;
    let document = json!({
        "recordTypes": ["A"],
        "startRule": "r1",
        "rules": rules,
        "endpoints": {"osl": {"addresses": ["192.0.2.10"]}},
    });
    edited("TrafficPolicy", &[("/spec/document", document)])
}

#[test]
fn rules_may_be_eight_deep() {
    assert_eq!(refusals("TrafficPolicy", &chain(8), None), BTreeSet::new());
    let deeper = refusals("TrafficPolicy", &chain(9), None);
    assert_eq!(deeper, BTreeSet::from([CYCLE.to_owned()]));
}

/// `count` branches in all, in rules of at most 64.
fn wide(count: usize) -> Value {
    let branch = json!({"endpoint": "osl"});
    let mut rules = json!({});
    for (index, start) in (0..count).step_by(64).enumerate() {
        let branches = vec![branch.clone(); 64.min(count - start)];
        rules[format!("r{index}")] = json!({"type": "MultiValue", "branches": branches});
    }
    let document = json!({
        "recordTypes": ["A"],
        "startRule": "r0",
        "rules": rules,
        "endpoints": {"osl": {"addresses": ["192.0.2.10"]}},
    });
    edited("TrafficPolicy", &[("/spec/document", document)])
}

const MANY: &str = "all rules together may have at most 1000 branches";

#[test]
fn a_document_may_have_a_thousand_branches() {
    assert_eq!(
        refusals("TrafficPolicy", &wide(1000), None),
        BTreeSet::new()
    );
    let wider = refusals("TrafficPolicy", &wide(1001), None);
    assert_eq!(wider, BTreeSet::from([MANY.to_owned()]));
}

#[test]
fn a_document_needs_no_rules() {
    let document = json!({
        "recordTypes": ["CNAME"],
        "startEndpoint": "osl",
        "endpoints": {"osl": {"hostname": "osl.example.net"}},
    });
    let policy = edited("TrafficPolicy", &[("/spec/document", document)]);
    assert_eq!(refusals("TrafficPolicy", &policy, None), BTreeSet::new());
}

fn transitions() -> Vec<Case> {
    vec![
        case(
            "TrafficPolicyVersion",
            [("/spec/description", json!("other"))],
            "a TrafficPolicyVersion may not change; make a new version",
        ),
        case(
            "PolicyRecord",
            [("/spec/name", json!("shop"))],
            "`name` may not change: make a new PolicyRecord",
        ),
        case(
            "PolicyRecord",
            [("/spec/hostedZoneRef/name", json!("example-net"))],
            "`hostedZoneRef` may not change: make a new PolicyRecord",
        ),
        case(
            "HostedZone",
            [("/spec/domain", json!("example.net"))],
            "`domain` may not change",
        ),
        case(
            "RecordSet",
            [("/spec/name", json!("_verify"))],
            "`name`, `type` and `hostedZoneRef` may not change",
        ),
        case(
            "TrafficPolicy",
            [("/spec/document/endpoints/osl/comment", json!("moved"))],
            "this version has been minted and may not change: set `spec.version` to a new number",
        ),
    ]
}

#[test]
fn what_may_not_change_does_not() {
    let minted = ("/status", json!({"mintedVersion": 12}));
    for change in transitions() {
        let mut before = manifest(change.kind);
        if change.kind == "TrafficPolicy" {
            before = edited(change.kind, std::slice::from_ref(&minted));
        }
        let after = edited(change.kind, &change.edits);
        let found = refusals(change.kind, &after, Some(&before));
        assert_eq!(found, BTreeSet::from([change.messages[0].to_owned()]));
        assert_eq!(refusals(change.kind, &after, None), BTreeSet::new());
    }
}

/// Going back to an older document under its old number is how `git revert`
/// looks; it must stay possible.
#[test]
fn a_minted_policy_takes_another_document_with_another_number() {
    let before = edited(
        "TrafficPolicy",
        &[("/status", json!({"mintedVersion": 12}))],
    );
    let comment = ("/spec/document/endpoints/osl/comment", json!("moved"));
    for number in [11, 13] {
        let after = edited(
            "TrafficPolicy",
            &[comment.clone(), ("/spec/version", json!(number))],
        );
        assert_eq!(
            refusals("TrafficPolicy", &after, Some(&before)),
            BTreeSet::new()
        );
    }
}

/// A rule without a case above proves nothing.
#[test]
fn every_rule_has_a_case() {
    let cases = [
        start_and_references(),
        branches(),
        rules(),
        endpoints(),
        other_kinds(),
        records(),
        transitions(),
    ];
    let tried = cases.into_iter().flatten().flat_map(|case| case.messages);
    let mut tried: BTreeSet<&str> = tried.collect();
    tried.insert(MANY);
    for kind in KINDS {
        each_message(&schema_for(kind).unwrap(), &mut |message| {
            assert!(tried.contains(message), "{kind}: no case for \"{message}\"");
        });
    }
}

fn each_message(schema: &Value, visit: &mut impl FnMut(&str)) {
    match schema {
        Value::Object(fields) => {
            for rule in fields
                .get("x-kubernetes-validations")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                visit(rule["message"].as_str().unwrap());
            }
            fields.values().for_each(|below| each_message(below, visit));
        }
        Value::Array(items) => items.iter().for_each(|below| each_message(below, visit)),
        _ => {}
    }
}

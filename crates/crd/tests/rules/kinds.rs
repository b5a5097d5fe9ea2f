//! Objects, and changes of objects, that the rules of the kinds refuse.

use serde_json::{Value, json};

use crate::{Case, case};

pub fn other_kinds() -> Vec<Case> {
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

pub fn records() -> Vec<Case> {
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

pub fn transitions() -> Vec<Case> {
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

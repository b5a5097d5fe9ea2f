//! Messages about health.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use watershed_health::fleet::Report;
use watershed_health::{Checker, Hold, State, Target};
use watershed_proto::fleet_v1 as wire;
use watershed_proto::{MessageError, NodeMessage, OperatorMessage};

use crate::checks::addresses;

fn targets() -> impl Strategy<Value = Target> {
    ("[a-z]{1,4}/[a-z]{1,4}", of(addresses()))
        .prop_map(|(check, address)| Target { check, address })
}

fn reports() -> impl Strategy<Value = Report> {
    let state = prop::sample::select(vec![State::Unknown, State::Healthy, State::Unhealthy]);
    let rest = any::<(bool, u64, Option<i64>, Option<bool>)>();
    (targets(), state, "[a-z é]{0,256}", rest).prop_map(|(target, state, message, rest)| {
        let (changing, age_ms, certificate_expires, served) = rest;
        Report {
            target,
            state,
            changing,
            age_ms,
            message,
            certificate_expires,
            served,
        }
    })
}

fn holds() -> impl Strategy<Value = Hold> {
    any::<[String; 3]>().prop_map(|[record, rule, active]| Hold {
        record,
        rule,
        active,
    })
}

pub(crate) fn node_messages() -> impl Strategy<Value = NodeMessage> {
    prop_oneof![
        (vec(reports(), 0..4), any::<bool>())
            .prop_map(|(reports, whole)| NodeMessage::HealthReport { reports, whole }),
        any::<u64>().prop_map(|digest| NodeMessage::HealthBeat { digest }),
        vec(holds(), 0..4).prop_map(NodeMessage::OwnHolds),
    ]
}

pub(crate) fn operator_messages() -> impl Strategy<Value = OperatorMessage> {
    let checkers = ("[a-z]{1,8}", any::<String>());
    let checkers = checkers.prop_map(|(node, location)| Checker { node, location });
    let verdicts = vec((targets(), any::<bool>(), any::<bool>()), 0..4);
    prop_oneof![
        vec(checkers, 0..4).prop_map(OperatorMessage::Checkers),
        (verdicts, vec(holds(), 0..3), any::<bool>()).prop_map(|(verdicts, holds, whole)| {
            OperatorMessage::Verdicts {
                verdicts,
                holds,
                whole,
            }
        }),
        Just(OperatorMessage::HealthInquire),
    ]
}

#[test]
fn what_a_probe_said_is_cut_on_both_ways() {
    let report = Report {
        target: Target {
            check: "shop/web".to_owned(),
            address: None,
        },
        state: State::Unhealthy,
        changing: false,
        age_ms: 0,
        message: "é".repeat(300),
        certificate_expires: None,
        served: None,
    };
    let mut sent = wire::TargetReport::from(report.clone());
    assert_eq!(sent.message, "é".repeat(256));
    sent.message = report.message;
    let read = Report::try_from(sent).unwrap();
    assert_eq!(read.message, "é".repeat(256));
}

#[test]
fn malformed_targets_are_refused_by_field() {
    let address = |address| Some(wire::Address { address });
    let target = |check: &str, address| {
        Some(wire::HealthTarget {
            check: check.to_owned(),
            address,
        })
    };
    let malformed = [
        None,
        target("", None),
        target("shop/web", address(None)),
        target(
            "shop/web",
            address(Some(wire::address::Address::Ip(vec![1; 5]))),
        ),
        target(
            "shop/web",
            address(Some(wire::address::Address::Host(String::new()))),
        ),
        target(
            "shop/web",
            address(Some(wire::address::Address::Host("a\n".to_owned()))),
        ),
    ];
    for target in malformed {
        let verdict = wire::Verdict {
            target,
            healthy: true,
            changing: false,
        };
        let verdicts = wire::Verdicts {
            verdicts: vec![verdict],
            ..wire::Verdicts::default()
        };
        let body = Some(wire::to_node::Body::Verdicts(verdicts));
        let field = "Verdicts.verdicts.target";
        assert_eq!(
            OperatorMessage::try_from(wire::ToNode { body }),
            Err(MessageError::Field { field })
        );
    }
}

#[test]
fn a_state_and_a_checker_must_be_known() {
    let report = wire::HealthReport {
        reports: vec![wire::TargetReport {
            state: 9,
            ..wire::TargetReport::default()
        }],
        whole: true,
    };
    let body = Some(wire::from_node::Body::HealthReport(report));
    let field = "HealthReport.reports.state";
    assert_eq!(
        NodeMessage::try_from(wire::FromNode { body }),
        Err(MessageError::Field { field })
    );
    let checkers = wire::Checkers {
        nodes: vec![wire::Checker::default()],
    };
    let body = Some(wire::to_node::Body::Checkers(checkers));
    let field = "Checkers.nodes.node";
    assert_eq!(
        OperatorMessage::try_from(wire::ToNode { body }),
        Err(MessageError::Field { field })
    );
}

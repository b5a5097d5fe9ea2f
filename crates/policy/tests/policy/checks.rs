//! Every fault and every warning of a document, each shown once.

use watershed_policy::{
    Code, Coordinates, Document, EndpointKind, Limits, Path, Place, Policy, Region, RuleKind,
    Selector, Severity, Target, Value,
};

use crate::support::{WEIGHTED, document, endpoint, rule, to_endpoint, to_rule};

fn findings(document: &Document) -> Vec<(Code, String)> {
    let (policy, findings) = Policy::build(document, &Limits::api());
    let refused = findings
        .iter()
        .any(|finding| finding.severity() == Severity::Error);
    assert_eq!(policy.is_none(), refused, "{findings:?}");
    findings
        .into_iter()
        .map(|finding| (finding.code, finding.path.to_string()))
        .collect()
}

fn two_endpoints() -> Vec<watershed_policy::EndpointSpec> {
    vec![endpoint("a", 1), endpoint("b", 2)]
}

/// A rule `start` of `kind` over the endpoints a and b.
fn over_two(kind: RuleKind, a: Selector, b: Selector) -> Document {
    let branches = vec![to_endpoint("a", a), to_endpoint("b", b)];
    document(
        "start",
        vec![rule("start", kind, branches)],
        two_endpoints(),
    )
}

fn country(code: &str) -> Selector {
    Selector::Places(vec![Place::Country(code.parse().unwrap())])
}

fn region(name: &str) -> Selector {
    Selector::Region(Region {
        name: name.to_owned(),
        coordinates: None,
    })
}

#[track_caller]
fn expect(document: &Document, expected: &[(Code, &str)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(code, path)| (*code, (*path).to_owned()))
        .collect();
    let (mut found, mut expected) = (findings(document), expected);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_sound_document_has_no_findings() {
    expect(
        &over_two(RuleKind::Failover, Selector::Always, Selector::Always),
        &[],
    );
    expect(
        &over_two(WEIGHTED, Selector::Weight(1), Selector::Weight(2)),
        &[],
    );
}

#[test]
fn all_faults_are_listed_at_once() {
    let rules = vec![
        rule(
            "start",
            WEIGHTED,
            vec![
                to_rule("loop", Selector::Weight(10_001)),
                to_endpoint("x", Selector::Always),
            ],
        ),
        rule(
            "loop",
            RuleKind::Failover,
            vec![to_rule("start", Selector::Always)],
        ),
    ];
    expect(
        &document("start", rules, two_endpoints()),
        &[
            (Code::InvalidStructure, "rules.loop.branches"),
            (Code::InvalidValue, "rules.start.branches[0].weight"),
            (Code::MissingField, "rules.start.branches[1]"),
            (Code::UnknownEndpoint, "rules.start.branches[1].endpoint"),
            (Code::Cycle, "rules.loop.branches[0].rule"),
            (Code::UnusedEndpoint, "endpoints.a"),
            (Code::UnusedEndpoint, "endpoints.b"),
        ],
    );
}

#[test]
fn a_cycle_is_told_with_its_way() {
    let rules = vec![
        rule(
            "start",
            RuleKind::Failover,
            vec![
                to_rule("a", Selector::Always),
                to_rule("b", Selector::Always),
            ],
        ),
        rule(
            "a",
            RuleKind::Failover,
            vec![
                to_rule("b", Selector::Always),
                to_endpoint("a", Selector::Always),
            ],
        ),
        rule(
            "b",
            RuleKind::Failover,
            vec![
                to_rule("a", Selector::Always),
                to_endpoint("b", Selector::Always),
            ],
        ),
    ];
    let document = document("start", rules, two_endpoints());
    let (_, findings) = Policy::build(&document, &Limits::api());
    assert_eq!(findings.len(), 1);
    assert_eq!(
        findings[0].path,
        Path::Branch("b".to_owned(), 0, Some("rule"))
    );
    assert_eq!(findings[0].message, "leads back to itself: a > b > a");
}

#[test]
fn a_rule_cannot_lead_to_itself() {
    let rules = vec![rule(
        "start",
        RuleKind::Failover,
        vec![
            to_rule("start", Selector::Always),
            to_endpoint("a", Selector::Always),
        ],
    )];
    expect(
        &document("start", rules, vec![endpoint("a", 1)]),
        &[(Code::Cycle, "rules.start.branches[0].rule")],
    );
}

#[test]
fn duplicates_within_a_rule() {
    let latency = over_two(
        RuleKind::Latency,
        region("us-east-1"),
        region("aws/us-east-1"),
    );
    expect(
        &latency,
        &[(Code::Duplicate, "rules.start.branches[1].region")],
    );
    let places = over_two(RuleKind::Geolocation, country("DE"), country("DE"));
    expect(
        &places,
        &[(Code::Duplicate, "rules.start.branches[1].locations")],
    );
    let defaults = over_two(RuleKind::Geolocation, Selector::Default, Selector::Default);
    expect(
        &defaults,
        &[(Code::Duplicate, "rules.start.branches[1].default")],
    );
    let block = || Selector::Blocks(vec!["192.0.2.0/24".parse().unwrap()]);
    let blocks = over_two(RuleKind::Cidr, block(), block());
    expect(
        &blocks,
        &[(Code::Duplicate, "rules.start.branches[1].cidrs")],
    );
}

#[test]
fn duplicate_names() {
    let mut document = over_two(RuleKind::Failover, Selector::Always, Selector::Always);
    document.endpoints.push(endpoint("a", 3));
    document.rules.push(document.rules[0].clone());
    expect(
        &document,
        &[
            (Code::Duplicate, "rules.start"),
            (Code::Duplicate, "endpoints.a"),
        ],
    );
}

#[test]
fn ranges() {
    let position = |bias| Selector::Position {
        coordinates: Coordinates::new(0.0, 0.0).unwrap(),
        bias,
    };
    let bias = over_two(RuleKind::Geoproximity, position(-100), position(100));
    expect(
        &bias,
        &[
            (Code::InvalidValue, "rules.start.branches[0].bias"),
            (Code::InvalidValue, "rules.start.branches[1].bias"),
        ],
    );
    let many = RuleKind::MultiValue { max_answers: 9 };
    let answers = over_two(many, Selector::Always, Selector::Always);
    expect(&answers, &[(Code::InvalidValue, "rules.start.maxAnswers")]);
    let mut percent = over_two(RuleKind::Failover, Selector::Always, Selector::Always);
    percent.rules[0].min_healthy_percent = Some(101);
    expect(
        &percent,
        &[(Code::InvalidValue, "rules.start.minHealthyPercent")],
    );
}

#[test]
fn multivalue_is_a_leaf() {
    let many = RuleKind::MultiValue { max_answers: 8 };
    let rules = vec![
        rule("start", many, vec![to_rule("below", Selector::Always)]),
        rule(
            "below",
            RuleKind::Failover,
            vec![
                to_endpoint("a", Selector::Always),
                to_endpoint("b", Selector::Always),
            ],
        ),
    ];
    expect(
        &document("start", rules, two_endpoints()),
        &[(Code::InvalidStructure, "rules.start.branches[0].rule")],
    );
}

#[test]
fn record_types() {
    let mut document = over_two(RuleKind::Failover, Selector::Always, Selector::Always);
    let mut with = |types: &[u16]| {
        types.clone_into(&mut document.record_types);
        findings(&document)
            .iter()
            .map(|(code, _)| *code)
            .collect::<Vec<_>>()
    };
    assert_eq!(with(&[1, 28]), [Code::MissingFamily, Code::MissingFamily]);
    assert_eq!(with(&[2]), [Code::RecordType]);
    assert_eq!(with(&[6]), [Code::RecordType]);
    assert_eq!(with(&[43]), [Code::RecordType]);
    assert_eq!(with(&[1, 1]), [Code::Duplicate]);
    assert_eq!(with(&[1, 16]), [Code::RecordType]);
}

#[test]
fn references_name_the_likely_mistake() {
    let mut document = over_two(RuleKind::Failover, Selector::Always, Selector::Always);
    document.start = Some(Target::Rule("a".to_owned()));
    let (_, findings) = Policy::build(&document, &Limits::api());
    assert_eq!(
        findings.len(),
        1,
        "what nothing leads to is not said besides"
    );
    assert_eq!(
        findings[0].to_string(),
        "error: startRule: there is no rule `a`; there is endpoint of that name, so refer to it \
         as endpoint [unknown-rule]"
    );
}

#[test]
fn depth_is_limited_for_resources_only() {
    let depth = 10_000;
    let mut rules = Vec::new();
    for level in 0..depth {
        let next = if level + 1 == depth {
            to_endpoint("b", Selector::Always)
        } else {
            to_rule(&format!("r{}", level + 1), Selector::Always)
        };
        rules.push(rule(
            &format!("r{level}"),
            RuleKind::Failover,
            vec![next, to_endpoint("a", Selector::Always)],
        ));
    }
    let document = document("r0", rules, two_endpoints());
    assert!(Policy::build(&document, &Limits::unlimited()).0.is_some());
    let faults = findings(&document);
    assert!(
        faults.contains(&(Code::LimitExceeded, "rules".to_owned())),
        "{faults:?}"
    );
}

#[test]
fn geolocation_traps() {
    let mut document = over_two(RuleKind::Geolocation, country("DE"), country("FR"));
    expect(&document, &[(Code::NoDefault, "rules.start")]);
    document.rules[0].branches[1].selector = Selector::Default;
    expect(
        &document,
        &[(Code::FallsThrough, "rules.start.branches[0]")],
    );
    document.rules[0].branches[0].check = None;
    expect(&document, &[]);
}

#[test]
fn health_traps() {
    let mut document = over_two(RuleKind::Failover, Selector::Always, Selector::Always);
    document.rules[0].branches[0].check = None;
    expect(
        &document,
        &[(Code::UnreachableBranch, "rules.start.branches[1]")],
    );

    let mut region = rule(
        "region",
        RuleKind::Failover,
        vec![
            to_endpoint("a", Selector::Always),
            to_endpoint("b", Selector::Always),
        ],
    );
    region.branches[1].check = None;
    let parent = rule(
        "start",
        WEIGHTED,
        vec![
            to_rule("region", Selector::Weight(1)),
            to_endpoint("a", Selector::Weight(1)),
        ],
    );
    let mut pinned = crate::support::document("start", vec![parent, region], two_endpoints());
    expect(&pinned, &[(Code::Unchecked, "rules.region.branches[1]")]);
    pinned.rules[0].branches[0].evaluate_target_health = false;
    expect(&pinned, &[]);
}

#[test]
fn zero_weight_is_not_a_drain() {
    let some = over_two(WEIGHTED, Selector::Weight(0), Selector::Weight(1));
    expect(
        &some,
        &[(Code::ZeroWeight, "rules.start.branches[0].weight")],
    );
    let all = over_two(WEIGHTED, Selector::Weight(0), Selector::Weight(0));
    expect(&all, &[]);
}

#[test]
fn an_alias_may_serve_both_families() {
    let mut document = over_two(RuleKind::Failover, Selector::Always, Selector::Always);
    document.record_types = vec![1, 28];
    for endpoint in &mut document.endpoints {
        endpoint.kind = EndpointKind::Alias;
        endpoint.values = vec![Value::Hostname("lb.example.net".to_owned())];
    }
    expect(&document, &[]);
}

#[test]
fn a_multivalue_rule_leaves_out_what_has_no_value() {
    let many = RuleKind::MultiValue { max_answers: 8 };
    let mut document = over_two(many, Selector::Always, Selector::Always);
    document.record_types = vec![1, 28];
    expect(&document, &[]);
}

//! Checks that look at one rule or one endpoint at a time.

use std::collections::{BTreeMap, BTreeSet};

use super::{at_branch, report};
use crate::diagnostic::{Code, Diagnostic, Path};
use crate::document::{Document, RuleKind, RuleSpec, Selector, Target};
use crate::limits::Limits;

/// A and AAAA, the only types that may stand together.
const ADDRESS_TYPES: [u16; 2] = [1, 28];

/// IANA numbers of the types that Route 53 routes: A, CNAME, PTR, MX, TXT,
/// AAAA, SRV, NAPTR, SSHFP, TLSA, SVCB, HTTPS, SPF, CAA
/// (API Reference, `ResourceRecordSet`).
const ROUTED_TYPES: [u16; 14] = [1, 5, 12, 15, 16, 28, 33, 35, 44, 52, 64, 65, 99, 257];

pub(super) fn check(document: &Document, limits: &Limits, findings: &mut Vec<Diagnostic>) {
    record_types(document, findings);
    names(document, findings);
    sizes(document, limits, findings);
    for rule in &document.rules {
        shape(rule, limits, findings);
        selectors(rule, limits, findings);
        duplicates(rule, findings);
    }
}

fn record_types(document: &Document, findings: &mut Vec<Diagnostic>) {
    let path = || Path::Document(Some("recordTypes"));
    let types = &document.record_types;
    for number in types.iter().filter(|number| !ROUTED_TYPES.contains(number)) {
        report(
            findings,
            Code::RecordType,
            path(),
            format!("type {number} cannot be served by a policy"),
        );
    }
    let mut distinct: Vec<u16> = types.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < types.len() {
        report(findings, Code::Duplicate, path(), "a type is listed twice");
    }
    if distinct.len() > 1 && distinct != ADDRESS_TYPES {
        let message = "only A and AAAA may be served together by one policy";
        report(findings, Code::RecordType, path(), message);
    }
}

fn names(document: &Document, findings: &mut Vec<Diagnostic>) {
    let mut rules = BTreeSet::new();
    for rule in document
        .rules
        .iter()
        .filter(|rule| !rules.insert(&rule.name))
    {
        let path = Path::Rule(rule.name.clone(), None);
        report(
            findings,
            Code::Duplicate,
            path,
            "another rule has this name",
        );
    }
    let mut endpoints = BTreeSet::new();
    for endpoint in document
        .endpoints
        .iter()
        .filter(|e| !endpoints.insert(&e.name))
    {
        let path = Path::Endpoint(endpoint.name.clone(), None);
        report(
            findings,
            Code::Duplicate,
            path,
            "another endpoint has this name",
        );
    }
}

fn sizes(document: &Document, limits: &Limits, findings: &mut Vec<Diagnostic>) {
    let branches = document.rules.iter().map(|rule| rule.branches.len()).sum();
    let counts = [
        ("rules", "rules", document.rules.len(), limits.rules),
        (
            "endpoints",
            "endpoints",
            document.endpoints.len(),
            limits.endpoints,
        ),
        (
            "rules",
            "branches in all rules together",
            branches,
            limits.branches,
        ),
    ];
    for (field, what, count, limit) in counts {
        if count > limit {
            let message = format!("{count} {what}, at most {limit} are allowed");
            report(
                findings,
                Code::LimitExceeded,
                Path::Document(Some(field)),
                message,
            );
        }
    }
}

/// Number of branches, and the options of the rule itself.
fn shape(rule: &RuleSpec, limits: &Limits, findings: &mut Vec<Diagnostic>) {
    let path = |field| Path::Rule(rule.name.clone(), Some(field));
    let limit = match rule.kind {
        RuleKind::Geoproximity => limits.geoproximity_branches,
        _ => limits.branches_per_rule,
    };
    let count = rule.branches.len();
    if count > limit {
        let message = format!("{count} branches, at most {limit} are allowed");
        report(findings, Code::LimitExceeded, path("branches"), message);
    }
    if count == 0 {
        let message = "a rule needs at least one branch";
        report(findings, Code::InvalidStructure, path("branches"), message);
    } else if rule.kind == RuleKind::Failover && count < 2 {
        let message = "a failover rule needs at least two branches, the first being the primary";
        report(findings, Code::InvalidStructure, path("branches"), message);
    }
    if rule
        .min_healthy_percent
        .is_some_and(|percent| !(1..=100).contains(&percent))
    {
        let message = "must be between 1 and 100";
        report(
            findings,
            Code::InvalidValue,
            path("minHealthyPercent"),
            message,
        );
    }
    if let RuleKind::MultiValue { max_answers } = rule.kind
        && !(1..=8).contains(&max_answers)
    {
        let message = "must be between 1 and 8";
        report(findings, Code::InvalidValue, path("maxAnswers"), message);
    }
}

/// Whether every branch has what its rule compares, within range.
fn selectors(rule: &RuleSpec, limits: &Limits, findings: &mut Vec<Diagnostic>) {
    for (index, branch) in rule.branches.iter().enumerate() {
        let mut fault = |code, field, message: String| {
            report(findings, code, at_branch(rule, index, field), message);
        };
        if !fits(rule.kind, &branch.selector) {
            let message = format!(
                "a branch of a {} rule needs {}",
                rule.kind.as_str(),
                needs(rule.kind)
            );
            fault(Code::MissingField, None, message);
        }
        match &branch.selector {
            Selector::Weight(weight) if *weight > limits.weight => {
                let message = format!("{weight} is not between 0 and {}", limits.weight);
                fault(Code::InvalidValue, Some("weight"), message);
            }
            Selector::Position { bias, .. } if !(-99..=99).contains(bias) => {
                let message = format!("{bias} is not between -99 and 99");
                fault(Code::InvalidValue, Some("bias"), message);
            }
            Selector::Places(places) if places.is_empty() => {
                let message = "needs at least one place".to_owned();
                fault(Code::MissingField, Some("locations"), message);
            }
            Selector::Blocks(blocks) if blocks.is_empty() => {
                let message = "needs at least one block".to_owned();
                fault(Code::MissingField, Some("cidrs"), message);
            }
            _ => {}
        }
        if matches!(rule.kind, RuleKind::MultiValue { .. })
            && matches!(branch.target, Some(Target::Rule(_)))
        {
            let message = "a multivalue rule is a leaf: its branches lead to endpoints only";
            fault(Code::InvalidStructure, Some("rule"), message.to_owned());
        }
    }
}

fn fits(kind: RuleKind, selector: &Selector) -> bool {
    match selector {
        // The converter has reported it.
        Selector::Missing => true,
        Selector::Always => matches!(kind, RuleKind::Failover | RuleKind::MultiValue { .. }),
        Selector::Weight(_) => matches!(kind, RuleKind::Weighted { .. }),
        Selector::Region(_) => kind == RuleKind::Latency,
        Selector::Places(_) => kind == RuleKind::Geolocation,
        Selector::Position { .. } => kind == RuleKind::Geoproximity,
        Selector::Blocks(_) => kind == RuleKind::Cidr,
        Selector::Default => matches!(kind, RuleKind::Geolocation | RuleKind::Cidr),
    }
}

fn needs(kind: RuleKind) -> &'static str {
    match kind {
        RuleKind::Failover | RuleKind::MultiValue { .. } => "nothing but a target",
        RuleKind::Weighted { .. } => "a weight",
        RuleKind::Latency => "a region",
        RuleKind::Geolocation => "locations, or to be the default",
        RuleKind::Geoproximity => "a region or coordinates",
        RuleKind::Cidr => "CIDR blocks, or to be the default",
    }
}

/// Places, regions, blocks and members that must be unique within a rule.
fn duplicates(rule: &RuleSpec, findings: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (index, branch) in rule.branches.iter().enumerate() {
        let keys: Vec<(&'static str, String)> = match &branch.selector {
            Selector::Places(places) => places
                .iter()
                .map(|place| ("locations", place.to_string()))
                .collect(),
            Selector::Blocks(blocks) => blocks
                .iter()
                .map(|block| ("cidrs", block.trunc().to_string()))
                .collect(),
            Selector::Region(region) => vec![("region", bare_region(&region.name).to_owned())],
            Selector::Default => vec![("default", "the default".to_owned())],
            Selector::Always if matches!(rule.kind, RuleKind::MultiValue { .. }) => {
                member(branch.target.as_ref())
                    .map(|name| ("endpoint", name))
                    .into_iter()
                    .collect()
            }
            _ => Vec::new(),
        };
        for (field, key) in keys {
            let message = |first: usize| {
                if first == index {
                    format!("{key} is named twice")
                } else {
                    format!("{key} is already named by branch {first}")
                }
            };
            if let Some(&first) = seen.get(&key) {
                let path = at_branch(rule, index, Some(field));
                report(findings, Code::Duplicate, path, message(first));
            } else {
                seen.insert(key, index);
            }
        }
    }
}

fn member(target: Option<&Target>) -> Option<String> {
    match target {
        Some(Target::Endpoint(name)) => Some(name.clone()),
        _ => None,
    }
}

/// AWS regions may be written with or without their provider.
fn bare_region(name: &str) -> &str {
    name.strip_prefix("aws/").unwrap_or(name)
}

//! Warnings about documents that are valid but probably do not do what was
//! meant. Only run on documents without errors.

use std::collections::BTreeSet;

use super::graph::Graph;
use super::{at_branch, report};
use crate::client::{Continent, Place};
use crate::diagnostic::{Code, Diagnostic, Path};
use crate::document::{
    BranchSpec, Document, EndpointKind, EndpointSpec, RuleKind, RuleSpec, Selector, Target,
};

pub(super) fn check(document: &Document, graph: &Graph<'_>, findings: &mut Vec<Diagnostic>) {
    let failing = Failing::new(document, graph);
    let relied_on = relied_on(document);
    for rule in &document.rules {
        no_default(rule, findings);
        falls_through(rule, &failing, findings);
        never_fails_over(rule, &failing, findings);
        if relied_on.contains(rule.name.as_str()) {
            pins_its_parents(rule, &failing, findings);
        }
        zero_weight(rule, findings);
    }
    let alone = answering_alone(document);
    for endpoint in &document.endpoints {
        if alone.contains(endpoint.name.as_str()) {
            missing_family(document, endpoint, findings);
        }
    }
}

/// Which rules and endpoints can ever count as unhealthy.
struct Failing<'a> {
    rules: Vec<bool>,
    /// Names of the endpoints that have a check or a status of their own.
    endpoints: BTreeSet<&'a str>,
    graph: &'a Graph<'a>,
}

impl<'a> Failing<'a> {
    fn new(document: &'a Document, graph: &'a Graph<'a>) -> Self {
        let endpoints = document.endpoints.iter();
        let can_fail = endpoints.filter(|e| e.check.is_some() || e.kind == EndpointKind::Alias);
        let mut failing = Self {
            rules: vec![false; document.rules.len()],
            endpoints: can_fail.map(|endpoint| endpoint.name.as_str()).collect(),
            graph,
        };
        for rule in graph.children_first(document).unwrap_or_default() {
            if let Some(position) = graph.rule(&rule.name) {
                failing.rules[position] = failing.rule(rule);
            }
        }
        failing
    }

    fn rule(&self, rule: &RuleSpec) -> bool {
        let may_not_apply = matches!(rule.kind, RuleKind::Geolocation | RuleKind::Cidr)
            && !rule
                .branches
                .iter()
                .any(|b| b.selector == Selector::Default);
        may_not_apply || rule.branches.iter().all(|branch| self.branch(branch))
    }

    fn branch(&self, branch: &BranchSpec) -> bool {
        branch.check.is_some()
            || (branch.evaluate_target_health && self.target(branch.target.as_ref()))
    }

    fn target(&self, target: Option<&Target>) -> bool {
        match target {
            None => false,
            Some(Target::Rule(name)) => self.graph.rule(name).is_some_and(|r| self.rules[r]),
            Some(Target::Endpoint(name)) => self.endpoints.contains(name.as_str()),
        }
    }
}

fn no_default(rule: &RuleSpec, findings: &mut Vec<Diagnostic>) {
    let matching = matches!(rule.kind, RuleKind::Geolocation | RuleKind::Cidr);
    if !matching
        || rule
            .branches
            .iter()
            .any(|b| b.selector == Selector::Default)
    {
        return;
    }
    let message = if covers_the_world(rule) {
        "no default branch: clients of unknown location get no answer"
    } else {
        "no default branch: clients elsewhere get no answer"
    };
    report(
        findings,
        Code::NoDefault,
        Path::Rule(rule.name.clone(), None),
        message,
    );
}

fn covers_the_world(rule: &RuleSpec) -> bool {
    let covered = |continent: Continent| {
        rule.branches.iter().any(|branch| match &branch.selector {
            Selector::Places(places) => places.contains(&Place::Continent(continent)),
            _ => false,
        })
    };
    Continent::ALL.into_iter().all(covered)
}

fn falls_through(rule: &RuleSpec, failing: &Failing<'_>, findings: &mut Vec<Diagnostic>) {
    if rule.kind != RuleKind::Geolocation {
        return;
    }
    for (index, branch) in rule.branches.iter().enumerate() {
        let Selector::Places(places) = &branch.selector else {
            continue;
        };
        let Some(place) = places.first() else {
            continue;
        };
        if failing.branch(branch) && has_larger_place(rule, places) {
            let message = format!(
                "when this branch is down, clients in {place} get the answer of a larger place \
                 or of the default; set evaluateTargetHealth: false to keep them here"
            );
            report(
                findings,
                Code::FallsThrough,
                at_branch(rule, index, None),
                message,
            );
        }
    }
}

fn has_larger_place(rule: &RuleSpec, places: &[Place]) -> bool {
    rule.branches.iter().any(|branch| match &branch.selector {
        Selector::Default => true,
        Selector::Places(others) => others.iter().any(|other| {
            places.iter().any(|place| match (place, other) {
                (Place::Subdivision(country, _), Place::Country(larger)) => country == larger,
                // Which continent holds a country is not known here; say it
                // rather once too often.
                (Place::Subdivision(..) | Place::Country(_), Place::Continent(_)) => true,
                _ => false,
            })
        }),
        _ => false,
    })
}

fn never_fails_over(rule: &RuleSpec, failing: &Failing<'_>, findings: &mut Vec<Diagnostic>) {
    if rule.kind != RuleKind::Failover {
        return;
    }
    let always = rule
        .branches
        .iter()
        .position(|branch| !failing.branch(branch));
    let Some(first) = always.filter(|first| first + 1 < rule.branches.len()) else {
        return;
    };
    let message = format!(
        "never used: branch {first} before it has no health check and counts as healthy always"
    );
    report(
        findings,
        Code::UnreachableBranch,
        at_branch(rule, first + 1, None),
        message,
    );
}

/// Rules whose health decides whether a parent moves on to another branch.
fn relied_on(document: &Document) -> BTreeSet<&str> {
    let parents = document.rules.iter().filter(|rule| rule.branches.len() > 1);
    let branches = parents.flat_map(|rule| &rule.branches);
    let evaluated = branches.filter(|branch| branch.evaluate_target_health);
    let targets = evaluated.filter_map(|branch| match &branch.target {
        Some(Target::Rule(name)) => Some(name.as_str()),
        _ => None,
    });
    targets.collect()
}

/// One branch without a check keeps the whole rule healthy, so that the
/// parents never move on when all the checked ones are dead.
fn pins_its_parents(rule: &RuleSpec, failing: &Failing<'_>, findings: &mut Vec<Diagnostic>) {
    if !rule.branches.iter().any(|branch| failing.branch(branch)) {
        return;
    }
    for (index, branch) in rule.branches.iter().enumerate() {
        if !failing.branch(branch) {
            let message = "has no health check, so that this rule counts as healthy even when \
                           its other branches are down, and its parents do not move on";
            report(
                findings,
                Code::Unchecked,
                at_branch(rule, index, None),
                message,
            );
        }
    }
}

fn zero_weight(rule: &RuleSpec, findings: &mut Vec<Diagnostic>) {
    let is_zero = |branch: &BranchSpec| branch.selector == Selector::Weight(0);
    if rule.branches.iter().all(is_zero) {
        return;
    }
    for (index, _) in rule.branches.iter().enumerate().filter(|(_, b)| is_zero(b)) {
        let message = "weight 0 is not a drain: this branch takes traffic when the others are \
                       unhealthy; set drain on the endpoint to keep clients away";
        report(
            findings,
            Code::ZeroWeight,
            at_branch(rule, index, Some("weight")),
            message,
        );
    }
}

/// Endpoints that make an answer by themselves. A multivalue rule leaves out
/// those without a value of the type asked.
fn answering_alone(document: &Document) -> BTreeSet<&str> {
    let rules = document.rules.iter();
    let single = rules.filter(|rule| !matches!(rule.kind, RuleKind::MultiValue { .. }));
    let targets = single
        .flat_map(|rule| &rule.branches)
        .map(|branch| branch.target.as_ref());
    let endpoints = targets
        .chain([document.start.as_ref()])
        .filter_map(|target| match target {
            Some(Target::Endpoint(name)) => Some(name.as_str()),
            _ => None,
        });
    endpoints.collect()
}

fn missing_family(document: &Document, endpoint: &EndpointSpec, findings: &mut Vec<Diagnostic>) {
    if endpoint.values.is_empty() {
        return;
    }
    for &number in &document.record_types {
        if endpoint.values.iter().any(|value| value.serves(number)) {
            continue;
        }
        let name = match number {
            1 => "A",
            28 => "AAAA",
            _ => "this type",
        };
        let path = Path::Endpoint(endpoint.name.clone(), None);
        let message = format!("has no value for {name}: clients led here get no {name} answer");
        report(findings, Code::MissingFamily, path, message);
    }
}

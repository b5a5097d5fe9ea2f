//! From a document to a policy: every check of the tree, none stopping at
//! the first fault.

mod fields;
mod graph;
mod traps;

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic, Path, Severity};
use crate::document::{BranchSpec, Document, EndpointSpec, RuleSpec, Target};
use crate::limits::Limits;
use crate::policy::{Branch, CheckId, CheckUse, Endpoint, EndpointId, Node, Policy, Rule, RuleId};

use graph::Graph;

impl Policy {
    /// Checks `document` and makes it ready for evaluation.
    ///
    /// All findings are returned, in the order of their paths. There is no
    /// policy when one of them is an error, or when the document lacks what
    /// its converter already reported (a start, a target, a selector).
    pub fn build(document: &Document, limits: &Limits) -> (Option<Self>, Vec<Diagnostic>) {
        let graph = Graph::new(document);
        let mut findings = Vec::new();
        fields::check(document, limits, &mut findings);
        graph.check(document, limits, &mut findings);
        if !has_errors(&findings) {
            traps::check(document, &graph, &mut findings);
        }
        findings.sort();
        findings.dedup();
        let policy = if has_errors(&findings) {
            None
        } else {
            assemble(document, &graph)
        };
        (policy, findings)
    }
}

fn has_errors(findings: &[Diagnostic]) -> bool {
    findings
        .iter()
        .any(|finding| finding.severity() == Severity::Error)
}

/// Puts a sound document together; `None` when a part of it is missing.
fn assemble(document: &Document, graph: &Graph<'_>) -> Option<Policy> {
    let order = graph.children_first(document)?;
    let mut names = Names::new(&order, document);
    let endpoints = document
        .endpoints
        .iter()
        .enumerate()
        .map(|(index, spec)| endpoint(spec, EndpointId::new(index), &mut names))
        .collect();
    let rules: Option<Vec<Rule>> = order.iter().map(|spec| rule(spec, &mut names)).collect();
    let rules = rules?;
    Some(Policy {
        record_types: document.record_types.clone(),
        start: names.node(document.start.as_ref()?)?,
        drains: document.endpoints.iter().any(|endpoint| endpoint.drain),
        looks_at_client: looks_at_client(&rules),
        looks_at_location: rules.iter().any(Rule::looks_at_location),
        rules,
        endpoints,
        checks: names.checks,
    })
}

/// By rule, children first: whether it or a rule below it looks at the client.
fn looks_at_client(rules: &[Rule]) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(rules.len());
    for rule in rules {
        let below = rule.branches.iter().any(|branch| match branch.target {
            Node::Rule(id) => flags[id.index()],
            Node::Endpoint(_) => false,
        });
        flags.push(below || rule.looks_at_client());
    }
    flags
}

/// Ids by name, and the uses of health checks met so far.
struct Names<'a> {
    rules: BTreeMap<&'a str, RuleId>,
    endpoints: BTreeMap<&'a str, EndpointId>,
    check_ids: BTreeMap<(&'a str, Option<EndpointId>), CheckId>,
    checks: Vec<CheckUse>,
}

impl<'a> Names<'a> {
    fn new(rules: &[&'a RuleSpec], document: &'a Document) -> Self {
        let rules = rules.iter().enumerate();
        let endpoints = document.endpoints.iter().enumerate();
        Self {
            rules: rules
                .map(|(i, r)| (r.name.as_str(), RuleId::new(i)))
                .collect(),
            endpoints: endpoints
                .map(|(i, e)| (e.name.as_str(), EndpointId::new(i)))
                .collect(),
            check_ids: BTreeMap::new(),
            checks: Vec::new(),
        }
    }

    fn node(&self, target: &Target) -> Option<Node> {
        match target {
            Target::Rule(name) => self.rules.get(name.as_str()).copied().map(Node::Rule),
            Target::Endpoint(name) => self
                .endpoints
                .get(name.as_str())
                .copied()
                .map(Node::Endpoint),
        }
    }

    fn check(&mut self, id: &'a str, endpoint: Option<EndpointId>) -> CheckId {
        *self.check_ids.entry((id, endpoint)).or_insert_with(|| {
            self.checks.push(CheckUse {
                id: id.to_owned(),
                endpoint,
            });
            CheckId::new(self.checks.len() - 1)
        })
    }
}

fn endpoint<'a>(spec: &'a EndpointSpec, id: EndpointId, names: &mut Names<'a>) -> Endpoint {
    Endpoint {
        name: spec.name.clone(),
        kind: spec.kind,
        values: spec.values.clone(),
        check: spec
            .check
            .as_deref()
            .map(|check| names.check(check, Some(id))),
        drain: spec.drain,
    }
}

fn rule<'a>(spec: &'a RuleSpec, names: &mut Names<'a>) -> Option<Rule> {
    let branches = spec
        .branches
        .iter()
        .map(|branch| self::branch(branch, names));
    Some(Rule {
        name: spec.name.clone(),
        kind: spec.kind,
        min_healthy_percent: spec.min_healthy_percent,
        branches: branches.collect::<Option<_>>()?,
    })
}

fn branch<'a>(spec: &'a BranchSpec, names: &mut Names<'a>) -> Option<Branch> {
    if spec.selector == crate::document::Selector::Missing {
        return None;
    }
    let target = names.node(spec.target.as_ref()?)?;
    let endpoint = match target {
        Node::Endpoint(id) => Some(id),
        Node::Rule(_) => None,
    };
    Some(Branch {
        target,
        check: spec.check.as_deref().map(|id| names.check(id, endpoint)),
        evaluate_target_health: spec.evaluate_target_health,
        selector: spec.selector.clone(),
    })
}

/// Paths of a branch, for the checks.
fn at_branch(rule: &RuleSpec, index: usize, field: Option<&'static str>) -> Path {
    Path::Branch(rule.name.clone(), index, field)
}

fn report(findings: &mut Vec<Diagnostic>, code: Code, path: Path, message: impl Into<String>) {
    findings.push(Diagnostic::new(code, path, message));
}

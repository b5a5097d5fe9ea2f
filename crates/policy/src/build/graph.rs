//! Checks of the graph as a whole: references, cycles, depth, unused parts.

use std::collections::{BTreeMap, BTreeSet};

use super::{at_branch, report};
use crate::diagnostic::{Code, Diagnostic, Path};
use crate::document::{Document, RuleSpec, Target};
use crate::limits::Limits;

/// The rules of a document by name. The first of several of one name counts.
pub(super) struct Graph<'a> {
    rules: BTreeMap<&'a str, usize>,
    endpoints: BTreeSet<&'a str>,
    /// By rule: position of the branch and of the rule it leads to.
    children: Vec<Vec<(usize, usize)>>,
}

/// What a depth-first search knows of a rule.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Not visited.
    New,
    /// On the way from the root of the search.
    Open,
    /// Visited with all below it.
    Done,
}

impl<'a> Graph<'a> {
    pub(super) fn new(document: &'a Document) -> Self {
        let mut rules = BTreeMap::new();
        for (index, rule) in document.rules.iter().enumerate() {
            rules.entry(rule.name.as_str()).or_insert(index);
        }
        let children = document.rules.iter().map(|rule| {
            let branches = rule.branches.iter().enumerate();
            let to_rules = branches.filter_map(|(index, branch)| match &branch.target {
                Some(Target::Rule(name)) => Some((index, *rules.get(name.as_str())?)),
                _ => None,
            });
            to_rules.collect()
        });
        Self {
            children: children.collect(),
            endpoints: document.endpoints.iter().map(|e| e.name.as_str()).collect(),
            rules,
        }
    }

    /// Position of a rule by name.
    pub(super) fn rule(&self, name: &str) -> Option<usize> {
        self.rules.get(name).copied()
    }

    pub(super) fn check(
        &self,
        document: &Document,
        limits: &Limits,
        findings: &mut Vec<Diagnostic>,
    ) {
        self.references(document, findings);
        let (order, cyclic) = self.search(document, findings);
        if !cyclic {
            self.depth(document, &order, limits, findings);
        }
        self.unused(document, findings);
    }

    fn references(&self, document: &Document, findings: &mut Vec<Diagnostic>) {
        if let Some(start) = &document.start {
            let field = match start {
                Target::Rule(_) => "startRule",
                Target::Endpoint(_) => "startEndpoint",
            };
            self.reference(start, Path::Document(Some(field)), findings);
        }
        for rule in &document.rules {
            for (index, branch) in rule.branches.iter().enumerate() {
                let Some(target) = &branch.target else {
                    continue;
                };
                let field = match target {
                    Target::Rule(_) => "rule",
                    Target::Endpoint(_) => "endpoint",
                };
                self.reference(target, at_branch(rule, index, Some(field)), findings);
            }
        }
    }

    fn knows(&self, target: &Target) -> bool {
        match target {
            Target::Rule(name) => self.rules.contains_key(name.as_str()),
            Target::Endpoint(name) => self.endpoints.contains(name.as_str()),
        }
    }

    fn reference(&self, target: &Target, path: Path, findings: &mut Vec<Diagnostic>) {
        let (code, kind, name, misplaced) = match target {
            Target::Rule(name) => (
                Code::UnknownRule,
                "rule",
                name,
                self.endpoints.contains(name.as_str()).then_some("endpoint"),
            ),
            Target::Endpoint(name) => (
                Code::UnknownEndpoint,
                "endpoint",
                name,
                self.rules.contains_key(name.as_str()).then_some("rule"),
            ),
        };
        if !self.knows(target) {
            let hint = misplaced.map_or(String::new(), |other| {
                format!("; there is {other} of that name, so refer to it as {other}")
            });
            report(
                findings,
                code,
                path,
                format!("there is no {kind} `{name}`{hint}"),
            );
        }
    }

    /// Depth-first search over all rules. Returns them children first, and
    /// whether there are cycles; every branch that closes one is reported.
    fn search(&self, document: &Document, findings: &mut Vec<Diagnostic>) -> (Vec<usize>, bool) {
        let mut marks = vec![Mark::New; document.rules.len()];
        let mut order = Vec::with_capacity(marks.len());
        let mut cyclic = false;
        for root in 0..marks.len() {
            // An explicit stack, for a document may be deeper than a thread's.
            let mut stack = vec![(root, 0)];
            while let Some((rule, next)) = stack.pop() {
                if next == 0 {
                    if marks[rule] != Mark::New {
                        continue;
                    }
                    marks[rule] = Mark::Open;
                }
                let Some(&(branch, child)) = self.children[rule].get(next) else {
                    marks[rule] = Mark::Done;
                    order.push(rule);
                    continue;
                };
                stack.push((rule, next + 1));
                match marks[child] {
                    Mark::New => stack.push((child, 0)),
                    Mark::Done => {}
                    Mark::Open => {
                        cyclic = true;
                        let way = way_back(document, &stack, rule, child);
                        let path = at_branch(&document.rules[rule], branch, Some("rule"));
                        report(
                            findings,
                            Code::Cycle,
                            path,
                            format!("leads back to itself: {way}"),
                        );
                    }
                }
            }
        }
        (order, cyclic)
    }

    fn depth(
        &self,
        document: &Document,
        children_first: &[usize],
        limits: &Limits,
        findings: &mut Vec<Diagnostic>,
    ) {
        let mut depths = vec![1_usize; document.rules.len()];
        for &rule in children_first {
            let below = self.children[rule]
                .iter()
                .map(|(_, child)| depths[*child])
                .max();
            depths[rule] = 1 + below.unwrap_or(0);
        }
        let start = document.start.as_ref().and_then(|start| match start {
            Target::Rule(name) => self.rule(name),
            Target::Endpoint(_) => None,
        });
        let deepest = start.map_or(0, |start| depths[start]);
        if deepest > limits.depth {
            let message = format!(
                "rules are {deepest} deep, at most {} are allowed",
                limits.depth
            );
            report(
                findings,
                Code::LimitExceeded,
                Path::Document(Some("rules")),
                message,
            );
        }
    }

    fn unused(&self, document: &Document, findings: &mut Vec<Diagnostic>) {
        // Without a start nothing is reached, which is one fault, not many.
        if !document
            .start
            .as_ref()
            .is_some_and(|start| self.knows(start))
        {
            return;
        }
        let (rules, endpoints) = self.reached(document);
        for rule in document
            .rules
            .iter()
            .filter(|rule| !rules.contains(rule.name.as_str()))
        {
            let path = Path::Rule(rule.name.clone(), None);
            report(
                findings,
                Code::UnusedRule,
                path,
                "no way from the start leads to this rule",
            );
        }
        let spare = document
            .endpoints
            .iter()
            .filter(|e| !endpoints.contains(e.name.as_str()));
        for endpoint in spare {
            let path = Path::Endpoint(endpoint.name.clone(), None);
            let message = "no way from the start leads to this endpoint";
            report(findings, Code::UnusedEndpoint, path, message);
        }
    }

    /// Names of the rules and endpoints that the start leads to.
    fn reached<'d>(&self, document: &'d Document) -> (BTreeSet<&'d str>, BTreeSet<&'d str>) {
        let (mut rules, mut endpoints) = (BTreeSet::new(), BTreeSet::new());
        let mut waiting: Vec<&Target> = document.start.iter().collect();
        while let Some(target) = waiting.pop() {
            match target {
                Target::Endpoint(name) => {
                    endpoints.insert(name.as_str());
                }
                Target::Rule(name) => {
                    if rules.insert(name.as_str())
                        && let Some(index) = self.rule(name)
                    {
                        let branches = &document.rules[index].branches;
                        waiting.extend(branches.iter().filter_map(|b| b.target.as_ref()));
                    }
                }
            }
        }
        (rules, endpoints)
    }

    /// The rules that the start leads to, each after all rules it leads to;
    /// `None` when there is no start or a cycle.
    pub(super) fn children_first<'d>(&self, document: &'d Document) -> Option<Vec<&'d RuleSpec>> {
        document.start.as_ref()?;
        let (reached, _) = self.reached(document);
        let (order, cyclic) = self.search(document, &mut Vec::new());
        if cyclic {
            return None;
        }
        let rules = order.into_iter().map(|index| &document.rules[index]);
        Some(
            rules
                .filter(|rule| reached.contains(rule.name.as_str()))
                .collect(),
        )
    }
}

/// The rules from `to` down to `from`, and `to` again.
fn way_back(document: &Document, stack: &[(usize, usize)], from: usize, to: usize) -> String {
    let open: Vec<usize> = stack.iter().map(|(rule, _)| *rule).collect();
    let begin = open.iter().rposition(|rule| *rule == to).unwrap_or(0);
    let mut way: Vec<&str> = open[begin..]
        .iter()
        .map(|r| document.rules[*r].name.as_str())
        .collect();
    if way.last() != Some(&document.rules[from].name.as_str()) {
        way.push(&document.rules[from].name);
    }
    way.push(&document.rules[to].name);
    way.join(" > ")
}

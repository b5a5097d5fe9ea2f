//! Back from a policy to a document, for whoever has to send one.

use crate::document::{BranchSpec, Document, EndpointSpec, RuleSpec, Target};
use crate::policy::{Branch, CheckId, Endpoint, Node, Policy, Rule};

impl Policy {
    /// A document that makes an equal policy, if the limits allow it. It has
    /// no rules that nothing leads to, and the others in the order of
    /// [`Policy::rules`].
    pub fn to_document(&self) -> Document {
        Document {
            record_types: self.record_types.clone(),
            start: Some(self.target(self.start)),
            rules: self.rules.iter().map(|rule| self.rule_spec(rule)).collect(),
            endpoints: self
                .endpoints
                .iter()
                .map(|endpoint| self.endpoint_spec(endpoint))
                .collect(),
        }
    }

    fn target(&self, node: Node) -> Target {
        let name = self.name_of(node).to_owned();
        match node {
            Node::Rule(_) => Target::Rule(name),
            Node::Endpoint(_) => Target::Endpoint(name),
        }
    }

    fn check_of(&self, check: Option<CheckId>) -> Option<String> {
        check.map(|id| self.check(id).to_owned())
    }

    fn rule_spec(&self, rule: &Rule) -> RuleSpec {
        let Rule {
            name,
            kind,
            min_healthy_percent,
            branches,
        } = rule;
        RuleSpec {
            name: name.clone(),
            kind: *kind,
            min_healthy_percent: *min_healthy_percent,
            branches: branches.iter().map(|b| self.branch_spec(b)).collect(),
        }
    }

    fn branch_spec(&self, branch: &Branch) -> BranchSpec {
        let Branch {
            target,
            check,
            evaluate_target_health,
            selector,
        } = branch;
        BranchSpec {
            target: Some(self.target(*target)),
            check: self.check_of(*check),
            evaluate_target_health: *evaluate_target_health,
            selector: selector.clone(),
        }
    }

    fn endpoint_spec(&self, endpoint: &Endpoint) -> EndpointSpec {
        let Endpoint {
            name,
            kind,
            values,
            check,
            drain,
        } = endpoint;
        EndpointSpec {
            name: name.clone(),
            kind: *kind,
            values: values.clone(),
            check: self.check_of(*check),
            drain: *drain,
        }
    }
}

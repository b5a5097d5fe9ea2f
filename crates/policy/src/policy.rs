//! A checked policy, ready to be evaluated.

use std::collections::BTreeSet;

use crate::document::{Affinity, EndpointKind, RuleKind, Selector, Value};

/// A policy that passed every check: references resolved, free of cycles.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub(crate) record_types: Vec<u16>,
    pub(crate) start: Node,
    /// In topological order: a rule comes after every rule it leads to, and
    /// the start rule is the last. Rules that nothing leads to are left out.
    pub(crate) rules: Vec<Rule>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) checks: Vec<CheckUse>,
    /// Whether any endpoint drains.
    pub(crate) drains: bool,
    /// By rule: whether it, or any rule it leads to, looks at the client.
    pub(crate) looks_at_client: Vec<bool>,
    /// Whether any rule looks at where the client is.
    pub(crate) looks_at_location: bool,
}

/// A health check where a policy uses it. A check is a template: what it says
/// may differ from endpoint to endpoint, so each endpoint has a use of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckUse {
    /// Id of the check.
    pub id: String,
    /// The endpoint that it is used at: by the endpoint itself or by a branch
    /// that leads to it. `None` for a branch that leads to a rule.
    pub endpoint: Option<EndpointId>,
}

/// A rule or an endpoint of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// A rule.
    Rule(RuleId),
    /// An endpoint.
    Endpoint(EndpointId),
}

/// A routing rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Unique among the rules of the policy.
    pub name: String,
    /// How it chooses.
    pub kind: RuleKind,
    /// Below this percentage of healthy branches all count as healthy.
    pub min_healthy_percent: Option<u8>,
    /// The branches in document order; at least one.
    pub branches: Vec<Branch>,
}

impl Rule {
    /// Whether the choice depends on where the client is.
    pub(crate) fn looks_at_location(&self) -> bool {
        match self.kind {
            RuleKind::Failover
            | RuleKind::MultiValue { .. }
            | RuleKind::Weighted { .. }
            | RuleKind::Cidr => false,
            RuleKind::Latency | RuleKind::Geolocation | RuleKind::Geoproximity => true,
        }
    }

    /// Whether the same branches apply to every client and record type, if in
    /// another order.
    pub(crate) fn applies_alike(&self) -> bool {
        match self.kind {
            RuleKind::Geolocation | RuleKind::Cidr | RuleKind::MultiValue { .. } => false,
            RuleKind::Failover
            | RuleKind::Weighted { .. }
            | RuleKind::Latency
            | RuleKind::Geoproximity => true,
        }
    }

    /// Whether the choice depends on the client's location or network.
    pub(crate) fn looks_at_client(&self) -> bool {
        match self.kind {
            RuleKind::Failover | RuleKind::MultiValue { .. } => false,
            RuleKind::Weighted { affinity } => affinity == Affinity::Client,
            RuleKind::Latency | RuleKind::Geolocation | RuleKind::Geoproximity | RuleKind::Cidr => {
                true
            }
        }
    }
}

/// A branch of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// Where it leads.
    pub target: Node,
    /// The branch's own health check.
    pub check: Option<CheckId>,
    /// Whether the target's own health counts besides.
    pub evaluate_target_health: bool,
    /// When it applies; the variant fits the rule's kind.
    pub selector: Selector,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Unique among the endpoints of the policy.
    pub name: String,
    /// Whether it has a status of its own.
    pub kind: EndpointKind,
    /// What it answers with, of any of the policy's types.
    pub values: Vec<Value>,
    /// Its health check.
    pub check: Option<CheckId>,
    /// No new clients while anything else is left.
    pub drain: bool,
}

impl Endpoint {
    /// The values that answer a query of an IANA type number.
    pub fn values_of(&self, record_type: u16) -> impl Iterator<Item = &Value> {
        self.values.iter().filter(move |v| v.serves(record_type))
    }
}

macro_rules! ids {
    ($($(#[doc = $doc:literal])+ $name:ident;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            pub(crate) fn new(index: usize) -> Self {
                // Documents are megabytes at most, so this never saturates.
                Self(u32::try_from(index).unwrap_or(u32::MAX))
            }

            /// Position in the policy's list.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    )+};
}

ids! {
    /// A rule of one policy: index into [`Policy::rules`].
    RuleId;
    /// An endpoint of one policy: index into [`Policy::endpoints`].
    EndpointId;
    /// The use of a health check in one policy: index into [`Policy::checks`].
    CheckId;
}

impl Policy {
    /// DNS types served, as IANA type numbers.
    pub fn record_types(&self) -> &[u16] {
        &self.record_types
    }

    /// Where evaluation starts.
    pub fn start(&self) -> Node {
        self.start
    }

    /// The rules in use; one comes after every rule it leads to.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// All endpoints, in document order.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The uses of health checks by branches and endpoints, each once.
    pub fn checks(&self) -> &[CheckUse] {
        &self.checks
    }

    /// Ids of the health checks in use, each once, sorted.
    pub fn check_ids(&self) -> BTreeSet<&str> {
        self.checks.iter().map(|check| check.id.as_str()).collect()
    }

    /// Whether decisions depend on where the client is. When they do not, its
    /// location need not be looked up.
    pub fn looks_at_location(&self) -> bool {
        self.looks_at_location
    }

    /// The rule of that id.
    ///
    /// # Panics
    /// When the id is of another, larger policy.
    pub fn rule(&self, id: RuleId) -> &Rule {
        &self.rules[id.index()]
    }

    /// The endpoint of that id.
    ///
    /// # Panics
    /// When the id is of another, larger policy.
    pub fn endpoint(&self, id: EndpointId) -> &Endpoint {
        &self.endpoints[id.index()]
    }

    /// The id of a health check.
    ///
    /// # Panics
    /// When the id is of another, larger policy.
    pub fn check(&self, id: CheckId) -> &str {
        &self.checks[id.index()].id
    }

    /// Name of a node.
    pub fn name_of(&self, node: Node) -> &str {
        match node {
            Node::Rule(id) => &self.rule(id).name,
            Node::Endpoint(id) => &self.endpoint(id).name,
        }
    }
}

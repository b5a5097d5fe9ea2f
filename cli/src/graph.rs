//! `watershed graph`: a policy as a picture, in Mermaid or DOT, with health
//! and shares when a scenario is given.

mod dot;
mod mermaid;

use std::collections::BTreeSet;

use num_traits::{One, Zero};
use watershed_crd::document::TrafficPolicyDocument;
use watershed_policy::{BranchHealth, BranchReport, Endpoint, EndpointId, Node, Policy, Verdict};

use crate::labels;
use crate::walk::Walk;

/// In what a picture is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A Mermaid flowchart, which GitHub and GitLab draw in Markdown.
    #[default]
    Mermaid,
    /// The input of Graphviz.
    Dot,
}

/// What a picture shows, before it is written in a format.
pub(crate) struct Picture {
    /// What comes first: the client, or nobody in particular.
    pub(crate) client: String,
    /// Where the policy starts.
    pub(crate) start: String,
    /// Rules and endpoints, parents first.
    pub(crate) nodes: Vec<PictureNode>,
    /// Branches in document order.
    pub(crate) edges: Vec<Edge>,
}

/// A rule or an endpoint.
pub(crate) struct PictureNode {
    pub(crate) id: String,
    pub(crate) is_rule: bool,
    /// The name, then what there is to say about it.
    pub(crate) lines: Vec<String>,
    pub(crate) mood: Mood,
}

/// A branch.
pub(crate) struct Edge {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) label: String,
    pub(crate) mood: Mood,
}

/// How a part of the picture fares in the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// There is no scenario.
    Neutral,
    /// The client may come here.
    Taken,
    /// The client does not come here.
    Untaken,
    /// It is unhealthy.
    Unhealthy,
}

/// Draws a policy; `walk` adds what happens in a scenario.
pub fn draw(
    policy: &Policy,
    document: &TrafficPolicyDocument,
    walk: Option<&Walk<'_>>,
    format: Format,
) -> String {
    let picture = Picture::of(policy, document, walk);
    match format {
        Format::Mermaid => mermaid::write(&picture),
        Format::Dot => dot::write(&picture),
    }
}

impl Picture {
    fn of(policy: &Policy, document: &TrafficPolicyDocument, walk: Option<&Walk<'_>>) -> Self {
        // Children come first in the policy, parents in the picture.
        let rules = (0..policy.rules().len()).rev();
        let mut picture = Self {
            client: walk.map_or_else(
                || "client".to_owned(),
                |w| format!("client: {}", labels::client(&w.client)),
            ),
            start: node_id(policy.start()),
            nodes: Vec::new(),
            edges: Vec::new(),
        };
        for (id, rule) in rules.map(|index| (index, &policy.rules()[index])) {
            let step = walk.and_then(|walk| walk.steps.iter().find(|s| s.rule.index() == id));
            picture.nodes.push(PictureNode {
                id: format!("r{id}"),
                is_rule: true,
                lines: vec![rule.name.clone(), rule.kind.as_str().to_owned()],
                mood: mood_of(walk.map(|_| step.is_some())),
            });
            for (index, branch) in rule.branches.iter().enumerate() {
                let report = step.and_then(|step| step.branches.get(index));
                let label = labels::selector(document, rule, index);
                picture.edges.push(Edge {
                    from: format!("r{id}"),
                    to: node_id(branch.target),
                    label: edge_label(label, report),
                    mood: walk.map_or(Mood::Neutral, |_| edge_mood(report)),
                });
            }
        }
        picture.add_endpoints(policy, walk);
        picture
    }

    fn add_endpoints(&mut self, policy: &Policy, walk: Option<&Walk<'_>>) {
        for id in endpoints_in_use(policy) {
            let endpoint = policy.endpoint(id);
            self.nodes.push(PictureNode {
                id: node_id(Node::Endpoint(id)),
                is_rule: false,
                lines: endpoint_lines(endpoint),
                mood: walk.map_or(Mood::Neutral, |walk| endpoint_mood(walk, id)),
            });
        }
    }
}

/// The endpoints that the start or a branch leads to, in document order.
fn endpoints_in_use(policy: &Policy) -> BTreeSet<EndpointId> {
    let branches = policy.rules().iter().flat_map(|rule| &rule.branches);
    let targets = branches.map(|branch| branch.target);
    let nodes = targets.chain([policy.start()]);
    let endpoints = nodes.filter_map(|node| match node {
        Node::Endpoint(id) => Some(id),
        Node::Rule(_) => None,
    });
    endpoints.collect()
}

fn endpoint_lines(endpoint: &Endpoint) -> Vec<String> {
    let values = endpoint.values.iter().map(ToString::to_string);
    let mut lines = vec![endpoint.name.clone()];
    lines.extend(values);
    if endpoint.drain {
        lines.push("draining".to_owned());
    }
    lines
}

fn endpoint_mood(walk: &Walk<'_>, id: EndpointId) -> Mood {
    let mut outcomes = walk.distribution.outcomes.iter();
    let taken = outcomes.any(|outcome| outcome.endpoints.contains(&id));
    if walk.health.endpoint(id) {
        mood_of(Some(taken))
    } else {
        Mood::Unhealthy
    }
}

fn mood_of(taken: Option<bool>) -> Mood {
    match taken {
        None => Mood::Neutral,
        Some(true) => Mood::Taken,
        Some(false) => Mood::Untaken,
    }
}

/// How a branch fares; there is no report of a rule that is not reached.
fn edge_mood(report: Option<&BranchReport>) -> Mood {
    match report {
        Some(report) if report.verdict == Verdict::Chosen => Mood::Taken,
        Some(report) if report.health != BranchHealth::Healthy => Mood::Unhealthy,
        _ => Mood::Untaken,
    }
}

fn edge_label(label: String, report: Option<&BranchReport>) -> String {
    // A branch that is certain shows it by its line.
    let share = report.filter(|r| !r.share.is_zero() && !r.share.is_one());
    let parts = [Some(label), share.map(|r| labels::percent(&r.share))];
    let parts: Vec<String> = parts
        .into_iter()
        .flatten()
        .filter(|p| !p.is_empty())
        .collect();
    parts.join(": ")
}

fn node_id(node: Node) -> String {
    match node {
        Node::Rule(id) => format!("r{}", id.index()),
        Node::Endpoint(id) => format!("e{}", id.index()),
    }
}

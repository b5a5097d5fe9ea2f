//! `watershed simulate`: every answer that a client may get, with its exact
//! probability.

use serde::Serialize;
use watershed_policy::{EndpointId, Outcome as PolicyOutcome};

use crate::finding::Finding;
use crate::scenario::Scenario;
use crate::trace::{self, TraceStep};
use crate::walk::{Surroundings, Walk};

/// The result of a simulation. The JSON form is a promise: see
/// `docs/simulate.md`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What happens, in one word.
    pub outcome: Outcome,
    /// Every possible answer; the probabilities sum to one.
    pub answers: Vec<Answer>,
    /// Set when an answer is a random part of a larger pool: that of the
    /// first such answer, where there are several.
    pub subset: Option<Subset>,
    /// For which client prefix the answers hold; none for an invalid policy.
    pub scope: Option<ScopeReport>,
    /// What every rule on the way did.
    pub trace: Vec<TraceStep>,
    /// Faults and warnings of the scenario and its policy.
    pub diagnostics: Vec<Finding>,
}

/// What happens, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The client gets an answer, at least sometimes.
    Answer,
    /// The name exists, but there is never an answer for this client.
    Nodata,
    /// The scenario or its policy has a fault.
    Invalid,
}

/// One possible answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Names of the endpoints that make it together; empty for no answer.
    pub endpoints: Vec<String>,
    /// What it holds: addresses, record data, or the host name of an alias.
    pub values: Vec<String>,
    /// How likely it is: a reduced fraction such as `1/5`, or `1`.
    pub probability: String,
    /// When it is a random part of the values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subset: Option<Subset>,
}

/// `size` distinct values drawn uniformly from `of`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subset {
    /// How many values an answer has.
    pub size: usize,
    /// From which they are drawn.
    pub of: Vec<String>,
}

/// Prefix lengths around the client for which the answers are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ScopeReport {
    /// For an IPv4 client.
    pub ipv4: u8,
    /// For an IPv6 client.
    pub ipv6: u8,
}

/// Simulates a scenario. Total: an invalid one gives a report of its faults.
pub fn simulate(scenario: &Scenario, surroundings: &Surroundings) -> Report {
    let diagnostics = scenario.all_findings();
    match Walk::of(scenario, surroundings) {
        Some(walk) => report(&walk, diagnostics),
        None => Report::invalid(diagnostics),
    }
}

impl Report {
    /// The report of a scenario that cannot be simulated.
    pub fn invalid(diagnostics: Vec<Finding>) -> Self {
        Self {
            outcome: Outcome::Invalid,
            answers: Vec::new(),
            subset: None,
            scope: None,
            trace: Vec::new(),
            diagnostics,
        }
    }
}

/// The report of a walk.
pub fn report(walk: &Walk<'_>, diagnostics: Vec<Finding>) -> Report {
    let answers = answers(walk);
    let answered = answers.iter().any(|answer| !answer.endpoints.is_empty());
    Report {
        outcome: if answered {
            Outcome::Answer
        } else {
            Outcome::Nodata
        },
        subset: answers.iter().find_map(|answer| answer.subset.clone()),
        scope: Some(ScopeReport {
            ipv4: walk.distribution.scope.ipv4,
            ipv6: walk.distribution.scope.ipv6,
        }),
        trace: trace::trace(walk),
        diagnostics,
        answers,
    }
}

/// The possible answers in document order, no answer last.
pub fn answers(walk: &Walk<'_>) -> Vec<Answer> {
    let outcomes = &walk.distribution.outcomes;
    if outcomes.is_empty() {
        return vec![Answer::none()];
    }
    let merged = merge(outcomes);
    merged
        .iter()
        .map(|outcome| Answer::of(walk, outcome))
        .collect()
}

/// One outcome for each set of endpoints: in which order a rule lists the
/// endpoints of an answer makes no difference to a client.
fn merge(outcomes: &[PolicyOutcome]) -> Vec<PolicyOutcome> {
    let mut merged: Vec<PolicyOutcome> = Vec::new();
    for outcome in outcomes {
        let mut outcome = outcome.clone();
        outcome.endpoints.sort_unstable();
        outcome.endpoints.dedup();
        let same = merged
            .iter_mut()
            .find(|other| (&other.endpoints, other.subset) == (&outcome.endpoints, outcome.subset));
        match same {
            Some(other) => other.probability += outcome.probability,
            None => merged.push(outcome),
        }
    }
    merged
}

impl Answer {
    fn none() -> Self {
        Self {
            endpoints: Vec::new(),
            values: Vec::new(),
            probability: "1".to_owned(),
            subset: None,
        }
    }

    fn of(walk: &Walk<'_>, outcome: &PolicyOutcome) -> Self {
        let names = outcome.endpoints.iter();
        let values = values(walk, &outcome.endpoints);
        Self {
            endpoints: names
                .map(|id| walk.policy.endpoint(*id).name.clone())
                .collect(),
            probability: outcome.probability.to_string(),
            subset: outcome.subset.map(|size| Subset {
                size,
                of: values.clone(),
            }),
            values,
        }
    }
}

/// The values of an answer. An RRset holds each once (RFC 2181, section 5).
fn values(walk: &Walk<'_>, endpoints: &[EndpointId]) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for endpoint in endpoints {
        for value in walk.values(*endpoint).map(ToString::to_string) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
    }
    values
}

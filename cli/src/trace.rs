//! The walk as data: what every rule did, in the words of the documents.

use serde::Serialize;
use watershed_policy::{
    BigRational, BranchHealth, BranchReport, Fallback, Measure, Node, Policy, Step, Verdict,
};

use crate::walk::Walk;

/// What one rule did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TraceStep {
    /// Name of the rule.
    pub rule: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// How likely the walk comes here.
    pub probability: String,
    /// Why it did not restrict itself to healthy branches: `lastResort` or
    /// `belowMinimum`.
    pub fallback: Option<&'static str>,
    /// Name of the rule or endpoint that failback holds it at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Its branches in document order.
    pub branches: Vec<TraceBranch>,
}

/// What became of one branch.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TraceBranch {
    /// Position in the rule, from 0.
    pub index: usize,
    /// The rule it leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The endpoint it leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// `chosen`, or why not: `notApplicable`, `draining`, `unhealthy`,
    /// `lessPreferred`, `zeroWeight` or `otherClients`.
    pub verdict: &'static str,
    /// How likely it is taken once the rule is reached.
    pub share: String,
    /// `healthy`, `checkUnhealthy`, `targetUnhealthy` or `targetIgnored`.
    pub health: &'static str,
    /// Whether it takes no new clients while anything else is left.
    pub draining: bool,
    /// What the rule compared.
    #[serde(flatten)]
    pub measure: TraceMeasure,
}

/// What a rule compared of a branch; only the members of its type are set.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TraceMeasure {
    /// Weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// The smallest of its places that holds the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The longest of its blocks that holds the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// It is for everyone else.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// Region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Latency to the region in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// Distance in kilometres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance_km: Option<f64>,
    /// Distance in kilometres after bias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub biased_distance_km: Option<f64>,
    /// Bias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bias: Option<i32>,
    /// It comes first because the client is in China.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub china: bool,
}

/// The steps of a walk, parents first.
pub fn trace(walk: &Walk<'_>) -> Vec<TraceStep> {
    let steps = walk.steps.iter();
    steps.map(|s| step(walk.policy, s)).collect()
}

fn step(policy: &Policy, step: &Step) -> TraceStep {
    let rule = policy.rule(step.rule);
    let branches = step.branches.iter();
    TraceStep {
        rule: rule.name.clone(),
        kind: rule.kind.as_str(),
        probability: fraction(&step.probability),
        fallback: match step.fallback {
            Fallback::None => None,
            Fallback::LastResort => Some("lastResort"),
            Fallback::BelowMinimum => Some("belowMinimum"),
        },
        held: step
            .held
            .and_then(|held| rule.branches.get(held))
            .map(|branch| policy.name_of(branch.target).to_owned()),
        branches: branches.map(|report| branch(policy, report)).collect(),
    }
}

fn branch(policy: &Policy, report: &BranchReport) -> TraceBranch {
    let target = policy.name_of(report.target).to_owned();
    let (rule, endpoint) = match report.target {
        Node::Rule(_) => (Some(target), None),
        Node::Endpoint(_) => (None, Some(target)),
    };
    TraceBranch {
        index: report.index,
        rule,
        endpoint,
        verdict: verdict(report.verdict),
        share: fraction(&report.share),
        health: health(report.health),
        draining: report.draining,
        measure: measure(&report.measure),
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Chosen => "chosen",
        Verdict::NotApplicable => "notApplicable",
        Verdict::Draining => "draining",
        Verdict::Unhealthy => "unhealthy",
        Verdict::LessPreferred => "lessPreferred",
        Verdict::ZeroWeight => "zeroWeight",
        Verdict::OtherClients => "otherClients",
    }
}

fn health(health: BranchHealth) -> &'static str {
    match health {
        BranchHealth::Healthy => "healthy",
        BranchHealth::CheckUnhealthy => "checkUnhealthy",
        BranchHealth::TargetUnhealthy => "targetUnhealthy",
        BranchHealth::TargetIgnored => "targetIgnored",
    }
}

fn measure(measure: &Measure) -> TraceMeasure {
    let none = TraceMeasure::default();
    match measure {
        Measure::Order => none,
        Measure::Weight(weight) => TraceMeasure {
            weight: Some(*weight),
            ..none
        },
        Measure::Place(place) => TraceMeasure {
            place: place.as_ref().map(ToString::to_string),
            ..none
        },
        Measure::Block(block) => TraceMeasure {
            block: block.as_ref().map(ToString::to_string),
            ..none
        },
        Measure::Default => TraceMeasure {
            default: true,
            ..none
        },
        Measure::Latency {
            region,
            micros,
            distance_km,
            china,
        } => TraceMeasure {
            region: Some(region.clone()),
            latency_ms: micros.map(|micros| f64::from(micros) / 1000.0),
            distance_km: distance_km.map(metres),
            china: *china,
            ..none
        },
        Measure::Distance {
            km,
            biased_km,
            bias,
        } => TraceMeasure {
            distance_km: km.map(metres),
            biased_distance_km: biased_km.map(metres),
            bias: Some(*bias),
            ..none
        },
    }
}

/// Kilometres to the metre: more digits would differ between machines.
fn metres(km: f64) -> f64 {
    (km * 1000.0).round() / 1000.0
}

/// A reduced fraction such as `1/5`; whole numbers as `0` and `1`.
fn fraction(ratio: &BigRational) -> String {
    ratio.to_string()
}

//! `watershed explain`: the walk as a tree that a person can read.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use num_traits::One;
use termtree::Tree;
use watershed_crd::document::TrafficPolicyDocument;
use watershed_policy::{
    BigRational, BranchHealth, BranchReport, Fallback, Measure, Node, Policy, Rule, RuleId,
    RuleKind, Step, Verdict,
};

use crate::labels;
use crate::record_type;
use crate::simulate::{self, Answer};
use crate::walk::Walk;

const STRONG: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const CAREFUL: Style = AnsiColor::Yellow.on_default();

/// The walk and its result as text, with terminal styles. `document` is what
/// the walk's policy was made from.
pub fn text(walk: &Walk<'_>, document: &TrafficPolicyDocument) -> String {
    let mut text = String::new();
    let asked = record_type::name(walk.record_type);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "Client    {}", labels::client(&walk.client));
    let _ = writeln!(text, "Question  {asked}\n");
    match walk.policy.start() {
        _ if walk.steps.is_empty() && walk.distribution.outcomes.is_empty() => {
            let _ = writeln!(text, "The policy does not serve {asked}.");
        }
        Node::Endpoint(id) => {
            let name = &walk.policy.endpoint(id).name;
            let _ = writeln!(
                text,
                "The policy has no rule: it starts at endpoint {name}."
            );
        }
        Node::Rule(id) => {
            let mut tree = Explanation {
                walk,
                document,
                shown: BTreeSet::new(),
            };
            if let Some(step) = tree.step(id) {
                let line = title(walk.policy.rule(id));
                let _ = write!(text, "{}", tree.rule(step, line, &BigRational::one()));
            }
        }
    }
    let _ = write!(text, "\n{}", answers(&simulate::answers(walk)));
    let scope = labels::scope(walk.distribution.scope, &walk.client);
    let _ = writeln!(text, "{scope}");
    text
}

/// The state of drawing one walk.
struct Explanation<'a> {
    walk: &'a Walk<'a>,
    document: &'a TrafficPolicyDocument,
    /// Rules drawn already: a shared rule is drawn once.
    shown: BTreeSet<RuleId>,
}

impl<'a> Explanation<'a> {
    fn step(&self, id: RuleId) -> Option<&'a Step> {
        self.walk.steps.iter().find(|step| step.rule == id)
    }

    fn policy(&self) -> &'a Policy {
        self.walk.policy
    }

    /// The tree of a rule that is reached, below the line that leads to it.
    /// Of its probability nothing is said where it is that of the `share`.
    fn rule(&mut self, step: &'a Step, line: String, share: &BigRational) -> Tree<String> {
        let rule = self.policy().rule(step.rule);
        let mut tree = Tree::new(line + &notes(rule, step, share));
        self.shown.insert(step.rule);
        for report in &step.branches {
            let branch = self.branch(rule, step, report);
            tree.push(branch);
        }
        tree
    }

    fn branch(&mut self, rule: &Rule, step: &Step, report: &BranchReport) -> Tree<String> {
        let line = self.line(rule, step, report);
        let below = match report.target {
            Node::Rule(id) if report.verdict == Verdict::Chosen => self.step(id),
            _ => None,
        };
        match below {
            Some(below) if self.shown.contains(&below.rule) => {
                Tree::new(format!("{line}, see above"))
            }
            Some(below) => self.rule(below, line, &report.share),
            None => Tree::new(line),
        }
    }

    /// What became of a branch: a mark, what it is for, where it leads, why.
    fn line(&self, rule: &Rule, step: &Step, report: &BranchReport) -> String {
        let (mark, style) = mark(report);
        let label = labels::selector(self.document, rule, report.index);
        let arrow = if label.is_empty() { "" } else { " → " };
        let target = self.target(report.target);
        let why = why(rule, step, report);
        format!("{style}{mark}{style:#} {label}{arrow}{target}: {style}{why}{style:#}")
    }

    /// A rule with its type, an endpoint with its values.
    fn target(&self, target: Node) -> String {
        match target {
            Node::Rule(id) => title(self.policy().rule(id)),
            Node::Endpoint(id) => {
                let name = &self.policy().endpoint(id).name;
                let values: Vec<String> = self.walk.values(id).map(ToString::to_string).collect();
                if values.is_empty() {
                    return format!("{STRONG}{name}{STRONG:#}");
                }
                format!("{STRONG}{name}{STRONG:#} ({})", values.join(", "))
            }
        }
    }
}

fn title(rule: &Rule) -> String {
    format!("{STRONG}{}{STRONG:#} ({})", rule.name, rule.kind.as_str())
}

/// What is special about the way a rule is walked.
fn notes(rule: &Rule, step: &Step, share: &BigRational) -> String {
    let mut notes = String::new();
    if step.probability != *share {
        // Writing to a String cannot fail.
        let _ = write!(notes, ", reached with {}", chance(&step.probability));
    }
    let fallback = match step.fallback {
        Fallback::None => return notes,
        Fallback::LastResort => "nothing is healthy, so all count as healthy".to_owned(),
        Fallback::BelowMinimum => {
            let percent = rule.min_healthy_percent.unwrap_or_default();
            format!("less than {percent} % is healthy, so all count as healthy")
        }
    };
    let _ = write!(notes, "; {CAREFUL}{fallback}{CAREFUL:#}");
    notes
}

fn mark(report: &BranchReport) -> (char, Style) {
    match (report.verdict, report.health) {
        (Verdict::Chosen, BranchHealth::Healthy) => ('✓', GOOD),
        (Verdict::Chosen, _) => ('✓', CAREFUL),
        (Verdict::Unhealthy, _) => ('✗', BAD),
        (Verdict::Draining, _) => ('○', CAREFUL),
        _ => ('·', FAINT),
    }
}

/// What a rule compared of a branch, and what followed from it.
fn why(rule: &Rule, step: &Step, report: &BranchReport) -> String {
    let verdict = match report.verdict {
        Verdict::Chosen if report.share.is_one() => {
            format!("chosen: {}", because(rule, step, report))
        }
        Verdict::Chosen => format!("chosen with {}", chance(&report.share)),
        Verdict::NotApplicable => match rule.kind {
            RuleKind::Geolocation => "another place".to_owned(),
            RuleKind::Cidr => "another network".to_owned(),
            _ => "no value of this type".to_owned(),
        },
        Verdict::Draining => "draining, no new clients while others are left".to_owned(),
        Verdict::Unhealthy => "unhealthy".to_owned(),
        Verdict::LessPreferred => behind(rule, step, report).to_owned(),
        Verdict::ZeroWeight => "no share, as others have weight".to_owned(),
        Verdict::OtherClients => "this client sticks to another".to_owned(),
    };
    let words = [
        measure(&report.measure),
        Some(verdict),
        health(report).map(str::to_owned),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    words.join(", ")
}

fn measure(measure: &Measure) -> Option<String> {
    match measure {
        Measure::Latency {
            micros: Some(micros),
            ..
        } => Some(format!("{} ms", f64::from(*micros) / 1000.0)),
        Measure::Latency {
            distance_km: Some(km),
            ..
        } => Some(format!("{km:.0} km")),
        Measure::Distance {
            km: Some(km),
            biased_km: Some(biased),
            bias,
        } => Some(match bias {
            0 => format!("{km:.0} km"),
            _ => format!("{km:.0} km, with bias {biased:.0} km"),
        }),
        Measure::Latency { china: false, .. } | Measure::Distance { .. } => {
            Some("at unknown distance".to_owned())
        }
        Measure::Latency { .. }
        | Measure::Place(_)
        | Measure::Block(_)
        | Measure::Order
        | Measure::Weight(_)
        | Measure::Default => None,
    }
}

/// Why the one branch that is chosen is.
fn because(rule: &Rule, step: &Step, report: &BranchReport) -> String {
    if is_held(step, report) {
        return "held by failback".to_owned();
    }
    let first = match &report.measure {
        Measure::Place(Some(place)) => return format!("{place} holds the client"),
        Measure::Block(Some(block)) => return format!("{block} holds the client"),
        Measure::Default => return "for everyone else".to_owned(),
        Measure::Weight(_) => return "the only one left".to_owned(),
        Measure::Latency { china: true, .. } => return "first for clients in China".to_owned(),
        Measure::Latency {
            micros: Some(_), ..
        } => "the fastest",
        Measure::Latency {
            distance_km: Some(_),
            ..
        }
        | Measure::Distance { km: Some(_), .. } => "the nearest",
        _ if matches!(rule.kind, RuleKind::MultiValue { .. }) => {
            return "in every answer".to_owned();
        }
        _ => "the first",
    };
    // In a failover rule, what is left out later was not needed anyway.
    let ahead = |other: &BranchReport| {
        !matches!(rule.kind, RuleKind::Failover)
            || other.index < report.index
            || step.held == Some(other.index)
    };
    let left_out = |other: &BranchReport| {
        matches!(other.verdict, Verdict::Unhealthy | Verdict::Draining) && ahead(other)
    };
    if step.branches.iter().any(left_out) {
        format!("{first} that is left")
    } else {
        first.to_owned()
    }
}

/// Whether a branch is chosen only because failback holds it.
fn is_held(step: &Step, report: &BranchReport) -> bool {
    let mut ahead = step.branches.iter().take(report.index);
    step.held == Some(report.index)
        && report.verdict == Verdict::Chosen
        && ahead.any(|other| other.verdict == Verdict::LessPreferred)
}

/// Why a branch that would do is not chosen.
fn behind(rule: &Rule, step: &Step, report: &BranchReport) -> &'static str {
    match rule.kind {
        RuleKind::Failover if step.branches.iter().any(|other| is_held(step, other)) => {
            "failback holds another"
        }
        RuleKind::Failover => "an earlier one is taken",
        RuleKind::Latency => match report.measure {
            Measure::Latency {
                micros: Some(_), ..
            } => "another is faster",
            _ => "another is taken",
        },
        RuleKind::Geolocation => "a smaller place holds the client",
        RuleKind::Geoproximity => "another is nearer",
        RuleKind::Cidr => "a longer block holds the client",
        RuleKind::Weighted { .. } | RuleKind::MultiValue { .. } => "another is taken",
    }
}

fn health(report: &BranchReport) -> Option<&'static str> {
    match (report.health, report.target) {
        (BranchHealth::Healthy, _) => None,
        // The rule says so itself.
        (BranchHealth::TargetUnhealthy, Node::Rule(_)) if report.verdict == Verdict::Chosen => None,
        (BranchHealth::CheckUnhealthy, _) => Some("the branch's own health check fails"),
        (BranchHealth::TargetUnhealthy, Node::Rule(_)) => Some("nothing below it is healthy"),
        (BranchHealth::TargetUnhealthy, Node::Endpoint(_))
            if report.verdict == Verdict::Unhealthy =>
        {
            None
        }
        (BranchHealth::TargetUnhealthy, Node::Endpoint(_)) => Some("though unhealthy"),
        (BranchHealth::TargetIgnored, _) => Some("its target's health is not evaluated"),
    }
}

fn chance(probability: &BigRational) -> String {
    format!("{probability} ({})", labels::percent(probability))
}

fn answers(answers: &[Answer]) -> String {
    if let [only] = answers {
        return format!("Answer    {}\n", answer(only));
    }
    let mut text = "Answers\n".to_owned();
    let width = answers.iter().map(|a| a.probability.len()).max();
    for one in answers {
        let probability = &one.probability;
        let width = width.unwrap_or_default();
        let _ = writeln!(text, "  {probability:>width$}  {}", answer(one));
    }
    text
}

fn answer(answer: &Answer) -> String {
    let values = answer.values.join(", ");
    match &answer.subset {
        _ if answer.endpoints.is_empty() => "none (NODATA)".to_owned(),
        Some(subset) => format!("{} at random of {values}", subset.size),
        None => format!("{values} from {}", answer.endpoints.join(", ")),
    }
}

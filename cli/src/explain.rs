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
                let _ = write!(text, "{}", tree.rule(step, None));
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

    /// The tree of a rule that is reached; `line` is that of the branch that
    /// leads to it.
    fn rule(&mut self, step: &'a Step, line: Option<String>) -> Tree<String> {
        let rule = self.policy().rule(step.rule);
        let mut root = line.map_or_else(String::new, |line| format!("{line}: "));
        root.push_str(&heading(rule, step));
        let mut tree = Tree::new(root);
        self.shown.insert(step.rule);
        for report in &step.branches {
            let branch = self.branch(rule, step, report);
            tree.push(branch);
        }
        tree
    }

    fn branch(&mut self, rule: &Rule, step: &Step, report: &BranchReport) -> Tree<String> {
        let line = self.line(rule, step, report);
        let Node::Rule(target) = report.target else {
            return Tree::new(line);
        };
        match self.step(target) {
            Some(_) if report.verdict == Verdict::Chosen && self.shown.contains(&target) => {
                Tree::new(format!("{line}: as above"))
            }
            Some(below) if report.verdict == Verdict::Chosen => self.rule(below, Some(line)),
            _ => Tree::new(line),
        }
    }

    /// What became of a branch: a mark, what it is for, where it leads, why.
    fn line(&self, rule: &Rule, step: &Step, report: &BranchReport) -> String {
        let (mark, style) = mark(report);
        let label = labels::selector(self.document, rule, report.index);
        let arrow = if label.is_empty() { "" } else { " → " };
        let target = self.policy().name_of(report.target);
        let kind = match report.target {
            Node::Rule(_) => "rule ",
            Node::Endpoint(_) => "",
        };
        let values = self.values(report.target);
        let why = why(rule, step, report);
        format!(
            "{style}{mark}{style:#} {label}{arrow}{kind}{STRONG}{target}{STRONG:#}{values}, {style}{why}{style:#}"
        )
    }

    fn values(&self, target: Node) -> String {
        let Node::Endpoint(id) = target else {
            return String::new();
        };
        let values: Vec<String> = self.walk.values(id).map(ToString::to_string).collect();
        if values.is_empty() {
            return String::new();
        }
        format!(" ({})", values.join(", "))
    }
}

fn heading(rule: &Rule, step: &Step) -> String {
    let mut heading = format!("{STRONG}{}{STRONG:#} {}", rule.name, rule.kind.as_str());
    if !step.probability.is_one() {
        let _ = write!(heading, ", reached with {}", chance(&step.probability));
    }
    match step.fallback {
        Fallback::None => {}
        Fallback::LastResort => {
            let _ = write!(
                heading,
                ", {CAREFUL}nothing is healthy: all count as healthy{CAREFUL:#}"
            );
        }
        Fallback::BelowMinimum => {
            let percent = rule.min_healthy_percent.unwrap_or_default();
            let _ = write!(
                heading,
                ", {CAREFUL}less than {percent} % is healthy: all count as healthy{CAREFUL:#}"
            );
        }
    }
    heading
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

/// Why a branch is chosen or not, with what its rule compared.
fn why(rule: &Rule, step: &Step, report: &BranchReport) -> String {
    let words = [
        measure(&report.measure),
        Some(verdict(rule, step, report)),
        health(report).map(str::to_owned),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    words.join(", ")
}

fn measure(measure: &Measure) -> Option<String> {
    match measure {
        Measure::Latency { china: true, .. } => Some("first for clients in China".to_owned()),
        Measure::Latency {
            micros: Some(micros),
            ..
        } => Some(format!("{} ms", f64::from(*micros) / 1000.0)),
        Measure::Latency { distance_km, .. } => Some(match distance_km {
            Some(km) => format!("{km:.0} km"),
            None => "at unknown distance".to_owned(),
        }),
        Measure::Distance {
            km: Some(km),
            biased_km: Some(biased),
            bias,
        } => Some(match bias {
            0 => format!("{km:.0} km"),
            _ => format!("{km:.0} km, with bias {biased:.0} km"),
        }),
        Measure::Distance { .. } => Some("at unknown distance".to_owned()),
        Measure::Place(Some(place)) => Some(format!("matches {place}")),
        Measure::Block(Some(block)) => Some(format!("matches {block}")),
        Measure::Place(None)
        | Measure::Block(None)
        | Measure::Order
        | Measure::Weight(_)
        | Measure::Default => None,
    }
}

fn verdict(rule: &Rule, step: &Step, report: &BranchReport) -> String {
    match report.verdict {
        Verdict::Chosen if report.share.is_one() => {
            format!("chosen: {}", because(rule, step))
        }
        Verdict::Chosen => format!("chosen with {}", chance(&report.share)),
        Verdict::NotApplicable => match rule.kind {
            RuleKind::Geolocation => "another place".to_owned(),
            RuleKind::Cidr => "another network".to_owned(),
            _ => "no value of this type".to_owned(),
        },
        Verdict::Draining => "draining: no new clients while others are left".to_owned(),
        Verdict::Unhealthy => "passed over".to_owned(),
        Verdict::LessPreferred => format!("not needed: {}", behind(rule)),
        Verdict::ZeroWeight => "no share: others have weight".to_owned(),
        Verdict::OtherClients => "not for this client: it sticks to another".to_owned(),
    }
}

/// Why the one branch that is chosen is.
fn because(rule: &Rule, step: &Step) -> &'static str {
    let healthy = step.fallback == Fallback::None;
    match rule.kind {
        RuleKind::Failover if healthy => "the first that is healthy",
        RuleKind::Failover => "the first",
        RuleKind::Weighted { .. } if rule.branches.len() == 1 => "the only one",
        RuleKind::Weighted { .. } => "no other is left",
        RuleKind::Latency if healthy => "the fastest that is healthy",
        RuleKind::Latency => "the fastest",
        RuleKind::Geolocation if healthy => "the smallest place that is healthy",
        RuleKind::Geolocation => "the smallest place",
        RuleKind::Geoproximity if healthy => "the nearest that is healthy",
        RuleKind::Geoproximity => "the nearest",
        RuleKind::MultiValue { .. } => "in every answer",
        RuleKind::Cidr if healthy => "the longest block that is healthy",
        RuleKind::Cidr => "the longest block",
    }
}

/// Why a branch that would do is not chosen.
fn behind(rule: &Rule) -> &'static str {
    match rule.kind {
        RuleKind::Failover => "an earlier one is taken",
        RuleKind::Latency => "another is faster",
        RuleKind::Geolocation => "a smaller place holds the client",
        RuleKind::Geoproximity => "another is nearer",
        RuleKind::Cidr => "a longer block holds the client",
        RuleKind::Weighted { .. } | RuleKind::MultiValue { .. } => "another is taken",
    }
}

fn health(report: &BranchReport) -> Option<&'static str> {
    match report.health {
        BranchHealth::Healthy => None,
        BranchHealth::CheckUnhealthy => Some("its health check fails"),
        BranchHealth::TargetUnhealthy => Some("its target is unhealthy"),
        BranchHealth::TargetIgnored => {
            Some("its target is unhealthy, but its health is not evaluated")
        }
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

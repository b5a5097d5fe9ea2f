//! Rules and their branches.

use watershed_crd::document::{self as crd, Branch, Rule, RuleType};
use watershed_policy::{Affinity, BranchSpec, Code, Diagnostic, Path, RuleKind, RuleSpec, Target};

use super::{Context, report, selector};

/// Endpoints in one answer of a `MultiValue` rule that does not say (Route 53
/// answers with up to eight).
const DEFAULT_MAX_ANSWERS: i32 = 8;

/// One branch, and where it stands.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) name: &'a str,
    pub(super) rule: &'a Rule,
    pub(super) index: usize,
    pub(super) branch: &'a Branch,
}

impl At<'_> {
    pub(super) fn path(&self, field: Option<&'static str>) -> Path {
        Path::Branch(self.name.to_owned(), self.index, field)
    }
}

pub(super) fn convert(
    context: Context<'_, '_>,
    name: &str,
    rule: &Rule,
    findings: &mut Vec<Diagnostic>,
) -> RuleSpec {
    misplaced_in_rule(name, rule, findings);
    let branches = rule.branches.iter().enumerate().map(|(index, branch)| {
        let at = At {
            name,
            rule,
            index,
            branch,
        };
        convert_branch(context, at, findings)
    });
    let branches = branches.collect();
    if rule.type_ == RuleType::CIDR {
        unused_collection(name, rule, findings);
    }
    RuleSpec {
        name: name.to_owned(),
        kind: kind(rule),
        min_healthy_percent: rule.min_healthy_percent.map(clamp),
        branches,
    }
}

fn kind(rule: &Rule) -> RuleKind {
    match rule.type_ {
        RuleType::Failover => RuleKind::Failover,
        RuleType::Weighted => RuleKind::Weighted {
            affinity: match rule.affinity {
                None | Some(crd::Affinity::None) => Affinity::None,
                Some(crd::Affinity::Client) => Affinity::Client,
            },
        },
        RuleType::Latency => RuleKind::Latency,
        RuleType::Geolocation => RuleKind::Geolocation,
        RuleType::Geoproximity => RuleKind::Geoproximity,
        RuleType::MultiValue => RuleKind::MultiValue {
            max_answers: clamp(rule.max_answers.unwrap_or(DEFAULT_MAX_ANSWERS)),
        },
        RuleType::CIDR => RuleKind::Cidr,
    }
}

/// Numbers that do not fit become the nearest that does. It is out of range
/// as well, so that the check of the tree reports it.
fn clamp(number: i32) -> u8 {
    u8::try_from(number.max(0)).unwrap_or(u8::MAX)
}

fn misplaced_in_rule(name: &str, rule: &Rule, findings: &mut Vec<Diagnostic>) {
    let fields = [
        ("affinity", rule.affinity.is_some(), RuleType::Weighted),
        (
            "maxAnswers",
            rule.max_answers.is_some(),
            RuleType::MultiValue,
        ),
        (
            "cidrCollectionRef",
            rule.cidr_collection_ref.is_some(),
            RuleType::CIDR,
        ),
    ];
    for (field, present, owner) in fields {
        if present && rule.type_ != owner {
            let message = format!(
                "a {} rule has no {field}, only a {} rule does; remove it",
                rule.type_.as_str(),
                owner.as_str()
            );
            let path = Path::Rule(name.to_owned(), Some(field));
            report(findings, Code::MisplacedField, path, message);
        }
    }
}

fn unused_collection(name: &str, rule: &Rule, findings: &mut Vec<Diagnostic>) {
    let used = rule.branches.iter().any(|b| b.cidr_location.is_some());
    if rule.cidr_collection_ref.is_some() && !used {
        let path = Path::Rule(name.to_owned(), Some("cidrCollectionRef"));
        let message = "no branch names a cidrLocation of this collection";
        report(findings, Code::Ignored, path, message);
    }
}

fn convert_branch(
    context: Context<'_, '_>,
    at: At<'_>,
    findings: &mut Vec<Diagnostic>,
) -> BranchSpec {
    misplaced_in_branch(at, findings);
    let check = at.branch.health_check_ref.as_ref();
    BranchSpec {
        target: target(at, findings),
        check: check.map(|check| (context.references.check_id)(&check.name)),
        evaluate_target_health: at.branch.evaluate_target_health.unwrap_or(true),
        selector: selector::convert(context, at, findings),
    }
}

fn target(at: At<'_>, findings: &mut Vec<Diagnostic>) -> Option<Target> {
    match (&at.branch.rule, &at.branch.endpoint) {
        (Some(rule), None) => Some(Target::Rule(rule.clone())),
        (None, Some(endpoint)) => Some(Target::Endpoint(endpoint.clone())),
        (None, None) => {
            let message = "a branch leads to a rule or an endpoint; set one of the two";
            report(findings, Code::MissingField, at.path(None), message);
            None
        }
        (Some(_), Some(_)) => {
            let message = "rule and endpoint exclude each other; remove one";
            report(findings, Code::FieldConflict, at.path(None), message);
            None
        }
    }
}

/// Fields that only branches of some rule types have.
fn typed_fields(branch: &Branch) -> [(&'static str, bool, &'static [RuleType]); 8] {
    use RuleType::{CIDR, Geolocation, Geoproximity, Latency, Weighted};
    [
        ("weight", branch.weight.is_some(), &[Weighted]),
        ("region", branch.region.is_some(), &[Latency, Geoproximity]),
        ("locations", branch.locations.is_some(), &[Geolocation]),
        ("coordinates", branch.coordinates.is_some(), &[Geoproximity]),
        ("bias", branch.bias.is_some(), &[Geoproximity]),
        ("cidrs", branch.cidrs.is_some(), &[CIDR]),
        ("cidrLocation", branch.cidr_location.is_some(), &[CIDR]),
        ("default", branch.default.is_some(), &[Geolocation, CIDR]),
    ]
}

fn misplaced_in_branch(at: At<'_>, findings: &mut Vec<Diagnostic>) {
    for (field, present, owners) in typed_fields(at.branch) {
        if present && !owners.contains(&at.rule.type_) {
            let owners: Vec<&str> = owners.iter().map(|owner| owner.as_str()).collect();
            let message = format!(
                "a branch of a {} rule has no {field}, which belongs to {}; remove it",
                at.rule.type_.as_str(),
                owners.join(" and ")
            );
            report(
                findings,
                Code::MisplacedField,
                at.path(Some(field)),
                message,
            );
        }
    }
}

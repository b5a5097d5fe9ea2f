//! The shared checks of the tree, told in Route 53's members.

use watershed_compile::{References, compile_policy};
use watershed_policy::{Code, Diagnostic, Limits, Path, Severity};

use super::Walk;
use crate::place::Place;

/// Faults and warnings of the converted tree that the walk did not see.
pub(super) fn check(walk: &Walk) -> Vec<Diagnostic> {
    let (_, findings) = compile_policy(&walk.document, &References::none(), &Limits::route53());
    let told: Vec<String> = walk.faults.iter().map(|d| d.path.to_string()).collect();
    let translated = findings.into_iter().map(|finding| {
        let message = with_item_named(walk, &finding);
        place_of(walk, &finding.path).fault(finding.code, message)
    });
    translated
        .filter(|finding| !told_already(walk, &told, finding))
        .collect()
}

/// Whether a finding only repeats a fault of the walk. The conversion lacks
/// what the walk refused, so the tree misses it once more, at the same place,
/// below or above it. Warnings about a partial conversion mean nothing.
fn told_already(walk: &Walk, told: &[String], finding: &Diagnostic) -> bool {
    let path = finding.path.to_string();
    match finding.code {
        Code::UnknownRule
        | Code::UnknownEndpoint
        | Code::Cycle
        | Code::Duplicate
        | Code::LimitExceeded => false,
        code if code.severity() == Severity::Warning => !told.is_empty(),
        // Without a record type no value of an endpoint was converted.
        _ if walk.record_type.is_none() && path.starts_with("Endpoints") => true,
        // An alias that the record type excludes was refused at its type.
        Code::RecordType if refused_type(told, &path) => true,
        _ => told.iter().any(|told| same_part(told, &path)),
    }
}

/// Whether the path is the value of an endpoint whose type has a fault.
fn refused_type(told: &[String], path: &str) -> bool {
    path.strip_suffix(".Value").is_some_and(|endpoint| {
        let type_ = format!("{endpoint}.Type");
        told.contains(&type_)
    })
}

/// Paths of what the document has once.
const TOP: [&str; 4] = ["document", "RecordType", "StartEndpoint", "StartRule"];

/// Whether one path is the other or leads to it. What is missing at the top
/// may stand at the document itself.
fn same_part(one: &str, other: &str) -> bool {
    let leads = |above: &str, below: &str| {
        below
            .strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let top = |path: &str| TOP.contains(&path);
    leads(one, other) || leads(other, one) || (top(one) && top(other))
}

/// The message with `branch 1` as `Items[1]`, or whatever it came from.
fn with_item_named(walk: &Walk, finding: &Diagnostic) -> String {
    let named = || {
        let (Path::Branch(rule, ..) | Path::Rule(rule, _)) = &finding.path else {
            return None;
        };
        // Ids stand before the number, if at all.
        let (before, after) = finding.message.rsplit_once("branch ")?;
        let end = after.find(|c: char| !c.is_ascii_digit());
        let (number, rest) = after.split_at(end.unwrap_or(after.len()));
        let place = walk.items.get(rule)?.get(number.parse::<usize>().ok()?)?;
        Some(format!("{before}{}{rest}", place.member))
    };
    named().unwrap_or_else(|| finding.message.clone())
}

fn place_of(walk: &Walk, path: &Path) -> Place {
    match path {
        Path::Document(field) => below(Place::document(), *field),
        Path::Endpoint(id, field) => below(Place::endpoint(id), *field),
        Path::Rule(id, field) => below(Place::rule(id), *field),
        Path::Branch(id, index, field) => {
            let item = walk.items.get(id).and_then(|items| items.get(*index));
            below(item.cloned().unwrap_or_else(|| Place::rule(id)), *field)
        }
        Path::Other(text) => Place::document().member(text),
    }
}

/// The place of a field of a `TrafficPolicy` document, or the place above it
/// where Route 53 spells the field in another way.
fn below(place: Place, field: Option<&'static str>) -> Place {
    let member = match field {
        Some("recordTypes") => "RecordType",
        Some("startRule") => "StartRule",
        Some("startEndpoint") => "StartEndpoint",
        Some("type") => "RuleType",
        Some("addresses" | "hostname" | "values") => "Value",
        Some("endpoint") => "EndpointReference",
        Some("rule") => "RuleReference",
        Some("evaluateTargetHealth") => "EvaluateTargetHealth",
        Some("healthCheckRef") => "HealthCheck",
        Some("weight") => "Weight",
        Some("bias") => "Bias",
        _ => return place,
    };
    place.member(member)
}

//! The shared checks of the tree, told in Route 53's members.

use watershed_compile::{References, compile_policy};
use watershed_policy::{Code, Diagnostic, Limits, Path, Severity};

use super::Walk;
use crate::place::Place;

/// Faults and warnings of the converted tree that the walk did not see.
pub(super) fn check(walk: &Walk) -> Vec<Diagnostic> {
    let (_, findings) = compile_policy(&walk.document, &References::none(), &Limits::route53());
    let translated = findings.into_iter().map(|finding| {
        let message = with_items_named(walk, &finding);
        place_of(walk, &finding.path).fault(finding.code, message)
    });
    translated
        .filter(|finding| !told_already(walk, finding))
        .collect()
}

/// Whether a finding only repeats a fault of the walk. The conversion lacks
/// what the walk refused, so the tree misses it once more, at the same place,
/// below or above it. Warnings about a partial conversion mean nothing.
fn told_already(walk: &Walk, finding: &Diagnostic) -> bool {
    let faults = &walk.faults;
    match finding.code {
        Code::UnknownRule
        | Code::UnknownEndpoint
        | Code::Cycle
        | Code::Duplicate
        | Code::LimitExceeded => false,
        code if code.severity() == Severity::Warning => !faults.is_empty(),
        // Without a record type no value of an endpoint was converted.
        _ if walk.record_type.is_none() && is_endpoint(&finding.path) => true,
        _ => faults
            .iter()
            .any(|fault| same_part(&fault.path, &finding.path)),
    }
}

/// Paths of what the document has once.
const TOP: [&str; 4] = ["document", "RecordType", "StartEndpoint", "StartRule"];

fn is_endpoint(path: &Path) -> bool {
    path.to_string().starts_with("Endpoints")
}

/// Whether one path is the other or leads to it. What is missing at the top
/// may stand at the document itself.
fn same_part(one: &Path, other: &Path) -> bool {
    let (one, other) = (one.to_string(), other.to_string());
    let leads = |above: &str, below: &str| {
        below
            .strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let top = |path: &str| TOP.contains(&path);
    leads(&one, &other) || leads(&other, &one) || (top(&one) && top(&other))
}

/// The message with `branch 1` as `Items[1]`, or whatever it came from.
fn with_items_named(walk: &Walk, finding: &Diagnostic) -> String {
    let mut message = finding.message.clone();
    let (Path::Branch(rule, ..) | Path::Rule(rule, _)) = &finding.path else {
        return message;
    };
    let items = walk.items.get(rule).into_iter().flatten();
    // Backwards, because `branch 1` begins `branch 10`.
    for (index, place) in items.enumerate().collect::<Vec<_>>().into_iter().rev() {
        message = message.replace(&format!("branch {index}"), &place.member);
    }
    message
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

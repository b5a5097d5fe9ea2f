//! From a `TrafficPolicyDocument` to a checked policy.
//!
//! [`convert`] reads what is written: it finds fields that are missing,
//! misplaced or malformed, and puts places, regions, blocks, addresses and
//! record data into typed form. The checks of the tree as a whole are
//! [`Policy::build`]'s. [`compile_policy`] does both and returns all findings
//! together.

mod blocks;
mod coordinates;
mod endpoint;
mod host;
mod names;
mod place;
mod references;
mod rule;
mod selector;

use watershed_crd::document::TrafficPolicyDocument;
use watershed_policy::{Code, Diagnostic, Document, Limits, Path, Policy, Severity, Start, Target};

pub use names::{check_names, is_node_name};
pub use references::{CidrLocations, ObjectAddresses, References};

pub(crate) use host::host_name;

/// What the conversion of any part of a document may look at.
#[derive(Clone, Copy)]
struct Context<'c, 'r> {
    document: &'c TrafficPolicyDocument,
    references: &'c References<'r>,
}

/// Converts a document as far as it is sound, and reports everything in it
/// that is not.
///
/// Absent fields have these meanings: `evaluateTargetHealth` is true, `bias`
/// is 0, `affinity` is None, `maxAnswers` is 8, `drain` is false; a Latency or
/// Geoproximity branch without a place of its own takes the `region` of the
/// endpoint it leads to. The order of rules and endpoints is that of their
/// names, since a map has no other.
pub fn convert(
    document: &TrafficPolicyDocument,
    references: &References<'_>,
) -> (Document, Vec<Diagnostic>) {
    let context = Context {
        document,
        references,
    };
    let mut findings = Vec::new();
    let converted = Document {
        record_types: record_types(document, &mut findings),
        start: start(document, &mut findings),
        rules: (document.rules.iter())
            .map(|(name, rule)| rule::convert(context, name, rule, &mut findings))
            .collect(),
        endpoints: (document.endpoints.iter())
            .map(|(name, endpoint)| endpoint::convert(context, name, endpoint, &mut findings))
            .collect(),
    };
    (converted, findings)
}

/// Converts and checks a document. The findings are complete, sorted by path
/// and free of repetitions; there is a policy exactly when none of them is an
/// error.
pub fn compile_policy(
    document: &TrafficPolicyDocument,
    references: &References<'_>,
    limits: &Limits,
) -> (Option<Policy>, Vec<Diagnostic>) {
    let (converted, mut findings) = convert(document, references);
    let (policy, of_the_tree) = Policy::build(&converted, limits);
    // What the conversion refused is missing from the tree, so that warnings
    // about the tree (an unused endpoint, say) would tell of the gap only.
    let partial = has_errors(&findings);
    findings.extend(
        of_the_tree
            .into_iter()
            .filter(|finding| !partial || finding.severity() == Severity::Error),
    );
    findings.sort();
    findings.dedup();
    let sound = !has_errors(&findings);
    (policy.filter(|_| sound), findings)
}

/// Whether any finding refuses the document.
pub fn has_errors(findings: &[Diagnostic]) -> bool {
    findings
        .iter()
        .any(|finding| finding.severity() == Severity::Error)
}

fn record_types(document: &TrafficPolicyDocument, findings: &mut Vec<Diagnostic>) -> Vec<u16> {
    if document.record_types.is_empty() {
        let path = Path::Document(Some("recordTypes"));
        let message = "name the DNS type that the policy serves, or both A and AAAA";
        report(findings, Code::MissingField, path, message);
    }
    document.record_types.iter().map(|t| t.number()).collect()
}

fn start(document: &TrafficPolicyDocument, findings: &mut Vec<Diagnostic>) -> Option<Start> {
    match (&document.start_rule, &document.start_endpoint) {
        (Some(rule), None) => Some(Target::Rule(rule.clone())),
        (None, Some(endpoint)) => Some(Target::Endpoint(endpoint.clone())),
        (None, None) => {
            let message = "one of startRule and startEndpoint must be set";
            report(findings, Code::MissingField, Path::Document(None), message);
            None
        }
        (Some(_), Some(_)) => {
            let message = "startRule and startEndpoint exclude each other; remove one";
            report(findings, Code::FieldConflict, Path::Document(None), message);
            None
        }
    }
}

fn report(findings: &mut Vec<Diagnostic>, code: Code, path: Path, message: impl Into<String>) {
    findings.push(Diagnostic::new(code, path, message));
}

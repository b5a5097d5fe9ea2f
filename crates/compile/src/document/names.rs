//! Names of rules and endpoints in manifests.

use watershed_crd::document::{Branch, TrafficPolicyDocument};
use watershed_policy::{Code, Diagnostic, Path};

use super::report;

/// Checks that the names of rules and endpoints are those that the API server
/// takes as map keys: 1 to 63 letters, digits, `-` and `_`, beginning and
/// ending with a letter or digit.
///
/// Documents converted from Route 53 may have any name, for ids are free
/// strings there; so this is no part of [`super::convert`].
pub fn check_names(document: &TrafficPolicyDocument) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for name in document.rules.keys() {
        check(name, Path::Rule(name.clone(), None), &mut findings);
    }
    for name in document.endpoints.keys() {
        check(name, Path::Endpoint(name.clone(), None), &mut findings);
    }
    let starts = [
        (&document.start_rule, "startRule"),
        (&document.start_endpoint, "startEndpoint"),
    ];
    for (name, field) in starts {
        if let Some(name) = name {
            check(name, Path::Document(Some(field)), &mut findings);
        }
    }
    for (rule, index, branch) in branches(document) {
        for (name, field) in [(&branch.rule, "rule"), (&branch.endpoint, "endpoint")] {
            if let Some(name) = name {
                let path = Path::Branch(rule.to_owned(), index, Some(field));
                check(name, path, &mut findings);
            }
        }
    }
    findings
}

fn branches(document: &TrafficPolicyDocument) -> impl Iterator<Item = (&str, usize, &Branch)> {
    document.rules.iter().flat_map(|(name, rule)| {
        let branches = rule.branches.iter().enumerate();
        branches.map(move |(index, branch)| (name.as_str(), index, branch))
    })
}

fn check(name: &str, path: Path, findings: &mut Vec<Diagnostic>) {
    if !is_node_name(name) {
        let message = format!(
            "`{name}` is not a name: take 1 to 63 letters, digits, `-` and `_`, \
             beginning and ending with a letter or digit"
        );
        report(findings, Code::InvalidValue, path, message);
    }
}

/// Whether a text may name a rule, an endpoint or a CIDR location in a
/// manifest.
pub fn is_node_name(name: &str) -> bool {
    let edge = |octet: Option<&u8>| octet.is_some_and(u8::is_ascii_alphanumeric);
    let octets = name.as_bytes();
    octets.len() <= 63
        && edge(octets.first())
        && edge(octets.last())
        && (octets.iter()).all(|o| o.is_ascii_alphanumeric() || matches!(o, b'-' | b'_'))
}

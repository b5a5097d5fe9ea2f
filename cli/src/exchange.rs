//! `watershed import` and `watershed export`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use watershed_compile::{References, compile_policy};
use watershed_crd::API_VERSION;
use watershed_crd::document::{LocalReference, TrafficPolicyDocument};
use watershed_policy::{Code, Diagnostic, Limits};
use watershed_route53::{FormatVersion, Import, Rename, Renamed};

use crate::args::{
    self, ExportArgs, ExportRoute53Args, ExportSystem, ImportArgs, ImportRoute53Args, ImportSystem,
};
use crate::cidr::CidrCollections;
use crate::console::{self, Printed, Status};
use crate::finding::{Finding, has_errors};
use crate::input::{self, Source, Syntax};
use crate::policy_input::PolicyInput;

/// `watershed import`.
pub fn import(args: &ImportArgs) -> Printed {
    let ImportSystem::Route53(args) = &args.system;
    let name = args.name.clone().unwrap_or_else(|| name_of(&args.file));
    match args.file.read() {
        Ok(text) => import_text(&text, &name, args),
        Err(fault) => Printed::findings(&[fault]),
    }
}

fn import_text(text: &str, name: &str, args: &ImportRoute53Args) -> Printed {
    let import = match read(text) {
        Ok(import) => import,
        Err(faults) => return refused(&faults),
    };
    let merged = watershed_route53::merge_places(&import.document);
    let (document, renames) = watershed_route53::portable_names(&merged);
    let mut printed = Printed::default();
    let warnings: Vec<Finding> = import.findings.into_iter().map(Finding::from).collect();
    printed.note_all(&warnings);
    for rename in &renames {
        printed.note(renamed(rename));
    }
    for excess in beyond_api_limits(&document) {
        printed.note(excess);
    }
    printed.out = manifest(&document, name, args.namespace.as_deref());
    printed
}

/// Route 53 allows larger documents than a `TrafficPolicy` can be.
fn beyond_api_limits(document: &TrafficPolicyDocument) -> Vec<String> {
    let (_, findings) = compile_policy(document, &References::none(), &Limits::api());
    let excesses = findings
        .into_iter()
        .filter(|finding| finding.code == Code::LimitExceeded);
    excesses
        .map(|Diagnostic { path, message, .. }| {
            format!("warning: {path}: {message} in a TrafficPolicy: it will be refused")
        })
        .collect()
}

/// The document is JSON. YAML of the same content is taken too, for what was
/// copied into a scenario or a template.
fn read(text: &str) -> Result<Import, Vec<Diagnostic>> {
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    match input::document(text, Syntax::Yaml) {
        Ok(value @ Value::Object(_)) if !is_json => watershed_route53::import_value(&value),
        _ => watershed_route53::import(text),
    }
}

/// Faults in the form in which Route 53 reports them.
fn refused(faults: &[Diagnostic]) -> Printed {
    let mut printed = Printed {
        status: Status::Faults,
        ..Printed::default()
    };
    for fault in faults {
        printed.note(watershed_route53::fault_line(fault));
    }
    printed
}

fn renamed(rename: &Rename) -> String {
    let what = match rename.what {
        Renamed::Rule => "rule",
        Renamed::Endpoint => "endpoint",
        Renamed::HealthCheck => "health check",
    };
    format!("renamed: {what} `{}` is now `{}`", rename.from, rename.to)
}

/// A `TrafficPolicy` in the order in which people write it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
}

#[derive(Serialize)]
struct Spec<'a> {
    document: &'a TrafficPolicyDocument,
}

fn manifest(document: &TrafficPolicyDocument, name: &str, namespace: Option<&str>) -> String {
    let manifest = Manifest {
        api_version: API_VERSION,
        kind: "TrafficPolicy",
        metadata: Metadata { name, namespace },
        spec: Spec { document },
    };
    let mut text = String::new();
    let checks = health_checks(document);
    if !checks.is_empty() {
        text.push_str(
            "# In Route 53 health checks are made apart from policies, and so they are here:\n",
        );
        text.push_str("# make a HealthCheck in the same namespace for each of\n");
        for check in checks {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "#   {check}");
        }
    }
    // The document is plain data, which can always be written.
    text.push_str(&serde_yaml::to_string(&manifest).unwrap_or_default());
    text
}

fn health_checks(document: &TrafficPolicyDocument) -> BTreeSet<&str> {
    let branches = document.rules.values().flat_map(|rule| &rule.branches);
    let of_branches = branches.filter_map(|branch| branch.health_check_ref.as_ref());
    let endpoints = document.endpoints.values();
    let of_endpoints = endpoints.filter_map(|endpoint| endpoint.health_check_ref.as_ref());
    let all = of_branches.chain(of_endpoints);
    all.map(|LocalReference { name }| name.as_str()).collect()
}

/// A name for what a file holds.
fn name_of(source: &Source) -> String {
    let stem = match source {
        Source::Stdin => None,
        Source::File(path) => path.file_stem().and_then(std::ffi::OsStr::to_str),
    };
    let lower = stem.unwrap_or_default().to_ascii_lowercase();
    let plain: String = lower
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    match plain.trim_matches('-') {
        "" => "imported".to_owned(),
        name => name.to_owned(),
    }
}

/// `watershed export`.
pub fn export(args: &ExportArgs) -> Printed {
    let ExportSystem::Route53(args) = &args.system;
    match args.file.read() {
        Ok(text) => export_text(&text, args),
        Err(fault) => Printed::findings(&[fault]),
    }
}

fn export_text(text: &str, args: &ExportRoute53Args) -> Printed {
    let input = PolicyInput::from_text(text, args.file.syntax(), &CidrCollections::default());
    let document = match &input.document {
        Some(document) if !has_errors(&input.findings) => document,
        _ => return refused(&faults_of(&input.findings)),
    };
    let chosen = args
        .record_type
        .map(|kind| watershed_route53::for_record_type(document, kind));
    let version = match args.format_version {
        args::FormatVersion::V2015 => FormatVersion::V2015_10_01,
        args::FormatVersion::V2023 => FormatVersion::V2023_05_09,
    };
    match watershed_route53::export(chosen.as_ref().unwrap_or(document), version) {
        Ok(document) => Printed::result(console::json(&document)),
        Err(faults) => refused(&faults),
    }
}

/// The errors among findings, for [`refused`].
fn faults_of(findings: &[Finding]) -> Vec<Diagnostic> {
    let errors = findings.iter().filter(|finding| finding.is_error());
    errors
        .map(|finding| {
            let path = watershed_policy::Path::Other(finding.path.clone());
            Diagnostic::new(Code::InvalidValue, path, finding.message.clone())
        })
        .collect()
}

/// Whether a file name is that of a document.
pub(crate) fn is_document_file(path: &Path) -> bool {
    path.extension()
        .and_then(std::ffi::OsStr::to_str)
        .is_some_and(|extension| matches!(extension, "yaml" | "yml" | "json"))
}

//! Findings with their files, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::console;
use crate::finding::{Finding, UNREADABLE};
use crate::manifest;

use super::Set;
use super::collect::Unit;

/// A finding and where it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Located {
    /// The file as it was named; `standard input` for that.
    pub file: String,
    /// Position among the documents of the file from 1; none when it is the
    /// only one.
    pub document: Option<usize>,
    /// The object, such as `TrafficPolicy shop/web`.
    pub object: Option<String>,
    /// What is wrong.
    #[serde(flatten)]
    pub finding: Finding,
}

impl Located {
    pub(crate) fn new(unit: &Unit, finding: Finding) -> Self {
        Self {
            file: unit.file.clone(),
            document: unit.document,
            object: unit
                .object()
                .map(|value| manifest::identity(value).to_string()),
            finding,
        }
    }
}

/// A line for each finding, and a last one that sums up.
pub(super) fn text(findings: &[Located], set: &Set) -> String {
    let mut text = String::new();
    for located in findings {
        let severity = console::styled(located.finding.severity);
        let document = located.document.map(|number| format!(":doc {number}"));
        let (file, document) = (&located.file, document.unwrap_or_default());
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{file}{document}: {severity}: {}", located.finding);
    }
    let errors = findings.iter().filter(|f| f.finding.is_error()).count();
    let warnings = findings.len() - errors;
    let found = match (errors, warnings) {
        (0, 0) => "no faults".to_owned(),
        (0, warnings) => counted(warnings, "warning"),
        (errors, 0) => counted(errors, "error"),
        _ => format!(
            "{}, {}",
            counted(errors, "error"),
            counted(warnings, "warning")
        ),
    };
    let readable = |unit: &&Unit| !matches!(&unit.content, Err(fault) if fault.code == UNREADABLE);
    let documents = counted(set.units.iter().filter(readable).count(), "document");
    let files = counted(set.files, "file");
    let _ = writeln!(text, "{found} in {documents} of {files}");
    text
}

fn counted(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

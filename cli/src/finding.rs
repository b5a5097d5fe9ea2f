//! What is wrong with an input, in the form in which every command prints it.

use std::fmt;

use serde::{Serialize, Serializer};
use watershed_policy::{Code, Diagnostic, Severity};

/// Code of a finding about a file that cannot be read at all.
pub const UNREADABLE: &str = "unreadable";

/// One fault or warning about an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The kind of finding, kebab case. Stable: scripts match it.
    pub code: &'static str,
    /// Whether the input is refused.
    #[serde(serialize_with = "severity_text")]
    pub severity: Severity,
    /// Where in the input, in the input's own member names; empty for the
    /// input as a whole.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Finding {
    /// A fault that refuses the input.
    pub fn error(code: Code, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.as_str(),
            severity: Severity::Error,
            path: path.into(),
            message: message.into(),
        }
    }

    /// A finding that does not refuse the input, whatever the code means
    /// elsewhere: a scenario may well name a health check that the policy
    /// does not have.
    pub fn warning(code: Code, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, path, message)
        }
    }

    /// A file that cannot be read.
    pub fn unreadable(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: UNREADABLE,
            severity: Severity::Error,
            path: path.into(),
            message: message.into(),
        }
    }

    /// The same finding with `prefix` before its path.
    #[must_use]
    pub fn below(mut self, prefix: &str) -> Self {
        self.path = join(prefix, &self.path);
        self
    }

    /// Whether the finding refuses the input.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl From<Diagnostic> for Finding {
    fn from(diagnostic: Diagnostic) -> Self {
        Self {
            code: diagnostic.code.as_str(),
            severity: diagnostic.severity(),
            path: diagnostic.path.to_string(),
            message: diagnostic.message,
        }
    }
}

/// `path: message [code]`, without the severity.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{} [{}]", self.message, self.code)
    }
}

/// Whether any of the findings refuses the input.
pub fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(Finding::is_error)
}

/// `a` and `b` as one path.
pub(crate) fn join(a: &str, b: &str) -> String {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b.to_owned(),
        (_, true) => a.to_owned(),
        _ if b.starts_with('[') => format!("{a}{b}"),
        _ => format!("{a}.{b}"),
    }
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde demands the reference"
)]
fn severity_text<S: Serializer>(severity: &Severity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(severity.as_str())
}

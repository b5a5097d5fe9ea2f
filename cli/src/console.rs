//! What commands print, and how it gets to the terminal.

use std::fmt::{self, Write as _};
use std::io;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use watershed_policy::Severity;

use crate::finding::Finding;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// How a command ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// As wished.
    #[default]
    Ok,
    /// The input has faults.
    Faults,
}

/// Everything that a command prints. Styles are written as ANSI sequences,
/// and taken out where the output is no terminal.
#[derive(Clone, Debug, Default)]
pub struct Printed {
    /// For standard output: the result.
    pub out: String,
    /// For standard error: findings and notes.
    pub err: String,
    /// How the command ended.
    pub status: Status,
}

impl Printed {
    /// A result without notes.
    pub fn result(out: String) -> Self {
        Self {
            out,
            ..Self::default()
        }
    }

    /// Findings only; errors among them make the command fail.
    pub fn findings(findings: &[Finding]) -> Self {
        let mut printed = Self::default();
        printed.note_all(findings);
        printed
    }

    /// That a command could not do its work.
    pub fn failure(error: &anyhow::Error) -> Self {
        let severity = styled(Severity::Error);
        let mut printed = Self {
            status: Status::Faults,
            ..Self::default()
        };
        printed.note(format_args!("{severity}: {error:#}"));
        printed
    }

    /// Adds findings to what goes to standard error.
    pub fn note_all(&mut self, findings: &[Finding]) {
        for finding in findings {
            let severity = styled(finding.severity);
            self.note(format_args!("{severity}: {finding}"));
            if finding.is_error() {
                self.status = Status::Faults;
            }
        }
    }

    /// Adds a line to what goes to standard error.
    pub fn note(&mut self, line: impl fmt::Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.err, "{line}");
    }

    /// Prints it all. A reader that went away, such as `head`, is no fault.
    pub fn print(&self) -> ExitCode {
        let printed = write(&mut anstream::stdout(), &self.out)
            .and_then(|()| write(&mut anstream::stderr(), &self.err));
        match (printed, self.status) {
            (Err(error), _) if error.kind() != io::ErrorKind::BrokenPipe => {
                let message = format!("watershed: the output cannot be written: {error}\n");
                // Where this cannot be written either, the status tells.
                let _ = write(&mut anstream::stderr(), &message);
                ExitCode::FAILURE
            }
            (_, Status::Ok) => ExitCode::SUCCESS,
            (_, Status::Faults) => ExitCode::FAILURE,
        }
    }
}

fn write(stream: &mut impl io::Write, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

/// The word for a severity, in its colour.
pub(crate) fn styled(severity: Severity) -> String {
    let style = match severity {
        Severity::Error => ERROR,
        Severity::Warning => WARNING,
    };
    format!("{style}{severity}{style:#}")
}

/// A value as indented JSON with a final newline.
pub(crate) fn json(value: &impl serde::Serialize) -> String {
    // Only maps with keys that are no strings fail, and there are none.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// A value as YAML.
pub(crate) fn yaml(value: &impl serde::Serialize) -> String {
    // As for JSON.
    serde_yaml::to_string(value).unwrap_or_default()
}

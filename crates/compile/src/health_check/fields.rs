//! Fields of a check, and what is wrong with them.

use std::fmt::Display;
use std::net::IpAddr;

use watershed_health::Address;
use watershed_policy::{Code, Diagnostic, Path};

use crate::document::host_name;
use crate::resources::Resources;
use crate::verdict::{Problem, Reason};

/// Reads fields and goes on after a fault, so that all are told at once.
pub(super) struct Fields<'r> {
    pub(super) resources: &'r Resources,
    /// Namespace of the check.
    pub(super) namespace: &'r str,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Diagnostic>,
    /// Whether the check can be served: a reference to nothing is a problem
    /// and no fault.
    pub(super) is_sound: bool,
}

impl<'r> Fields<'r> {
    pub(super) fn new(resources: &'r Resources, namespace: &'r str) -> Self {
        Self {
            resources,
            namespace,
            problems: Vec::new(),
            warnings: Vec::new(),
            is_sound: true,
        }
    }

    /// Tells what is wrong with a field of the spec.
    pub(super) fn fault(&mut self, field: &str, message: impl Into<String>) {
        self.is_sound = false;
        self.problem(Reason::InvalidSpec, field, message);
    }

    /// Tells what stands against the check without making it unfit.
    pub(super) fn problem(&mut self, reason: Reason, field: &str, message: impl Into<String>) {
        let problem = Problem::new(reason, path(field), message);
        self.problems.push(problem);
    }

    pub(super) fn warn(&mut self, field: &str, message: impl Into<String>) {
        let path = Path::Other(path(field));
        (self.warnings).push(Diagnostic::new(Code::Ignored, path, message));
    }

    /// What was read, or nothing and a fault.
    pub(super) fn read<T, E: Display>(&mut self, field: &str, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(field, error.to_string());
                None
            }
        }
    }

    /// A number within bounds, or the nearest that is.
    pub(super) fn number(&mut self, field: &str, number: i32, least: u32, most: u32) -> u32 {
        let read = u32::try_from(number).unwrap_or(0).clamp(least, most);
        if i64::from(number) != i64::from(read) {
            self.fault(field, format!("{number} is not {least} to {most}"));
        }
        read
    }

    pub(super) fn port(&mut self, field: &str, number: i32) -> u16 {
        let read = self.number(field, number, 1, u16::MAX.into());
        u16::try_from(read).unwrap_or(u16::MAX)
    }

    /// The name or address of a host, as it is written in URLs and
    /// certificates: in lower case and without a final dot.
    pub(super) fn host(&mut self, field: &str, text: &str) -> Option<String> {
        if text.parse::<IpAddr>().is_ok() {
            return Some(text.to_owned());
        }
        let name = self.read(field, host_name(text))?.to_string();
        Some(name.trim_end_matches('.').to_owned())
    }

    pub(super) fn address(&mut self, field: &str, text: &str) -> Option<Address> {
        let host = self.host(field, text)?;
        Some(Address::parse(&host))
    }
}

fn path(field: &str) -> String {
    match field {
        "" => "spec".to_owned(),
        field => format!("spec.{field}"),
    }
}

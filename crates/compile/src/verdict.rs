//! What is said about each object: conditions, and every finding.

use std::fmt;

use watershed_policy::{Code, Diagnostic, Path, Severity};
use watershed_snapshot::OwnerName;

use crate::object::ObjectRef;

/// How many problems the message of a condition tells; the API server takes
/// 32768 octets.
const TOLD: usize = 16;

/// What is known of one object after compilation.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The object.
    pub object: ObjectRef,
    /// Generation of the spec that was looked at.
    pub generation: Option<i64>,
    /// Accepted, `ResolvedRefs` and Ready, in this order. Whether the nodes
    /// have it yet (Programmed) is not known here.
    pub conditions: [Condition; 3],
    /// Everything found, errors and warnings.
    pub findings: Vec<Diagnostic>,
    /// What a `PolicyRecord` serves now.
    pub serving: Option<Serving>,
}

impl Verdict {
    /// The condition of a type.
    pub fn condition(&self, kind: ConditionType) -> &Condition {
        let [accepted, resolved, ready] = &self.conditions;
        match kind {
            ConditionType::Accepted => accepted,
            ConditionType::ResolvedRefs => resolved,
            ConditionType::Ready => ready,
        }
    }

    /// Whether everything asked for is served.
    pub fn is_ready(&self) -> bool {
        self.condition(ConditionType::Ready).status
    }
}

/// What a record serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// Its absolute name.
    pub name: OwnerName,
    /// Number of the version.
    pub version: u32,
    /// Types served, as IANA numbers.
    pub record_types: Vec<u16>,
    /// Whether this is what was served before, because what the spec asks for
    /// cannot be.
    pub stale: bool,
}

/// One condition (`metav1.Condition` without its times).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What it is about.
    pub kind: ConditionType,
    /// Whether it holds.
    pub status: bool,
    /// Why, in one word.
    pub reason: Reason,
    /// Why, in a sentence; may be empty when it holds.
    pub message: String,
}

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// Valid, allowed, without conflict.
    Accepted,
    /// Every reference is found and granted.
    ResolvedRefs,
    /// Both of these.
    Ready,
}

impl ConditionType {
    /// The type as status shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::ResolvedRefs => "ResolvedRefs",
            Self::Ready => "Ready",
        }
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $reason:ident => $condition:ident, $code:ident;)+) => {
        /// Why a condition is as it is. The text form is the name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[doc = $doc])+ $reason,)+ }

        impl Reason {
            /// The condition that has this reason.
            pub fn condition(self) -> ConditionType {
                match self { $(Self::$reason => ConditionType::$condition,)+ }
            }

            /// The code of a finding for this reason.
            fn code(self) -> Code {
                match self { $(Self::$reason => Code::$code,)+ }
            }

            /// The reason as status shows it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$reason => stringify!($reason),)+ }
            }
        }
    };
}

reasons! {
    /// Accepted: nothing stands against it.
    Accepted => Accepted, Ignored;
    /// The policy document has faults.
    InvalidDocument => Accepted, InvalidValue;
    /// Another field of the spec has faults.
    InvalidSpec => Accepted, InvalidValue;
    /// The version exists with another document.
    VersionConflict => Accepted, Duplicate;
    /// The declared number was given before.
    NumberTooLow => Accepted, InvalidValue;
    /// The zone does not let this object publish here.
    NotAllowedByZone => Accepted, FieldConflict;
    /// An older object has the name.
    NameConflict => Accepted, Duplicate;
    /// An older zone has the apex.
    ZoneConflict => Accepted, Duplicate;
    /// The zone above does not let this zone be below it.
    ParentZoneNotAllowed => Accepted, FieldConflict;
    /// The version has another digest than the record demands.
    DigestMismatch => Accepted, FieldConflict;
    /// Every reference is found.
    Resolved => ResolvedRefs, Ignored;
    /// There is no such version, or the channel names none.
    VersionNotFound => ResolvedRefs, UnknownReference;
    /// The version has faults.
    VersionNotAccepted => ResolvedRefs, UnknownReference;
    /// There is no such policy.
    PolicyNotFound => ResolvedRefs, UnknownReference;
    /// There is no such zone, or it is not served.
    ZoneNotFound => ResolvedRefs, UnknownReference;
    /// There is no such record, or it does not serve the type.
    RecordNotFound => ResolvedRefs, UnknownReference;
    /// There is no such health check; it counts as healthy.
    HealthCheckNotFound => ResolvedRefs, UnknownReference;
    /// Something else that the document refers to is not there.
    ReferenceNotFound => ResolvedRefs, UnknownReference;
    /// An object that is followed has no addresses any longer; the last ones
    /// stay in use.
    AddressesLost => ResolvedRefs, UnknownReference;
    /// The object is in another namespace, which does not share it.
    RefNotPermitted => ResolvedRefs, UnknownReference;
    /// All is well.
    Ready => Ready, Ignored;
    /// All is well, and the document is a version.
    Minted => Ready, Ignored;
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that stands against an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    reason: Reason,
    finding: Diagnostic,
}

impl Problem {
    /// A problem with a field of the object, such as `spec.version`.
    pub(crate) fn new(
        reason: Reason,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            reason,
            finding: Diagnostic::new(reason.code(), Path::Other(field.into()), message),
        }
    }

    /// A fault of a document.
    pub(crate) fn document(reason: Reason, finding: Diagnostic) -> Self {
        Self { reason, finding }
    }
}

/// What is gathered about one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Report {
    pub(crate) generation: Option<i64>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Diagnostic>,
    pub(crate) serving: Option<Serving>,
    /// Said of what is accepted, such as its size.
    pub(crate) accepted: String,
    /// Reason and message of a Ready condition that holds.
    pub(crate) ready: Option<(Reason, String)>,
}

impl Report {
    /// Nothing is said yet about an object of that generation.
    pub(crate) fn new(generation: Option<i64>) -> Self {
        Self {
            generation,
            ..Self::default()
        }
    }

    pub(crate) fn verdict(self, object: ObjectRef) -> Verdict {
        let accepted = self.condition(ConditionType::Accepted, Reason::Accepted, &self.accepted);
        let resolved = self.condition(ConditionType::ResolvedRefs, Reason::Resolved, "");
        let ready = self.ready(&accepted, &resolved);
        let problems = self.problems.into_iter().map(|problem| problem.finding);
        Verdict {
            object,
            generation: self.generation,
            conditions: [accepted, resolved, ready],
            findings: problems.chain(self.warnings).collect(),
            serving: self.serving,
        }
    }

    fn condition(&self, kind: ConditionType, holds: Reason, message: &str) -> Condition {
        let against = self.problems.iter();
        let against: Vec<&Problem> = against.filter(|p| p.reason.condition() == kind).collect();
        let Some(first) = against.first() else {
            return Condition {
                kind,
                status: true,
                reason: holds,
                message: message.to_owned(),
            };
        };
        Condition {
            kind,
            status: false,
            reason: first.reason,
            message: told(&against),
        }
    }

    /// The first failing one's reason, and what is served meanwhile.
    fn ready(&self, accepted: &Condition, resolved: &Condition) -> Condition {
        let stale = self.serving.as_ref().filter(|serving| serving.stale);
        let failing = [accepted, resolved].into_iter().find(|c| !c.status);
        let status = failing.is_none();
        let (reason, message) = failing.map_or_else(
            || self.ready.clone().unwrap_or((Reason::Ready, String::new())),
            |failing| (failing.reason, failing.message.clone()),
        );
        let served = stale.map(|serving| format!("still serving version {}", serving.version));
        let parts = [message, served.unwrap_or_default()];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Condition {
            kind: ConditionType::Ready,
            status,
            reason,
            message: parts.join("; "),
        }
    }
}

/// All problems in one message. Some hundred faults are mostly one mistake, so
/// that the rest of very many is only counted.
fn told(problems: &[&Problem]) -> String {
    let shown = problems.iter().take(TOLD);
    let mut parts: Vec<String> = shown
        .map(|Problem { finding, .. }| format!("{}: {}", finding.path, finding.message))
        .collect();
    if problems.len() > TOLD {
        parts.push(format!("and {} more", problems.len() - TOLD));
    }
    parts.join("; ")
}

/// Parts errors from warnings.
pub(crate) fn errors(findings: Vec<Diagnostic>) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
    (findings.into_iter()).partition(|finding| finding.severity() == Severity::Error)
}

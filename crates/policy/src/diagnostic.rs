//! Faults and warnings about a policy document.

use std::fmt;

/// One finding about a document. Checks never stop at the first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// Where in the document.
    pub path: Path,
    /// What kind of finding.
    pub code: Code,
    /// What is wrong and what to do, as one sentence without a final stop.
    pub message: String,
}

impl Diagnostic {
    /// A finding of `code` at `path`.
    pub fn new(code: Code, path: Path, message: impl Into<String>) -> Self {
        Self {
            path,
            code,
            message: message.into(),
        }
    }

    /// Whether this refuses the document or only warns.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            code,
            message,
        } = self;
        write!(f, "{}: {path}: {message} [{code}]", self.severity())
    }
}

/// Whether a finding refuses the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The document is refused.
    Error,
    /// The document is accepted, but probably does not do what was meant.
    Warning,
}

impl Severity {
    /// `"error"` or `"warning"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where in a document a finding is. The display form is the field path in a
/// `TrafficPolicy` document; other formats render the parts their own way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// The document as a whole, or one of its top-level fields.
    Document(Option<&'static str>),
    /// A rule by name, or one of its fields.
    Rule(String, Option<&'static str>),
    /// A branch by rule name and zero-based index, or one of its fields.
    Branch(String, usize, Option<&'static str>),
    /// An endpoint by name, or one of its fields.
    Endpoint(String, Option<&'static str>),
    /// A path in another format, already rendered.
    Other(String),
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = match self {
            Self::Document(field) => return f.write_str(field.unwrap_or("document")),
            Self::Other(path) => return f.write_str(path),
            Self::Rule(name, field) => {
                write!(f, "rules.{name}")?;
                field
            }
            Self::Branch(rule, index, field) => {
                write!(f, "rules.{rule}.branches[{index}]")?;
                field
            }
            Self::Endpoint(name, field) => {
                write!(f, "endpoints.{name}")?;
                field
            }
        };
        field.map_or(Ok(()), |field| write!(f, ".{field}"))
    }
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident => $text:literal, $severity:ident;)+) => {
        /// The kinds of findings. The text form is stable: scripts match it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[doc = $doc])+ $variant,)+ }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable text form, kebab case.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Whether a finding of this code refuses the document.
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }
        }
    };
}

codes! {
    /// The text is not the YAML or JSON it should be.
    Syntax => "syntax", Error;
    /// A member or field that the format does not have.
    UnknownField => "unknown-field", Error;
    /// A required field is missing.
    MissingField => "missing-field", Error;
    /// A field that does not belong to this kind of rule or endpoint.
    MisplacedField => "misplaced-field", Error;
    /// Fields that exclude each other, or none of several where one must be.
    FieldConflict => "field-conflict", Error;
    /// A value of the wrong type, out of range, or malformed.
    InvalidValue => "invalid-value", Error;
    /// The document or a part of it is larger than the limits allow.
    LimitExceeded => "limit-exceeded", Error;
    /// A reference to a rule that the document does not have.
    UnknownRule => "unknown-rule", Error;
    /// A reference to an endpoint that the document does not have.
    UnknownEndpoint => "unknown-endpoint", Error;
    /// A reference to a health check, collection or object that is not known.
    UnknownReference => "unknown-reference", Error;
    /// Rules that lead back to themselves.
    Cycle => "cycle", Error;
    /// The same place, region, block, name or value twice in one rule.
    Duplicate => "duplicate", Error;
    /// A rule leads where its kind may not lead, or has too few branches.
    InvalidStructure => "invalid-structure", Error;
    /// A record type that policies cannot serve, or that the values do not fit.
    RecordType => "record-type", Error;
    /// A rule that nothing leads to.
    UnusedRule => "unused-rule", Warning;
    /// An endpoint that nothing leads to.
    UnusedEndpoint => "unused-endpoint", Warning;
    /// A branch that can never be taken.
    UnreachableBranch => "unreachable-branch", Warning;
    /// A geolocation or CIDR rule without default: clients elsewhere get no answer.
    NoDefault => "no-default", Warning;
    /// A country or continent branch that, when it is down, sends its users to a larger place or the default.
    FallsThrough => "falls-through", Warning;
    /// A branch without any health check in a rule that relies on health: it is chosen even when it is dead.
    Unchecked => "unchecked", Warning;
    /// An endpoint without a value of one of the policy's record types.
    MissingFamily => "missing-family", Warning;
    /// A zero weight, which is not a drain: it takes traffic when the others are down.
    ZeroWeight => "zero-weight", Warning;
    /// A region of which no position is known, so that distance cannot stand in for latency.
    UnknownRegion => "unknown-region", Warning;
    /// Something the input says that has no effect, or was changed in conversion.
    Ignored => "ignored", Warning;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! Checking manifests against the schemas of their kinds, as an API server
//! would, but refusing unknown fields instead of dropping them.

use std::sync::OnceLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;
use watershed_crd::schema::validation_schema;
use watershed_crd::{API_VERSION, KINDS};
use watershed_policy::Code;

use crate::finding::Finding;
use crate::members::describe;
use crate::pointer::Pointer;

/// What a schema refuses.
#[derive(Clone, Debug)]
pub(crate) struct SchemaFault {
    /// The value that is refused, or the object that lacks a field.
    pub(crate) at: Pointer,
    /// What is wrong with it.
    pub(crate) kind: FaultKind,
    /// The same in words.
    pub(crate) finding: Finding,
}

/// What is wrong with a value, as far as it matters to those who want to
/// read the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The value is of a kind that cannot be read at all.
    Unreadable,
    /// The value can be read, but is not allowed.
    NotAllowed,
    /// It has a field that its schema has not.
    Unknown,
    /// It lacks this field.
    Lacks(String),
}

/// Checks a manifest; its kind chooses the schema.
pub(crate) fn check(manifest: &Value) -> Vec<SchemaFault> {
    let text = |name: &str| manifest.get(name).and_then(Value::as_str);
    let (Some(kind), Some(version)) = (text("kind"), text("apiVersion")) else {
        return missing_type(manifest);
    };
    if version != API_VERSION {
        let message = format!("The API version is `{API_VERSION}`, not `{version}`");
        return vec![value_fault("apiVersion", message)];
    }
    let Some(index) = KINDS.iter().position(|known| *known == kind) else {
        let kinds = KINDS.join(", ");
        let message = format!("There is no kind `{kind}`; the kinds are {kinds}");
        return vec![value_fault("kind", message)];
    };
    match SCHEMAS[index].get_or_init(|| Schema::of(kind)) {
        Some(schema) => schema.check(manifest),
        None => vec![value_fault(
            "kind",
            format!("The schema of {kind} is broken"),
        )],
    }
}

/// The schema of a kind, ready for use.
struct Schema {
    text: Value,
    validator: Validator,
}

/// The schemas in the order of the kinds. Making one takes longer than
/// checking hundreds of manifests.
static SCHEMAS: [OnceLock<Option<Schema>>; KINDS.len()] = [const { OnceLock::new() }; KINDS.len()];

impl Schema {
    fn of(kind: &str) -> Option<Self> {
        let text = validation_schema(kind)?;
        let validator = jsonschema::validator_for(&text).ok()?;
        Some(Self { text, validator })
    }

    fn check(&self, manifest: &Value) -> Vec<SchemaFault> {
        let errors = self.validator.iter_errors(manifest);
        errors
            .flat_map(|error| faults(&error, &self.text, manifest))
            .collect()
    }
}

fn missing_type(manifest: &Value) -> Vec<SchemaFault> {
    let names = ["apiVersion", "kind"].into_iter();
    let missing = names.filter(|name| !manifest.get(name).is_some_and(Value::is_string));
    missing.map(|name| lacks(&Pointer::root(), name)).collect()
}

fn value_fault(name: &str, message: String) -> SchemaFault {
    SchemaFault {
        at: Pointer::root().member(name),
        kind: FaultKind::Unreadable,
        finding: Finding::error(Code::InvalidValue, name, message),
    }
}

fn lacks(at: &Pointer, name: &str) -> SchemaFault {
    SchemaFault {
        at: at.clone(),
        kind: FaultKind::Lacks(name.to_owned()),
        finding: Finding::error(
            Code::MissingField,
            at.member(name).to_string(),
            format!("`{name}` is required here"),
        ),
    }
}

/// One violation may be several faults: every unknown field is one.
fn faults(error: &ValidationError<'_>, schema: &Value, manifest: &Value) -> Vec<SchemaFault> {
    let at = Pointer::parse(error.instance_path().as_str(), manifest);
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|name| unknown(&at, name, &known_fields(error, schema)))
            .collect(),
        ValidationErrorKind::Required { property } => {
            vec![lacks(&at, property.as_str().unwrap_or_default())]
        }
        _ => vec![SchemaFault {
            finding: Finding::error(code(error.kind()), at.to_string(), message(error)),
            at,
            kind: if is_readable(error) {
                FaultKind::NotAllowed
            } else {
                FaultKind::Unreadable
            },
        }],
    }
}

fn code(kind: &ValidationErrorKind) -> Code {
    match kind {
        ValidationErrorKind::MaxItems { .. }
        | ValidationErrorKind::MaxProperties { .. }
        | ValidationErrorKind::MaxLength { .. } => Code::LimitExceeded,
        _ => Code::InvalidValue,
    }
}

/// Whether the value fits its Rust type all the same.
fn is_readable(error: &ValidationError<'_>) -> bool {
    let instance = error.instance();
    match error.kind() {
        ValidationErrorKind::Minimum { .. } | ValidationErrorKind::Maximum { .. } => instance
            .as_i64()
            .is_some_and(|number| i32::try_from(number).is_ok()),
        ValidationErrorKind::Pattern { .. }
        | ValidationErrorKind::MinLength { .. }
        | ValidationErrorKind::MaxLength { .. }
        | ValidationErrorKind::MinItems { .. }
        | ValidationErrorKind::MaxItems { .. }
        | ValidationErrorKind::MinProperties { .. }
        | ValidationErrorKind::MaxProperties { .. }
        | ValidationErrorKind::UniqueItems => true,
        _ => false,
    }
}

fn unknown(at: &Pointer, name: &str, known: &[&str]) -> SchemaFault {
    let close = known.iter().find(|known| known.eq_ignore_ascii_case(name));
    let advice = match close {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("known are {}", known.join(", ")),
    };
    SchemaFault {
        at: at.clone(),
        kind: FaultKind::Unknown,
        finding: Finding::error(
            Code::UnknownField,
            at.member(name).to_string(),
            format!("There is no field `{name}` here; {advice}"),
        ),
    }
}

/// The fields that the schema has where an unknown one was found.
fn known_fields<'s>(error: &ValidationError<'_>, schema: &'s Value) -> Vec<&'s str> {
    let path = error.schema_path().as_str();
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let properties = schema.pointer(parent).and_then(|s| s.get("properties"));
    let fields = properties.and_then(Value::as_object);
    fields.map_or_else(Vec::new, |fields| {
        fields.keys().map(String::as_str).collect()
    })
}

fn message(error: &ValidationError<'_>) -> String {
    let found = describe(error.instance());
    match error.kind() {
        ValidationErrorKind::Type { kind } => {
            format!("{} is expected here, not {found}", expected(kind))
        }
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().map_or(&[][..], Vec::as_slice);
            let options: Vec<String> = options.iter().map(plain).collect();
            format!(
                "One of {} is expected here, not {found}",
                options.join(", ")
            )
        }
        ValidationErrorKind::Minimum { limit } => {
            format!("The least that is allowed here is {limit}, not {found}")
        }
        ValidationErrorKind::Maximum { limit } => {
            format!("The most that is allowed here is {limit}, not {found}")
        }
        ValidationErrorKind::Pattern { pattern } => {
            format!("Not in the form that is expected here ({pattern}): {found}")
        }
        ValidationErrorKind::MaxItems { limit } | ValidationErrorKind::MaxProperties { limit } => {
            format!("At most {limit} are allowed here")
        }
        ValidationErrorKind::MinItems { limit } | ValidationErrorKind::MinProperties { limit } => {
            format!("At least {limit} must be here")
        }
        ValidationErrorKind::MaxLength { limit } => {
            format!("At most {limit} characters are allowed here")
        }
        ValidationErrorKind::PropertyNames { error } => {
            format!("A name here is not allowed: {error}")
        }
        _ => sentence(&error.to_string()),
    }
}

fn expected(kind: &TypeKind) -> String {
    let TypeKind::Single(kind) = kind else {
        return "Another type".to_owned();
    };
    match kind.to_string().as_str() {
        "object" => "A mapping",
        "array" => "A list",
        "string" => "Text",
        "boolean" => "`true` or `false`",
        "integer" => "A whole number",
        _ => "A number",
    }
    .to_owned()
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

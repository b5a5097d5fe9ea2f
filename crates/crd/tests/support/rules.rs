//! The rules of a definition, listed from its schema.

use serde_json::Value;

/// One rule (`x-kubernetes-validations`) of a kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// The kind.
    pub kind: String,
    /// Where the API server says that the fault is, with `[]` for any element
    /// of a list or map: `spec.records[].aliasTo`. Empty for the object itself.
    pub at: String,
    /// What it says.
    pub message: String,
    /// The part of the object that the rule is evaluated on.
    pub on: String,
    /// Whether it is about changes.
    pub about_changes: bool,
}

/// All rules of a kind.
pub fn rules(kind: &str, schema: &Value) -> Vec<Rule> {
    let mut rules = Vec::new();
    collect(kind, schema, "", &mut rules);
    rules
}

fn collect(kind: &str, schema: &Value, on: &str, rules: &mut Vec<Rule>) {
    let here = schema["x-kubernetes-validations"].as_array();
    rules.extend(here.into_iter().flatten().map(|rule| Rule {
        kind: kind.to_owned(),
        at: format!("{on}{}", rule["fieldPath"].as_str().unwrap_or_default()),
        message: rule["message"].as_str().unwrap_or_default().to_owned(),
        on: on.to_owned(),
        about_changes: rule["rule"].as_str().unwrap().contains("oldSelf"),
    }));
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        let dot = if on.is_empty() { "" } else { "." };
        collect(kind, below, &format!("{on}{dot}{name}"), rules);
    }
    for below in ["items", "additionalProperties"] {
        if schema[below].is_object() {
            collect(kind, &schema[below], &format!("{on}[]"), rules);
        }
    }
}

/// Whether an object has the part that a rule is evaluated on: a rule that is
/// never evaluated lets everything pass.
pub fn reaches(object: &Value, on: &str) -> bool {
    let Some((first, rest)) = split(on) else {
        return true;
    };
    match (first, object) {
        ("[]", Value::Array(items)) => items.iter().any(|item| reaches(item, rest)),
        ("[]", Value::Object(items)) => items.values().any(|item| reaches(item, rest)),
        (name, object) => object.get(name).is_some_and(|below| reaches(below, rest)),
    }
}

/// The first step of a path, and the rest.
fn split(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('.').unwrap_or(path);
    match path.find(['.', '[']) {
        _ if path.is_empty() => None,
        Some(0) => Some(path.split_at(2)),
        Some(end) => Some(path.split_at(end)),
        None => Some((path, "")),
    }
}

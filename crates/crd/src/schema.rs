//! The CustomResourceDefinitions, put in the form that API servers want.
//!
//! What the derives give is nearly right. Everything that is changed
//! afterwards is changed here.

use serde_json::{Map, Value, json};

use crate::kinds::derived;
use crate::names::{NAMESPACE, SUBDOMAIN};

/// Where a definition holds its schema; there is one version.
const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";

/// When nothing has happened yet.
const EPOCH: &str = "1970-01-01T00:00:00Z";

const HEADER: &str = "# Generated from crates/crd by `make generate`.\n";

/// The CustomResourceDefinition of a kind, or `None` for a kind that does not
/// exist.
pub fn definition(kind: &str) -> Option<Value> {
    let mut definition = serde_json::to_value(derived(kind)?).ok()?;
    // The server would fill it in, and tools that compare would see a change.
    definition["spec"]["names"]["listKind"] = json!(format!("{kind}List"));
    let schema = definition.pointer_mut(SCHEMA)?;
    each_schema(schema, &mut tidy);
    complete_root(schema);
    complete_status(schema);
    Some(definition)
}

/// The plural name of a kind, which is also the name of its file in `crds/`.
pub fn plural(kind: &str) -> Option<String> {
    derived(kind).map(|definition| definition.spec.names.plural)
}

/// The text of a kind's file in `crds/`.
///
/// # Errors
/// When the definition cannot be written as YAML, which no kind's is.
pub fn definition_yaml(kind: &str) -> Option<Result<String, serde_yaml::Error>> {
    let yaml = serde_yaml::to_string(&definition(kind)?);
    // Readers of YAML 1.1 would take the bare time for a value of its own type.
    let quoted = yaml.map(|yaml| yaml.replace(EPOCH, &format!("'{EPOCH}'")));
    Some(quoted.map(|yaml| format!("{HEADER}{yaml}")))
}

/// The OpenAPI v3 schema of a kind, as in its definition.
pub fn schema_for(kind: &str) -> Option<Value> {
    definition(kind)?.pointer_mut(SCHEMA).map(Value::take)
}

/// The schema of a kind for checking manifests offline as JSON Schema.
///
/// An API server drops unknown fields; here they are refused, because in a
/// file they are mistakes. Of `metadata` the names are checked, which must be
/// those that an API server takes; the rest is left to it, and `status` to the
/// operator.
pub fn validation_schema(kind: &str) -> Option<Value> {
    let mut schema = schema_for(kind)?;
    each_schema(&mut schema, &mut close);
    let root = schema.get_mut("properties")?;
    root["apiVersion"] = json!({"type": "string", "const": crate::API_VERSION});
    root["kind"] = json!({"type": "string", "const": kind});
    root["metadata"] = named_metadata();
    root["status"] = json!({"type": "object"});
    schema["required"] = json!(["apiVersion", "kind", "metadata", "spec"]);
    Some(schema)
}

/// Applies `change` to a schema and every schema below it.
fn each_schema(schema: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    change(schema);
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties
            .values_mut()
            .for_each(|below| each_schema(below, change));
    }
    for below in ["items", "additionalProperties"] {
        if let Some(below) = schema.get_mut(below) {
            each_schema(below, change);
        }
    }
}

/// Writes one schema as people would.
fn tidy(schema: &mut Map<String, Value>) {
    // An absent field says it better than `null`.
    schema.remove("nullable");
    schema.remove("title");
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    for bound in ["minimum", "maximum"] {
        if let Some(bound) = schema.get_mut(bound) {
            *bound = whole(bound);
        }
    }
    // Formats that API servers do not know.
    let format = schema.get("format").and_then(Value::as_str);
    match format {
        Some("uint8" | "uint16" | "int8" | "int16") => {
            schema.insert("format".into(), "int32".into())
        }
        Some("uint32" | "uint64" | "uint") => schema.insert("format".into(), "int64".into()),
        _ => None,
    };
}

/// A bound as an integer when it is whole: `255`, not `255.0`.
fn whole(number: &Value) -> Value {
    let text = number.as_f64().map(|float| float.to_string());
    let integer = text.and_then(|text| text.parse::<i64>().ok());
    integer.map_or_else(|| number.clone(), Value::from)
}

fn close(schema: &mut Map<String, Value>) {
    if schema.contains_key("properties") {
        schema.insert("additionalProperties".into(), false.into());
    }
    if let Some(pattern) = key_pattern(schema) {
        let keys = json!({"type": "string", "pattern": pattern});
        schema.insert("propertyNames".into(), keys);
    }
}

/// The pattern of a map's keys. In a definition only a rule can say it, as
/// structural schemas have no `propertyNames`.
fn key_pattern(schema: &Map<String, Value>) -> Option<String> {
    let rules = schema.get("x-kubernetes-validations")?.as_array()?;
    let mut patterns = rules.iter().filter_map(|rule| {
        let matches = rule["rule"].as_str()?;
        let rest = matches.strip_prefix("self.all(k, k.matches('")?;
        rest.split_once("')").map(|(pattern, _)| pattern.to_owned())
    });
    patterns.next()
}

/// Adds the fields that every object has. The length of the name bounds what
/// the rules on it may cost.
fn complete_root(schema: &mut Value) {
    let about = schema.pointer_mut("/properties/spec/description");
    if let Some(about) = about.map(Value::take) {
        schema["description"] = about;
    }
    if let Some(spec) = schema.pointer_mut("/properties/spec") {
        spec["description"] = json!("What is wanted.");
    }
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("apiVersion".into(), json!({"type": "string"}));
        properties.insert("kind".into(), json!({"type": "string"}));
        properties.insert("metadata".into(), metadata());
        properties.sort_keys();
    }
}

fn metadata() -> Value {
    json!({
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 253}},
    })
}

/// Metadata as an API server takes it, as far as it tells objects apart: a DNS
/// subdomain and a DNS label (RFC 1123 section 2.1, in lower case).
fn named_metadata() -> Value {
    json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "maxLength": 253, "pattern": SUBDOMAIN},
            "namespace": {"type": "string", "maxLength": 63, "pattern": NAMESPACE},
        },
    })
}

/// Bounds the conditions and gives the status its first content, so that an
/// object which the operator has not seen yet does not pass for ready.
fn complete_status(schema: &mut Value) {
    let Some(status) = schema.pointer_mut("/properties/status") else {
        return;
    };
    if let Some(conditions) = status.pointer_mut("/properties/conditions") {
        let description = conditions.get("description").cloned();
        *conditions = conditions_schema();
        if let Some(description) = description {
            conditions["description"] = description;
        }
    }
    status["default"] = json!({
        "observedGeneration": 0,
        "conditions": [pending("Accepted"), pending("Ready")],
    });
}

fn pending(condition: &str) -> Value {
    json!({
        "type": condition,
        "status": "Unknown",
        "reason": "Pending",
        "message": "waiting for the operator",
        "lastTransitionTime": EPOCH,
    })
}

/// Conditions of the Kubernetes API conventions, without their long
/// descriptions.
fn conditions_schema() -> Value {
    json!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {"type": "string", "minLength": 1, "maxLength": 316},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
                "lastTransitionTime": {"type": "string", "format": "date-time"},
                "reason": {"type": "string", "minLength": 1, "maxLength": 1024},
                "message": {"type": "string", "maxLength": 32768},
            },
        },
    })
}

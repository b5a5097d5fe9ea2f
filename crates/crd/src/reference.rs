//! The reference of the kinds: a page of Markdown for each, from its
//! definition.
//!
//! A page has a heading for each object of the schema, with a table of its
//! fields and the rules that the API server checks. Pages link to each other
//! and to `docs/api.md`, which explains what is only listed here.

use std::fmt::Write;

use serde_json::Value;

use crate::schema::{definition, plural, schema_for};

/// Where the definitions can be read.
const CRDS: &str = "https://github.com/watershed-dns/watershed/blob/main/crds";

/// The schema knows the form of a condition only.
const CONDITIONS: &str = "\nWhich types there are, and what each of them says: [status](../operator.md#status). \
    What to do about each reason: [troubleshooting](../troubleshooting.md).\n";

/// The page of a kind, or `None` for a kind that does not exist.
pub fn reference(kind: &str) -> Option<String> {
    let definition = definition(kind)?;
    let (schema, plural) = (schema_for(kind)?, plural(kind)?);
    let short_name = definition["spec"]["names"]["shortNames"][0].as_str()?;
    let mut page = format!(
        "# {kind}\n\n\
         <!-- Generated from crates/crd by `make generate`. -->\n\n\
         {} Here is every field; what they are for is in [Kubernetes resources](../api.md#{}). \
         The definition itself: [`crds/{plural}.yaml`]({CRDS}/{plural}.yaml).\n\n\
         | | |\n|---|---|\n\
         | in manifests | `apiVersion: {}`, `kind: {kind}` |\n\
         | for `kubectl` | `{plural}`, `{short_name}` |\n\
         | columns of `kubectl get` | {} |\n",
        description(&schema),
        kind.to_lowercase(),
        crate::API_VERSION,
        columns(&definition),
    );
    let root = rules_of("", &schema);
    if !root.is_empty() {
        let _ = write!(page, "\n## The object\n\n{}", listed(&root));
    }
    for part in ["spec", "status"] {
        let mut objects = Vec::new();
        collect(kind, part, &schema["properties"][part], &mut objects);
        for (path, object) in objects {
            page += &section(kind, &path, object);
        }
    }
    Some(page)
}

/// The file of a kind's page in `docs/reference/`.
pub fn reference_file(kind: &str) -> String {
    format!("{}.md", kind.to_lowercase())
}

fn columns(definition: &Value) -> String {
    let columns = definition["spec"]["versions"][0]["additionalPrinterColumns"].as_array();
    let columns = columns.into_iter().flatten().map(|column| {
        let name = column["name"].as_str().unwrap_or_default();
        let wide = column["priority"].as_i64().is_some_and(|p| p > 0);
        format!("{name}{}", if wide { " (`-o wide`)" } else { "" })
    });
    columns.collect::<Vec<_>>().join(", ")
}

/// The objects with fields of their own, at `path` and below, in the order in
/// which they are written.
fn collect<'s>(kind: &str, path: &str, schema: &'s Value, into: &mut Vec<(String, &'s Value)>) {
    if elsewhere(kind, path).is_some() {
        return;
    }
    let (path, schema) = innermost(path, schema);
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    into.push((path.clone(), schema));
    for (name, below) in properties {
        collect(kind, &format!("{path}.{name}"), below, into);
    }
}

/// What a list or map holds, with the path of it: `[]` for an item of a list,
/// `.*` for a value of a map.
fn innermost<'s>(path: &str, schema: &'s Value) -> (String, &'s Value) {
    if schema["items"].is_object() {
        innermost(&format!("{path}[]"), &schema["items"])
    } else if schema["additionalProperties"].is_object() {
        innermost(&format!("{path}.*"), &schema["additionalProperties"])
    } else {
        (path.to_owned(), schema)
    }
}

/// The link to an object that is told on another page. Only documents are:
/// they are the same in a policy and in its versions.
fn elsewhere(kind: &str, path: &str) -> Option<&'static str> {
    let is_document = kind == "TrafficPolicyVersion" && path == "spec.document";
    is_document.then_some("trafficpolicy.md#specdocument")
}

/// One object: its heading, its fields, its rules.
fn section(kind: &str, path: &str, object: &Value) -> String {
    let level = if path.contains('.') { "###" } else { "##" };
    let mut text = format!("\n{level} `{path}`\n");
    let about = description(object);
    if !about.is_empty() {
        let _ = write!(text, "\n{about}\n");
    }
    let fields = object["properties"].as_object();
    let mut fields: Vec<(&String, &Value)> = fields.into_iter().flatten().collect();
    // What must be there comes first.
    fields.sort_by_key(|(name, _)| !is_required(object, name));
    if path == "status.conditions[]" {
        text += CONDITIONS;
    }
    text += "\n| field | type | default | meaning and limits |\n|---|---|---|---|\n";
    for (name, field) in &fields {
        let default = field.get("default").map_or_else(String::new, as_code);
        let default = if is_required(object, name) {
            "**required**".to_owned()
        } else {
            default
        };
        let _ = writeln!(
            text,
            "| `{name}` | {} | {} | {} |",
            type_of(kind, &format!("{path}.{name}"), field),
            in_cell(&default),
            in_cell(&meaning(field)),
        );
    }
    let mut rules = rules_of("", object);
    for (name, field) in &fields {
        rules.extend(rules_below(name, field));
    }
    if !rules.is_empty() {
        text.push('\n');
        text += &listed(&rules);
    }
    text
}

fn is_required(object: &Value, name: &str) -> bool {
    let required = object["required"].as_array();
    required.is_some_and(|required| required.iter().any(|r| r == name))
}

fn description(schema: &Value) -> String {
    prose(schema["description"].as_str().unwrap_or_default())
}

/// Text in which backquotes are all that Markdown may see.
fn prose(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut in_code = false;
    for letter in text.chars() {
        in_code ^= letter == '`';
        if !in_code && matches!(letter, '[' | ']' | '*' | '_' | '<' | '>' | '\\') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// The type in words, with a link to the section of an object.
fn type_of(kind: &str, path: &str, schema: &Value) -> String {
    if let Some(link) = elsewhere(kind, path) {
        return format!("[object]({link})");
    }
    if schema["items"].is_object() {
        let items = type_of(kind, &format!("{path}[]"), &schema["items"]);
        return format!("list: {items}");
    }
    if schema["additionalProperties"].is_object() {
        let values = type_of(kind, &format!("{path}.*"), &schema["additionalProperties"]);
        return format!("map: {values}");
    }
    let name = schema["type"].as_str().unwrap_or("any");
    if schema["properties"].is_object() {
        format!("[{name}](#{})", anchor(path))
    } else {
        name.to_owned()
    }
}

/// The anchor of the heading that is a path, as GitHub and mdBook make it.
fn anchor(path: &str) -> String {
    let kept = path.chars().filter(|c| c.is_alphanumeric() || *c == '-');
    kept.collect::<String>().to_lowercase()
}

/// What a field is for, and which values it takes.
fn meaning(field: &Value) -> String {
    let mut parts = vec![description(field)];
    let own = limits(field);
    if !own.is_empty() {
        parts.push(format!("{}.", capitalised(&own.join(", "))));
    }
    for (below, word) in [("items", "item"), ("additionalProperties", "value")] {
        let each = limits(&field[below]);
        // What an object holds is told in its own section.
        if !each.is_empty() && !field[below]["properties"].is_object() {
            parts.push(format!("Each {word}: {}.", each.join(", ")));
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}

/// The limits of a value, without its CEL rules.
fn limits(schema: &Value) -> Vec<String> {
    let mut limits = Vec::new();
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> = values.iter().map(as_code).collect();
        limits.push(format!("one of {}", values.join(", ")));
    }
    if schema["format"] == "date-time" {
        limits.push("a time as in RFC 3339".to_owned());
    }
    for (least, most, unit) in [
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
        ("minProperties", "maxProperties", " entries"),
    ] {
        limits.extend(range(&schema[least], &schema[most], unit));
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        limits.push(format!("matches `{pattern}`"));
    }
    if schema["x-kubernetes-list-type"] == "set" {
        limits.push("no two alike".to_owned());
    }
    if let Some(keys) = schema["x-kubernetes-list-map-keys"].as_array() {
        let keys: Vec<String> = keys.iter().map(as_code).collect();
        limits.push(format!("no two of the same {}", keys.join(" and ")));
    }
    limits
}

fn range(least: &Value, most: &Value, unit: &str) -> Option<String> {
    match (least.as_i64(), most.as_i64()) {
        (Some(least), Some(most)) if least == most => Some(format!("exactly {least}{unit}")),
        (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
        (Some(least), None) => Some(format!("{least}{unit} or more")),
        (None, Some(most)) => Some(format!("at most {most}{unit}")),
        (None, None) => None,
    }
}

/// A rule in CEL: where it stands within its section, what it says to whoever
/// breaks it, and the expression.
struct Rule<'s> {
    at: String,
    message: &'s str,
    expression: &'s str,
}

/// The rules that stand at a schema itself.
fn rules_of<'s>(at: &str, schema: &'s Value) -> Vec<Rule<'s>> {
    let rules = schema["x-kubernetes-validations"].as_array();
    let rules = rules.into_iter().flatten().map(|rule| Rule {
        at: at.to_owned(),
        message: rule["message"].as_str().unwrap_or_default(),
        expression: rule["rule"].as_str().unwrap_or_default(),
    });
    rules.collect()
}

/// The rules at a field, and at what it holds, that have no section of their
/// own.
fn rules_below<'s>(at: &str, field: &'s Value) -> Vec<Rule<'s>> {
    if field["properties"].is_object() {
        return Vec::new();
    }
    let mut rules = rules_of(at, field);
    for (below, mark) in [("items", "[]"), ("additionalProperties", ".*")] {
        if field[below].is_object() {
            rules.extend(rules_below(&format!("{at}{mark}"), &field[below]));
        }
    }
    rules
}

fn listed(rules: &[Rule<'_>]) -> String {
    let mut text = "The API server refuses what breaks one of these rules:\n".to_owned();
    for rule in rules {
        let Rule {
            at,
            message,
            expression,
        } = rule;
        let place = if at.is_empty() {
            String::new()
        } else {
            format!("`{at}`: ")
        };
        let message = prose(message);
        let _ = write!(
            text,
            "\n* {place}{message}\n\n  ```cel\n  {expression}\n  ```\n"
        );
    }
    text
}

fn as_code(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

/// A bar would end the cell, also within code.
fn in_cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_section_tells_what_the_schema_says() {
        let object = json!({
            "description": "A thing.",
            "type": "object",
            "required": ["size"],
            "properties": {
                "colour": {"type": "string", "enum": ["a", "b"], "default": "a"},
                "names": {
                    "description": "Names.", "type": "array", "maxItems": 2,
                    "items": {"type": "string", "pattern": "^(x|y)$"},
                    "x-kubernetes-list-type": "set",
                    "x-kubernetes-validations": [{"message": "as `[a]` and [b]", "rule": "f(self)"}],
                },
                "parts": {"type": "object", "additionalProperties": {"type": "object", "properties": {}}},
                "size": {"type": "integer", "minimum": 1, "maximum": 9},
            },
        });
        let expected = "
### `spec.thing`

A thing.

| field | type | default | meaning and limits |
|---|---|---|---|
| `size` | integer | **required** | 1 to 9. |
| `colour` | string | `a` | One of `a`, `b`. |
| `names` | list: string |  | Names. At most 2 items, no two alike. Each item: matches `^(x\\|y)$`. |
| `parts` | map: [object](#specthingparts) |  |  |

The API server refuses what breaks one of these rules:

* `names`: as `[a]` and \\[b\\]

  ```cel
  f(self)
  ```
";
        assert_eq!(section("Kind", "spec.thing", &object), expected);
    }

    /// Or the page of versions would send its reader to something else.
    #[test]
    fn a_version_has_the_document_of_a_policy() {
        let document = |kind| {
            let mut schema = schema_for(kind).unwrap_or_default();
            let document = &mut schema["properties"]["spec"]["properties"]["document"];
            document["description"].take();
            document.take()
        };
        let of_policy = document("TrafficPolicy");
        assert!(of_policy["properties"].is_object());
        assert_eq!(of_policy, document("TrafficPolicyVersion"));
    }
}

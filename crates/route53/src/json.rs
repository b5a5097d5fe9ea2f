//! JSON text to a value, with the object members that occur twice.
//!
//! `serde_json` keeps the last of two equal members without a word. In a
//! policy that would silently drop a rule, so the text is read here by a
//! visitor that remembers them.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use watershed_policy::{Code, Diagnostic};

use crate::format::MAX_DOCUMENT_CHARS;
use crate::place::Place;

/// Reads the document out of `text`, which is one of:
///
/// * the document itself,
/// * a JSON string that holds it,
/// * the answer of `aws route53 get-traffic-policy`, which holds it as such a
///   string in `TrafficPolicy.Document`.
///
/// # Errors
/// The syntax fault when `text` is not JSON. Faults that leave a value to look
/// at, its length and members that occur twice, come with the value.
pub(crate) fn read(text: &str) -> Result<(Value, Vec<Diagnostic>), Diagnostic> {
    let (value, twice) = read_plain(text)?;
    match embedded(&value) {
        Some(inner) => read_plain(inner),
        None => Ok((value, twice)),
    }
}

fn embedded(value: &Value) -> Option<&str> {
    match value {
        Value::String(inner) => Some(inner),
        Value::Object(_) => value.pointer("/TrafficPolicy/Document")?.as_str(),
        _ => None,
    }
}

fn read_plain(text: &str) -> Result<(Value, Vec<Diagnostic>), Diagnostic> {
    let mut faults = Vec::new();
    if text.chars().count() > MAX_DOCUMENT_CHARS {
        faults.push(too_long());
    }
    let mut deserializer = serde_json::Deserializer::from_str(text.trim_start_matches('\u{feff}'));
    let seed = Seed {
        steps: &mut Vec::new(),
        twice: &mut faults,
    };
    let value = seed
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| {
            Place::document().fault(Code::Syntax, format!("The text is not JSON: {error}"))
        })?;
    Ok((value, faults))
}

/// The fault of a document that is too long.
pub(crate) fn too_long() -> Diagnostic {
    let message = format!("The document has more than {MAX_DOCUMENT_CHARS} characters");
    Place::document().fault(Code::LimitExceeded, message)
}

/// A step from the top of the document.
enum Step {
    Member(String),
    Item(usize),
}

struct Seed<'a> {
    steps: &'a mut Vec<Step>,
    twice: &'a mut Vec<Diagnostic>,
}

impl Seed<'_> {
    fn below(&mut self, step: Step) -> Below<'_> {
        self.steps.push(step);
        Below(Seed {
            steps: self.steps,
            twice: self.twice,
        })
    }

    fn report_twice(&mut self, key: &str) {
        let place = place_of(self.steps, key);
        let message = format!("{key} occurs twice in the same object: remove one of them");
        self.twice.push(place.fault(Code::Duplicate, message));
    }
}

/// A seed one step down, which takes the step back when it is done.
struct Below<'a>(Seed<'a>);

impl<'de> DeserializeSeed<'de> for Below<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let Seed { steps, twice } = self.0;
        let value = Seed {
            steps: &mut *steps,
            twice,
        }
        .deserialize(deserializer);
        steps.pop();
        value
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("not a finite number"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.below(Step::Item(items.len())))? {
            items.push(item);
        }
        // The seed that found the end of the array was never run.
        self.steps.pop();
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(self.below(Step::Member(key.clone())))?;
            if members.contains_key(&key) {
                self.report_twice(&key);
            }
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}

/// The place of member `key` of the object that `steps` lead to.
fn place_of(steps: &[Step], key: &str) -> Place {
    let mut names = steps.iter().map(|step| match step {
        Step::Member(name) => Ok(name.as_str()),
        Step::Item(index) => Err(*index),
    });
    let mut place = Place::document();
    let first = names.next();
    let owner = match (&first, steps.get(1)) {
        (Some(Ok("Endpoints")), Some(Step::Member(id))) => Some(Place::endpoint(id)),
        (Some(Ok("Rules")), Some(Step::Member(id))) => Some(Place::rule(id)),
        _ => None,
    };
    if let Some(owner) = owner {
        place = owner;
        names.next();
    } else if let Some(Ok(name)) = first {
        match (name, steps.len()) {
            // A rule or an endpoint given twice is reported under its own id.
            ("Endpoints", 1) => return Place::endpoint(key),
            ("Rules", 1) => return Place::rule(key),
            _ => place = place.member(name),
        }
    }
    for step in names {
        place = match step {
            Ok(name) => place.member(name),
            Err(index) => place.item(index),
        };
    }
    place.member(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn twice(text: &str) -> Vec<String> {
        let (_, twice) = read(text).unwrap();
        twice.iter().map(|d| d.path.to_string()).collect()
    }

    #[test]
    fn members_that_occur_twice_are_found_at_any_depth() {
        let text = r#"{"RecordType": "A", "RecordType": "A",
            "Endpoints": {"e": {"Value": "1", "Value": "2"}, "e": {}},
            "Rules": {"r": {"Items": [{}, {"Weight": 1, "x": [1, 2], "Weight": 2}]}}}"#;
        let expected = [
            "Endpoints.e.Value",
            "Endpoints.e",
            "Rules.r.Items[1].Weight",
        ];
        let mut found = twice(text);
        assert_eq!(found.remove(0), "RecordType");
        assert_eq!(found, expected);
    }

    #[test]
    fn values_come_out_as_serde_json_reads_them() {
        let text = r#"{"a": [1, -2, 0.5, "x", true, null, {}], "b": {"c": 18446744073709551615}}"#;
        let (value, _) = read(text).unwrap();
        assert_eq!(value, serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn the_answer_of_the_aws_command_is_unwrapped() {
        let document = r#"{"RecordType":"A","RecordType":"A"}"#;
        let answer = serde_json::json!({"TrafficPolicy": {"Id": "x", "Document": document}});
        let (value, faults) = read(&answer.to_string()).unwrap();
        assert_eq!(value, serde_json::json!({"RecordType": "A"}));
        assert_eq!(faults.len(), 1);
        let string = Value::from(document).to_string();
        assert_eq!(read(&string).unwrap().0, value);
    }

    #[test]
    fn text_that_is_not_json_says_where() {
        let fault = read("{\n\"a\": }").unwrap_err();
        assert_eq!(fault.code, Code::Syntax);
        assert!(fault.message.contains("line 2"), "{}", fault.message);
        assert!(read(&"[".repeat(100_000)).is_err());
    }
}

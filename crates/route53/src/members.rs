//! Reading JSON objects and scalars, with every fault noted.

use serde_json::{Map, Value};
use watershed_policy::{Code, Diagnostic};

use crate::format::ALL_MEMBERS;
use crate::place::Place;

/// The members of one object, its unknown members already reported.
pub(crate) struct Members<'a> {
    pub(crate) place: Place,
    object: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Members<'a> {
    /// The object at `place`, which may have the `known` members. `None`, with
    /// a fault, when `value` is not an object.
    pub(crate) fn read(
        value: &'a Value,
        place: Place,
        known: &[&[&'static str]],
        faults: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let Some(object) = value.as_object() else {
            faults.push(wrong_kind(&place, "an object", value));
            return None;
        };
        let members = Self {
            place,
            object,
            known: known.concat(),
        };
        for name in object.keys() {
            members.check_name(name, faults);
        }
        Some(members)
    }

    fn check_name(&self, name: &str, faults: &mut Vec<Diagnostic>) {
        if self.known.contains(&name) {
            return;
        }
        let place = self.place.member(name);
        if let Some(right) = self.known.iter().find(|k| k.eq_ignore_ascii_case(name)) {
            faults.push(place.fault(
                Code::UnknownField,
                format!(
                    "{name} is not a member: member names are case sensitive: did you mean {right}"
                ),
            ));
        } else if ALL_MEMBERS.contains(&name) {
            let hint = self.hint(name);
            faults.push(place.fault(
                Code::MisplacedField,
                format!("{name} does not belong here{hint}"),
            ));
        } else {
            let known = self.known.join(", ");
            faults.push(place.fault(
                Code::UnknownField,
                format!("{name} is not a member of the format; the members here are {known}"),
            ));
        }
    }

    /// Where a member that does not belong here belongs.
    fn hint(&self, name: &str) -> String {
        let knows = |member| self.known.contains(&member);
        match name {
            "Region" | "Latitude" | "Longitude" if knows("Location") => {
                ": in a document of version 2023-05-09 it is part of Location".to_owned()
            }
            "Location" if knows("Latitude") => {
                ": documents of version 2015-10-01 have Region, or Latitude and Longitude"
                    .to_owned()
            }
            "HealthCheck" | "EvaluateTargetHealth" if knows("Value") => {
                ": it is a member of the items of rules".to_owned()
            }
            _ => format!("; the members here are {}", self.known.join(", ")),
        }
    }

    /// The member of that name. One that only has the wrong capitals counts:
    /// it was reported, and what is inside it should be reported as well.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).or_else(|| {
            let mut similar = self.object.iter();
            let found = similar.find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value)
        })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A member that must be there.
    pub(crate) fn required(
        &self,
        name: &'static str,
        faults: &mut Vec<Diagnostic>,
    ) -> Option<&'a Value> {
        let value = self.get(name);
        if value.is_none() {
            faults.push(
                self.place
                    .member(name)
                    .fault(Code::MissingField, format!("{name} is missing")),
            );
        }
        value
    }

    /// A text member. Absent or, with a fault, not a string: `None`.
    pub(crate) fn text(&self, name: &'static str, faults: &mut Vec<Diagnostic>) -> Option<&'a str> {
        self.scalar(name, "a string", Value::as_str, faults)
    }

    /// A whole number, as a JSON number or as text.
    pub(crate) fn integer(&self, name: &'static str, faults: &mut Vec<Diagnostic>) -> Option<i64> {
        self.scalar(name, "a whole number", integer, faults)
    }

    /// A boolean, as a JSON boolean or as text.
    pub(crate) fn boolean(&self, name: &'static str, faults: &mut Vec<Diagnostic>) -> Option<bool> {
        self.scalar(name, "true or false", boolean, faults)
    }

    fn scalar<T>(
        &self,
        name: &'static str,
        kind: &str,
        read: impl Fn(&'a Value) -> Option<T>,
        faults: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        let value = self.get(name)?;
        let read = read(value);
        if read.is_none() {
            let place = self.place.member(name);
            let shown = shown(value);
            faults.push(place.fault(
                Code::InvalidValue,
                format!("{name} must be {kind}, not {shown}"),
            ));
        }
        read
    }
}

/// A fault for a value that is not `kind`.
pub(crate) fn wrong_kind(place: &Place, kind: &str, value: &Value) -> Diagnostic {
    let what = match place.member.rsplit('.').next() {
        Some("") | None => "This",
        Some(name) => name,
    };
    let shown = shown(value);
    place.fault(
        Code::InvalidValue,
        format!("{what} must be {kind}, not {shown}"),
    )
}

/// A value as a message shows it: long ones by their kind.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.chars().count() > 60 => "a long string".to_owned(),
        other => other.to_string(),
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        // No plus sign and no spaces, which `i64::from_str` would partly take.
        Value::String(text) if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
            text.parse().ok()
        }
        _ => None,
    }
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A coordinate in hundredths of a degree.
///
/// # Errors
/// What is wrong, to follow the member's name.
pub(crate) fn hundredths(value: &Value, limit: i32) -> Result<i32, String> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return Err(format!("must be a decimal number, not {}", shown(value))),
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.as_str()),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let decimal = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !decimal(whole) || !decimal(fraction) {
        return Err(format!("must be a decimal number, not {}", shown(value)));
    }
    if fraction.len() > 2 {
        return Err(format!("has more than two decimals: {text}"));
    }
    let magnitude = format!("{whole}{fraction:0<2}").parse::<i32>();
    match magnitude {
        Ok(magnitude) if magnitude <= limit * 100 => {
            Ok(if negative { -magnitude } else { magnitude })
        }
        _ => Err(format!("must be -{limit} to {limit}, not {text}")),
    }
}

/// A coordinate as text, without needless zeros: `51.5`, `-0.07`, `12`.
pub(crate) fn hundredths_text(value: i32) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let magnitude = value.unsigned_abs();
    let text = format!("{sign}{}.{:02}", magnitude / 100, magnitude % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn coordinates_are_read_exactly() {
        let good = [
            (json!("51.50"), 5150),
            (json!("-0.07"), -7),
            (json!(-0.07), -7),
            (json!(90), 9000),
            (json!("-90"), -9000),
            (json!("12.5"), 1250),
            (json!("0"), 0),
        ];
        for (value, expected) in good {
            assert_eq!(hundredths(&value, 90), Ok(expected), "{value}");
        }
        let bad = [
            json!("43.6532"),
            json!(43.653),
            json!("51.500"),
            json!("90.01"),
            json!(-91),
            json!(""),
            json!("."),
            json!("1."),
            json!(".5"),
            json!("+1"),
            json!("1e1"),
            json!("99999999999999999999"),
            json!(1e300),
            json!(null),
            json!([1]),
        ];
        for value in bad {
            assert!(hundredths(&value, 90).is_err(), "{value}");
        }
    }

    #[test]
    fn coordinates_are_written_without_needless_zeros() {
        let cases = [
            (5150, "51.5"),
            (-7, "-0.07"),
            (9000, "90"),
            (-18000, "-180"),
            (0, "0"),
            (1000, "10"),
        ];
        for (value, text) in cases {
            assert_eq!(hundredths_text(value), text);
            assert_eq!(hundredths(&json!(text), 180), Ok(value));
        }
    }

    #[test]
    fn numbers_and_booleans_are_taken_as_text_too() {
        assert_eq!(integer(&json!("50")), Some(50));
        assert_eq!(integer(&json!(50)), Some(50));
        assert_eq!(integer(&json!("-3")), Some(-3));
        for bad in [
            json!("+3"),
            json!(" 3"),
            json!("3.0"),
            json!(3.5),
            json!(""),
        ] {
            assert_eq!(integer(&bad), None, "{bad}");
        }
        assert_eq!(boolean(&json!("true")), Some(true));
        assert_eq!(boolean(&json!(false)), Some(false));
        for bad in [json!("True"), json!("yes"), json!(1), json!(null)] {
            assert_eq!(boolean(&bad), None, "{bad}");
        }
    }
}

//! Reading the members of a mapping, noting everything that does not fit.

use serde_json::{Map, Value};
use watershed_policy::Code;

use crate::finding::{Finding, join};

/// The members of one mapping of an input. A member that is `null` counts as
/// absent. A reader that returns `None` has noted the fault, if there was one.
pub(crate) struct Members<'a, 'f> {
    path: String,
    map: &'a Map<String, Value>,
    findings: &'f mut Vec<Finding>,
}

impl<'a, 'f> Members<'a, 'f> {
    /// The members of `value`, which stands at `path`.
    pub(crate) fn of(
        value: &'a Value,
        path: impl Into<String>,
        findings: &'f mut Vec<Finding>,
    ) -> Option<Self> {
        let path = path.into();
        let Value::Object(map) = value else {
            let message = format!("A mapping is expected here, not {}", describe(value));
            findings.push(Finding::error(Code::InvalidValue, path, message));
            return None;
        };
        Some(Self {
            path,
            map,
            findings,
        })
    }

    /// Notes every member that is not `known`.
    pub(crate) fn only(&mut self, known: &[&str]) {
        for name in self.map.keys().filter(|name| !known.contains(&&***name)) {
            let close = known.iter().find(|k| k.eq_ignore_ascii_case(name));
            let advice = match close {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("known are {}", known.join(", ")),
            };
            let path = join(&self.path, name);
            let message = format!("There is no member `{name}` here; {advice}");
            self.findings
                .push(Finding::error(Code::UnknownField, path, message));
        }
    }

    /// A member of any type.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// Notes a fault at the member `name`.
    pub(crate) fn fault(&mut self, code: Code, name: &str, message: impl Into<String>) {
        let path = join(&self.path, name);
        self.findings.push(Finding::error(code, path, message));
    }

    fn typed<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.get(name)?;
        let read = read(value);
        if read.is_none() {
            let message = format!("{expected} is expected here, not {}", describe(value));
            self.fault(Code::InvalidValue, name, message);
        }
        read
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &str) -> Option<&'a str> {
        self.typed(name, "Text", Value::as_str)
    }

    /// A number.
    pub(crate) fn number(&mut self, name: &str) -> Option<f64> {
        self.typed(name, "A number", Value::as_f64)
    }

    /// A whole number that is not negative.
    pub(crate) fn whole(&mut self, name: &str) -> Option<u64> {
        self.typed(name, "A whole number that is not negative", Value::as_u64)
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        self.typed(name, "`true` or `false`", Value::as_bool)
    }

    /// A text with a meaning: `parse` gives it, or says what is wrong.
    pub(crate) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(name)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(message) => {
                self.fault(Code::InvalidValue, name, message);
                None
            }
        }
    }

    /// The members of the mapping `name`, and where it stands.
    pub(crate) fn entries(&mut self, name: &str) -> Vec<(&'a str, &'a Value, String)> {
        let Some(map) = self.typed(name, "A mapping", Value::as_object) else {
            return Vec::new();
        };
        let path = join(&self.path, name);
        let entries = map.iter();
        entries
            .map(|(key, value)| (key.as_str(), value, join(&path, key)))
            .collect()
    }

    /// The list of findings, for readers of a part.
    pub(crate) fn findings(&mut self) -> &mut Vec<Finding> {
        self.findings
    }
}

/// A value in words, short enough for a message.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => format!("`{flag}`"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.chars().count() > 40 => "a text".to_owned(),
        Value::String(text) => format!("the text \"{text}\""),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

//! Reading inputs: files, standard input, YAML and JSON.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::{Map, Number, Value};
use watershed_policy::Code;

use crate::finding::Finding;

/// Where an input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard input, written `-`.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl FromStr for Source {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "-" => Self::Stdin,
            path => Self::File(path.into()),
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl Source {
    /// The whole text.
    ///
    /// # Errors
    /// One finding that says why it cannot be read.
    pub fn read(&self) -> Result<String, Finding> {
        let text = match self {
            Self::Stdin => io::read_to_string(io::stdin().lock()),
            Self::File(path) => read_file(path),
        };
        text.map_err(|error| Finding::unreadable("", format!("{self} cannot be read: {error}")))
    }

    /// The directory to which paths inside the input are relative.
    pub fn base_dir(&self) -> PathBuf {
        match self {
            Self::Stdin => PathBuf::new(),
            Self::File(path) => path.parent().map(Path::to_owned).unwrap_or_default(),
        }
    }

    /// In what the text is written, as far as the name tells.
    pub fn syntax(&self) -> Syntax {
        match self {
            Self::File(path) if path.extension().is_some_and(|e| e == "json") => Syntax::Json,
            _ => Syntax::Yaml,
        }
    }
}

fn read_file(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// In what a text is written. JSON is taken as YAML too, for a pipe has no
/// file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// YAML, with one or several documents.
    Yaml,
    /// JSON, one document.
    Json,
}

/// One document of a text, or why it is none.
pub type Parsed = Result<Value, Finding>;

/// The documents of a text. Empty ones are left out; a document with a syntax
/// fault does not hide the others.
pub fn documents(text: &str, syntax: Syntax) -> Vec<Parsed> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with(['{', '[']) || syntax == Syntax::Json {
        match serde_json::from_str(text) {
            Ok(value) => return vec![Ok(value)],
            Err(error) if syntax == Syntax::Json => return vec![Err(json_fault(&error))],
            // Braces also begin a YAML flow mapping.
            Err(_) => {}
        }
    }
    let parts = split(text).into_iter();
    parts
        .map(|(line, part)| yaml(part, line))
        .filter(|parsed| !matches!(parsed, Ok(Value::Null)))
        .collect()
}

/// The only document of a text.
///
/// # Errors
/// The syntax fault, or that there are none or several.
pub fn document(text: &str, syntax: Syntax) -> Parsed {
    let mut documents = documents(text, syntax);
    match (documents.pop(), documents.len()) {
        (Some(only), 0) => only,
        (None, _) => Err(Finding::error(Code::Syntax, "", "The text is empty")),
        (Some(_), others) => Err(Finding::error(
            Code::Syntax,
            "",
            format!(
                "One YAML document is expected here, not {}: remove the `---` lines",
                others + 1
            ),
        )),
    }
}

/// The documents of a YAML text, each with the number of lines before it. A
/// line that begins with `---` is a marker wherever it stands (YAML 1.2.2,
/// section 9.1.2), so a fault in one document does not reach the next.
fn split(text: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let (mut start, mut start_line, mut offset) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if marker && offset > start {
            parts.push((start_line, &text[start..offset]));
            (start, start_line) = (offset, number);
        }
        offset += line.len();
    }
    parts.push((start_line, &text[start..]));
    parts
}

/// Flow brackets that may be open at a time. The parser refuses deeper nesting
/// by itself, but takes time in the square of the depth to find out.
const MAX_OPEN_BRACKETS: usize = 512;

/// Whether more brackets are open at a time than any sensible document has.
/// Brackets in strings count too, which only matters by the hundreds.
fn nests_too_deeply(text: &str) -> bool {
    let mut open = 0_usize;
    text.bytes().any(|byte| {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open > MAX_OPEN_BRACKETS
    })
}

fn yaml(text: &str, lines_before: usize) -> Parsed {
    if nests_too_deeply(text) {
        let message = format!("More than {MAX_OPEN_BRACKETS} brackets are open at a time");
        return Err(Finding::error(Code::Syntax, "", message));
    }
    let fault = |error: &serde_yaml::Error| yaml_fault(error, lines_before);
    let mut value: serde_yaml::Value = serde_yaml::from_str(text).map_err(|e| fault(&e))?;
    value.apply_merge().map_err(|e| fault(&e))?;
    to_json(value, "")
}

fn yaml_fault(error: &serde_yaml::Error, lines_before: usize) -> Finding {
    let text = error.to_string();
    let (message, place) = match error.location() {
        Some(at) => (
            // The message ends with the place within the document; the place
            // within the file is said instead.
            text.rsplit_once(" at line ")
                .map_or(text.as_str(), |(m, _)| m),
            format!("line {}, column {}", lines_before + at.line(), at.column()),
        ),
        None => (text.as_str(), String::new()),
    };
    Finding::error(Code::Syntax, place, format!("Not valid YAML: {message}"))
}

fn json_fault(error: &serde_json::Error) -> Finding {
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(&*text, |(m, _)| m);
    Finding::error(
        Code::Syntax,
        format!("line {}, column {}", error.line(), error.column()),
        format!("Not valid JSON: {message}"),
    )
}

/// YAML as the JSON that it stands for. Numbers and booleans are taken as
/// keys, for an id may look like one.
fn to_json(value: serde_yaml::Value, path: &str) -> Parsed {
    use serde_yaml::Value as Yaml;
    let fault = |message: &str| Err(Finding::error(Code::Syntax, path, message));
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(flag),
        Yaml::String(text) => Value::String(text),
        Yaml::Number(number) => match json_number(&number) {
            Some(number) => Value::Number(number),
            None => return fault("A number must be finite"),
        },
        Yaml::Sequence(items) => {
            let items = items.into_iter().enumerate();
            items
                .map(|(index, item)| to_json(item, &format!("{path}[{index}]")))
                .collect::<Result<_, _>>()?
        }
        Yaml::Mapping(mapping) => {
            let mut members = Map::new();
            for (key, value) in mapping {
                let Some(key) = key_text(key) else {
                    return fault("The keys of a mapping must be text");
                };
                let value = to_json(value, &crate::finding::join(path, &key))?;
                members.insert(key, value);
            }
            Value::Object(members)
        }
        Yaml::Tagged(_) => return fault("YAML tags have no meaning here: remove the tag"),
    })
}

fn key_text(key: serde_yaml::Value) -> Option<String> {
    match key {
        serde_yaml::Value::String(text) => Some(text),
        serde_yaml::Value::Number(number) => Some(number.to_string()),
        serde_yaml::Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn json_number(number: &serde_yaml::Number) -> Option<Number> {
    if let Some(number) = number.as_u64() {
        Some(number.into())
    } else if let Some(number) = number.as_i64() {
        Some(number.into())
    } else {
        Number::from_f64(number.as_f64()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        documents(text, Syntax::Yaml)
            .into_iter()
            .map(|parsed| match parsed {
                Ok(value) => value.to_string(),
                Err(fault) => fault.path,
            })
            .collect()
    }

    #[test]
    fn deep_nesting_is_refused_at_once() {
        let parsed = documents(&format!("policy: {}", "[".repeat(200_000)), Syntax::Yaml);
        let fault = parsed[0].as_ref().unwrap_err();
        assert_eq!(fault.message, "More than 512 brackets are open at a time");
        let wide = format!("[{}]", "[], ".repeat(2_000));
        assert!(documents(&wide, Syntax::Yaml)[0].is_ok());
    }

    #[test]
    fn a_bad_document_does_not_hide_the_others() {
        let text = "# head\n---\na: 1\n---\nb: [\n---\n---\nc: {<<: {d: 2}}\n";
        let expected = [r#"{"a":1}"#, "line 6, column 1", r#"{"c":{"d":2}}"#];
        let found = lines(text);
        assert_eq!(found.len(), 3);
        assert_eq!((&found[0][..], &found[2][..]), (expected[0], expected[2]));
        assert!(found[1].starts_with("line "), "{}", found[1]);
    }

    #[test]
    fn json_is_read_as_json_and_flow_yaml_as_yaml() {
        assert_eq!(lines("{\"a\":\t1}"), [r#"{"a":1}"#]);
        assert_eq!(lines("{a: NO, 7: yes}"), [r#"{"a":"NO","7":"yes"}"#]);
        let fault = document("{\n\"a\" 1}", Syntax::Json).unwrap_err();
        assert_eq!(fault.path, "line 2, column 5");
    }

    #[test]
    fn keys_given_twice_are_refused() {
        let fault = document("a: 1\na: 2\n", Syntax::Yaml).unwrap_err();
        assert!(fault.message.contains("duplicate"), "{}", fault.message);
    }

    #[test]
    fn one_document_is_not_none_and_not_two() {
        assert!(document("", Syntax::Yaml).is_err());
        assert!(document("a: 1\n---\nb: 1\n", Syntax::Yaml).is_err());
    }
}

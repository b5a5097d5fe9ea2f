//! Where in a Route 53 document a fault is, and how that is written.

use std::fmt;

use watershed_policy::{Code, Diagnostic, Path};

/// A place in a Route 53 document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) owner: Owner,
    /// Member below the owner, such as `Items[1].Weight`; empty for the owner
    /// itself.
    pub(crate) member: String,
}

/// The named part of a document that a place belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    Document,
    Endpoint(String),
    Rule(String),
}

impl Place {
    pub(crate) fn document() -> Self {
        Self::of(Owner::Document)
    }

    pub(crate) fn endpoint(id: &str) -> Self {
        Self::of(Owner::Endpoint(id.to_owned()))
    }

    pub(crate) fn rule(id: &str) -> Self {
        Self::of(Owner::Rule(id.to_owned()))
    }

    fn of(owner: Owner) -> Self {
        Self {
            owner,
            member: String::new(),
        }
    }

    /// The place of a member below this one.
    pub(crate) fn member(&self, name: &str) -> Self {
        let member = match self.member.as_str() {
            "" => name.to_owned(),
            above => format!("{above}.{name}"),
        };
        Self {
            owner: self.owner.clone(),
            member,
        }
    }

    /// The place of an item of the array at this place.
    pub(crate) fn item(&self, index: usize) -> Self {
        Self {
            owner: self.owner.clone(),
            member: format!("{}[{index}]", self.member),
        }
    }

    /// A finding here. The message names the member that it is about.
    pub(crate) fn fault(&self, code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, Path::Other(self.to_string()), message)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            Owner::Document if self.member.is_empty() => return f.write_str("document"),
            Owner::Document => return f.write_str(&self.member),
            Owner::Endpoint(id) => write!(f, "Endpoints{}", Id(id))?,
            Owner::Rule(id) => write!(f, "Rules{}", Id(id))?,
        }
        match self.member.as_str() {
            "" => Ok(()),
            member => write!(f, ".{member}"),
        }
    }
}

/// An id as a path segment: `.id` or, since ids are free strings, `["i.d"]`.
struct Id<'a>(&'a str);

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if !self.0.is_empty() && self.0.chars().all(plain) {
            write!(f, ".{}", self.0)
        } else {
            write!(f, "[{}]", serde_json::Value::from(self.0))
        }
    }
}

/// A fault in the form in which Route 53 reports it: `id: text`, where the id
/// is that of the endpoint or rule. For an item of a rule its place in the
/// rule stands before the text.
///
/// ```
/// use watershed_policy::{Code, Diagnostic, Path};
/// let path = Path::Other("Endpoints.web.Value".into());
/// let fault = Diagnostic::new(Code::InvalidValue, path, "Value is not a valid IPv4 address");
/// assert_eq!(
///     watershed_route53::fault_line(&fault),
///     "web: Value is not a valid IPv4 address."
/// );
/// ```
pub fn fault_line(fault: &Diagnostic) -> String {
    let path = fault.path.to_string();
    let text = fault.message.trim_end_matches('.');
    match split_owner(&path) {
        Some((id, rest)) => match item_of(rest) {
            Some(item) if !text.starts_with(item) => format!("{id}: {item}: {text}."),
            _ => format!("{id}: {text}."),
        },
        None => format!("{path}: {text}."),
    }
}

/// All faults in the form of Route 53's `InvalidTrafficPolicyDocument` error:
/// `id: text` joined by `;`.
pub fn fault_text(faults: &[Diagnostic]) -> String {
    let lines: Vec<String> = faults.iter().map(fault_line).collect();
    lines.join(";")
}

/// The id and what follows it, of a path that names an endpoint or a rule.
fn split_owner(path: &str) -> Option<(String, &str)> {
    let rest = ["Endpoints", "Rules"]
        .iter()
        .find_map(|owner| path.strip_prefix(owner))?;
    if let Some(id) = rest.strip_prefix('.') {
        let end = id.find('.').unwrap_or(id.len());
        return Some((id[..end].to_owned(), &id[end..]));
    }
    let quoted = rest.strip_prefix('[')?;
    let mut values = serde_json::Deserializer::from_str(quoted).into_iter::<String>();
    let id = values.next()?.ok()?;
    let rest = quoted.get(values.byte_offset()..)?.strip_prefix(']')?;
    Some((id, rest))
}

/// The item that the rest of a path names: `Items[1]` of `.Items[1].Weight`.
fn item_of(rest: &str) -> Option<&str> {
    let first = rest.strip_prefix('.')?.split('.').next()?;
    (first.ends_with(']') || matches!(first, "Primary" | "Secondary")).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(place: &Place) -> String {
        fault_line(&place.fault(Code::InvalidValue, "Weight must be 0 to 255"))
    }

    #[test]
    fn a_line_names_the_id_and_the_item() {
        let item = Place::rule("r").member("Items").item(1);
        assert_eq!(
            line(&item.member("Weight")),
            "r: Items[1]: Weight must be 0 to 255."
        );
        assert_eq!(
            line(&Place::rule("r").member("Primary")),
            "r: Primary: Weight must be 0 to 255."
        );
        assert_eq!(line(&Place::rule("r")), "r: Weight must be 0 to 255.");
        assert_eq!(
            line(&Place::document().member("RecordType")),
            "RecordType: Weight must be 0 to 255."
        );
    }

    #[test]
    fn ids_of_any_characters_survive() {
        for id in ["a.b", "", "with \"quotes\"]", "ö", "Rules.x"] {
            let place = Place::endpoint(id).member("Value");
            assert_eq!(line(&place), format!("{id}: Weight must be 0 to 255."));
        }
    }
}

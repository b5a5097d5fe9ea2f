//! Places in a document.

use std::fmt;

use serde_json::Value;

/// A place in a document, written as `spec.rules.web.branches[0]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pointer(Vec<Segment>);

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Member(String),
    Item(usize),
}

impl Pointer {
    /// The document as a whole.
    pub(crate) fn root() -> Self {
        Self::default()
    }

    /// Reads a JSON pointer (RFC 6901) into `document`.
    pub(crate) fn parse(text: &str, document: &Value) -> Self {
        let mut value = Some(document);
        let mut segments = Vec::new();
        for token in text.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let index = token.parse().ok();
            let (segment, next) = if let (Some(Value::Array(items)), Some(index)) = (value, index) {
                (Segment::Item(index), items.get(index))
            } else {
                let next = value.and_then(|value| value.get(&token));
                (Segment::Member(token), next)
            };
            segments.push(segment);
            value = next;
        }
        Self(segments)
    }

    /// The place of a member.
    pub(crate) fn member(&self, name: &str) -> Self {
        let mut segments = self.0.clone();
        segments.push(Segment::Member(name.to_owned()));
        Self(segments)
    }

    /// The place that holds this one; `None` for the document as a whole.
    pub(crate) fn parent(&self) -> Option<Self> {
        let (_, parents) = self.0.split_last()?;
        Some(Self(parents.to_vec()))
    }

    /// The value at this place.
    pub(crate) fn find<'v>(&self, document: &'v mut Value) -> Option<&'v mut Value> {
        self.0
            .iter()
            .try_fold(document, |value, segment| match segment {
                Segment::Member(name) => value.get_mut(name),
                Segment::Item(index) => value.get_mut(index),
            })
    }

    /// The name of the last member on the way.
    pub(crate) fn last_member(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|segment| match segment {
            Segment::Member(name) => Some(name.as_str()),
            Segment::Item(_) => None,
        })
    }

    /// Takes the value at this place out of the document.
    pub(crate) fn remove(&self, document: &mut Value) {
        let Some((last, parents)) = self.0.split_last() else {
            return;
        };
        let parent = Self(parents.to_vec());
        match (parent.find(document), last) {
            (Some(Value::Object(members)), Segment::Member(name)) => {
                members.shift_remove(name);
            }
            // Later items keep their places, and with them their paths.
            (Some(Value::Array(items)), Segment::Item(index)) => {
                if let Some(item) = items.get_mut(*index) {
                    *item = Value::Null;
                }
            }
            _ => {}
        }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Member(name) if position == 0 => f.write_str(name)?,
                Segment::Member(name) => write!(f, ".{name}")?,
                Segment::Item(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

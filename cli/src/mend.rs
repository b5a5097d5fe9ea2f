//! Mending what a schema refuses, so that the rest of a document can be
//! checked: a user sees the cycle and the misspelled field in one run.

use serde_json::{Value, json};

use crate::pointer::Pointer;
use crate::schema::{FaultKind, SchemaFault};

/// The places where a document was mended. What is found there says nothing
/// about the document as it was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mended {
    /// Nothing at or below these places counts.
    whole: Vec<String>,
    /// Nothing at these places counts, but what is below them does.
    exact: Vec<String>,
}

impl Mended {
    /// Whether nothing was mended.
    pub(crate) fn is_empty(&self) -> bool {
        self.whole.is_empty()
    }

    /// Whether a finding at `path` may come from the mending.
    pub(crate) fn cover(&self, path: &str) -> bool {
        let below = |place: &String| {
            path.strip_prefix(place.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.whole.iter().any(below) || self.exact.iter().any(|place| place == path)
    }
}

/// Takes out of `document` what cannot be read, and puts in what is missing.
/// Unknown fields may stay, as they are skipped when the document is read, and
/// so may values that are not allowed.
pub(crate) fn mend(document: &mut Value, faults: &[SchemaFault]) -> Mended {
    let mut mended = Mended::default();
    for fault in faults {
        match &fault.kind {
            FaultKind::Unknown | FaultKind::NotAllowed => {}
            FaultKind::Lacks(name) => {
                mended.whole.push(fault.at.to_string());
                if let (Some(Value::Object(members)), Some(stand_in)) =
                    (fault.at.find(document), stand_in(name))
                {
                    members.insert(name.clone(), stand_in);
                }
            }
            FaultKind::Unreadable => {
                mended.whole.push(fault.at.to_string());
                mended
                    .exact
                    .extend(fault.at.parent().map(|p| p.to_string()));
                replace(document, &fault.at);
            }
        }
    }
    mended
}

fn replace(document: &mut Value, at: &Pointer) {
    let stand_in = at.last_member().and_then(stand_in);
    match (at.find(document), stand_in) {
        (Some(value), Some(stand_in)) => *value = stand_in,
        _ => at.remove(document),
    }
}

/// A value for a field without which the rest cannot be read.
fn stand_in(field: &str) -> Option<Value> {
    Some(match field {
        "recordTypes" => json!(["A"]),
        "type" => json!("Failover"),
        "kind" => json!("Service"),
        "name" => json!("stand-in"),
        "latitude" | "longitude" => json!("0"),
        "branches" => json!([]),
        "rules" | "endpoints" => json!({}),
        _ => return None,
    })
}

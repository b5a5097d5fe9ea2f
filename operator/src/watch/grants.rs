//! What a `ReferenceGrant` gives.

use serde_json::Value;
use watershed_compile::{Grant, GrantFrom, GrantTo};

/// Reads `spec.from` and `spec.to`. An entry that is not understood gives
/// nothing: permission is never read into what is unclear.
pub(super) fn read(data: &Value) -> Grant {
    let entries = |field: &str| {
        let entries = data.pointer(field).and_then(Value::as_array);
        entries.cloned().unwrap_or_default()
    };
    let from = entries("/spec/from").into_iter().filter_map(|entry| {
        Some(GrantFrom {
            group: text(&entry, "group")?,
            kind: text(&entry, "kind")?,
            namespace: text(&entry, "namespace")?,
        })
    });
    let to = entries("/spec/to").into_iter().filter_map(|entry| {
        let name = entry.get("name").filter(|name| !name.is_null());
        Some(GrantTo {
            group: text(&entry, "group")?,
            kind: text(&entry, "kind")?,
            name: match name {
                Some(name) => Some(name.as_str()?.to_owned()),
                None => None,
            },
        })
    });
    Grant {
        from: from.collect(),
        to: to.collect(),
    }
}

fn text(entry: &Value, field: &str) -> Option<String> {
    entry.get(field)?.as_str().map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unclear_entry_gives_nothing() {
        let grant = read(&json!({"spec": {
            "from": [
                {"group": "watershed.dev", "kind": "PolicyRecord", "namespace": "blog"},
                {"group": "watershed.dev", "kind": "PolicyRecord"},
            ],
            "to": [
                {"group": "watershed.dev", "kind": "TrafficPolicy", "name": "web"},
                {"group": "", "kind": "Service"},
                {"group": "watershed.dev", "kind": "TrafficPolicy", "name": 7},
            ],
        }}));
        assert_eq!(grant.from.len(), 1);
        let names: Vec<_> = grant.to.iter().map(|to| to.name.as_deref()).collect();
        assert_eq!(names, [Some("web"), None]);
    }
}

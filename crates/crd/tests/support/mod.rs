//! What the tests share: one full manifest of every kind, and edits to it.

// Every test binary compiles this file and uses a part of it.
#![allow(dead_code, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The full manifest of a kind, from `tests/manifests`.
pub fn manifest(kind: &str) -> Value {
    let file = format!("tests/manifests/{}.yaml", kind.to_lowercase());
    let text = fs::read_to_string(path(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The manifest of a kind with values replaced or, where the new value is
/// null, removed.
pub fn edited(kind: &str, edits: &[(&str, Value)]) -> Value {
    let mut manifest = manifest(kind);
    for (pointer, value) in edits {
        edit(&mut manifest, pointer, value.clone());
    }
    manifest
}

fn edit(manifest: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match manifest.pointer_mut(parent) {
        Some(Value::Object(fields)) if value.is_null() => {
            fields.shift_remove(name);
        }
        Some(Value::Object(fields)) => {
            fields.insert(name.to_owned(), value);
        }
        Some(Value::Array(items)) => items[name.parse::<usize>().unwrap()] = value,
        _ => panic!("{parent} is not in the manifest"),
    }
}

/// A path in the package.
pub fn path(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

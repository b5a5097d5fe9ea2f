//! What the tests share: one full manifest of every kind, edits to it, and the
//! cases made of them.

// Every test binary compiles this file and uses a part of it.
#![allow(dead_code, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

pub mod cases;
pub mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The full manifest of a kind, from `tests/manifests`.
pub fn manifest(kind: &str) -> Value {
    let file = format!("tests/manifests/{}.yaml", kind.to_lowercase());
    let text = read(&file).unwrap_or_else(|| panic!("{file} is missing"));
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

fn read(below: &str) -> Option<String> {
    fs::read_to_string(path(below)).ok()
}

/// A path in this package, from the tests of another as well.
pub fn path(below: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .find(|directory| directory.join("Cargo.lock").is_file())
        .unwrap();
    workspace.join("crates/crd").join(below)
}

//! The values of the Helm chart, and the table that documents them.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::tree;

/// The directory of the chart.
pub fn directory() -> PathBuf {
    tree::root().join("charts/watershed")
}

/// A file of the chart.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &str) -> Result<String> {
    let path = directory().join(path);
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// A YAML file of the chart.
///
/// # Errors
/// When it cannot be read.
pub fn read_yaml(path: &str) -> Result<Value> {
    serde_yaml::from_str(&read(path)?).with_context(|| format!("parsing {path}"))
}

/// Something that a user may set.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Where it is, as in `--set`.
    pub path: Vec<String>,
    /// What it is for.
    pub comment: String,
}

/// What users may set, in the order of `values.yaml`: each key with a comment
/// right above it. A key without one is a section.
///
/// # Errors
/// When a section is empty, which is a setting that nobody documented.
pub fn settings(values: &str) -> Result<Vec<Setting>> {
    let mut settings: Vec<Setting> = Vec::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut comment = Vec::new();
    for line in values.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(words) = text.strip_prefix('#') {
            comment.push(words.trim());
            continue;
        }
        let comment = std::mem::take(&mut comment).join(" ");
        let Some((key, value)) = text.split_once(':') else {
            continue;
        };
        path.retain(|(above, _)| *above < indent);
        path.push((indent, key.to_owned()));
        let path: Vec<String> = path.iter().map(|(_, key)| key.clone()).collect();
        let inside = |setting: &Setting| path.starts_with(&setting.path);
        if settings.last().is_some_and(inside) {
            continue; // A part of the default.
        }
        match (comment.is_empty(), value.trim().is_empty()) {
            (false, _) => settings.push(Setting { path, comment }),
            (true, true) => {}
            (true, false) => bail!("{} has no comment", path.join(".")),
        }
    }
    Ok(settings)
}

/// The table of the settings.
///
/// # Errors
/// When `values` is not YAML, or a setting has no comment.
pub fn table(values: &str) -> Result<String> {
    let defaults: Value = serde_yaml::from_str(values)?;
    let mut table = "| value | default | for |\n|---|---|---|\n".to_owned();
    for Setting { path, comment } in settings(values)? {
        let mut default = &defaults;
        for key in &path {
            default = default.get(key).context("the line is no key")?;
        }
        let path = path.join(".");
        let comment = comment.replace('|', "\\|");
        writeln!(table, "| `{path}` | `{default}` | {comment} |")?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: &str = "\
# About the file.

a:
  # First.
  b: 1
  # Second
  # thing.
  c:
    d: {e: f}
# Third.
g: []
";

    #[test]
    fn a_comment_belongs_to_the_key_below_it() {
        let table = table(VALUES).expect("a table");
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| `a.b` | `1` | First. |",
                "| `a.c` | `{\"d\":{\"e\":\"f\"}}` | Second thing. |",
                "| `g` | `[]` | Third. |",
            ]
        );
    }

    #[test]
    fn a_key_without_a_comment_is_found() {
        let error = settings("a:\n  b: 1\n").expect_err("no comment");
        assert_eq!(error.to_string(), "a.b has no comment");
    }
}

//! From arguments to documents.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::exchange::is_document_file;
use crate::finding::Finding;
use crate::input::{self, Parsed, Source, Syntax};

use super::Set;

/// One document of a file.
#[derive(Debug)]
pub(crate) struct Unit {
    /// The file as it was named.
    pub(crate) file: String,
    /// Position among the documents of the file from 1; `None` when it is
    /// the only one.
    pub(crate) document: Option<usize>,
    /// Whether the file was named, rather than found in a directory.
    pub(crate) named: bool,
    /// The directory to which paths in the document are relative.
    pub(crate) base_dir: PathBuf,
    /// The text of the whole file.
    pub(crate) text: Arc<str>,
    /// In what it is written.
    pub(crate) syntax: Syntax,
    /// The document, or why it is none.
    pub(crate) content: Parsed,
}

impl Unit {
    /// `FILE` or `FILE:doc N`.
    pub(crate) fn place(&self) -> String {
        match self.document {
            Some(number) => format!("{}:doc {number}", self.file),
            None => self.file.clone(),
        }
    }

    /// The document, if it is a Kubernetes object.
    pub(crate) fn object(&self) -> Option<&Value> {
        let value = self.content.as_ref().ok()?;
        crate::manifest::is_manifest(value).then_some(value)
    }
}

/// Reads everything that was given.
pub(crate) fn collect(inputs: &[Source]) -> Set {
    let mut set = Set::default();
    for source in inputs {
        match source {
            Source::File(path) if path.is_dir() => {
                let mut files = Vec::new();
                let walked = files_below(path, &mut files);
                files.sort();
                for file in files {
                    read(&Source::File(file), false, &mut set);
                }
                if let Err(error) = walked {
                    let message = format!("{} cannot be read: {error}", path.display());
                    let fault = Finding::unreadable("", message);
                    set.units.push(broken(source, fault));
                }
            }
            source => read(source, true, &mut set),
        }
    }
    set
}

/// The documents below a directory. What is hidden is left alone, as Git and
/// editors keep their own files there.
fn files_below(directory: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // Links to directories are not followed: they may lead in circles.
        if entry.file_type()?.is_dir() {
            files_below(&path, files)?;
        } else if is_document_file(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn read(source: &Source, named: bool, set: &mut Set) {
    set.files += 1;
    let text = match source.read() {
        Ok(text) => text,
        Err(fault) => {
            set.units.push(broken(source, fault));
            return;
        }
    };
    let text: Arc<str> = text.into();
    let documents = input::documents(&text, source.syntax());
    let documents: Vec<Parsed> = documents.into_iter().flat_map(items).collect();
    let several = documents.len() > 1;
    for (index, content) in documents.into_iter().enumerate() {
        set.units.push(Unit {
            document: several.then_some(index + 1),
            named,
            text: Arc::clone(&text),
            ..unit(source, content)
        });
    }
}

/// The items of a `List`, as `kubectl get -o yaml` prints it.
fn items(parsed: Parsed) -> Vec<Parsed> {
    match parsed {
        Ok(Value::Object(mut list)) if list.get("kind").is_some_and(|kind| kind == "List") => {
            match list.get_mut("items").map(Value::take) {
                Some(Value::Array(items)) => items.into_iter().map(Ok).collect(),
                _ => Vec::new(),
            }
        }
        other => vec![other],
    }
}

fn broken(source: &Source, fault: Finding) -> Unit {
    unit(source, Err(fault))
}

fn unit(source: &Source, content: Parsed) -> Unit {
    Unit {
        file: source.to_string(),
        document: None,
        named: true,
        base_dir: source.base_dir(),
        text: Arc::default(),
        syntax: source.syntax(),
        content,
    }
}

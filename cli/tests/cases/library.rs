//! The corpus against the library.

use std::path::PathBuf;

use tempfile::TempDir;
use watershed::scenario::Scenario;
use watershed::simulate::simulate;
use watershed::walk::Surroundings;
use watershed_geo::testing;

use crate::assert_none;
use crate::corpus::{Case, corpus, root};

/// The location databases of the cases that have one, as files.
pub(crate) struct Databases(TempDir);

impl Databases {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The file for a case; `None` when it asks for no database of its own.
    /// Files are made anew for each case, for that takes no time.
    pub(crate) fn file(&self, index: usize, case: &Case) -> Option<PathBuf> {
        if case.locations.is_empty() {
            return None;
        }
        let path = self.0.path().join(format!("{index}.mmdb"));
        std::fs::write(&path, testing::mmdb(&case.locations)).unwrap();
        Some(path)
    }
}

#[test]
fn the_library_decides_as_the_corpus_says() {
    let databases = Databases::new();
    let cases = corpus();
    let mut mismatches = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let database = databases.file(index, case);
        let surroundings = Surroundings::load(database.as_deref(), None).unwrap();
        let scenario = Scenario::from_value(&case.scenario, &root());
        let report = serde_json::to_value(simulate(&scenario, &surroundings)).unwrap();
        let differences = case.expect.differences(&report);
        mismatches.extend(differences.iter().map(|d| format!("{}: {d}", case.label())));
    }
    assert_none(&mismatches, cases.len());
}

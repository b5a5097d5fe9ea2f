//! The store: what is read is what was written, or nothing.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use redb::{Database, TableDefinition};
use tempfile::TempDir;
use watershed_dns::fleet::{Kept, Store, StoreError};
use watershed_snapshot::{ResourceSet, Term};

use crate::support::content::{Resources, address, edition, encoded, held};

const FILE: &str = "state.redb";

fn kept(generation: u64, resources: &Resources) -> Kept {
    let resources = encoded(resources);
    Kept {
        held: Some(held(1, generation, &resources)),
        resources,
        term: Term(generation),
    }
}

fn assert_same(found: &Kept, expected: &Kept) {
    assert_eq!(
        (found.held, found.term, &found.resources),
        (expected.held, expected.term, &expected.resources)
    );
}

/// A store that was written to and closed.
fn written(states: &[Kept]) -> TempDir {
    let directory = TempDir::new().unwrap();
    let mut store = Store::open(directory.path()).unwrap();
    for state in states {
        store.write(state).unwrap();
    }
    directory
}

fn reread(directory: &Path) -> Kept {
    Store::open(directory).unwrap().kept().clone()
}

#[test]
fn the_last_state_is_found_again() {
    let directory = TempDir::new().unwrap();
    let below = directory.path().join("made/when/missing");
    assert_same(&reread(&below), &Kept::default());
    let mut many = edition(2);
    many.extend((0..100).map(|number| address(&format!("host{number}"), number)));
    for state in [kept(1, &edition(1)), kept(2, &many), kept(3, &edition(3))] {
        let mut store = Store::open(&below).unwrap();
        store.write(&state).unwrap();
        assert_same(store.kept(), &state);
        drop(store);
        assert_same(&reread(&below), &state);
    }
}

#[test]
fn a_term_is_kept_before_there_is_any_state() {
    let term = Kept {
        term: Term(7),
        ..Kept::default()
    };
    let directory = written(std::slice::from_ref(&term));
    assert_same(&reread(directory.path()), &term);
}

#[test]
fn two_nodes_cannot_share_a_directory() {
    let directory = TempDir::new().unwrap();
    let _first = Store::open(directory.path()).unwrap();
    let second = Store::open(directory.path()).err().unwrap();
    assert!(matches!(second, StoreError::InUse(_)), "{second}");
}

#[test]
fn content_that_was_changed_behind_its_back_is_not_served() {
    let directory = written(&[kept(1, &edition(1))]);
    let database = Database::open(directory.path().join(FILE)).unwrap();
    let writing = database.begin_write().unwrap();
    let table: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("resources");
    let mut resources = writing.open_table(table).unwrap();
    resources
        .insert("RecordSet/shop/www", [0].as_slice())
        .unwrap();
    drop(resources);
    writing.commit().unwrap();
    drop(database);
    let error = Store::open(directory.path()).err().unwrap();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn a_file_of_another_kind_is_damaged() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join(FILE), "this is no database").unwrap();
    let error = Store::open(directory.path()).err().unwrap();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    let moved = Store::set_aside(directory.path()).unwrap();
    assert_eq!(fs::read(moved).unwrap(), b"this is no database");
    assert_same(&reread(directory.path()), &Kept::default());
}

#[test]
fn a_disk_that_comes_back_is_written_to() {
    let directory = TempDir::new().unwrap();
    // Where the directory should be there is a file.
    let place = directory.path().join("state");
    fs::write(&place, "").unwrap();
    let error = Store::open(&place).err().unwrap();
    assert!(matches!(error, StoreError::Disk { .. }), "{error}");
    let mut store = Store::unopened(&place);
    let state = kept(1, &edition(1));
    assert!(store.write(&state).is_err());
    fs::remove_file(&place).unwrap();
    store.write(&state).unwrap();
    drop(store);
    assert_same(&reread(&place), &state);
}

#[test]
fn a_file_that_is_damaged_while_the_node_runs_is_replaced() {
    let directory = written(&[kept(1, &edition(1))]);
    fs::write(directory.path().join(FILE), "overwritten").unwrap();
    let mut store = Store::unopened(directory.path());
    let state = kept(2, &edition(2));
    store.write(&state).unwrap();
    drop(store);
    assert_same(&reread(directory.path()), &state);
}

/// Copies the file as it is while the store is open, as after a crash.
fn crashed(from: &Path) -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::copy(from.join(FILE), directory.path().join(FILE)).unwrap();
    directory
}

#[test]
fn a_crash_leaves_the_last_state_that_was_written() {
    let directory = TempDir::new().unwrap();
    let mut store = Store::open(directory.path()).unwrap();
    for generation in 1..5 {
        let number = u8::try_from(generation).unwrap();
        let state = kept(generation, &edition(number));
        store.write(&state).unwrap();
        let copy = crashed(directory.path());
        assert_same(&reread(copy.path()), &state);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens to the file, one of the states that were written is
    /// found, or damage is reported. Nothing panics.
    #[test]
    fn a_damaged_file_is_found_out(
        cut in proptest::option::of(0.0..1.0_f64),
        garbled in proptest::collection::vec((0.0..1.0_f64, any::<u8>()), 0..40),
    ) {
        let states = [kept(1, &edition(1)), kept(2, &edition(2))];
        let directory = written(&states);
        let file = directory.path().join(FILE);
        let mut octets = fs::read(&file).unwrap();
        for (place, octet) in garbled {
            let at = at(place, octets.len());
            octets[at] = octet;
        }
        if let Some(cut) = cut {
            octets.truncate(at(cut, octets.len()));
        }
        fs::write(&file, &octets).unwrap();
        match Store::open(directory.path()) {
            Ok(store) => {
                let found = store.kept();
                let empty = Kept::default();
                let possible = states.iter().chain([&empty]);
                let mut possible = possible.map(|state| (state.held, &state.resources));
                prop_assert!(possible.any(|state| state == (found.held, &found.resources)));
            }
            Err(error) => {
                prop_assert!(!matches!(error, StoreError::InUse(_)), "{}", error);
                Store::set_aside(directory.path()).unwrap();
                let none: &ResourceSet = &ResourceSet::new();
                prop_assert_eq!(&reread(directory.path()).resources, none);
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a place in a file of some kilobytes"
)]
fn at(place: f64, len: usize) -> usize {
    (place * len as f64) as usize
}

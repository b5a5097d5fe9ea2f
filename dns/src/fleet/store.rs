//! What a node serves, on disk for its next start.
//!
//! One file of redb: resources by name, and the id, digest and term of the
//! state. A write is one transaction of what changed since the last, so a
//! crash leaves the state before or after it. The digest is computed anew
//! over everything that is read: a file that is not what was written is never
//! served.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use thiserror::Error;
use watershed_snapshot::{
    Digest, Held, ResourceName, ResourceSet, ResourceSetBuilder, SnapshotId, Term,
};

use super::subscriber::Kept;

/// Name of the file in the state directory.
const FILE: &str = "state.redb";
/// Where a file is put that cannot be used.
const DAMAGED: &str = "state.redb.damaged";
/// Memory that redb may use for pages. All is read once, at the start.
const CACHE: usize = 256 << 10;
/// Layout of the tables below.
const LAYOUT: u64 = 1;

const RESOURCES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("resources");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
const DIGEST: TableDefinition<'_, (), &[u8]> = TableDefinition::new("digest");

/// Why a store cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("{} is in use: give each node a state directory of its own", .0.display())]
    InUse(PathBuf),
    /// The disk fails, or does not let us.
    #[error("{}: {fault}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// Why.
        fault: String,
    },
    /// The file is not what was written.
    #[error("{} is damaged: {fault}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
}

/// The state of a node on disk.
pub struct Store {
    path: PathBuf,
    /// `None` after a failure, until the next write opens the file anew.
    database: Option<Database>,
    /// What is on the disk.
    written: Kept,
}

impl Store {
    /// Opens the store in a directory, which is made when it is missing, and
    /// reads it.
    ///
    /// # Errors
    /// When the file is in use, damaged, or cannot be read or written.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let mut store = Self::unopened(directory);
        store.reopen()?;
        Ok(store)
    }

    /// A store that is opened by the next write: for a disk that fails now.
    pub fn unopened(directory: &Path) -> Self {
        Self {
            path: directory.join(FILE),
            database: None,
            written: Kept::default(),
        }
    }

    /// Moves the file away, so that the next start finds none, and says where
    /// to. Of several damaged files the last is kept.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn set_aside(directory: &Path) -> Result<PathBuf, StoreError> {
        let (from, to) = (directory.join(FILE), directory.join(DAMAGED));
        match fs::rename(&from, &to) {
            Ok(()) => Ok(to),
            Err(error) => Err(disk(&from, &error)),
        }
    }

    /// Where the file is.
    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// What is on the disk.
    pub fn kept(&self) -> &Kept {
        &self.written
    }

    /// Writes what differs from what is on the disk, and returns when it is
    /// safe there.
    ///
    /// # Errors
    /// When the disk fails. What was on it stays, and the next write opens
    /// the file anew.
    pub fn write(&mut self, kept: &Kept) -> Result<(), StoreError> {
        if self.database.is_none() {
            self.reopen_or_replace()?;
        }
        let Some(database) = self.database.take() else {
            return Err(disk(&self.path, &"it cannot be opened"));
        };
        let written = write(&database, kept, &self.written.resources);
        written.map_err(|error| disk(&self.path, &error))?;
        // Only a handle that has not failed is used again.
        self.database = Some(database);
        self.written = kept.clone();
        Ok(())
    }

    /// A file that is found damaged while the node runs is replaced.
    fn reopen_or_replace(&mut self) -> Result<(), StoreError> {
        match self.reopen() {
            Err(StoreError::Damaged { .. }) => {
                Self::set_aside(self.directory())?;
                self.reopen()
            }
            result => result,
        }
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        let directory = self.directory();
        fs::create_dir_all(directory).map_err(|error| disk(directory, &error))?;
        let path = self.path.clone();
        // redb checks what it reads, but a garbled page may still make it
        // panic, which must not end the node: so it has a thread of its own.
        let reading = std::thread::spawn(move || read(&path));
        let (database, written) = reading.join().unwrap_or_else(|_| {
            Err(StoreError::Damaged {
                path: self.path.clone(),
                fault: "it makes the reader panic".to_owned(),
            })
        })?;
        sync_directory(self.directory())?;
        (self.database, self.written) = (Some(database), written);
        Ok(())
    }
}

/// Makes a file that was just made outlast a crash of the machine.
fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    let synced = fs::File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| disk(directory, &error))
}

/// Opens the file, or makes it, and reads all of it.
fn read(path: &Path) -> Result<(Database, Kept), StoreError> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    let opened = builder.create(path).map_err(redb::Error::from);
    let mut database = opened.map_err(|error| sort(path, error))?;
    let checked = database.check_integrity().map_err(redb::Error::from);
    checked.map_err(|error| sort(path, error))?;
    let kept = load(&database).map_err(|error| match error {
        LoadError::Redb(error) => sort(path, error),
        LoadError::Content(fault) => damaged(path, &fault),
    })?;
    Ok((database, kept))
}

/// Why a database that opens cannot be used.
enum LoadError {
    Redb(redb::Error),
    Content(String),
}

impl<E: Into<redb::Error>> From<E> for LoadError {
    fn from(error: E) -> Self {
        Self::Redb(error.into())
    }
}

fn load(database: &Database) -> Result<Kept, LoadError> {
    let reading = database.begin_read()?;
    let numbers = match reading.open_table(NUMBERS) {
        Ok(numbers) => numbers,
        // Just made.
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Kept::default()),
        Err(error) => return Err(error.into()),
    };
    let number = |key: &str| -> Result<Option<u64>, LoadError> {
        Ok(numbers.get(key)?.map(|guard| guard.value()))
    };
    if number("layout")? != Some(LAYOUT) {
        return Err(LoadError::Content("the layout is unknown".to_owned()));
    }
    let term = Term(number("term")?.unwrap_or_default());
    let (Some(epoch), Some(generation)) = (number("epoch")?, number("generation")?) else {
        return Ok(Kept {
            term,
            ..Kept::default()
        });
    };
    let digest = reading.open_table(DIGEST)?;
    let digest = digest.get(())?.map(|guard| guard.value().to_vec());
    let resources = resources(&reading.open_table(RESOURCES)?)?;
    let found = resources.digest();
    if digest.as_deref() != Some(found.as_bytes().as_slice()) {
        return Err(LoadError::Content("the digest is another".to_owned()));
    }
    Ok(Kept {
        held: Some(held(epoch, generation, found)),
        resources,
        term,
    })
}

fn held(epoch: u64, generation: u64, digest: Digest) -> Held {
    Held {
        id: SnapshotId { epoch, generation },
        digest,
    }
}

/// Each is put from where redb has it, so that nothing is left in memory of
/// what it takes to read them all.
fn resources(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<ResourceSet, LoadError> {
    let mut resources = ResourceSetBuilder::new();
    for entry in table.iter()? {
        let (name, content) = entry?;
        let name = ResourceName::<&str>::try_from(name.value());
        let name = name.map_err(|error| LoadError::Content(error.to_string()))?;
        resources.put(name, content.value());
    }
    Ok(resources.build())
}

/// One transaction, on the disk when this returns. `former` are the resources
/// that are there.
fn write(database: &Database, kept: &Kept, former: &ResourceSet) -> Result<(), redb::Error> {
    let writing = database.begin_write()?;
    write_resources(&writing, former, &kept.resources)?;
    let mut numbers = writing.open_table(NUMBERS)?;
    numbers.insert("layout", LAYOUT)?;
    numbers.insert("term", kept.term.0)?;
    if let Some(held) = &kept.held {
        numbers.insert("epoch", held.id.epoch)?;
        numbers.insert("generation", held.id.generation)?;
        let digest = held.digest.as_bytes().as_slice();
        writing.open_table(DIGEST)?.insert((), digest)?;
    }
    drop(numbers);
    writing.commit()?;
    Ok(())
}

fn write_resources(
    writing: &WriteTransaction,
    former: &ResourceSet,
    resources: &ResourceSet,
) -> Result<(), redb::Error> {
    let mut table = writing.open_table(RESOURCES)?;
    for (name, content) in former.changes_to(resources) {
        let name = name.to_string();
        match content {
            Some(content) => table.insert(&*name, content)?,
            None => table.remove(&*name)?,
        };
    }
    Ok(())
}

/// What an error of redb means for the node.
fn sort(path: &Path, error: redb::Error) -> StoreError {
    match error {
        redb::Error::DatabaseAlreadyOpen => StoreError::InUse(path.to_owned()),
        // So it calls a file of another kind.
        redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            damaged(path, &error.to_string())
        }
        redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::DatabaseClosed => {
            disk(path, &error)
        }
        other => damaged(path, &other.to_string()),
    }
}

fn damaged(path: &Path, fault: &str) -> StoreError {
    StoreError::Damaged {
        path: path.to_owned(),
        fault: fault.to_owned(),
    }
}

fn disk(path: &Path, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Disk {
        path: path.to_owned(),
        fault: error.to_string(),
    }
}

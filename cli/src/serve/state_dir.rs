//! The state directory: minted versions, and what was served last.
//!
//! ```text
//! lock                              held while a server runs
//! versions/NAMESPACE/NAME.yaml      minted TrafficPolicyVersions
//! numbers.yaml                      highest number ever minted, by policy
//! served.yaml                       the version that each record served last
//! health.json                       the health of targets, for `watershed health`
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use etcetera::BaseStrategy;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use watershed_crd::TrafficPolicyVersion;

/// Highest number ever minted, by `namespace/policy`.
pub(super) type Numbers = BTreeMap<String, i32>;

/// Where the health of targets is written.
pub(super) const HEALTH: &str = "health.json";
/// A look at the lock by somebody else is over after this.
const LOOKED_AT: Duration = Duration::from_millis(20);

/// The state directory of one server; nobody else has it at the time.
#[derive(Debug)]
pub(super) struct StateDir {
    root: PathBuf,
    /// The lock goes when the file is closed.
    _lock: File,
}

impl StateDir {
    /// Opens the directory `explicit`, or the default one of `served`.
    ///
    /// # Errors
    /// When it cannot be made or written, is in use, or lies where manifests
    /// are read.
    pub(super) fn open(explicit: Option<&Path>, served: &Path) -> anyhow::Result<Self> {
        let root = match explicit {
            Some(path) => path.to_owned(),
            None => default_root(served)?,
        };
        let advice = || {
            let root = root.display();
            format!("the state directory {root} cannot be used: name a writable one with --state")
        };
        fs::create_dir_all(&root).with_context(advice)?;
        let root = root.canonicalize().with_context(advice)?;
        if root.starts_with(served) {
            bail!(
                "the state directory {} lies in the served directory, whose files are read as \
                 manifests: name another one with --state",
                root.display()
            );
        }
        let lock = File::create(root.join("lock")).with_context(advice)?;
        match locked(&lock) {
            Ok(()) => Ok(Self { root, _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!(
                "the state directory {} is in use by another server: stop that, or name another \
                 directory with --state",
                root.display()
            ),
            Err(TryLockError::Error(error)) => Err(error).with_context(advice),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.root
    }

    /// The minted versions.
    ///
    /// # Errors
    /// When one cannot be read: to go on without would mint its number again.
    pub(super) fn versions(&self) -> anyhow::Result<Vec<TrafficPolicyVersion>> {
        let mut versions = Vec::new();
        for namespace in entries(&self.root.join("versions"))? {
            let files = entries(&namespace)?.into_iter();
            // A crash may leave a file that was still being written.
            for file in files.filter(|file| file.extension().is_some_and(|e| e == "yaml")) {
                versions.extend(read(&file)?);
            }
        }
        Ok(versions)
    }

    /// Keeps a minted version.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep_version(&self, version: &TrafficPolicyVersion) -> anyhow::Result<()> {
        write(&self.version_file(version), version)
    }

    /// Forgets a minted version.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(super) fn forget_version(&self, version: &TrafficPolicyVersion) -> anyhow::Result<()> {
        let file = self.version_file(version);
        fs::remove_file(&file).with_context(|| format!("{} cannot be removed", file.display()))
    }

    /// The highest numbers ever minted.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn numbers(&self) -> anyhow::Result<Numbers> {
        Ok(read(&self.root.join("numbers.yaml"))?.unwrap_or_default())
    }

    /// Keeps the highest numbers ever minted.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn keep_numbers(&self, numbers: &Numbers) -> anyhow::Result<()> {
        write(&self.root.join("numbers.yaml"), numbers)
    }

    /// What was served last.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn served<T: DeserializeOwned>(&self) -> anyhow::Result<Option<T>> {
        read(&self.root.join("served.yaml"))
    }

    /// Keeps what is served.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep_served<T: Serialize>(&self, served: &T) -> anyhow::Result<()> {
        write(&self.root.join("served.yaml"), served)
    }

    /// Keeps the health of targets. It is not to outlive the machine, so
    /// nothing waits for the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep_health(&self, report: &impl Serialize) -> anyhow::Result<()> {
        let text = crate::console::json(report);
        let file = self.root.join(HEALTH);
        let attempt = || -> anyhow::Result<()> {
            let mut new = tempfile::NamedTempFile::new_in(&self.root)?;
            new.write_all(text.as_bytes())?;
            new.persist(&file)?;
            Ok(())
        };
        attempt().with_context(|| format!("{} cannot be written", file.display()))
    }

    /// Nothing is known of the health of targets.
    pub(super) fn forget_health(&self) {
        // It may not be there.
        let _ = fs::remove_file(self.root.join(HEALTH));
    }

    fn version_file(&self, version: &TrafficPolicyVersion) -> PathBuf {
        let metadata = &version.metadata;
        let namespace = metadata.namespace.as_deref().unwrap_or("default");
        let name = metadata.name.as_deref().unwrap_or_default();
        let directory = self.root.join("versions").join(namespace);
        directory.join(format!("{name}.yaml"))
    }
}

/// Locks the file; twice, since `is_in_use` holds it for a moment.
fn locked(lock: &File) -> Result<(), TryLockError> {
    lock.try_lock().or_else(|_| {
        std::thread::sleep(LOOKED_AT);
        lock.try_lock()
    })
}

/// Whether a server has the state directory.
pub(super) fn is_in_use(root: &Path) -> bool {
    let lock = File::open(root.join("lock"));
    let locked = lock.map(|lock| lock.try_lock_shared());
    matches!(locked, Ok(Err(TryLockError::WouldBlock)))
}

/// `watershed/NAME-HASH` in the user's state directory, by the path served.
pub(super) fn default_root(served: &Path) -> anyhow::Result<PathBuf> {
    let strategy = etcetera::choose_base_strategy()
        .context("there is no home directory to keep state in: name a directory with --state")?;
    let base = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
    let name = served
        .file_name()
        .map_or("root".into(), |name| name.to_string_lossy());
    let digest = Sha256::digest(served.as_os_str().as_encoded_bytes());
    let hash = digest
        .iter()
        .fold(0_u64, |hash, byte| (hash << 8) | u64::from(*byte));
    Ok(base.join("watershed").join(format!("{name}-{hash:016x}")))
}

/// The entries of a directory in order; none when it does not exist.
fn entries(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let listed = fs::read_dir(directory)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<PathBuf> =
        listed.with_context(|| format!("{} cannot be listed", directory.display()))?;
    paths.sort();
    Ok(paths)
}

/// The content of a file; `None` when it does not exist.
fn read<T: DeserializeOwned>(file: &Path) -> anyhow::Result<Option<T>> {
    let broken = || {
        let file = file.display();
        format!("{file} in the state directory is broken: mend or remove it")
    };
    match fs::read_to_string(file) {
        Ok(text) => serde_yaml::from_str(&text).map(Some).with_context(broken),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(broken),
    }
}

/// Replaces a file whole, so that a crash leaves the old or the new one.
fn write<T: Serialize>(file: &Path, content: &T) -> anyhow::Result<()> {
    let attempt = || -> anyhow::Result<()> {
        let directory = file.parent().context("a file lies in a directory")?;
        fs::create_dir_all(directory)?;
        let mut new = tempfile::NamedTempFile::new_in(directory)?;
        new.write_all(serde_yaml::to_string(content)?.as_bytes())?;
        new.as_file().sync_all()?;
        new.persist(file)?;
        Ok(())
    };
    attempt().with_context(|| format!("{} cannot be written", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_servers_do_not_share_a_directory() {
        let (state, served) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = StateDir::open(Some(state.path()), served.path()).unwrap();
        let second = StateDir::open(Some(state.path()), served.path()).unwrap_err();
        assert!(
            second.to_string().contains("in use by another server"),
            "{second}"
        );
        drop(first);
        StateDir::open(Some(state.path()), served.path()).unwrap();
    }

    #[test]
    fn state_is_not_kept_among_manifests() {
        let served = tempfile::tempdir().unwrap();
        let inside = served.path().canonicalize().unwrap().join("state");
        let refused = StateDir::open(Some(&inside), inside.parent().unwrap()).unwrap_err();
        assert!(
            refused.to_string().contains("lies in the served directory"),
            "{refused}"
        );
    }

    #[test]
    fn numbers_outlive_the_server() {
        let (state, served) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let numbers = Numbers::from([("shop/web".to_owned(), 7)]);
        let directory = StateDir::open(Some(state.path()), served.path()).unwrap();
        assert_eq!(directory.numbers().unwrap(), Numbers::new());
        directory.keep_numbers(&numbers).unwrap();
        assert_eq!(directory.numbers().unwrap(), numbers);
    }

    #[test]
    fn broken_state_is_said() {
        let (state, served) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let directory = StateDir::open(Some(state.path()), served.path()).unwrap();
        fs::write(state.path().join("numbers.yaml"), "[").unwrap();
        let broken = directory.numbers().unwrap_err();
        assert!(broken.to_string().contains("mend or remove it"), "{broken}");
    }
}

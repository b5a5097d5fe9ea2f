//! Noticing changes of files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A change is taken up when nothing more happened for so long: editors and
/// `git checkout` write in several steps.
const QUIET: Duration = Duration::from_millis(100);

/// Steps awaited at most, so that a file written all the time does not hold
/// up the others: about three seconds.
const STEPS: usize = 30;

/// Changes of the directory and of single files beside it.
pub(super) struct Changes {
    events: mpsc::Receiver<()>,
    /// Watching ends when this is dropped.
    _watcher: notify::RecommendedWatcher,
}

impl Changes {
    /// Watches `directory` with everything below it, and `files`.
    ///
    /// # Errors
    /// When the system grants no watch.
    pub(super) fn watch(directory: &Path, files: &[&Path]) -> notify::Result<Self> {
        // One waiting event says as much as many.
        let (sender, events) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // A fault of the watch is a reason to look, too.
            if event.as_ref().map_or(true, is_change) {
                let _ = sender.try_send(());
            }
        })?;
        watcher.watch(directory, RecursiveMode::Recursive)?;
        for parent in parents(files) {
            watcher.watch(&parent, RecursiveMode::NonRecursive)?;
        }
        Ok(Self {
            events,
            _watcher: watcher,
        })
    }

    /// Waits for a change, and until it is complete. Who gives up waiting may
    /// lose a change, so it takes all of itself along.
    pub(super) async fn next(mut self) -> Self {
        if self.events.recv().await.is_none() {
            // The watcher is gone; nothing will ever change.
            std::future::pending::<()>().await;
        }
        for _ in 0..STEPS {
            if timeout(QUIET, self.events.recv()).await.is_err() {
                break;
            }
        }
        self
    }
}

/// The directories of the files: a file that is replaced by another of its
/// name (as editors and Kubernetes volumes do) is only seen from there.
fn parents(files: &[&Path]) -> BTreeSet<PathBuf> {
    let parents = files.iter().filter_map(|file| file.parent());
    parents
        .map(|parent| {
            let here = parent.as_os_str().is_empty();
            if here {
                PathBuf::from(".")
            } else {
                parent.to_owned()
            }
        })
        .collect()
}

/// Reading a file is no change; the server itself does it.
fn is_change(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

//! Writes the state to disk behind the back of everything else.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::metrics::Metrics;
use super::store::{Store, StoreError};
use super::subscriber::Kept;

/// How long after a failure the disk is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Where states are written to.
pub trait Disk: Send + 'static {
    /// Writes a state, and returns when it is safe.
    ///
    /// # Errors
    /// When it is not.
    fn write(&mut self, kept: &Kept) -> Result<(), StoreError>;
}

impl Disk for Store {
    fn write(&mut self, kept: &Kept) -> Result<(), StoreError> {
        Self::write(self, kept)
    }
}

/// A thread that writes states. Of several that wait the last is written: a
/// slow disk is behind by one write, however fast states change.
pub struct Keeper {
    states: Sender<Kept>,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Starts the thread.
    pub fn start(disk: impl Disk, metrics: Arc<Metrics>) -> Self {
        Self::start_with(disk, metrics, RETRY)
    }

    fn start_with(disk: impl Disk, metrics: Arc<Metrics>, retry: Duration) -> Self {
        let (states, waiting) = mpsc::channel();
        let thread = std::thread::spawn(move || write_all(disk, &waiting, &metrics, retry));
        Self { states, thread }
    }

    /// Takes a state to write, and does not wait for it.
    pub fn keep(&self, kept: Kept) {
        // The thread ends only after this sender.
        let _ = self.states.send(kept);
    }

    /// Waits until all is written that can be.
    pub fn finish(self) {
        drop(self.states);
        if self.thread.join().is_err() {
            tracing::error!("the thread that writes the state panicked");
        }
    }
}

fn write_all(mut disk: impl Disk, waiting: &Receiver<Kept>, metrics: &Metrics, retry: Duration) {
    let mut unwritten: Option<Kept> = None;
    loop {
        let ended = match next(waiting, unwritten.as_ref().map(|_| retry)) {
            Ok(newer) => {
                unwritten = newer.or(unwritten);
                false
            }
            Err(mpsc::RecvError) => true,
        };
        if let Some(kept) = unwritten.take() {
            let written = disk.write(&kept);
            metrics.persisted(written.is_ok());
            if let Err(error) = written {
                tracing::error!(%error, "the state is not on disk: a restart finds an older one");
                unwritten = Some(kept);
            }
        }
        if ended {
            return;
        }
    }
}

/// The last state that waits; `None` when none came in this time.
fn next(waiting: &Receiver<Kept>, time: Option<Duration>) -> Result<Option<Kept>, mpsc::RecvError> {
    let first = match time {
        None => Some(waiting.recv()?),
        Some(time) => match waiting.recv_timeout(time) {
            Ok(first) => Some(first),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Err(mpsc::RecvError),
        },
    };
    Ok(waiting.try_iter().last().or(first))
}

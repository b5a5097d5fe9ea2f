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
            match disk.write(&kept) {
                Ok(()) => metrics.persisted(kept.held),
                Err(error) => {
                    tracing::error!(%error, "the state is not on disk: a restart finds an older one");
                    metrics.persist_failed();
                    unwritten = Some(kept);
                }
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use watershed_snapshot::Term;

    use super::*;

    /// A disk that waits for leave to write, and may fail.
    struct Slow {
        leave: Receiver<bool>,
        written: Sender<Term>,
    }

    impl Disk for Slow {
        fn write(&mut self, kept: &Kept) -> Result<(), StoreError> {
            self.written.send(kept.term).unwrap();
            if self.leave.recv().unwrap() {
                return Ok(());
            }
            Err(StoreError::Disk {
                path: "state.redb".into(),
                fault: "no space left".into(),
            })
        }
    }

    fn keeper(retry: Duration) -> (Keeper, Sender<bool>, Receiver<Term>) {
        let ((leave, waiting), (written, seen)) = (channel(), channel());
        let disk = Slow {
            leave: waiting,
            written,
        };
        let metrics = Arc::new(Metrics::new("0").unwrap());
        (Keeper::start_with(disk, metrics, retry), leave, seen)
    }

    fn kept(term: u64) -> Kept {
        Kept {
            term: Term(term),
            ..Kept::default()
        }
    }

    #[test]
    fn a_slow_disk_gets_the_last_of_those_that_wait() {
        let (keeper, leave, written) = keeper(RETRY);
        keeper.keep(kept(1));
        assert_eq!(written.recv(), Ok(Term(1)));
        for term in 2..=9 {
            keeper.keep(kept(term));
        }
        leave.send(true).unwrap();
        assert_eq!(written.recv(), Ok(Term(9)));
        leave.send(true).unwrap();
        keeper.finish();
        assert!(written.try_recv().is_err());
    }

    #[test]
    fn a_failing_disk_is_tried_again() {
        let (keeper, leave, written) = keeper(Duration::from_millis(1));
        keeper.keep(kept(1));
        for outcome in [false, false, true] {
            assert_eq!(written.recv(), Ok(Term(1)));
            leave.send(outcome).unwrap();
        }
        keeper.finish();
        assert!(written.try_recv().is_err());
    }

    #[test]
    fn what_is_unwritten_is_tried_once_more_at_the_end() {
        let (keeper, leave, written) = keeper(RETRY);
        keeper.keep(kept(1));
        assert_eq!(written.recv(), Ok(Term(1)));
        leave.send(false).unwrap();
        leave.send(true).unwrap();
        keeper.finish();
        assert_eq!(written.recv(), Ok(Term(1)));
    }
}

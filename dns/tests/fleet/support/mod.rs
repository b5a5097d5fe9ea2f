//! What the tests of the fleet share.

pub(crate) mod certificates;
pub(crate) mod content;
pub(crate) mod endpoints;
pub(crate) mod operator;
pub(crate) mod process;

use std::time::{Duration, Instant};

/// How long a condition may take to come true. Far more than any takes, for
/// machines that have much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `look` finds something.
pub(crate) fn await_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

//! Which core a thread runs on.

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The calling thread.
const THIS_THREAD: Pid = Pid::from_raw(0);

/// Keeps the calling thread on one of the cores that it may run on: the one
/// of this number, counted round.
///
/// # Errors
/// When the system refuses.
pub(super) fn pin(number: usize) -> Result<(), Errno> {
    let allowed = sched_getaffinity(THIS_THREAD)?;
    let cores = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or_default());
    let cores: Vec<usize> = cores.collect();
    let Some(core) = number.checked_rem(cores.len()).and_then(|at| cores.get(at)) else {
        return Ok(());
    };
    let mut one = CpuSet::new();
    one.set(*core)?;
    sched_setaffinity(THIS_THREAD, &one)
}

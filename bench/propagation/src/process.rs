//! Memory and processor time of processes, as `/proc` has them, and a clock
//! that all processes share.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use procfs::process::{ClearRefs, Process};

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Octets of memory that are its own or shared, now.
    pub(crate) memory: usize,
    /// Time on processors, in all.
    pub(crate) cpu: Duration,
}

impl Usage {
    /// Of this process.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub(crate) fn of_self() -> Result<Self> {
        Self::read(&Process::myself()?)
    }

    /// Of a process by its number.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn of(process: u32) -> Result<Self> {
        Self::read(&Process::new(process.try_into()?)?)
    }

    fn read(process: &Process) -> Result<Self> {
        let stat = process.stat()?;
        let milliseconds = (stat.utime + stat.stime) * 1000 / procfs::ticks_per_second();
        Ok(Self {
            memory: octets(process.status()?.vmrss)?,
            cpu: Duration::from_millis(milliseconds),
        })
    }
}

/// The most memory that this process used since [`reset_peak`], in octets.
///
/// # Errors
/// When `/proc` cannot be read.
pub(crate) fn peak() -> Result<usize> {
    octets(Process::myself()?.status()?.vmhwm)
}

/// Begins to look for the peak anew.
///
/// # Errors
/// When the kernel does not let.
pub(crate) fn reset_peak() -> Result<()> {
    Ok(Process::myself()?.clear_refs(ClearRefs::PeakRSS)?)
}

fn octets(kibibytes: Option<u64>) -> Result<usize> {
    let kibibytes = kibibytes.context("the kernel does not say")?;
    Ok(usize::try_from(kibibytes * 1024)?)
}

/// Time since 1970: the one clock that two processes have in common.
///
/// # Errors
/// When the clock is set to before that.
pub(crate) fn clock() -> Result<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

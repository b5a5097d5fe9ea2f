//! Memory and processor time of processes, as `/proc` has them, and a clock
//! that all processes share.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// Ticks of a second in `/proc/PID/stat`; the same on every Linux.
const TICKS: u64 = 100;

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
        Self::of("self")
    }

    /// Of a process by its number.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn of(process: &str) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The name in parentheses may hold anything.
        let (_, fields) = stat.rsplit_once(')').context("no name")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |field: usize| -> Result<u64> {
            Ok(fields.get(field).context("too few fields")?.parse()?)
        };
        // utime and stime: fields 14 and 15 of proc(5), the state being 3.
        let ticks = ticks(11)? + ticks(12)?;
        Ok(Self {
            memory: status(process, "VmRSS:")?,
            cpu: Duration::from_millis(ticks * 1000 / TICKS),
        })
    }
}

/// The most memory that this process used since [`reset_peak`], in octets.
///
/// # Errors
/// When `/proc` cannot be read.
pub(crate) fn peak() -> Result<usize> {
    status("self", "VmHWM:")
}

/// Begins to look for the peak anew.
///
/// # Errors
/// When the kernel does not let.
pub(crate) fn reset_peak() -> Result<()> {
    fs::write("/proc/self/clear_refs", "5").context("/proc/self/clear_refs")
}

fn status(process: &str, field: &str) -> Result<usize> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kibibytes.context("no such field")?.parse::<usize>()? * 1024)
}

/// Time since 1970: the one clock that two processes have in common.
///
/// # Errors
/// When the clock is set to before that.
pub(crate) fn clock() -> Result<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

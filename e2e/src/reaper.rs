//! Nothing outlives the test process, whatever ends it: no process, no cgroup,
//! no directory of gigabytes.
//!
//! `Drop` ends what a test started, but not when the process is killed. Linux's
//! parent-death signal is no help: it follows the thread that started the child,
//! and test threads come and go. So one shell per test process reads the process
//! groups in charge from a pipe whose other end only this process holds. When
//! the pipe ends, this process has, and the shell kills what is left.

use std::fmt::Display;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use anyhow::{Context, Result, anyhow};

/// It leads a group of its own and ignores what a terminal sends to all, so that
/// it outlives the interrupt that ends the tests.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
groups=" " cgroups= dirs=
while read -r sign what; do
  case "$sign" in
    +) groups="$groups$what " ;;
    -) groups="${groups%% $what *} ${groups#* $what }" ;;
    cgroup) cgroups="$cgroups $what" ;;
    dir) dirs="$dirs$what
" ;;
  esac
done
for group in $groups; do kill -9 "-$group"; done
# What was killed takes a moment to leave its cgroup and its files.
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  left=
  for cgroup in $cgroups; do
    for path in "/sys/fs/cgroup/$cgroup" "/sys/fs/cgroup"/*/"$cgroup"; do
      [ ! -d "$path" ] || [ -L "${path%/*}" ] || {
        find "$path" -depth -type d -exec rmdir {} +
        [ ! -d "$path" ] || left=yes
      }
    done
  done
  [ -n "$left" ] || break
  sleep 0.5
done
printf %s "$dirs" | while read -r dir; do rm -rf -- "$dir"; done
"#;

static PIPE: OnceLock<Mutex<ChildStdin>> = OnceLock::new();

/// Puts a process group in charge of the reaper.
pub(crate) fn watch(group: u32) -> Result<()> {
    say("+", group)
}

/// Takes a process group that has ended from the reaper, as its number may soon
/// be another's.
pub(crate) fn forget(group: u32) -> Result<()> {
    say("-", group)
}

/// Removes a cgroup with all that is below it, in all hierarchies.
pub(crate) fn remove_cgroup(name: &str) -> Result<()> {
    say("cgroup", name)
}

/// Removes a directory with all that is in it.
pub(crate) fn remove_dir(path: &Path) -> Result<()> {
    say("dir", path.display())
}

fn say(what: &str, about: impl Display) -> Result<()> {
    let mut pipe = match pipe()?.lock() {
        Ok(pipe) => pipe,
        Err(poisoned) => poisoned.into_inner(),
    };
    writeln!(pipe, "{what} {about}").context("the shell that ends leftover processes is gone")
}

fn pipe() -> Result<&'static Mutex<ChildStdin>> {
    static STARTING: Mutex<()> = Mutex::new(());
    let _starting = STARTING.lock();
    if PIPE.get().is_none() {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start sh, which ends leftover processes")?;
        let pipe = shell.stdin.take().context("the shell has no pipe")?;
        let _ = PIPE.set(Mutex::new(pipe));
    }
    PIPE.get().ok_or_else(|| anyhow!("the shell has no pipe"))
}

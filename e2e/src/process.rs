//! Programs under test: started, watched, paused, killed, started again.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::netns::Namespace;
use crate::reaper;
use crate::wait::eventually;

#[cfg(test)]
mod tests;

/// How much of a log an error shows.
const TAIL_LINES: usize = 20;

/// How to start a program.
#[derive(Clone, Debug)]
pub struct Launch {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    log: PathBuf,
    namespace: Option<Namespace>,
}

impl Launch {
    /// A program, the name that messages call it by, and the file that its
    /// output is appended to.
    pub fn new(name: &str, program: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            log: log.into(),
            namespace: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the environment; the others are this process's.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Starts it in a network of its own, or in this process's.
    #[must_use]
    pub fn within(mut self, namespace: Option<&Namespace>) -> Self {
        self.namespace = namespace.cloned();
        self
    }

    fn spawn(&self) -> Result<Child> {
        match &self.namespace {
            Some(namespace) => namespace.within(|| self.spawn_here()),
            None => self.spawn_here(),
        }
    }

    fn spawn_here(&self) -> Result<Child> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("cannot write {}", self.log.display()))?;
        let child = Command::new(&self.program)
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            // A group of its own: an interrupt from the terminal goes to the test,
            // and whatever the program starts ends with it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        reaper::watch(child.id())?;
        Ok(child)
    }
}

/// A program that was started. It is killed when this value is dropped, and
/// when this process ends in any other way.
#[derive(Debug)]
pub struct Process {
    launch: Launch,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Running(Child),
    Ended(ExitStatus),
}

impl Process {
    /// Starts a program.
    ///
    /// # Errors
    /// When it cannot be started or its log cannot be written.
    pub fn start(launch: Launch) -> Result<Self> {
        let child = launch.spawn()?;
        let state = Mutex::new(State::Running(child));
        Ok(Self { launch, state })
    }

    /// Starts the program again, as before, after it has ended.
    ///
    /// # Errors
    /// When it still runs or cannot be started.
    pub fn restart(&self) -> Result<()> {
        if self.exited().is_none() {
            bail!("{} runs already", self.launch.name);
        }
        *self.lock() = State::Running(self.launch.spawn()?);
        Ok(())
    }

    /// Starts it again with something changed, after it has ended.
    ///
    /// # Errors
    /// When it still runs or cannot be started.
    pub fn restart_with(&mut self, change: impl FnOnce(Launch) -> Launch) -> Result<()> {
        self.launch = change(self.launch.clone());
        self.restart()
    }

    /// The name that it was given.
    pub fn name(&self) -> &str {
        &self.launch.name
    }

    /// The file that its output goes to.
    pub fn log(&self) -> &Path {
        &self.launch.log
    }

    /// Its process id, `None` once it has ended.
    pub fn pid(&self) -> Option<u32> {
        match self.settle(&mut self.lock()) {
            State::Running(child) => Some(child.id()),
            State::Ended(_) => None,
        }
    }

    /// How it ended, `None` while it runs.
    pub fn exited(&self) -> Option<ExitStatus> {
        match self.settle(&mut self.lock()) {
            State::Running(_) => None,
            State::Ended(status) => Some(*status),
        }
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let name = &self.launch.name;
        let pid = self.pid().with_context(|| format!("{name} has ended"))?;
        kill(pid_of(pid)?, signal).with_context(|| format!("{signal} to {name}"))
    }

    /// Stops it where it is, as a machine that hangs.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets it go on after [`Process::pause`].
    ///
    /// # Errors
    /// When it has ended.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// When it has not ended in time; it is killed then.
    pub async fn stop(&self, deadline: Duration) -> Result<ExitStatus> {
        if self.exited().is_none() {
            self.signal(Signal::SIGTERM)?;
        }
        let what = format!("{} ends after SIGTERM", self.launch.name);
        let ended = eventually(&what, deadline, async || {
            self.exited().context("it still runs")
        });
        let ended = ended.await;
        if ended.is_err() {
            self.kill()?;
        }
        ended
    }

    /// Kills it with all that it started (SIGKILL), as a power cut would.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&self) -> Result<()> {
        let mut state = self.lock();
        if let State::Running(child) = self.settle(&mut state) {
            let group = child.id();
            killpg(pid_of(group)?, Signal::SIGKILL).context("killing a process group")?;
            let status = child.wait().context("waiting for a killed process")?;
            reaper::forget(group)?;
            *state = State::Ended(status);
        }
        Ok(())
    }

    /// As [`eventually`], but gives up at once when the program ends.
    ///
    /// # Errors
    /// At the deadline, or when the program ends; with the end of its log.
    pub async fn eventually<T>(
        &self,
        what: &str,
        deadline: Duration,
        mut probe: impl AsyncFnMut() -> Result<T>,
    ) -> Result<T> {
        let outcome = eventually(what, deadline, async || match self.exited() {
            Some(status) => Ok(Err(anyhow!("{} ended: {status}", self.launch.name))),
            None => probe().await.map(Ok),
        });
        let outcome = outcome.await.and_then(|outcome| outcome);
        outcome.with_context(|| format!("{what}; {}", self.last_words()))
    }

    /// The end of its log, for messages.
    pub fn last_words(&self) -> String {
        let log = fs::read(&self.launch.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n  ");
        format!("the log {} ends:\n  {tail}", self.launch.log.display())
    }

    /// Memory that it holds, shared pages by their share, in octets.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory(&self) -> Result<u64> {
        let rollup = self.system()?.smaps_rollup()?.memory_map_rollup;
        let pss = rollup.iter().find_map(|map| map.extension.map.get("Pss"));
        pss.copied().context("no Pss in smaps_rollup")
    }

    /// What it has computed so far, in seconds, to a hundredth.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = self.system()?.stat()?;
        let hundredths = (stat.utime + stat.stime) * 100 / procfs::ticks_per_second();
        Ok(f64::from(u32::try_from(hundredths)?) / 100.0)
    }

    /// What the system knows of it.
    fn system(&self) -> Result<procfs::process::Process> {
        let name = &self.launch.name;
        let pid = self.pid().with_context(|| format!("{name} has ended"))?;
        Ok(procfs::process::Process::new(pid.try_into()?)?)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        match self.state.lock() {
            Ok(state) => state,
            Err(poisoned) => poisoned.into_inner(),
        }
    }

    /// Takes notice of an end that nobody waited for.
    fn settle<'a>(&self, state: &'a mut State) -> &'a mut State {
        if let State::Running(child) = state
            && let Ok(Some(status)) = child.try_wait()
        {
            // Processes that it left behind are still the reaper's.
            let alone = pid_of(child.id()).is_ok_and(|group| killpg(group, None).is_err());
            if alone && let Err(error) = reaper::forget(child.id()) {
                eprintln!("{}: {error:#}", self.launch.name);
            }
            *state = State::Ended(status);
        }
        state
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("{}: {error:#}", self.launch.name);
        }
    }
}

fn pid_of(pid: u32) -> Result<Pid> {
    Ok(Pid::from_raw(i32::try_from(pid).context("process id")?))
}

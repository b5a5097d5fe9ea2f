//! Networks of their own: what is in one reaches nothing outside of it.
//!
//! A namespace of the kernel lives as long as somebody holds it. Here that is
//! an open file of this process and the programs that were started in it, so
//! that no network outlives the tests, whatever ends them.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns, unshare};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

/// A network namespace.
#[derive(Clone, Debug)]
pub struct Namespace {
    file: Arc<File>,
}

impl Namespace {
    /// A new one, with a loopback interface and nothing else.
    ///
    /// # Errors
    /// When this process may not make one, or `ip` is missing.
    pub fn new() -> Result<Self> {
        let file = on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)
                .context("cannot make a network namespace: this needs root (CAP_SYS_ADMIN)")?;
            Ok(File::open("/proc/thread-self/ns/net")?)
        })?;
        let namespace = Self {
            file: Arc::new(file),
        };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// One that somebody else holds, by [its path](Self::path).
    ///
    /// # Errors
    /// When there is none.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        Ok(Self {
            file: Arc::new(file),
        })
    }

    /// Does something inside of it. Sockets stay where they were made, and
    /// programs where they were started.
    ///
    /// # Errors
    /// Those of the work, and when the namespace cannot be entered.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        on_a_thread(|| {
            setns(&*self.file, CloneFlags::CLONE_NEWNET)
                .context("cannot enter a network namespace: this needs root (CAP_SYS_ADMIN)")?;
            work()
        })
    }

    /// What other programs know it by, for `nsenter --net=` and `ip ... netns`.
    pub fn path(&self) -> PathBuf {
        let (process, file) = (std::process::id(), self.file.as_raw_fd());
        Path::new("/proc").join(format!("{process}/fd/{file}"))
    }

    /// Runs `ip` in it, with arguments that have no spaces.
    ///
    /// # Errors
    /// When it is missing or fails, with what it said.
    pub fn ip(&self, args: &str) -> Result<()> {
        self.run("ip", args)
    }

    /// Runs a program in it, with arguments that have no spaces, and waits.
    ///
    /// # Errors
    /// When it is missing or fails, with what it said.
    pub fn run(&self, program: &str, args: &str) -> Result<()> {
        let mut command = Command::new(program);
        command.args(args.split_whitespace());
        let output = self
            .within(move || Ok(command.output()?))
            .with_context(|| format!("cannot run {program}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{program} {args}: {}: {}", output.status, said.trim_end());
        }
        Ok(())
    }

    /// Sets a variable below `net`, as in `ipv4/ip_forward`.
    ///
    /// # Errors
    /// When it does not exist or may not be set.
    pub fn set(&self, variable: &str, value: &str) -> Result<()> {
        let path = Path::new("/proc/sys/net").join(variable);
        self.within(|| fs::write(&path, value).with_context(|| path.display().to_string()))
    }

    /// A UDP socket in it.
    ///
    /// # Errors
    /// When the address is not there or taken.
    pub fn udp(&self, local: SocketAddr) -> Result<UdpSocket> {
        let socket = self.within(|| Ok(std::net::UdpSocket::bind(local)?))?;
        socket.set_nonblocking(true)?;
        Ok(UdpSocket::from_std(socket)?)
    }

    /// A TCP connection out of it.
    ///
    /// # Errors
    /// When the other side cannot be reached.
    pub async fn connect(&self, to: SocketAddr) -> Result<TcpStream> {
        let socket = self.within(|| match to {
            SocketAddr::V4(_) => Ok(TcpSocket::new_v4()?),
            SocketAddr::V6(_) => Ok(TcpSocket::new_v6()?),
        })?;
        Ok(socket.connect(to).await?)
    }
}

/// A thread's namespace is its own, so that the others stay where they are.
fn on_a_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, work)?;
        let outcome = thread.join();
        outcome.map_err(|_| anyhow!("a thread in a network namespace panicked"))?
    })
}

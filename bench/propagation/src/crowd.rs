//! The process with all the simulated pods, seen from outside.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::operator::Operator;
use crate::process::Usage;

/// What all pods have in common now; one line of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Milestone {
    /// They serve this generation.
    Applied(u64),
    /// They were welcomed by the leader of this term.
    Welcomed(u64),
    /// All that probe have reported their targets.
    Reported,
    /// They were told that a target is healthy, or is not.
    Told(usize, bool),
}

/// When all came so far, since 1970.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Reached {
    /// What.
    pub(crate) milestone: Milestone,
    /// When the first did something for it.
    pub(crate) first: Duration,
    /// When the last pod was there.
    pub(crate) last: Duration,
    /// For [`Milestone::Applied`]: what all of them have received since the
    /// former generation, in octets of messages, without the framing of HTTP/2
    /// and TLS.
    pub(crate) octets: usize,
}

/// A target fails from now on wherever it is probed, or recovers.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Turn {
    /// Number of the target.
    pub(crate) target: usize,
    /// What probes find.
    pub(crate) healthy: bool,
}

/// The process with all the pods. It ends when this is dropped.
pub(crate) struct Crowd {
    pods: usize,
    process: Child,
    commands: ChildStdin,
    told: mpsc::UnboundedReceiver<String>,
    /// What was told before anybody waited for it.
    early: Vec<Reached>,
}

impl Crowd {
    /// Starts so many pods, which connect at once.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub(crate) fn start(pods: usize, operator: &Operator) -> Result<Self> {
        let own = std::env::current_exe()?;
        let mut process = Command::new(own)
            .arg("pods")
            .args(["--pods", &pods.to_string()])
            .args(["--operator", &operator.address().to_string()])
            .arg("--tls-dir")
            .arg(operator.certificates())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let commands = process.stdin.take().context("no way to the pods")?;
        let told = process.stdout.take().context("no way from the pods")?;
        let (sender, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let mut told = BufReader::new(told).lines().map_while(Result::ok);
            told.try_for_each(|line| sender.send(line))
        });
        Ok(Self {
            pods,
            process,
            commands,
            told: lines,
            early: Vec::new(),
        })
    }

    /// How many there are.
    pub(crate) fn pods(&self) -> usize {
        self.pods
    }

    /// What they have used, all together.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn usage(&self) -> Result<Usage> {
        Usage::of(self.process.id())
    }

    /// Waits until all serve this generation.
    ///
    /// # Errors
    /// When that takes longer than `patience`.
    pub(crate) async fn applied(&mut self, generation: u64, patience: Duration) -> Result<Reached> {
        self.reached(Milestone::Applied(generation), patience).await
    }

    /// Waits until all were welcomed by the leader of this term.
    ///
    /// # Errors
    /// When that takes longer than `patience`.
    pub(crate) async fn welcomed(&mut self, term: u64, patience: Duration) -> Result<Reached> {
        self.reached(Milestone::Welcomed(term), patience).await
    }

    /// Waits until all that probe have reported.
    ///
    /// # Errors
    /// When that takes longer than `patience`.
    pub(crate) async fn reported(&mut self, patience: Duration) -> Result<Reached> {
        self.reached(Milestone::Reported, patience).await
    }

    /// Lets a target fail or recover, and waits until all were told.
    ///
    /// # Errors
    /// When that takes longer than `patience`.
    pub(crate) async fn turn(
        &mut self,
        target: usize,
        healthy: bool,
        patience: Duration,
    ) -> Result<Reached> {
        let turn = serde_json::to_string(&Turn { target, healthy })?;
        writeln!(self.commands, "{turn}")?;
        self.reached(Milestone::Told(target, healthy), patience)
            .await
    }

    async fn reached(&mut self, milestone: Milestone, patience: Duration) -> Result<Reached> {
        let mut early = self.early.iter();
        if let Some(position) = early.position(|it| it.milestone == milestone) {
            return Ok(self.early.swap_remove(position));
        }
        let reading = async {
            while let Some(line) = self.told.recv().await {
                let reached: Reached = serde_json::from_str(&line)?;
                if reached.milestone == milestone {
                    return Ok(reached);
                }
                self.early.push(reached);
            }
            bail!("the pods have ended")
        };
        let read = tokio::time::timeout(patience, reading).await;
        read.with_context(|| format!("not within {patience:?}: {milestone:?}"))?
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

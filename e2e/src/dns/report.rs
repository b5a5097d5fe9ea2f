//! What a load has seen.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::load::Asked;
use super::query::{Question, Reply};

/// Faults that are kept in full; all are counted.
const KEPT: usize = 100;

/// An answer that was lost or is not as expected.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Who was asked.
    pub server: SocketAddr,
    /// What was asked.
    pub question: String,
    /// When.
    pub sent: Instant,
    /// What is wrong.
    pub what: String,
}

/// Equal answers in a row, from one server to one question.
#[derive(Clone, Debug)]
pub struct Run {
    /// The answer, see [`Reply::summary`].
    pub answer: String,
    /// When the first of their questions was sent.
    pub first: Instant,
    /// When the last of their questions was sent.
    pub last: Instant,
    /// How many.
    pub count: u64,
}

/// What a load has seen.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Questions sent.
    pub sent: u64,
    /// Answers received, right or wrong.
    pub answered: u64,
    /// Answers lost or not as expected.
    pub faulty: u64,
    /// The first hundred of these of each server.
    pub faults: Vec<Fault>,
    /// The longest time to an answer.
    pub slowest: Duration,
    runs: BTreeMap<(SocketAddr, String), Vec<Run>>,
}

impl Report {
    /// The answers of a server to a question, in the order of the questions.
    pub fn runs(&self, server: SocketAddr, question: &Question) -> &[Run] {
        let runs = self.runs.get(&(server, question.to_string()));
        runs.map_or(&[], Vec::as_slice)
    }

    /// Demands that every question was answered as expected.
    ///
    /// # Errors
    /// With all that went wrong.
    pub fn clean(&self) -> Result<()> {
        if self.faulty > 0 {
            bail!("{self}");
        }
        Ok(())
    }

    pub(super) fn note(&mut self, asked: &Asked<'_>, reply: &Reply) {
        self.answered += 1;
        self.slowest = self.slowest.max(reply.took);
        let answer = reply.summary();
        let key = (asked.server, asked.question.to_string());
        let runs = self.runs.entry(key).or_default();
        if let Some(former) = overtaken(runs, asked, &answer) {
            former.last = former.last.max(asked.sent);
            former.count += 1;
            return;
        }
        match runs.last_mut() {
            Some(run) if run.answer == answer => {
                run.last = asked.sent;
                run.count += 1;
            }
            _ => runs.push(Run {
                answer,
                first: asked.sent,
                last: asked.sent,
                count: 1,
            }),
        }
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        self.faulty += 1;
        if self.faults.len() < KEPT {
            self.faults.push(fault);
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.faulty += other.faulty;
        self.faults.extend(other.faults);
        self.slowest = self.slowest.max(other.slowest);
        self.runs.extend(other.runs);
    }
}

/// The run that an answer belongs to whose question is older than the latest
/// run: the answer to a later question has overtaken it on its way.
fn overtaken<'r>(runs: &'r mut [Run], asked: &Asked<'_>, answer: &str) -> Option<&'r mut Run> {
    let [.., former, latest] = runs else {
        return None;
    };
    let is_late = latest.answer != answer && former.answer == answer && asked.sent < latest.first;
    is_late.then_some(former)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sent, {} answered, {} faulty, slowest {:?}",
            self.sent, self.answered, self.faulty, self.slowest
        )?;
        let first = self.faults.iter().map(|fault| fault.sent).min();
        for fault in &self.faults {
            let since = first.map_or(Duration::ZERO, |first| fault.sent - first);
            let Fault {
                server,
                question,
                what,
                ..
            } = fault;
            write!(f, "\n  +{since:.3?} {server} {question}: {what}")?;
        }
        Ok(())
    }
}

//! Whose turn it is.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::task::{self, AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key;
use watershed_health::{Check, Outcome, Target};

use crate::prober::{Assignment, Result as ProbeResult};
use crate::schedule::Turns;

/// How much is done at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Probes under way, at most.
    pub(crate) concurrency: usize,
    /// Probes begun in a second on the node's own account, at most.
    pub(crate) unassigned_per_second: u32,
}

/// Has targets probed when it is their turn: one task, and one more for each
/// probe under way.
pub(crate) struct Rota<C, P> {
    limits: Limits,
    /// Time since the Unix epoch.
    clock: C,
    probe: P,
    results: mpsc::Sender<ProbeResult>,
    targets: HashMap<Arc<Target>, Entry>,
    /// Each target's next turn.
    turns: DelayQueue<Arc<Target>>,
    /// Those whose turn has come.
    ready: VecDeque<Place>,
    /// The same on the node's own account, which are let through one by one.
    slow: VecDeque<Place>,
    /// When the next of them may go.
    gate: Instant,
    running: JoinSet<ProbeResult>,
    probed: HashMap<task::Id, Place>,
    entries: u64,
}

/// A target that is probed.
struct Entry {
    assignment: Assignment,
    turns: Turns,
    key: Key,
    /// Tells it from the same target with another check.
    id: u64,
    state: State,
}

enum State {
    Idle,
    /// Its turn has come, and others are before it.
    Waiting,
    Running(AbortHandle),
}

/// A target's place in a queue, which is void when the entry is gone.
struct Place {
    target: Arc<Target>,
    id: u64,
}

impl<C, P> Rota<C, P>
where
    C: Fn() -> Duration,
    P: Fn(Arc<Target>, Arc<Check>) -> BoxFuture<'static, ProbeResult>,
{
    pub(crate) fn new(
        limits: Limits,
        clock: C,
        probe: P,
        results: mpsc::Sender<ProbeResult>,
    ) -> Self {
        Self {
            limits,
            clock,
            probe,
            results,
            targets: HashMap::new(),
            turns: DelayQueue::new(),
            ready: VecDeque::new(),
            slow: VecDeque::new(),
            gate: Instant::now(),
            running: JoinSet::new(),
            probed: HashMap::new(),
            entries: 0,
        }
    }

    /// Goes on until nobody assigns any more or takes results.
    pub(crate) async fn run(mut self, mut news: watch::Receiver<Vec<Assignment>>) {
        loop {
            self.begin_probes();
            let gated = !self.slow.is_empty() && self.limits.unassigned_per_second > 0;
            tokio::select! {
                changed = news.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let assignments = news.borrow_and_update().clone();
                    self.assign(assignments);
                }
                Some(due) = self.turns.next() => self.take_turn(&due.into_inner()),
                Some(done) = self.running.join_next_with_id() => {
                    if self.end_probe(done).await.is_break() {
                        return;
                    }
                }
                () = sleep_until(self.gate), if gated => self.open_gate(),
            }
        }
    }

    fn assign(&mut self, assignments: Vec<Assignment>) {
        let mut new: HashMap<_, _> = assignments
            .into_iter()
            .filter(|assignment| assignment.check.is_probed())
            .map(|assignment| (assignment.target.clone(), assignment))
            .collect();
        let gone: Vec<_> = self
            .targets
            .iter()
            .filter(|(target, entry)| !new.get(&***target).is_some_and(|new| entry.is_of(new)))
            .map(|(target, _)| Arc::clone(target))
            .collect();
        for target in gone {
            self.remove(&target);
        }
        for (target, entry) in &mut self.targets {
            if let Some(assignment) = new.remove(&**target) {
                let turns = turns(&assignment);
                if turns != entry.turns || assignment.own_account != entry.assignment.own_account {
                    entry.turns = turns;
                    self.turns.try_remove(&entry.key);
                    if matches!(entry.state, State::Waiting) {
                        // Its place may be in the wrong queue.
                        self.entries += 1;
                        entry.id = self.entries;
                        entry.state = State::Idle;
                    }
                    let now = (self.clock)();
                    let wait = turns.first(now).saturating_sub(now) + jitter(&turns);
                    entry.key = self.turns.insert(Arc::clone(target), wait);
                }
                entry.assignment = assignment;
            }
        }
        for assignment in new.into_values() {
            self.add(assignment);
        }
    }

    fn add(&mut self, assignment: Assignment) {
        let target = Arc::new(assignment.target.clone());
        let turns = turns(&assignment);
        let now = (self.clock)();
        let wait = turns.first(now).saturating_sub(now) + jitter(&turns);
        self.entries += 1;
        let entry = Entry {
            turns,
            key: self.turns.insert(Arc::clone(&target), wait),
            id: self.entries,
            state: State::Idle,
            assignment,
        };
        self.targets.insert(target, entry);
    }

    fn remove(&mut self, target: &Arc<Target>) {
        if let Some(entry) = self.targets.remove(target) {
            self.turns.try_remove(&entry.key);
            if let State::Running(probe) = entry.state {
                probe.abort();
            }
        }
    }

    /// A target's turn has come. One that still is probed waits for its next
    /// turn; one that still waits to be probed keeps its place.
    fn take_turn(&mut self, target: &Arc<Target>) {
        let Some(entry) = self.targets.get_mut(target) else {
            return;
        };
        let now = (self.clock)();
        let wait = entry.turns.next(now).saturating_sub(now) + jitter(&entry.turns);
        entry.key = self.turns.insert(Arc::clone(target), wait);
        let own_account = entry.assignment.own_account;
        match entry.state {
            State::Idle => {
                entry.state = State::Waiting;
                let place = Place {
                    target: Arc::clone(target),
                    id: entry.id,
                };
                let queue = if own_account {
                    &mut self.slow
                } else {
                    &mut self.ready
                };
                queue.push_back(place);
            }
            State::Waiting if !own_account => self.report_overload(target),
            State::Waiting | State::Running(_) => {}
        }
    }

    /// A turn passed without a probe. It is not worth waiting for somebody to
    /// take note.
    fn report_overload(&self, target: &Target) {
        let limit = self.limits.concurrency;
        let message = format!("not probed in time: {limit} probes were under way");
        let _ = self.results.try_send(ProbeResult {
            target: target.clone(),
            outcome: Outcome::Nothing(message),
            kind: "overload",
            took: Duration::ZERO,
            certificate_expires: None,
        });
    }

    fn open_gate(&mut self) {
        self.ready.extend(self.slow.pop_front());
        let pause = Duration::from_secs(1) / self.limits.unassigned_per_second.max(1);
        self.gate = Instant::now() + pause;
    }

    /// Begins as many probes as may be under way.
    fn begin_probes(&mut self) {
        while self.running.len() < self.limits.concurrency.max(1) {
            let Some(place) = self.ready.pop_front() else {
                return;
            };
            let Some(entry) = self.targets.get_mut(&place.target) else {
                continue;
            };
            if entry.id != place.id || !matches!(entry.state, State::Waiting) {
                continue;
            }
            let check = Arc::clone(&entry.assignment.check);
            let probe = (self.probe)(Arc::clone(&place.target), check);
            let handle = self.running.spawn(probe);
            self.probed.insert(handle.id(), place);
            entry.state = State::Running(handle);
        }
    }

    /// Passes on the result of a probe, unless it is of a target that is no
    /// longer assigned, or of its former check.
    async fn end_probe(
        &mut self,
        done: std::result::Result<(task::Id, ProbeResult), JoinError>,
    ) -> ControlFlow<()> {
        let (id, result) = match done {
            Ok((id, result)) => (id, Some(result)),
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(%error, "a probe broke off");
                }
                (error.id(), None)
            }
        };
        let Some(place) = self.probed.remove(&id) else {
            return ControlFlow::Continue(());
        };
        let Some(entry) = self.targets.get_mut(&place.target) else {
            return ControlFlow::Continue(());
        };
        if entry.id != place.id {
            return ControlFlow::Continue(());
        }
        entry.state = State::Idle;
        let Some(result) = result else {
            return ControlFlow::Continue(());
        };
        match self.results.send(result).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

impl Entry {
    /// Whether results of this entry are results of the assignment.
    fn is_of(&self, assignment: &Assignment) -> bool {
        self.assignment.check.probes_alike(&assignment.check)
    }
}

fn turns(assignment: &Assignment) -> Turns {
    let factor = if assignment.own_account { 3 } else { 1 };
    let interval = assignment.check.interval.saturating_mul(factor);
    Turns::new(&assignment.target, interval, assignment.rank, assignment.of)
}

fn jitter(turns: &Turns) -> Duration {
    turns.jitter().mul_f64(rand::random::<f64>())
}

#[cfg(test)]
mod tests;

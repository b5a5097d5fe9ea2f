//! Writes under way: started within the budget, and taken up when they end.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinError;

use super::controller::Controller;
use crate::apply::Outcome;
use crate::object::{ObjectId, ObjectKind};
use crate::plan::{Notice, Write};

/// Events that are under way at once; more are left out.
const EVENTS_AT_ONCE: usize = 8;

/// A status of something that nodes are about to report on waits so long, that
/// one write tells all.
const FOR_NODES: Duration = Duration::from_millis(150);

/// Numbers that change often are written so often.
const FOR_NUMBERS: Duration = Duration::from_secs(1);

/// A write that has ended.
pub(super) type Written = (Write, Outcome);

impl Controller {
    /// Puts a write into the queue.
    pub(super) fn ask(&mut self, write: Write, awaiting: &BTreeSet<ObjectId>, now: Instant) {
        let wait = match &write {
            Write::Status(status) => {
                self.world
                    .pending
                    .ask_status(status.id.clone(), status.status.clone());
                if status.is_minor || status.id.kind == ObjectKind::DNSFleet {
                    FOR_NUMBERS
                } else if awaiting.contains(&status.id) {
                    FOR_NODES
                } else {
                    Duration::ZERO
                }
            }
            Write::Configuration(configuration) => {
                self.world.pending.ask_configuration(configuration.clone());
                Duration::ZERO
            }
            Write::Deletion(_) => Duration::ZERO,
        };
        self.queue.put(write, now + wait);
    }

    /// Starts what may be started.
    pub(super) fn start_writes(&mut self, now: Instant) {
        while self.queue.has_next(now)
            && self.budget.take(now)
            && let Some(write) = self.queue.next(now)
        {
            let writer = self.writer.clone();
            self.writes.spawn(async move {
                // A write that panics must give its place back, too.
                let writing = AssertUnwindSafe(writer.write(&write)).catch_unwind();
                let panicked = |_| Outcome::Failed("the write panicked".to_owned());
                let outcome = writing.await.unwrap_or_else(panicked);
                (write, outcome)
            });
        }
        self.metrics.waiting(self.queue.len());
    }

    /// How long until another write may start; `None` when none waits, or when
    /// one must end first.
    pub(super) fn next_write(&self, now: Instant) -> Option<Duration> {
        let next = self.queue.next_time(now)?;
        let wait = next.saturating_duration_since(now);
        Some(if wait.is_zero() {
            self.budget.wait()
        } else {
            wait
        })
    }

    /// Waits for a write to end, and takes up what became of it.
    pub(super) async fn written(&mut self) {
        while self.announcements.try_join_next().is_some() {}
        match self.writes.join_next().await {
            Some(ended) => self.ended(ended),
            None => std::future::pending().await,
        }
    }

    /// Takes up what became of all writes that have ended.
    pub(super) fn take_written(&mut self) {
        while let Some(ended) = self.writes.try_join_next() {
            self.ended(ended);
        }
    }

    fn ended(&mut self, ended: Result<Written, JoinError>) {
        match ended {
            Ok((write, outcome)) => self.finish(write, outcome),
            Err(error) => tracing::error!(%error, "a write was broken off"),
        }
    }

    fn finish(&mut self, write: Write, outcome: Outcome) {
        self.metrics.wrote(&write, &outcome);
        let subject = (write.id().clone(), write.part());
        self.queue.finish(&subject);
        match outcome {
            Outcome::Done(version) => {
                self.failures.remove(&subject);
                self.done(write, version);
                return;
            }
            Outcome::Withheld => {}
            Outcome::Gone => self.again(write.id(), SignedDuration::from_secs(1)),
            Outcome::Refused(ref why) => {
                tracing::warn!(object = %write.id(), part = %write.part(), why, "refused by the API server");
                let pause = self.failed(subject, SignedDuration::from_secs(5));
                self.again(write.id(), pause);
            }
            Outcome::Failed(ref why) => {
                tracing::debug!(object = %write.id(), part = %write.part(), why, "a write failed");
                let pause = self.failed(subject, SignedDuration::from_millis(250));
                self.again(write.id(), pause);
            }
        }
        self.given_up(write, outcome);
    }

    fn done(&mut self, write: Write, version: u64) {
        match write {
            Write::Status(write) => {
                self.world
                    .pending
                    .status_written(&write.id, &write.status, version);
                if let Some(facts) = self.world.objects.get_mut(&write.id)
                    && facts.uid == write.uid
                {
                    facts.status = write.status;
                }
                for notice in write.notices {
                    self.announce(&write.id, &write.uid, notice);
                }
            }
            Write::Configuration(write) => {
                let known = self.world.objects.get(&write.id).map(|facts| facts.version);
                self.world
                    .pending
                    .configuration_written(&write, version, known);
                tracing::debug!(object = %write.id, in_use = write.in_use, "wrote a configuration");
                if let Some((id, uid, notice)) = write.notice {
                    tracing::info!(object = %write.id, note = notice.note, "{}", notice.reason);
                    self.announce(&id, &uid, notice);
                }
            }
            Write::Deletion(write) => {
                tracing::info!(object = %write.id, "removed a version that nothing uses");
            }
        }
    }

    /// A write will not be: it may be planned anew.
    fn given_up(&mut self, write: Write, outcome: Outcome) {
        match write {
            Write::Status(write) => self.world.pending.end_status(&write.id, &write.status),
            Write::Configuration(write) => {
                let refusal = match outcome {
                    Outcome::Refused(why) if write.uid.is_none() => Some((why, Timestamp::now())),
                    _ => None,
                };
                self.world.pending.end_configuration(&write, refusal);
                if let Some((policy, ..)) = write.notice.filter(|_| write.uid.is_none()) {
                    self.again(&policy, SignedDuration::from_millis(250));
                }
            }
            Write::Deletion(_) => {}
        }
    }

    /// How long to wait before another attempt.
    fn failed(&mut self, subject: crate::apply::Subject, first: SignedDuration) -> SignedDuration {
        let count = self.failures.entry(subject).or_default();
        let pause = first.saturating_mul(1 << (*count).min(6));
        *count += 1;
        pause
    }

    fn again(&mut self, id: &ObjectId, pause: SignedDuration) {
        let time = Timestamp::now()
            .saturating_add(pause)
            .unwrap_or(Timestamp::MAX);
        self.wakeups.no_later_than(id, time);
    }

    /// Tells people, unless there is too much to tell already.
    pub(super) fn announce(&mut self, id: &ObjectId, uid: &str, notice: Notice) {
        while self.announcements.try_join_next().is_some() {}
        if self.announcements.len() >= EVENTS_AT_ONCE {
            self.metrics.announced("left out");
            return;
        }
        let (announcer, metrics) = (self.announcer.clone(), self.metrics.clone());
        let (id, uid) = (id.clone(), uid.to_owned());
        self.announcements.spawn(async move {
            let outcome = announcer.announce(&id, &uid, &notice).await;
            if let Err(error) = &outcome {
                tracing::debug!(object = %id, %error, "cannot make an event");
            }
            metrics.announced(if outcome.is_ok() { "made" } else { "failed" });
            outcome.is_ok()
        });
    }
}

//! Decides what one replica does in an election. Pure: it is told the time and
//! what came of requests, and says what to do next.
//!
//! Two clocks take part. Deadlines go by the monotonic one of this machine.
//! The other one only writes times into the Lease, for people and to tell one
//! claim from another; it may jump as it likes. Whether somebody else's claim
//! has expired is judged by how long this replica has seen it unchanged.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use watershed_snapshot::Term;

use super::lease::{Claim, Found, Lease};
use super::store::Failure;
use super::{LeaderConfig, Role};

/// What a released Lease says of its duration. Nobody waits for it, but the
/// API wants a number above 0.
const RELEASED: Duration = Duration::from_secs(1);

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read the lease and tell what came of it, within this time.
    Read(Duration),
    /// Write the lease and tell what came of it.
    Write(Write),
    /// Ask again at this time, or when something else has been told.
    Wait(Instant),
    /// There is nothing more to do.
    Done,
}

/// A write of the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// What for.
    pub purpose: Purpose,
    /// What to write.
    pub lease: Lease,
    /// In the place of which version; `None`: there is no lease yet.
    pub version: Option<String>,
    /// How long it may take.
    pub within: Duration,
}

/// What the lease is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To lead.
    Acquire,
    /// To go on leading.
    Renew,
    /// To let others lead.
    Release,
}

/// Why a replica no longer leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// It could not write the lease in time.
    #[error("the lease could not be renewed in time")]
    Lapsed,
    /// Somebody else has the lease.
    #[error("another replica holds the lease")]
    Taken,
    /// Somebody deleted the lease.
    #[error("the lease was deleted")]
    Deleted,
    /// It was told to.
    #[error("this replica gave the lease up")]
    GivenUp,
}

/// One replica in an election.
#[derive(Clone, Debug)]
pub struct Candidate {
    config: LeaderConfig,
    course: Course,
    known: Known,
    /// What is known may be out of date: it must be read before it is written.
    stale: bool,
    /// When to read the lease, or to renew it.
    next: Instant,
    /// Conflicts in a row.
    conflicts: u32,
    /// The last try to acquire the lease. A lease with this claim is this
    /// replica's, even when the answer got lost.
    attempt: Option<Attempt>,
    /// A claim that is not gone on with: one of this replica that lapsed, or
    /// of the process before it in the same pod. Nobody goes by it any more,
    /// so nobody waits for it to expire.
    void: Option<Claim>,
    reign: Option<Reign>,
    loss: Option<Loss>,
    /// Highest number of holders that was seen; it also goes on when the lease
    /// is made anew.
    transitions: Option<u32>,
}

/// What the replica is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// It wants to lead.
    Campaign,
    /// It leaves the lease to others until then.
    Rest(Instant),
    /// It is about to end.
    Leave,
}

/// What is known of the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    /// Nothing: it has never been read.
    Nothing,
    /// There is none.
    Absent,
    /// There is this one, and it has said so since then.
    Present(Found, Instant),
}

#[derive(Clone, Debug)]
struct Attempt {
    claim: Claim,
    /// The version it was to take the place of. While the lease has this
    /// version the write may still arrive.
    base: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Reign {
    term: Term,
    until: Instant,
}

/// Whose the lease is.
enum Standing {
    /// This replica's, by a claim that it may go on with.
    Ours(Found),
    /// Nobody's.
    Free,
    /// Somebody's, until then.
    Foreign(Instant),
}

impl Candidate {
    /// A replica that knows nothing yet.
    pub fn new(config: LeaderConfig, now: Instant) -> Self {
        Self {
            config,
            course: Course::Campaign,
            known: Known::Nothing,
            stale: true,
            next: now,
            conflicts: 0,
            attempt: None,
            void: None,
            reign: None,
            loss: None,
            transitions: None,
        }
    }

    /// Until when this replica leads, if it does.
    pub fn until(&self) -> Option<Instant> {
        self.reign.map(|reign| reign.until)
    }

    /// Why its last reign ended.
    pub fn loss(&self) -> Option<Loss> {
        self.loss
    }

    /// What this replica is.
    pub fn role(&self, now: Instant) -> Role {
        if let Some(reign) = self.reign.filter(|reign| now < reign.until) {
            return Role::Leading { term: reign.term };
        }
        let leader = match (&self.known, self.standing(now)) {
            (Known::Present(found, _), Standing::Foreign(_)) => found.lease.address.clone(),
            _ => None,
        };
        Role::Following { leader }
    }

    /// What to do next. `wall` is only written down.
    pub fn next(&mut self, now: Instant, wall: Timestamp) -> Action {
        self.pass(now);
        if self.course == Course::Leave && self.attempt.is_none() {
            return Action::Done;
        }
        let due = now >= self.next;
        if self.stale {
            return if due {
                self.look(now)
            } else {
                Action::Wait(self.next)
            };
        }
        match (self.standing(now), self.course) {
            (Standing::Ours(found), Course::Campaign) if due => self.renew(found, now, wall),
            (Standing::Ours(found), Course::Rest(_) | Course::Leave) => self.release(found, wall),
            (_, Course::Leave) => Action::Done,
            (Standing::Free, Course::Campaign) => self.acquire(wall),
            _ if due => self.look(now),
            (Standing::Foreign(expiry), _) => Action::Wait(self.next.min(expiry)),
            (Standing::Ours(_) | Standing::Free, _) => Action::Wait(self.next),
        }
    }

    /// The lease was read.
    pub fn read(&mut self, now: Instant, result: Result<Option<Found>, Failure>) {
        match result {
            Ok(found) => {
                self.stale = false;
                self.next = now + self.config.period();
                self.learn(found, now);
            }
            Err(_) => self.next = now + self.config.pause(),
        }
    }

    /// A write was tried that began at `began`.
    pub fn written(
        &mut self,
        write: Write,
        began: Instant,
        now: Instant,
        result: Result<String, Failure>,
    ) {
        match result {
            Ok(version) => self.wrote(write, version, began, now),
            // Whoever wrote it, what is in it now tells what to do.
            Err(Failure::Conflict) if self.conflicts == 0 => {
                self.conflicts = 1;
                self.read_again(now);
            }
            Err(_) => self.read_again(now + self.config.pause()),
        }
    }

    /// Stops to lead. The lease is left to others for a while.
    pub fn resign(&mut self, now: Instant) {
        if self.reign.is_some() && self.course == Course::Campaign {
            self.course = Course::Rest(now + self.config.rest());
            self.next = now;
            self.step_down(Loss::GivenUp);
        }
    }

    /// Stops to lead, and to take part.
    pub fn stop(&mut self, now: Instant) {
        self.course = Course::Leave;
        self.next = now;
        self.step_down(Loss::GivenUp);
    }

    /// Time has passed.
    fn pass(&mut self, now: Instant) {
        if self.reign.is_some_and(|reign| now >= reign.until) {
            self.step_down(Loss::Lapsed);
            self.abandon();
        }
        if matches!(self.course, Course::Rest(until) if now >= until) {
            self.course = Course::Campaign;
            // What could not be released is taken again, in another term.
            self.abandon();
        }
    }

    fn standing(&self, now: Instant) -> Standing {
        let Known::Present(found, since) = &self.known else {
            return Standing::Free;
        };
        let claim = found.lease.claim();
        if claim.is_none() || claim == self.void {
            return Standing::Free;
        }
        if claim == self.attempt.as_ref().map(|attempt| attempt.claim.clone()) {
            return Standing::Ours(found.clone());
        }
        let duration = match found.lease.duration {
            Duration::ZERO => self.config.duration,
            duration => duration,
        };
        match since.checked_add(duration) {
            Some(expiry) if now >= expiry => Standing::Free,
            Some(expiry) => Standing::Foreign(expiry),
            None => Standing::Foreign(now + self.config.duration),
        }
    }

    /// What the lease says now.
    fn learn(&mut self, found: Option<Found>, now: Instant) {
        let first = self.known == Known::Nothing;
        let version = found.as_ref().map(|found| found.version.clone());
        let claim = found.as_ref().and_then(|found| found.lease.claim());
        if let Some(found) = found {
            self.transitions = self.transitions.max(Some(found.lease.transitions));
            if first && found.lease.holder == self.config.identity {
                self.void.clone_from(&claim);
            }
            let since = match &self.known {
                Known::Present(known, since) if known.lease == found.lease => *since,
                _ => now,
            };
            self.known = Known::Present(found, since);
        } else {
            self.known = Known::Absent;
        }
        let landed = |attempt: &Attempt| claim.as_ref() == Some(&attempt.claim);
        if self.attempt.as_ref().is_some_and(landed) {
            // It is this replica's, but for how long is not known.
            self.next = now;
            return;
        }
        let loss = match version {
            Some(_) => Loss::Taken,
            None => Loss::Deleted,
        };
        self.step_down(loss);
        self.attempt = self
            .attempt
            .take()
            .filter(|attempt| attempt.base == version);
    }

    fn wrote(&mut self, write: Write, version: String, began: Instant, now: Instant) {
        let term = Term(u64::from(write.lease.transitions) + 1);
        self.transitions = self.transitions.max(Some(write.lease.transitions));
        let found = Found {
            lease: write.lease,
            version,
        };
        self.known = Known::Present(found, now);
        self.stale = false;
        self.conflicts = 0;
        self.next = began + self.config.period();
        match write.purpose {
            Purpose::Release => self.attempt = None,
            Purpose::Acquire | Purpose::Renew if self.course == Course::Campaign => {
                // Others count from a time when they saw it, which is later.
                let until = began + self.config.deadline();
                self.reign = Some(Reign { term, until });
            }
            Purpose::Acquire | Purpose::Renew => {}
        }
    }

    fn read_again(&mut self, at: Instant) {
        self.stale = true;
        self.next = at;
    }

    fn step_down(&mut self, loss: Loss) {
        if self.reign.take().is_some() {
            self.loss = Some(loss);
        }
    }

    fn abandon(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            self.void = Some(attempt.claim);
        }
    }

    /// How long a request may take that begins now.
    fn within(&self, now: Instant) -> Duration {
        let patience = self.config.patience();
        self.until().map_or(patience, |until| {
            patience.min(until.saturating_duration_since(now))
        })
    }

    fn look(&self, now: Instant) -> Action {
        Action::Read(self.within(now))
    }

    fn acquire(&mut self, wall: Timestamp) -> Action {
        let version = match &self.known {
            Known::Present(found, _) => Some(found.version.clone()),
            Known::Nothing | Known::Absent => None,
        };
        let wall = micro(wall);
        let mut lease = Lease {
            holder: self.config.identity.clone(),
            address: Some(self.config.address.clone()),
            duration: self.config.duration,
            transitions: self.transitions.map_or(0, successor),
            acquired: Some(wall),
            renewed: Some(wall),
        };
        // The same try again is the same claim, for the first write may still
        // arrive.
        let again = self.attempt.as_ref();
        if let Some(attempt) = again.filter(|attempt| attempt.base == version) {
            lease.acquired = attempt.claim.acquired();
        }
        self.attempt = lease.claim().map(|claim| Attempt {
            claim,
            base: version.clone(),
        });
        let within = self.config.patience();
        write(Purpose::Acquire, lease, version, within)
    }

    fn renew(&self, found: Found, now: Instant, wall: Timestamp) -> Action {
        let lease = Lease {
            address: Some(self.config.address.clone()),
            duration: self.config.duration,
            renewed: Some(micro(wall)),
            ..found.lease
        };
        write(Purpose::Renew, lease, Some(found.version), self.within(now))
    }

    fn release(&self, found: Found, wall: Timestamp) -> Action {
        let lease = Lease {
            holder: String::new(),
            address: None,
            duration: RELEASED,
            renewed: Some(micro(wall)),
            ..found.lease
        };
        let within = self.config.patience();
        write(Purpose::Release, lease, Some(found.version), within)
    }
}

fn write(purpose: Purpose, lease: Lease, version: Option<String>, within: Duration) -> Action {
    Action::Write(Write {
        purpose,
        lease,
        version,
        within,
    })
}

/// The API has a signed number. At its end terms stay as they are; the time of
/// the claim still tells claims apart.
fn successor(transitions: u32) -> u32 {
    (transitions + 1).min(i32::MAX.unsigned_abs())
}

/// A Lease has microseconds, and what is written must read back the same.
fn micro(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

#[cfg(test)]
#[path = "candidate_tests.rs"]
mod tests;

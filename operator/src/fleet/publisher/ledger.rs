//! The generation record, as its leader knows it, and what it claims next.

use std::time::Instant;

use watershed_snapshot::{Digest, Held, SnapshotId, Term};

use crate::fleet::config::Config;
use crate::generation::{ClaimError, Record, StoreError};

/// What is recorded, and what is being claimed.
#[derive(Debug)]
pub(super) struct Ledger {
    /// The record, as last read or written. `None`: there is none.
    pub(super) record: Option<Record>,
    /// The term to lead with.
    pub(super) term: Term,
    /// Whether the record, if there is one, names this term.
    fenced: bool,
    /// Ids up to this one have been given to some content elsewhere: by a
    /// leader whose record was lost.
    taken: Option<SnapshotId>,
    state: State,
    attempts: u32,
    retry_at: Option<Instant>,
    /// Why the last step failed.
    pub(super) problem: Option<String>,
    /// Least epoch to begin with.
    unix_seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Reading,
    Claiming(Record),
}

/// How a claim ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is recorded.
    Recorded(Record),
    /// Something was recorded meanwhile, or nothing was: decide again.
    Again,
    /// A later leader has recorded something.
    Deposed(String),
}

impl Ledger {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            record: None,
            term: config.term,
            fenced: false,
            taken: None,
            state: State::Idle,
            attempts: 0,
            retry_at: None,
            problem: None,
            unix_seconds: config.unix_seconds,
        }
    }

    /// Whether a step may begin now.
    pub(super) fn is_free(&self, now: Instant) -> bool {
        self.state == State::Idle && self.retry_at.is_none_or(|at| at <= now)
    }

    pub(super) fn begin_reading(&mut self) {
        self.state = State::Reading;
    }

    /// Begins to claim `next`.
    pub(super) fn begin_claim(&mut self, next: Record) {
        self.state = State::Claiming(next);
    }

    /// Takes what was read; true when it could be.
    pub(super) fn end_reading(
        &mut self,
        now: Instant,
        config: &Config,
        read: Result<Option<Record>, StoreError>,
    ) -> bool {
        self.state = State::Idle;
        match read {
            Ok(record) => {
                self.succeed();
                self.see(record);
                true
            }
            Err(error) => {
                self.fail(now, config, &error);
                false
            }
        }
    }

    /// Takes the end of a claim; `None` when none was made.
    pub(super) fn end_claim(
        &mut self,
        now: Instant,
        config: &Config,
        result: Result<(), ClaimError>,
    ) -> Option<Outcome> {
        let State::Claiming(next) = std::mem::replace(&mut self.state, State::Idle) else {
            return None;
        };
        Some(match result {
            Ok(()) => self.recorded(next),
            // The claim was made, and only the answer to it was lost.
            Err(ClaimError::Lost(Some(found))) if found == next => self.recorded(next),
            Err(ClaimError::Lost(Some(found))) if found.term > self.term => {
                Outcome::Deposed(self.deposed_by(&found))
            }
            Err(ClaimError::Lost(found)) => {
                self.succeed();
                self.see(found);
                Outcome::Again
            }
            Err(ClaimError::Store(error)) => {
                self.fail(now, config, &error);
                Outcome::Again
            }
        })
    }

    fn deposed_by(&self, found: &Record) -> String {
        let own = self.term.0;
        format!("the record says {found}; this leader has term {own}")
    }

    /// Says who leads instead, if the record does.
    pub(super) fn deposed(&self) -> Option<String> {
        let record = self.record.as_ref()?;
        (self.fenced && record.term > self.term).then(|| self.deposed_by(record))
    }

    fn recorded(&mut self, next: Record) -> Outcome {
        self.succeed();
        self.term = next.term;
        self.fenced = true;
        self.record = Some(next.clone());
        Outcome::Recorded(next)
    }

    /// Takes `found` for what is recorded. Ids of a record that has vanished
    /// or gone back are not given out again.
    fn see(&mut self, found: Option<Record>) {
        if let Some(former) = self.record.take() {
            let found = found.as_ref().map(|record| record.held.id);
            if found < Some(former.held.id) {
                self.take(former.held.id);
            }
        }
        if let (false, Some(record)) = (self.fenced, &found) {
            self.term = self.term.max(Term(record.term.0.saturating_add(1)));
        }
        self.record = found;
    }

    fn succeed(&mut self) {
        self.attempts = 0;
        self.retry_at = None;
        self.problem = None;
    }

    fn fail(&mut self, now: Instant, config: &Config, error: &StoreError) {
        self.retry_at = Some(now + config.pause(self.attempts));
        self.attempts = self.attempts.saturating_add(1);
        self.problem = Some(error.to_string());
    }

    /// The id is taken, and all below it.
    pub(super) fn take(&mut self, id: SnapshotId) {
        self.taken = self.taken.max(Some(id));
    }

    /// Takes note of what a node holds: ahead of the record, or beside it.
    pub(super) fn note(&mut self, held: &Held) {
        let beside = match &self.record {
            Some(record) => {
                held.id > record.held.id
                    || (held.id == record.held.id && held.digest != record.held.digest)
            }
            None => true,
        };
        if beside {
            self.take(held.id);
        }
    }

    /// The record to claim for `digest`; `None` when it is recorded already.
    pub(super) fn next(&self, digest: Digest) -> Option<Record> {
        let id = next_id(self.record.as_ref(), self.taken, digest, self.unix_seconds)?;
        Some(Record {
            held: Held { id, digest },
            term: self.term,
        })
    }

    /// The record that keeps out former leaders, and the leader of a term that
    /// only nodes remember: the same generation, in a term that is this
    /// leader's alone and at least `least`. `None` when it is written already.
    pub(super) fn fence(&self, least: Term) -> Option<Record> {
        let record = self.record.as_ref()?;
        let term = self.term.max(least);
        (record.term < term || !self.fenced).then_some(Record {
            held: record.held,
            term,
        })
    }

    /// Leads with `term` where there is no record that could be fenced.
    pub(super) fn raise(&mut self, term: Term) {
        self.term = self.term.max(term);
    }
}

/// The id under which content of this digest is to be published; `None` when
/// the record has it already and nobody contradicts.
///
/// A generation follows the recorded one. When nodes hold later ones, the
/// record was lost or set back: the next one is later than all of them, in a
/// new epoch when theirs is another.
fn next_id(
    record: Option<&Record>,
    taken: Option<SnapshotId>,
    digest: Digest,
    unix_seconds: u64,
) -> Option<SnapshotId> {
    let Some(Record { held, .. }) = record else {
        let told = taken.map_or(0, |id| id.epoch.saturating_add(1));
        return Some(SnapshotId {
            epoch: unix_seconds.max(told),
            generation: 1,
        });
    };
    let contradicted = taken.filter(|taken| *taken >= held.id);
    if contradicted.is_none() && held.digest == digest {
        return None;
    }
    let last = contradicted.unwrap_or(held.id);
    if last.epoch > held.id.epoch {
        return Some(SnapshotId {
            epoch: unix_seconds.max(last.epoch.saturating_add(1)),
            generation: 1,
        });
    }
    Some(SnapshotId {
        epoch: last.epoch,
        generation: last.generation.saturating_add(1),
    })
}

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
    /// When the publisher began, by two clocks.
    began: (Instant, u64),
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
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        Self {
            record: None,
            term: config.term,
            fenced: false,
            taken: None,
            state: State::Idle,
            attempts: 0,
            retry_at: None,
            problem: None,
            began: (now, config.unix_seconds),
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

    /// The record to claim for `digest`; `None` when it is recorded already,
    /// and while there is no record, which is to be fenced first.
    pub(super) fn next(&self, now: Instant, digest: Digest) -> Option<Record> {
        let record = self.record.as_ref()?;
        let id = next_id(&record.held, self.taken, digest, self.unix_seconds(now))?;
        Some(Record {
            held: Held { id, digest },
            term: self.term,
        })
    }

    /// Whether `held` is what is recorded, and nobody contradicts.
    pub(super) fn stands(&self, held: &Held) -> bool {
        let recorded = self.record.as_ref().map(|record| &record.held);
        recorded == Some(held) && self.taken.is_none_or(|taken| taken < held.id)
    }

    /// The record that keeps out former leaders, and the leader of a term that
    /// only nodes remember: the same generation, in a term that is this
    /// leader's alone and at least `least`. `None` when it is written already.
    ///
    /// Where there is no record, a blank one is written. Claims replace what
    /// they expect, so that one which was overtaken by the loss of the record
    /// can do nothing any more, and gives no number a second time.
    pub(super) fn fence(&self, now: Instant, least: Term) -> Option<Record> {
        let term = self.term.max(least);
        let Some(record) = &self.record else {
            let held = blank(epoch_after(self.taken, self.unix_seconds(now)));
            return Some(Record { held, term });
        };
        (record.term < term || !self.fenced).then_some(Record {
            held: record.held,
            term,
        })
    }

    /// Whether something was published before, as far as the record knows.
    pub(super) fn has_history(&self) -> bool {
        let recorded = self.record.as_ref().map(|record| record.held.id.generation);
        recorded.is_some_and(|generation| generation > 0)
    }

    fn unix_seconds(&self, now: Instant) -> u64 {
        let (began, unix_seconds) = self.began;
        unix_seconds + now.saturating_duration_since(began).as_secs()
    }
}

/// What is recorded before the first generation of an epoch: no content at
/// all, not even an empty one.
fn blank(epoch: u64) -> Held {
    Held {
        id: SnapshotId {
            epoch,
            generation: 0,
        },
        digest: Digest::of(&[]),
    }
}

/// An epoch later than that of `taken`, and than all that began in former
/// seconds.
fn epoch_after(taken: Option<SnapshotId>, unix_seconds: u64) -> u64 {
    let told = taken.map_or(0, |id| id.epoch.saturating_add(1));
    unix_seconds.max(told)
}

/// The id under which content of this digest is to be published; `None` when
/// it is `recorded` already and nobody contradicts.
///
/// A generation follows the recorded one. When nodes hold later ones, the
/// record was lost or set back: the next one is later than all of them, in a
/// new epoch when theirs is another.
fn next_id(
    recorded: &Held,
    taken: Option<SnapshotId>,
    digest: Digest,
    unix_seconds: u64,
) -> Option<SnapshotId> {
    let Held { id, .. } = *recorded;
    let contradicted = taken.filter(|taken| *taken >= id);
    if contradicted.is_none() && recorded.digest == digest {
        return None;
    }
    let last = contradicted.unwrap_or(id);
    if last.epoch > id.epoch || id.generation == 0 {
        return Some(SnapshotId {
            epoch: epoch_after(taken, unix_seconds).max(id.epoch),
            generation: 1,
        });
    }
    Some(SnapshotId {
        epoch: last.epoch,
        generation: last.generation.saturating_add(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(epoch: u64, generation: u64) -> SnapshotId {
        SnapshotId { epoch, generation }
    }

    fn held(epoch: u64, generation: u64, content: u8) -> Held {
        Held {
            id: id(epoch, generation),
            digest: Digest::of(&[content]),
        }
    }

    fn next(recorded: Held, taken: Option<SnapshotId>, content: u8) -> Option<SnapshotId> {
        next_id(&recorded, taken, Digest::of(&[content]), 1000)
    }

    #[test]
    fn a_generation_grows_only_with_the_content() {
        let recorded = held(3, 7, 0);
        assert_eq!(next(recorded, None, 0), None);
        assert_eq!(next(recorded, None, 1), Some(id(3, 8)));
        assert_eq!(next(recorded, Some(id(3, 6)), 0), None);
    }

    #[test]
    fn what_nodes_hold_beyond_the_record_is_exceeded() {
        let recorded = held(3, 7, 0);
        assert_eq!(next(recorded, Some(id(3, 9)), 0), Some(id(3, 10)));
        assert_eq!(
            next(recorded, Some(id(3, 7)), 0),
            Some(id(3, 8)),
            "a node has another content under the recorded id"
        );
        assert_eq!(next(recorded, Some(id(5, 2)), 0), Some(id(1000, 1)));
        assert_eq!(next(recorded, Some(id(1000, 2)), 0), Some(id(1001, 1)));
    }

    fn ledger() -> (Ledger, Instant) {
        let now = Instant::now();
        let config = Config {
            unix_seconds: 1000,
            ..Config::default()
        };
        (Ledger::new(&config, now), now)
    }

    #[test]
    fn a_lost_record_begins_an_epoch_later_than_any_known() {
        for (taken, epoch) in [
            (None, 1000),
            (Some(id(999, 50)), 1000),
            (Some(id(2000, 50)), 2001),
        ] {
            let (mut ledger, now) = ledger();
            ledger.taken = taken;
            assert_eq!(ledger.next(now, Digest::of(&[1])), None, "blank first");
            let fence = ledger.fence(now, Term(1)).expect("a blank record");
            assert_eq!(fence.held, blank(epoch));
            ledger.begin_claim(fence);
            ledger.end_claim(now, &Config::default(), Ok(()));
            let next = ledger.next(now, Digest::of(&[1])).expect("a generation");
            assert_eq!(next.held.id, id(epoch, 1));
        }
    }

    #[test]
    fn an_epoch_is_of_the_second_in_which_its_blank_record_is_known() {
        let (mut ledger, now) = ledger();
        let fence = ledger.fence(now, Term(1)).expect("a blank record");
        ledger.begin_claim(fence);
        let later = now + std::time::Duration::from_secs(30);
        ledger.end_claim(later, &Config::default(), Ok(()));
        let next = ledger.next(later, Digest::of(&[1])).expect("a generation");
        assert_eq!(next.held.id, id(1030, 1));
    }
}

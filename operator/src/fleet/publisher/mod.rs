//! The publisher of one fleet: a state machine that is told what happened and
//! says what to do. It reads no clock and sends nothing itself.
//!
//! One generation is on its way at a time. What is desired meanwhile waits,
//! and goes with the next one.

mod answers;
mod desired;
mod ledger;
mod node;
mod nodes;
mod offer;
mod offering;
mod prepared;
mod progress;
mod queries;
mod restore;
mod wanted;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;
use std::time::Instant;

use watershed_proto::OperatorMessage;
use watershed_snapshot::{ResourceName, Term};

use self::desired::Desired;
use self::ledger::{Ledger, Outcome};
use self::node::Node;
use self::offer::Offers;
use self::prepared::Prepared;
use self::progress::{Carried, Tally};
use self::restore::Restoring;
use crate::fleet::config::Config;
use crate::fleet::event::{Action, Content, Event};
use crate::fleet::{NodeName, StreamId};

/// The publisher of one fleet, for as long as this replica leads.
pub struct Publisher {
    config: Config,
    started: Instant,
    phase: Phase,
    ledger: Ledger,
    desired: Desired,
    wanted: BTreeSet<ResourceName>,
    offers: Offers,
    prepared: Prepared,
    nodes: BTreeMap<NodeName, Node>,
    /// How many nodes there were under the former leader; 0 once as many have
    /// come, or those that have not are stale.
    expected: usize,
    streams: HashMap<StreamId, NodeName>,
    carried: Carried,
    /// Counted when it is asked for, and forgotten when a node changes.
    tally: OnceLock<Tally>,
    /// The least term that every node accepts.
    least_term: Term,
    /// A node contradicted the record: it is to be read again.
    doubt: bool,
    changed: bool,
    actions: Vec<Action>,
}

/// Where a leader stands.
enum Phase {
    /// What is recorded is not known yet. Nodes wait.
    Reading,
    /// The record is being given the term of this leader, so that no former
    /// leader can write it any more. Nodes wait.
    Fencing,
    /// Nodes are heard for what they serve, before anything is published.
    Restoring(Restoring),
    /// Publishing.
    Leading,
    /// Somebody else leads. The end.
    Deposed,
}

impl Publisher {
    /// A publisher that begins with the next event.
    pub fn new(config: Config, now: Instant) -> Self {
        Self {
            ledger: Ledger::new(&config, now),
            desired: Desired::new(config.newest_format),
            least_term: config.term,
            config,
            started: now,
            phase: Phase::Reading,
            wanted: BTreeSet::new(),
            offers: Offers::default(),
            prepared: Prepared::default(),
            nodes: BTreeMap::new(),
            expected: 0,
            streams: HashMap::new(),
            carried: Carried::default(),
            tally: OnceLock::new(),
            doubt: false,
            changed: false,
            actions: Vec::new(),
        }
    }

    /// Takes an event that happened at `now`, and says what to do. Times must
    /// not go back.
    pub fn handle(&mut self, now: Instant, event: Event) -> Vec<Action> {
        if matches!(self.phase, Phase::Deposed) {
            return Vec::new();
        }
        self.take(now, event);
        self.advance(now);
        self.count(now);
        if std::mem::take(&mut self.changed) {
            self.actions.push(Action::Changed);
        }
        std::mem::take(&mut self.actions)
    }

    /// Silent nodes stop counting after this from now on.
    pub fn set_stale_after(&mut self, stale_after: std::time::Duration) {
        self.config.stale_after = stale_after;
    }

    /// So many nodes were live under the former leader. Those that have not come
    /// to this one count as live, serving something else, until they are stale:
    /// they may hang on a leader that hangs, and answer queries all the while.
    pub fn expect(&mut self, nodes: usize) {
        self.expected = nodes;
        self.change();
    }

    fn take(&mut self, now: Instant, event: Event) {
        match event {
            Event::Desired { changes, wanted } => self.desire(now, changes, wanted),
            Event::Read(read) => {
                if !self.ledger.end_reading(now, &self.config, read) {
                    self.change();
                }
                self.after_reading();
            }
            Event::Claimed(result) => {
                let former = self.ledger.term;
                if let Some(outcome) = self.ledger.end_claim(now, &self.config, result) {
                    self.after_claim(now, former, outcome);
                }
            }
            Event::Connected(stream, hello) => self.connect(now, stream, hello),
            Event::Message(stream, message) => self.hear(now, stream, message),
            Event::Disconnected(stream, ending) => self.disconnect(now, stream, ending),
            Event::Tick => {}
        }
    }

    /// Does whatever can be done now.
    fn advance(&mut self, now: Instant) {
        self.expire(now);
        match self.phase {
            Phase::Reading => self.read(now),
            Phase::Fencing => self.fence(now),
            Phase::Restoring(_) => {
                self.welcome_all(now);
                self.restore(now);
            }
            Phase::Leading => {}
            Phase::Deposed => return,
        }
        if matches!(self.phase, Phase::Leading) {
            self.welcome_all(now);
            self.mind_formats();
            self.forgive();
            self.mind_offer(now);
            self.claim(now);
            self.offer_all(now);
        }
    }

    fn desire(
        &mut self,
        now: Instant,
        changes: Vec<(ResourceName, Option<Content>)>,
        wanted: BTreeSet<ResourceName>,
    ) {
        self.wanted = wanted;
        let renewed = self.desired.change(changes, &self.offers.acked);
        let current = self.offers.current.as_ref();
        for name in &renewed {
            if !self.desired.is_desired(name) {
                self.carried.removed(name);
                continue;
            }
            self.carried.arrived(name, now);
            // It may have changed and changed back before it was published.
            if let Some(offer) = current
                && self.desired.is_form_in(name, &offer.set)
            {
                self.carried.published(name, offer.held.id, now);
            }
        }
        self.restored();
        self.change();
    }

    fn read(&mut self, now: Instant) {
        if self.ledger.is_free(now) {
            self.ledger.begin_reading();
            self.actions.push(Action::Read);
        }
    }

    fn after_reading(&mut self) {
        if matches!(self.phase, Phase::Reading) && self.ledger.problem.is_none() {
            self.phase = Phase::Fencing;
        } else if let Some(why) = self.ledger.deposed() {
            self.depose(why);
        }
    }

    /// Makes sure that the record names this leader's term, which every node
    /// accepts.
    fn fence(&mut self, now: Instant) {
        if !self.ledger.is_free(now) {
            return;
        }
        if let Some(next) = self.ledger.fence(now, self.least_term) {
            self.begin_claim(next);
        } else if matches!(self.phase, Phase::Fencing) {
            self.phase = Phase::Restoring(Restoring::new(now + self.config.restore_window));
            self.advance(now);
        }
    }

    fn begin_claim(&mut self, next: crate::generation::Record) {
        self.ledger.begin_claim(next.clone());
        self.actions.push(Action::Claim {
            expected: self.ledger.record.clone(),
            next,
        });
    }

    /// A claim has ended that was made in the term `former`.
    fn after_claim(&mut self, now: Instant, former: Term, outcome: Outcome) {
        let set = self.offers.claiming.take();
        match outcome {
            Outcome::Recorded(record) => match set {
                Some(set) => self.begin_offer(now, record.held, set),
                None => self.fenced(former),
            },
            Outcome::Again => {}
            Outcome::Deposed(why) => self.depose(why),
        }
        self.change();
    }

    /// The record is this leader's. Nodes that were welcomed in a lower term
    /// begin anew.
    fn fenced(&mut self, former: Term) {
        self.least_term = self.least_term.max(self.ledger.term);
        if self.ledger.term > former {
            self.close_welcomed("the term was raised; connect again");
        }
    }

    fn depose(&mut self, why: String) {
        let streams: Vec<StreamId> = self.streams.keys().copied().collect();
        for stream in streams {
            self.close(stream, format!("this replica no longer leads: {why}"));
        }
        self.phase = Phase::Deposed;
        self.actions.push(Action::Deposed(why));
        self.change();
    }

    fn send(&mut self, stream: StreamId, messages: Vec<OperatorMessage>) {
        self.actions.push(Action::Send(stream, messages));
    }

    /// Ends a stream. What is heard from it from now on counts for nothing.
    fn close(&mut self, stream: StreamId, why: impl Into<String>) {
        self.streams.remove(&stream);
        self.actions.push(Action::Close(stream, why.into()));
    }

    /// Answers of queries are others than before.
    fn change(&mut self) {
        self.changed = true;
        self.tally = OnceLock::new();
    }
}

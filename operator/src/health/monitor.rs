//! The health of what one fleet serves, for as long as this replica leads.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use watershed_health::fleet::{Change, Panel, Report};
use watershed_health::{Checker, Hold, State, Target};
use watershed_proto::{Hello, NodeMessage, OperatorMessage};

use super::content::Content;
use super::delays::Delays;
use super::news::{News, Transition};
use super::outbox::{Outbox, messages};
use super::records::{Records, Situation};
use super::view::{FailoverView, TargetView};
use crate::fleet::{Action, StreamId};

/// Numbers and words about targets are told so often.
const BETWEEN_COUNTS: Duration = Duration::from_secs(5);

/// When all nodes were away, those that return are waited for so long: the
/// first of them is no majority.
const GATHERING: Duration = Duration::from_secs(5);

/// A node that is there and does not say what it knows is waited for so long:
/// whoever has not spoken has no vote.
const SILENCE: Duration = Duration::from_secs(5);

/// The least time between two lists of checkers: nodes come and go together.
const BETWEEN_LISTS: Duration = Duration::from_millis(200);

/// A list costs in proportion to targets times nodes; so many of these a
/// second are spent on it at most.
const PAIRS_PER_SECOND: usize = 2_000_000;

/// The health of what one fleet serves: a state machine that is told what
/// happened and says what to do.
#[derive(Debug)]
pub struct Monitor {
    panel: Panel,
    content: Content,
    /// The verdicts that are known.
    verdicts: BTreeMap<Target, bool>,
    /// What the operator knows by itself, of targets that nobody probes.
    states: BTreeMap<Target, (State, String)>,
    records: Records,
    /// What nodes were told of failover last.
    holds: Vec<Hold>,
    /// What nodes hold by their own decision, as long as nothing is settled.
    own_holds: BTreeMap<String, Vec<Hold>>,
    /// Nodes that take part: whether they have been told who leads.
    peers: BTreeMap<StreamId, Peer>,
    checkers: Vec<Checker>,
    /// Whether nodes have come or gone since, and when the next list may be
    /// made.
    moved: bool,
    next_list: Instant,
    settled: bool,
    /// No sooner than then.
    settles_at: Option<Instant>,
    /// From then on without those that are silent.
    silence_ends: Option<Instant>,
    outbox: Outbox,
    delays: Delays,
    /// Checks about whose targets something is to be told.
    counted: BTreeSet<String>,
    next_count: Instant,
    /// The wall clock: an instant, and what it is in Unix seconds.
    wall: (Instant, i64),
    next_expiry: Option<i64>,
    actions: Vec<Action>,
    news: Vec<News>,
}

#[derive(Debug)]
struct Peer {
    name: String,
    welcomed: bool,
    /// Whether it has said all that it knows, since verdicts were formed last.
    has_spoken: bool,
}

impl Monitor {
    /// Nothing is watched, and nobody is there. `unix` is the present in Unix
    /// seconds.
    pub fn new(now: Instant, unix: i64) -> Self {
        Self {
            panel: Panel::new(),
            content: Content::default(),
            verdicts: BTreeMap::new(),
            states: BTreeMap::new(),
            records: Records::default(),
            holds: Vec::new(),
            own_holds: BTreeMap::new(),
            peers: BTreeMap::new(),
            checkers: Vec::new(),
            moved: false,
            next_list: now,
            settled: false,
            settles_at: None,
            silence_ends: None,
            outbox: Outbox::default(),
            delays: Delays::default(),
            counted: BTreeSet::new(),
            next_count: now,
            wall: (now, unix),
            next_expiry: None,
            actions: Vec::new(),
            news: Vec::new(),
        }
    }

    /// This is what the fleet serves from now on.
    pub fn watch(&mut self, now: Instant, content: Content) -> Vec<Action> {
        self.content = content;
        let targets = &self.content.targets;
        self.states.retain(|target, _| targets.contains_key(target));
        self.delays.retain(|target| targets.contains_key(target));
        let changes = self.panel.watch(now, targets.clone());
        self.records.watch(now, &self.content);
        self.next_expiry = self.content.checks.next_expiry(self.unix(now));
        self.take(now, changes);
        self.follow(now, None);
        self.finish(now)
    }

    /// What the operator knows by itself of targets that nobody probes.
    /// Others than those that are watched are left out.
    pub fn states(
        &mut self,
        now: Instant,
        states: &BTreeMap<Target, (State, String)>,
    ) -> Vec<Action> {
        for (target, (state, message)) in states {
            let is_watched = self.content.targets.contains_key(target);
            let known = self.states.get(target);
            if !is_watched || known.is_some_and(|known| (known.0, &known.1) == (*state, message)) {
                continue;
            }
            self.states
                .insert(target.clone(), (*state, message.clone()));
            self.counted.insert(target.check.clone());
            self.observe(now, "", (target, *state));
            let changes = self.panel.state(now, target, *state, message);
            self.take(now, changes);
        }
        self.finish(now)
    }

    /// A node opened a stream. It takes part if it says so.
    pub fn connect(&mut self, stream: StreamId, hello: &Hello) {
        if hello.health {
            let peer = Peer {
                name: hello.node.clone(),
                welcomed: false,
                has_spoken: false,
            };
            self.peers.insert(stream, peer);
        }
    }

    /// The node at that stream was told who leads: now it may be told more.
    pub fn welcome(&mut self, now: Instant, stream: StreamId) -> Vec<Action> {
        let Some(peer) = self.peers.get_mut(&stream) else {
            return Vec::new();
        };
        peer.welcomed = true;
        if self.settled {
            let messages = self.everything();
            self.actions.push(Action::Send(stream, messages));
        }
        self.finish(now)
    }

    /// A stream has ended.
    pub fn disconnect(&mut self, stream: StreamId) {
        self.peers.remove(&stream);
    }

    /// A node said something; whatever is not about health is left to others.
    pub fn hear(&mut self, now: Instant, stream: StreamId, message: &NodeMessage) -> Vec<Action> {
        let peer = self.peers.get_mut(&stream);
        let Some(peer) = peer.filter(|peer| peer.welcomed) else {
            return Vec::new();
        };
        let node = peer.name.clone();
        match message {
            NodeMessage::HealthReport { reports, whole } => {
                peer.has_spoken |= whole;
                self.report(now, &node, reports.clone(), *whole);
            }
            NodeMessage::HealthBeat { digest } => {
                if !self.panel.beat(now, &node, *digest) {
                    let inquiry = vec![OperatorMessage::HealthInquire];
                    self.actions.push(Action::Send(stream, inquiry));
                }
            }
            NodeMessage::OwnHolds(holds) if !self.settled => {
                self.own_holds.insert(node, holds.clone());
            }
            _ => return Vec::new(),
        }
        self.finish(now)
    }

    /// Nodes may have come or gone.
    pub fn nodes_moved(&mut self) {
        self.moved = true;
    }

    /// Whether it is to be told now which nodes probe.
    pub fn wants_checkers(&self, now: Instant) -> bool {
        self.settled && self.moved && now >= self.next_list
    }

    /// These nodes probe, those that are away for a moment included.
    pub fn checkers(&mut self, now: Instant, mut checkers: Vec<Checker>) -> Vec<Action> {
        checkers.sort();
        self.moved = false;
        if self.checkers == checkers {
            return Vec::new();
        }
        let pairs = checkers.len() * self.content.targets.len();
        let pause = u64::try_from(pairs / (PAIRS_PER_SECOND / 1000)).unwrap_or(u64::MAX);
        let pause = Duration::from_millis(pause.min(60_000));
        self.next_list = now + BETWEEN_LISTS + pause;
        if self.settled && self.checkers.is_empty() {
            self.gather(now);
        }
        self.checkers.clone_from(&checkers);
        let changes = self.panel.nodes(now, checkers);
        let checks = self.content.targets.keys();
        self.counted
            .extend(checks.map(|target| target.check.clone()));
        self.take(now, changes);
        if self.settled {
            let message = OperatorMessage::Checkers(self.checkers.clone());
            self.broadcast(&[message]);
        }
        self.finish(now)
    }

    /// Those nodes that there are have come, and verdicts may be formed.
    pub fn settle(&mut self, now: Instant) -> Vec<Action> {
        if self.settled {
            return Vec::new();
        }
        self.adopt_holds(now);
        self.settled = true;
        self.verdicts.clear();
        let changes = self.panel.settle(now);
        self.take(now, changes);
        self.follow(now, None);
        self.news.push(News::Settled);
        // What is known now goes to everybody.
        self.outbox.clear();
        let messages = self.everything();
        self.broadcast(&messages);
        self.finish(now)
    }

    /// Whether verdicts may be formed from now on, and are not yet: those that
    /// are there have spoken, or had the time to.
    pub fn may_settle(&mut self, now: Instant) -> bool {
        if self.settled || self.settles_at.is_some_and(|at| at > now) {
            return false;
        }
        let silence_ends = *self.silence_ends.get_or_insert(now + SILENCE);
        silence_ends <= now || self.peers.values().all(|peer| peer.has_spoken)
    }

    /// Whether verdicts are formed.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Time passed, and it is so many Unix seconds.
    pub fn tick(&mut self, now: Instant, unix: i64) -> Vec<Action> {
        self.wall = (now, unix);
        let changes = self.panel.tick(now);
        self.take(now, changes);
        if self.settled {
            let news = self
                .records
                .tick(&situation(now, unix, &self.content, &self.verdicts));
            self.failed_over(news);
        }
        if self.next_expiry.is_some_and(|expiry| expiry <= unix) {
            self.next_expiry = self.content.checks.next_expiry(unix);
            self.follow(now, None);
        }
        if self.settled && now >= self.next_count && !self.counted.is_empty() {
            self.next_count = now + BETWEEN_COUNTS;
            let counted = std::mem::take(&mut self.counted);
            self.news.push(News::Counts(counted.into_iter().collect()));
        }
        self.finish(now)
    }

    /// A target; `None`: it is not watched.
    pub fn verdict(&self, now: Instant, target: &Target) -> Option<TargetView> {
        let verdict = self.panel.verdict(target)?;
        let age = verdict.since;
        Some(TargetView {
            age: age.map(|since| now.saturating_duration_since(since)),
            verdict,
        })
    }

    /// The targets of a check.
    pub fn targets_of(&self, now: Instant, check: &str) -> Vec<(Target, TargetView)> {
        let first = Target {
            check: check.to_owned(),
            address: None,
        };
        let targets = self.content.targets.range(first..);
        let targets = targets.take_while(|(target, _)| target.check == check);
        let views = targets.filter_map(|(target, _)| {
            let view = self.verdict(now, target)?;
            Some((target.clone(), view))
        });
        views.collect()
    }

    /// The failover of a record, `namespace/name`; `None`: its clients return
    /// at once, or nothing is known yet.
    pub fn failover(&self, now: Instant, record: &str) -> Option<FailoverView> {
        self.records.view(now, record).filter(|_| self.settled)
    }

    /// The first nodes are there after a time without any: as after a change of
    /// leader, the verdicts begin with what they answer by.
    fn gather(&mut self, now: Instant) {
        self.settled = false;
        self.settles_at = Some(now + GATHERING);
        self.silence_ends = None;
        for peer in self.peers.values_mut() {
            peer.has_spoken = false;
        }
        self.outbox.clear();
        // Nothing is formed yet, so nothing changes.
        self.panel = Panel::new();
        self.panel.watch(now, self.content.targets.clone());
        for (target, (state, message)) in &self.states {
            self.panel.state(now, target, *state, message);
        }
        self.broadcast(&[OperatorMessage::HealthInquire]);
    }

    /// What most nodes that spoke hold by their own decision is held from now
    /// on: nobody else has seen what they failed over from.
    fn adopt_holds(&mut self, now: Instant) {
        let mut votes: BTreeMap<Hold, usize> = BTreeMap::new();
        for hold in std::mem::take(&mut self.own_holds).into_values().flatten() {
            *votes.entry(hold).or_default() += 1;
        }
        let spoke = self.peers.values().filter(|peer| peer.has_spoken).count();
        votes.retain(|_, count| *count * 2 > spoke);
        for hold in votes.into_keys() {
            self.records.hold(now, &hold);
        }
    }

    fn unix(&self, now: Instant) -> i64 {
        let (then, unix) = self.wall;
        let passed = now.saturating_duration_since(then).as_secs();
        unix.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX))
    }

    fn report(&mut self, now: Instant, node: &str, reports: Vec<Report>, whole: bool) {
        for report in &reports {
            self.observe(now, node, (&report.target, report.state));
            self.counted.insert(report.target.check.clone());
        }
        let changes = self.panel.report(now, node, reports, whole);
        self.take(now, changes);
    }

    fn observe(&mut self, now: Instant, node: &str, report: (&Target, State)) {
        if self.settled && self.content.targets.contains_key(report.0) {
            let known = self.verdicts.get(report.0).copied();
            self.delays.report(now, node, report, known);
        }
    }

    /// Takes up changes of verdicts, and what follows from them.
    fn take(&mut self, now: Instant, changes: Vec<Change>) {
        let mut concerned = BTreeSet::new();
        for change in changes {
            match change.healthy {
                Some(healthy) => {
                    self.verdicts.insert(change.target.clone(), healthy);
                    self.outbox
                        .verdict(change.target.clone(), healthy, change.changing);
                }
                None => {
                    self.verdicts.remove(&change.target);
                }
            }
            if change.before != change.healthy {
                concerned.insert(change.target.clone());
                let transition = self.transition(now, change);
                self.news.push(News::Verdict(transition));
            }
        }
        if !concerned.is_empty() {
            self.follow(now, Some(&concerned));
        }
    }

    fn transition(&mut self, now: Instant, change: Change) -> Transition {
        let verdict = self.panel.verdict(&change.target);
        let delay = self.delays.end(now, &change.target);
        Transition {
            before: change.before,
            healthy: change.healthy,
            checkers: verdict.as_ref().map_or((0, 0), |verdict| {
                (verdict.healthy_checkers, verdict.fresh_checkers)
            }),
            error: verdict.and_then(|verdict| verdict.last_error),
            target: change.target,
            delay: delay.filter(|_| change.before.is_some()),
        }
    }

    /// Lets failover follow the verdicts, of all records or of those that
    /// depend on targets that changed.
    fn follow(&mut self, now: Instant, changed: Option<&BTreeSet<Target>>) {
        let mut news = Vec::new();
        if self.settled {
            let situation = situation(now, self.unix(now), &self.content, &self.verdicts);
            news = match changed {
                Some(changed) => self.records.take(&situation, changed),
                None => self.records.take_all(&situation),
            };
        }
        self.failed_over(news);
    }

    /// Takes up what came of failover: nodes are to hold what it says.
    fn failed_over(&mut self, news: Vec<News>) {
        self.news.extend(news);
        let holds = self.records.holds();
        if holds != self.holds {
            self.holds = holds;
            self.outbox.holds();
        }
    }

    /// All that a node is to know.
    fn everything(&self) -> Vec<OperatorMessage> {
        let checkers = OperatorMessage::Checkers(self.checkers.clone());
        let verdicts = messages(self.panel.known(), &self.holds, true);
        std::iter::once(checkers).chain(verdicts).collect()
    }

    fn broadcast(&mut self, messages: &[OperatorMessage]) {
        let peers = self.peers.iter().filter(|(_, peer)| peer.welcomed);
        let sends = peers.map(|(stream, _)| Action::Send(*stream, messages.to_vec()));
        self.actions.extend(sends);
    }

    fn finish(&mut self, now: Instant) -> Vec<Action> {
        if self.settled {
            if let Some(verdicts) = self.outbox.take(now) {
                let messages = messages(verdicts, &self.holds, false);
                self.broadcast(&messages);
            }
        } else {
            self.outbox.clear();
        }
        if !self.news.is_empty() {
            let news = std::mem::take(&mut self.news);
            self.actions.push(Action::Health(news));
        }
        std::mem::take(&mut self.actions)
    }
}

fn situation<'a>(
    now: Instant,
    unix: i64,
    content: &'a Content,
    verdicts: &'a BTreeMap<Target, bool>,
) -> Situation<'a> {
    Situation {
        now,
        unix,
        checks: &content.checks,
        verdicts,
    }
}

//! What a node makes of results and of an operator's words: a state machine
//! without any input, output or clock of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use watershed_health::fleet::Report;
use watershed_health::{Check, Checker, Hold, NodeView, OwnState, State, Target, Tracker};
use watershed_policy::Health;
use watershed_probe::Assignment;
use watershed_proto::{NodeMessage, OperatorMessage};
use watershed_snapshot::{HealthStates, PolicyVersion, Snapshot};

use super::failback::{Holds, Record, records_of};
use super::options::HealthOptions;
use super::reports::Reports;
use super::share::{Share, share};
use super::verdicts::{Known, Verdicts};
use super::view::{TargetView, word};

/// Own results that count are served within this time: many that come
/// together make one change.
const GATHERING: Duration = Duration::from_millis(10);

/// When something happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// For durations.
    pub(super) now: Instant,
    /// In Unix seconds, for what people have said.
    pub(super) unix: i64,
}

/// What is to be done, in this order.
#[derive(Debug)]
pub(super) enum Effect {
    /// Probe these, and no others.
    Assign(Vec<Assignment>),
    /// Tell the operator.
    Say(NodeMessage),
    /// Answer by these from now on.
    Serve(Verdicts),
}

/// A snapshot with what matters here. To find that takes a while.
pub(super) struct Subject {
    snapshot: Arc<Snapshot>,
    targets: BTreeMap<Target, Arc<Check>>,
    records: Vec<Record>,
}

impl Subject {
    pub(super) fn of(snapshot: &Arc<Snapshot>) -> Self {
        Self {
            snapshot: Arc::clone(snapshot),
            targets: snapshot.targets(),
            records: records_of(snapshot),
        }
    }
}

/// What the node knows of a target by itself.
struct Watched {
    check: Arc<Check>,
    share: Share,
    tracker: Tracker,
    certificate_expires: Option<i64>,
}

impl Watched {
    fn new(check: Arc<Check>) -> Self {
        Self {
            check,
            share: Share::Nothing,
            tracker: Tracker::new(),
            certificate_expires: None,
        }
    }
}

/// The health of a node.
pub(super) struct Agent {
    me: Checker,
    /// Those who probe, as the operator said last.
    nodes: Option<Vec<Checker>>,
    snapshot: Arc<Snapshot>,
    by_hand: Arc<HealthStates>,
    targets: BTreeMap<Target, Watched>,
    view: NodeView,
    holds: Holds,
    reports: Reports,
    served: Verdicts,
    /// When what is served is to be looked at again.
    stale: Option<Instant>,
    /// When a verdict by hand ends.
    expiry: Option<Instant>,
    /// Whether the shares were worked out for a node that is alone.
    alone: bool,
    /// Grows with everything that people want to see.
    revision: u64,
}

impl Agent {
    /// A node that has nothing to probe yet.
    pub(super) fn new(now: Instant, options: &HealthOptions) -> Self {
        let grace = if options.alone {
            Duration::ZERO
        } else {
            options.grace
        };
        Self {
            me: options.checker.clone(),
            nodes: None,
            snapshot: Arc::default(),
            by_hand: Arc::default(),
            targets: BTreeMap::new(),
            view: NodeView::new(now, grace),
            holds: Holds::default(),
            reports: Reports::default(),
            served: Verdicts::default(),
            stale: None,
            expiry: None,
            alone: false,
            revision: 0,
        }
    }

    /// This is served from now on.
    pub(super) fn follow(&mut self, at: Moment, subject: Subject) -> Vec<Effect> {
        let Subject {
            snapshot,
            targets,
            records,
        } = subject;
        self.snapshot = snapshot;
        self.holds.follow(records);
        let mut before = std::mem::take(&mut self.targets);
        for (target, check) in targets {
            let watched = match before.remove(&target) {
                Some(known) if known.check.probes_alike(&check) => Watched { check, ..known },
                Some(known) => {
                    forget_own(&mut self.view, &target, &known.tracker);
                    Watched::new(check)
                }
                None => Watched::new(check),
            };
            self.targets.insert(target, watched);
        }
        let gone = before;
        // What is known of targets that no snapshot had yet is kept: the
        // operator may speak of them before it sends them.
        let early = self.view.verdicts().into_keys();
        let early = early.filter(|target| !gone.contains_key(target));
        let kept: BTreeSet<Target> = self.targets.keys().cloned().chain(early).collect();
        self.view.retain(&kept);
        self.look_again(at.now);
        self.settle(at, true)
    }

    /// What people say of health, by hand.
    pub(super) fn by_hand(&mut self, at: Moment, states: Arc<HealthStates>) -> Vec<Effect> {
        self.by_hand = states;
        self.look_again(at.now);
        self.settle(at, false)
    }

    /// Lets the clients of a record return, while the node decides that.
    pub(super) fn release(&mut self, at: Moment, record: &str) -> bool {
        let (snapshot, view, by_hand) = (&self.snapshot, &self.view, &self.by_hand);
        let health = |version: &PolicyVersion| health(version, snapshot, view, by_hand, at.unix);
        let released = self.holds.release(at.now, record, &health);
        self.look_again(at.now);
        released
    }

    /// A stream to an operator begins that speaks of health.
    pub(super) fn connected(&mut self, at: Moment) -> Vec<Effect> {
        self.view.connected(at.now, true);
        self.reports.connected(at.now);
        self.settle(at, false)
    }

    /// The stream ends.
    pub(super) fn disconnected(&mut self, at: Moment) -> Vec<Effect> {
        self.view.connected(at.now, false);
        self.reports.disconnected();
        self.settle(at, false)
    }

    /// The operator speaks.
    pub(super) fn hear(&mut self, at: Moment, message: OperatorMessage) -> Vec<Effect> {
        let mut regroup = false;
        match message {
            OperatorMessage::Checkers(nodes) => {
                regroup = self.nodes.as_ref() != Some(&nodes);
                self.nodes = Some(nodes);
            }
            OperatorMessage::Verdicts {
                verdicts,
                holds,
                whole,
            } => {
                self.hear_verdicts(verdicts, whole);
                self.holds.told(holds);
                self.look_again(at.now);
            }
            OperatorMessage::HealthInquire => self.reports.everything(at.now),
            // Of no concern to health.
            _ => {}
        }
        self.settle(at, regroup)
    }

    fn hear_verdicts(&mut self, verdicts: Vec<(Target, bool, bool)>, whole: bool) {
        let spoken_of: Vec<Target> = verdicts.iter().map(|(target, ..)| target.clone()).collect();
        self.view.fleet(verdicts, whole);
        for target in spoken_of {
            let watched = self.targets.get(&target);
            if watched.is_some_and(|watched| watched.share == Share::Nothing) {
                // From when the node was alone. It no longer counts.
                self.view.own(&target, State::Unknown, false);
            }
        }
    }

    /// A probe was made.
    pub(super) fn result(&mut self, at: Moment, result: &watershed_probe::Result) -> Vec<Effect> {
        let Some(watched) = self.targets.get_mut(&result.target) else {
            return Vec::new();
        };
        if watched.share == Share::Nothing {
            // It was under way when the share was taken away.
            return Vec::new();
        }
        let before = watched.tracker.state();
        let news = watched
            .tracker
            .take(at.now, &result.outcome, &watched.check);
        let after = watched.tracker.state();
        watched.certificate_expires = result.certificate_expires.or(watched.certificate_expires);
        // Why nothing is known is all that there is to say.
        let reason = after.state == State::Unknown && after.message != before.message;
        if matches!(watched.share, Share::Assigned { .. }) && (news || reason) {
            self.reports.changed(at.now, &result.target);
        }
        if news || reason {
            self.revision += 1;
        }
        if after.state != before.state {
            tell(&result.target, before.state, &after);
        }
        // Until something is known, what was known before a change of the
        // check stays.
        let known = after.state != State::Unknown;
        if known && self.view.own(&result.target, after.state, after.changing) {
            self.stale = self.stale.or(Some(at.now + GATHERING));
        }
        self.settle(at, false)
    }

    /// Time passes.
    pub(super) fn tick(&mut self, at: Moment) -> Vec<Effect> {
        self.settle(at, false)
    }

    /// A message could not be sent.
    pub(super) fn unsent(&mut self) {
        self.reports.lost();
    }

    /// When [`Agent::tick`] is to be called at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.stale,
            self.expiry,
            self.view.deadline(),
            self.holds.deadline(),
            self.reports.deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Does what is due. `regroup`: the shares are to be worked out again.
    fn settle(&mut self, at: Moment, regroup: bool) -> Vec<Effect> {
        self.pass_time(at);
        let mut effects = Vec::new();
        if regroup || self.view.is_alone() != self.alone {
            self.alone = self.view.is_alone();
            self.share_out();
            self.reports.everything(at.now);
            effects.push(Effect::Assign(self.assignments()));
        }
        effects.extend(self.serve(at).map(Effect::Serve));
        let (targets, view) = (&self.targets, &self.view);
        let all = || reports(at.now, targets, view);
        let messages = self.reports.take(at.now, all);
        let is_whole = |message: &NodeMessage| {
            matches!(message, NodeMessage::HealthReport { whole: true, .. })
        };
        let own = self.holds.own();
        if messages.iter().any(is_whole) && !own.is_empty() {
            effects.push(Effect::Say(NodeMessage::OwnHolds(own)));
        }
        effects.extend(messages.into_iter().map(Effect::Say));
        effects
    }

    /// Becomes alone when it is time.
    fn pass_time(&mut self, at: Moment) {
        if self.view.deadline().is_some_and(|end| end <= at.now) {
            let (snapshot, view, by_hand) = (&self.snapshot, &self.view, &self.by_hand);
            let health =
                |version: &PolicyVersion| health(version, snapshot, view, by_hand, at.unix);
            // With what is served until now: what differs is a failover.
            self.holds.begin(at.now, &health);
        }
        if self.view.tick(at.now) {
            self.look_again(at.now);
        }
    }

    /// What is served is to be looked at again at once.
    fn look_again(&mut self, now: Instant) {
        self.stale = Some(now);
    }

    /// The verdicts to serve, if it is time and others than before count.
    fn serve(&mut self, at: Moment) -> Option<Verdicts> {
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= at.now);
        let expired = due(self.expiry);
        if !due(self.stale) && !expired && !due(self.holds.deadline()) {
            return None;
        }
        self.stale = None;
        let (snapshot, view, by_hand) = (&self.snapshot, &self.view, &self.by_hand);
        let health = |version: &PolicyVersion| health(version, snapshot, view, by_hand, at.unix);
        self.holds.take(at.now, &health);
        self.expiry = self.snapshot.checks.next_expiry(at.unix).map(|end| {
            let seconds = u64::try_from(end.saturating_sub(at.unix)).unwrap_or(1);
            // Far beyond what a clock can count is never.
            let seconds = Duration::from_secs(seconds.clamp(1, 86_400));
            at.now + seconds
        });
        let verdicts = self.verdicts();
        // What ended by itself is not in the verdicts.
        (expired || verdicts != self.served).then(|| {
            self.revision += 1;
            self.served = verdicts.clone();
            verdicts
        })
    }

    fn verdicts(&self) -> Verdicts {
        let known = self.targets.keys().filter_map(|target| {
            let known = Known {
                healthy: self.view.verdict(target),
                changing: self.view.is_changing(target),
            };
            (known != Known::default()).then(|| (target.clone(), known))
        });
        Verdicts {
            targets: known.collect(),
            holds: self.holds.all(),
        }
    }

    /// Works out what this node probes. What it no longer probes it forgets:
    /// nothing is as misleading as an old result.
    fn share_out(&mut self) {
        let only_me = [self.me.clone()];
        let nodes = self.nodes.as_deref().unwrap_or(&only_me);
        for (target, watched) in &mut self.targets {
            let share = share(target, &watched.check, &self.me.node, nodes, self.alone);
            if share == Share::Nothing && watched.share != Share::Nothing {
                forget_own(&mut self.view, target, &watched.tracker);
                *watched = Watched::new(Arc::clone(&watched.check));
            }
            watched.share = share;
        }
    }

    fn assignments(&self) -> Vec<Assignment> {
        let targets = self.targets.iter();
        targets
            .filter_map(|(target, watched)| watched.share.assignment(target, &watched.check))
            .collect()
    }

    /// The word for the type of a target's check.
    pub(super) fn kind(&self, target: &Target) -> Option<&'static str> {
        let watched = self.targets.get(target)?;
        Some(word(&watched.check.kind))
    }

    /// What is known of all targets.
    pub(super) fn targets(&self) -> Vec<TargetView> {
        let targets = self.targets.iter().map(|(target, watched)| {
            let own = watched.tracker.state();
            TargetView {
                target: target.clone(),
                check: Arc::clone(&watched.check),
                kind: word(&watched.check.kind),
                state: own.state,
                served: self.view.verdict(target),
                changing: self.view.is_changing(target),
                since: own.since,
                message: own.message,
                certificate_expires: watched.certificate_expires,
                probed: watched.share != Share::Nothing,
            }
        });
        targets.collect()
    }

    /// What failback holds.
    pub(super) fn holds(&self) -> Vec<Hold> {
        self.holds.all()
    }

    /// Whether the node goes by its own results.
    pub(super) fn is_alone(&self) -> bool {
        self.view.is_alone()
    }

    /// A number that grows with everything that people want to see.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }
}

/// Forgets what the node found itself, unless it answers by that: then it
/// stays until something else is known.
fn forget_own(view: &mut NodeView, target: &Target, tracker: &Tracker) {
    if view.own(target, State::Unknown, false) {
        let own = tracker.state();
        view.own(target, own.state, own.changing);
    }
}

/// Health of a version as it is served.
fn health(
    version: &PolicyVersion,
    snapshot: &Snapshot,
    view: &NodeView,
    by_hand: &HealthStates,
    unix: i64,
) -> Health {
    let verdict = |target: &Target| view.verdict(target);
    version.health(&snapshot.checks, unix, &verdict, by_hand)
}

/// What there is to tell of the targets that the node is to probe.
fn reports(now: Instant, targets: &BTreeMap<Target, Watched>, view: &NodeView) -> Vec<Report> {
    let assigned = targets
        .iter()
        .filter(|(_, watched)| matches!(watched.share, Share::Assigned { .. }));
    let reports = assigned.map(|(target, watched)| {
        let own = watched.tracker.state();
        let age = own.since.map(|since| now.saturating_duration_since(since));
        let age_ms = age.unwrap_or_default().as_millis();
        Report {
            target: target.clone(),
            state: own.state,
            changing: own.changing,
            age_ms: u64::try_from(age_ms).unwrap_or(u64::MAX),
            message: own.message,
            certificate_expires: watched.certificate_expires,
            served: view.verdict(target),
        }
    });
    reports.collect()
}

/// What this node alone finds; the fleet's verdict may be another. That a
/// target is found healthy at first is no news.
fn tell(target: &Target, before: State, own: &OwnState) {
    let result = own.message.as_str();
    match (before, own.state) {
        (_, State::Unhealthy) => tracing::warn!(%target, result, "a target fails from here"),
        (State::Unhealthy, State::Healthy) => {
            tracing::info!(%target, result, "a target passes from here");
        }
        _ => {}
    }
}

//! The state behind the verdicts of one fleet.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::assignment::{Checker, Ranking};
use crate::check::{Check, WhenStale};
use crate::target::Target;
use crate::tracker::State;

use super::ballot::{Ballot, Entry};
use super::{Change, Report, Verdict, digest_term};

/// Forms the verdicts of one fleet. It has no clock: every call gives the
/// time, which never goes back; a time that does counts as the latest one
/// before.
#[derive(Debug, Default)]
pub struct Panel {
    now: Option<Instant>,
    settled: bool,
    fleet: Fleet,
    ranking: Ranking,
    watched: BTreeMap<Target, Watch>,
    /// Every `stale_after` in use.
    staleness: BTreeSet<Duration>,
    /// Targets that time alone may change: looked at with every tick.
    waiting: BTreeSet<Target>,
    last_tick: Option<Instant>,
}

/// The nodes, and what they report.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    pub(super) checkers: Vec<Checker>,
    pub(super) nodes: HashMap<String, Node>,
}

/// What a node reports.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) heard: Instant,
    pub(super) reports: HashMap<Target, Entry>,
    digest: u64,
}

/// A target that is watched.
#[derive(Debug)]
struct Watch {
    check: Arc<Check>,
    /// Positions of the nodes that probe it.
    assigned: Vec<usize>,
    healthy: Option<bool>,
    changing: bool,
    since: Option<Instant>,
    /// When any checker was last heard on it; at first, when the watch began.
    heard: Instant,
    /// Until then the verdict is what nodes were found to answer by, and who
    /// has not returned yet counts as agreeing.
    seeded_until: Option<Instant>,
    /// What something other than probes says, and in words.
    told: Option<(State, String)>,
}

impl Node {
    fn new(now: Instant) -> Self {
        Self {
            heard: now,
            reports: HashMap::new(),
            digest: 0,
        }
    }

    fn insert(&mut self, target: Target, entry: Entry) {
        let term = digest_term(&target, entry.state, entry.changing);
        self.remove(&target);
        self.digest = self.digest.wrapping_add(term);
        self.reports.insert(target, entry);
    }

    fn remove(&mut self, target: &Target) {
        if let Some(entry) = self.reports.remove(target) {
            let term = digest_term(target, entry.state, entry.changing);
            self.digest = self.digest.wrapping_sub(term);
        }
    }
}

impl Panel {
    /// Nothing is watched.
    pub fn new() -> Self {
        Self::default()
    }

    /// These targets are to be watched, and no others. Reports of targets
    /// whose check no longer probes alike are forgotten, their verdict stays.
    pub fn watch(&mut self, now: Instant, targets: BTreeMap<Target, Arc<Check>>) -> Vec<Change> {
        let now = self.at(now);
        let mut before = std::mem::take(&mut self.watched);
        self.staleness = targets.values().map(|check| check.stale_after).collect();
        let mut affected = Vec::new();
        for (target, check) in targets {
            let watch = match before.remove(&target) {
                Some(watch) if watch.check == check => watch,
                Some(watch) => {
                    affected.push(target.clone());
                    self.edited(now, &target, watch, check)
                }
                None => {
                    affected.push(target.clone());
                    Watch::new(now, self.assign(&target, &check), check)
                }
            };
            self.watched.insert(target, watch);
        }
        let mut changes = self.evaluate_all(now, affected);
        for (target, watch) in before {
            self.waiting.remove(&target);
            changes.extend(watch.healthy.map(|healthy| Change {
                target,
                before: Some(healthy),
                healthy: None,
                changing: false,
            }));
        }
        changes
    }

    /// These nodes probe, and no others. The cost is in proportion to targets
    /// times nodes: call it once for many nodes that come and go.
    pub fn nodes(&mut self, now: Instant, nodes: Vec<Checker>) -> Vec<Change> {
        let now = self.at(now);
        if nodes == self.fleet.checkers {
            return Vec::new();
        }
        self.note_heard();
        let names: BTreeSet<&str> = nodes.iter().map(|node| node.node.as_str()).collect();
        let known = &mut self.fleet.nodes;
        known.retain(|name, _| names.contains(name.as_str()));
        self.ranking = Ranking::new(&nodes);
        self.fleet.checkers = nodes;
        for (target, watch) in &mut self.watched {
            watch.assigned = assign(&self.ranking, target, &watch.check);
        }
        let targets = self.watched.keys().cloned().collect();
        self.evaluate_all(now, targets)
    }

    /// A node reports. `whole`: what it does not name it knows nothing of.
    pub fn report(
        &mut self,
        now: Instant,
        node: &str,
        reports: Vec<Report>,
        whole: bool,
    ) -> Vec<Change> {
        let now = self.at(now);
        self.refresh(now, node);
        let nodes = &mut self.fleet.nodes;
        let known = nodes
            .entry(node.to_owned())
            .or_insert_with(|| Node::new(now));
        known.heard = now;
        let mut affected: BTreeSet<Target> = BTreeSet::new();
        if whole {
            affected.extend(known.reports.drain().map(|(target, _)| target));
            known.digest = 0;
        }
        for report in reports {
            affected.insert(report.target.clone());
            let target = report.target.clone();
            known.insert(target, Entry::new(now, report));
        }
        self.evaluate_all(now, affected.into_iter().collect())
    }

    /// A node lives, and what it reported is as it was, if `digest` is that of
    /// what it reported last. False: it must report anew.
    pub fn beat(&mut self, now: Instant, node: &str, digest: u64) -> bool {
        let now = self.at(now);
        let known = self.fleet.nodes.get(node);
        if known.is_none_or(|known| known.digest != digest) {
            return false;
        }
        self.refresh(now, node);
        if let Some(known) = self.fleet.nodes.get_mut(node) {
            known.heard = now;
        }
        true
    }

    /// Something other than probes says of a target what it is, such as
    /// readiness of a Service. It counts at once, and until it says otherwise;
    /// unknown: the verdict stays.
    pub fn state(
        &mut self,
        now: Instant,
        target: &Target,
        state: State,
        message: &str,
    ) -> Vec<Change> {
        let now = self.at(now);
        if let Some(watch) = self.watched.get_mut(target) {
            watch.told = Some((state, message.to_owned()));
        }
        self.evaluate_all(now, vec![target.clone()])
    }

    /// Verdicts may be formed from now on. Until then, after a change of
    /// leader, nodes are still coming back, and what has reported is no
    /// majority of anything.
    pub fn settle(&mut self, now: Instant) -> Vec<Change> {
        let now = self.at(now);
        self.settled = true;
        let targets = self.watched.keys().cloned().collect();
        self.evaluate_all(now, targets)
    }

    /// Time passes: silent checkers cease to count.
    pub fn tick(&mut self, now: Instant) -> Vec<Change> {
        let now = self.at(now);
        let last = self.last_tick.replace(now).unwrap_or(now);
        let mut affected = std::mem::take(&mut self.waiting);
        for node in self.fleet.nodes.values() {
            let silence = now.saturating_duration_since(node.heard);
            let before = last.saturating_duration_since(node.heard);
            let stale_now = |limit: &Duration| *limit > before && *limit <= silence;
            if !self.staleness.iter().any(stale_now) {
                continue;
            }
            let targets = node.reports.keys().filter(|target| {
                let watch = self.watched.get(*target);
                watch.is_some_and(|watch| stale_now(&watch.check.stale_after))
            });
            affected.extend(targets.cloned());
        }
        self.evaluate_all(now, affected.into_iter().collect())
    }

    /// The verdict on a target; `None`: it is not watched.
    pub fn verdict(&self, target: &Target) -> Option<Verdict> {
        let watch = self.watched.get(target)?;
        let now = self.now.unwrap_or(watch.heard);
        let mut verdict = Verdict {
            healthy: watch.healthy,
            changing: watch.changing,
            since: watch.since,
            healthy_checkers: 0,
            fresh_checkers: 0,
            assigned_checkers: 0,
            locations: BTreeMap::new(),
            last_error: None,
            certificate_expires: None,
        };
        watch
            .ballot(now, target, &self.fleet)
            .describe(&mut verdict);
        if let Some((State::Unhealthy, message)) = &watch.told {
            verdict.last_error = Some((message.clone(), String::new()));
        }
        Some(verdict)
    }

    /// All verdicts that are known: target, whether it is healthy, whether
    /// that may soon change. What a node is told that connects.
    pub fn known(&self) -> Vec<(Target, bool, bool)> {
        let known = self.watched.iter().filter_map(|(target, watch)| {
            let healthy = watch.healthy?;
            Some((target.clone(), healthy, watch.changing))
        });
        known.collect()
    }

    /// The targets that are watched.
    pub fn targets(&self) -> impl Iterator<Item = (&Target, &Arc<Check>)> {
        let watched = self.watched.iter();
        watched.map(|(target, watch)| (target, &watch.check))
    }

    /// The latest time there was.
    fn at(&mut self, now: Instant) -> Instant {
        let now = self.now.map_or(now, |latest| latest.max(now));
        self.now = Some(now);
        now
    }

    fn assign(&self, target: &Target, check: &Check) -> Vec<usize> {
        assign(&self.ranking, target, check)
    }

    /// A watch whose check is another now.
    fn edited(&mut self, now: Instant, target: &Target, watch: Watch, check: Arc<Check>) -> Watch {
        let mut heard = watch.heard;
        if !watch.check.probes_alike(&check) {
            heard = now;
            for node in self.fleet.nodes.values_mut() {
                node.remove(target);
            }
        }
        Watch {
            assigned: self.assign(target, &check),
            check,
            heard,
            ..watch
        }
    }

    /// Before checkers change: takes down when the present ones were heard.
    fn note_heard(&mut self) {
        for (target, watch) in &mut self.watched {
            for position in &watch.assigned {
                let checker = self.fleet.checkers.get(*position);
                let node = checker.and_then(|checker| self.fleet.nodes.get(&checker.node));
                if let Some(node) = node.filter(|node| node.reports.contains_key(target)) {
                    watch.heard = watch.heard.max(node.heard);
                }
            }
        }
    }

    /// A node speaks. Where it no longer counted it counts again, which the
    /// next tick takes up.
    fn refresh(&mut self, now: Instant, node: &str) {
        let Some(known) = self.fleet.nodes.get(node) else {
            return;
        };
        let silence = now.saturating_duration_since(known.heard);
        let shortest = self.staleness.first();
        if shortest.is_some_and(|shortest| *shortest <= silence) {
            self.waiting.extend(known.reports.keys().cloned());
        }
    }

    fn evaluate_all(&mut self, now: Instant, targets: Vec<Target>) -> Vec<Change> {
        let mut changes = Vec::new();
        for target in targets {
            let Some(watch) = self.watched.get_mut(&target) else {
                continue;
            };
            let before = (watch.healthy, watch.changing);
            let waits = self.settled && watch.evaluate(now, &target, &self.fleet);
            if waits {
                self.waiting.insert(target.clone());
            }
            if before != (watch.healthy, watch.changing) && watch.healthy.is_some() {
                changes.push(Change {
                    target,
                    before: before.0,
                    healthy: watch.healthy,
                    changing: watch.changing,
                });
            }
        }
        changes
    }
}

/// Positions of the nodes that probe a target.
fn assign(ranking: &Ranking, target: &Target, check: &Check) -> Vec<usize> {
    if check.is_probed() {
        ranking.checkers(target, &check.checkers)
    } else {
        Vec::new()
    }
}

impl Watch {
    fn new(now: Instant, assigned: Vec<usize>, check: Arc<Check>) -> Self {
        Self {
            check,
            assigned,
            healthy: None,
            changing: false,
            since: None,
            heard: now,
            seeded_until: None,
            told: None,
        }
    }

    fn ballot<'a>(&self, now: Instant, target: &Target, fleet: &'a Fleet) -> Ballot<'a> {
        Ballot::new(now, target, &self.check, &self.assigned, fleet)
    }

    /// Forms the verdict; whether time alone may change it.
    fn evaluate(&mut self, now: Instant, target: &Target, fleet: &Fleet) -> bool {
        if let Some((state, _)) = &self.told {
            let healthy = match state {
                State::Unknown => self.healthy,
                State::Healthy => Some(true),
                State::Unhealthy => Some(false),
            };
            self.become_verdict(healthy, now);
            return false;
        }
        let ballot = self.ballot(now, target, fleet);
        self.heard = self.heard.max(ballot.heard.unwrap_or(self.heard));
        if self.healthy.is_none() {
            self.seed(now, &ballot);
        }
        if ballot.live == 0 {
            self.changing = false;
            return self.silence(now);
        }
        let seeded = self.seeded_until.is_some_and(|until| now < until);
        if !seeded {
            self.seeded_until = None;
        }
        if ballot.suffices(&self.check) {
            let healthy = match self.healthy {
                Some(seed) if seeded => ballot.result_with(&self.check, seed),
                _ => ballot.result(&self.check),
            };
            if self.healthy.is_some_and(|before| before != healthy) {
                self.seeded_until = None;
            }
            self.become_verdict(Some(healthy), now);
        }
        let differs = ballot.fresh > 0 && self.healthy == Some(!ballot.result(&self.check));
        self.changing = ballot.changing || differs;
        self.seeded_until.is_some()
    }

    /// After a change of leader: begins with what the nodes answer by.
    fn seed(&mut self, now: Instant, ballot: &Ballot<'_>) {
        if let Some(healthy) = ballot.served() {
            self.healthy = Some(healthy);
            self.since = Some(ballot.since(healthy).unwrap_or(now));
            self.seeded_until = now.checked_add(self.check.stale_after);
        }
    }

    /// No checker counts: keeps the verdict for a while, and then goes by
    /// what the check says. Whether that while runs. A target that no verdict
    /// was ever formed on stays without one.
    fn silence(&mut self, now: Instant) -> bool {
        let when_stale = match self.check.when_stale {
            WhenStale::KeepLast => return false,
            WhenStale::AssumeHealthy => true,
            WhenStale::AssumeUnhealthy => false,
        };
        if self.healthy.is_none() {
            return false;
        }
        if now.saturating_duration_since(self.heard) < self.check.stale_after {
            return true;
        }
        self.seeded_until = None;
        self.become_verdict(Some(when_stale), now);
        false
    }

    fn become_verdict(&mut self, healthy: Option<bool>, now: Instant) {
        if self.healthy != healthy {
            self.healthy = healthy;
            self.since = Some(now);
        }
    }
}

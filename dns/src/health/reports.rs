//! What the operator is told, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use watershed_health::fleet::{Report, digest};
use watershed_health::{State, Target};
use watershed_proto::NodeMessage;

/// What changes within this time is told at once: one cause often changes
/// many targets.
const GATHERING: Duration = Duration::from_millis(10);
/// From one beat to the next.
const BEAT: Duration = Duration::from_secs(5);
/// Reports in a message at most, so that none comes near the limit of 8 MiB.
const PART: usize = 5000;

/// What an operator knows of this node.
#[derive(Default)]
pub(super) struct Reports {
    /// When the next beat is due; `None`: there is no operator to tell.
    beat: Option<Instant>,
    /// When the next report is due.
    due: Option<Instant>,
    changed: BTreeSet<Target>,
    /// Whether everything is to be told.
    whole: bool,
    told: BTreeMap<Target, Told>,
}

/// What was told of a target.
#[derive(PartialEq, Eq)]
struct Told {
    state: State,
    changing: bool,
    message: String,
    certificate_expires: Option<i64>,
}

impl Told {
    fn of(report: &Report) -> Self {
        Self {
            state: report.state,
            changing: report.changing,
            message: report.message.clone(),
            certificate_expires: report.certificate_expires,
        }
    }
}

impl Reports {
    /// There is an operator, which knows nothing.
    pub(super) fn connected(&mut self, now: Instant) {
        *self = Self {
            beat: Some(now + BEAT),
            ..Self::default()
        };
        self.everything(now);
    }

    /// Nobody listens.
    pub(super) fn disconnected(&mut self) {
        *self = Self::default();
    }

    /// Everything is to be told at once.
    pub(super) fn everything(&mut self, now: Instant) {
        self.whole = true;
        self.due = Some(now);
    }

    /// Something of a target is to be told soon.
    pub(super) fn changed(&mut self, now: Instant, target: &Target) {
        if self.beat.is_some() {
            self.changed.insert(target.clone());
            self.due = self.due.or(Some(now + GATHERING));
        }
    }

    /// A message was lost: everything is told at the next beat.
    pub(super) fn lost(&mut self) {
        self.whole = true;
        self.due = self.beat;
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let beat = self.beat?;
        Some(self.due.map_or(beat, |due| due.min(beat)))
    }

    /// What is to be told now. `all` gives what there is to tell.
    pub(super) fn take(
        &mut self,
        now: Instant,
        all: impl FnOnce() -> Vec<Report>,
    ) -> Vec<NodeMessage> {
        let Some(beat) = self.beat else {
            return Vec::new();
        };
        let beats = beat <= now;
        if !beats && self.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        let mut messages = self.reports(all(), beats);
        if beats {
            self.beat = Some(now + BEAT);
            messages.push(NodeMessage::HealthBeat {
                digest: self.digest(),
            });
        }
        messages
    }

    /// What changed; with a beat also what changed only in words.
    fn reports(&mut self, all: Vec<Report>, beats: bool) -> Vec<NodeMessage> {
        let whole = std::mem::take(&mut self.whole);
        let changed = std::mem::take(&mut self.changed);
        self.due = None;
        if whole {
            self.told.clear();
        }
        let differs = |report: &Report| self.told.get(&report.target) != Some(&Told::of(report));
        let wanted = |report: &Report| {
            whole || changed.contains(&report.target) || (beats && differs(report))
        };
        let reports: Vec<Report> = all.into_iter().filter(wanted).collect();
        let told = reports.iter();
        let told = told.map(|report| (report.target.clone(), Told::of(report)));
        self.told.extend(told.collect::<Vec<_>>());
        in_parts(reports, whole)
    }

    fn digest(&self) -> u64 {
        let told = self.told.iter();
        digest(told.map(|(target, told)| (target, told.state, told.changing)))
    }
}

/// Messages of a bounded size. Of a whole report only the first part makes
/// the operator forget what it knew.
fn in_parts(mut reports: Vec<Report>, whole: bool) -> Vec<NodeMessage> {
    if reports.is_empty() && !whole {
        return Vec::new();
    }
    let mut messages = Vec::new();
    let mut first = whole;
    loop {
        let rest = reports.split_off(reports.len().min(PART));
        messages.push(NodeMessage::HealthReport {
            reports,
            whole: std::mem::take(&mut first),
        });
        if rest.is_empty() {
            return messages;
        }
        reports = rest;
    }
}

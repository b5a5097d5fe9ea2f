//! Counting what the checkers of one target say.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::check::Check;
use crate::target::Target;
use crate::tracker::State;

use super::panel::Fleet;
use super::{Report, Verdict};

/// The last report of a node on a target.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) state: State,
    pub(super) changing: bool,
    /// Since when the state is this one.
    pub(super) since: Instant,
    /// When the report came.
    pub(super) at: Instant,
    pub(super) message: String,
    pub(super) certificate_expires: Option<i64>,
    pub(super) served: Option<bool>,
}

impl Entry {
    pub(super) fn new(now: Instant, report: Report) -> Self {
        let age = Duration::from_millis(report.age_ms);
        Self {
            state: report.state,
            changing: report.changing,
            since: now.checked_sub(age).unwrap_or(now),
            at: now,
            message: report.message,
            certificate_expires: report.certificate_expires,
            served: report.served,
        }
    }
}

/// What the checkers of one target say at one moment.
#[derive(Debug, Default)]
pub(super) struct Ballot<'a> {
    /// Nodes that probe it.
    pub(super) assigned: u32,
    /// Those of them that live and have reported on it, whatever they said.
    pub(super) live: u32,
    /// Those that say healthy or unhealthy.
    pub(super) fresh: u32,
    /// Those that say healthy.
    pub(super) healthy: u32,
    /// By location: healthy and fresh; of every location with a checker.
    locations: BTreeMap<&'a str, (u32, u32)>,
    /// Whether any points to another state.
    pub(super) changing: bool,
    /// Nodes that answer as if it were healthy, and unhealthy.
    served: (u32, u32),
    /// When a checker that reported on it was last heard, living or not.
    pub(super) heard: Option<Instant>,
    /// The longest time for which one says healthy, and unhealthy.
    since: [Option<Instant>; 2],
    failing: Option<(&'a Entry, &'a str)>,
    silent_why: Option<(&'a Entry, &'a str)>,
    certificate_expires: Option<i64>,
}

impl<'a> Ballot<'a> {
    /// Asks the nodes at these positions.
    pub(super) fn new(
        now: Instant,
        target: &Target,
        check: &Check,
        assigned: &[usize],
        fleet: &'a Fleet,
    ) -> Self {
        let mut ballot = Self::default();
        for checker in assigned.iter().filter_map(|i| fleet.checkers.get(*i)) {
            ballot.assigned += 1;
            ballot.locations.entry(&checker.location).or_default();
            let Some(node) = fleet.nodes.get(&checker.node) else {
                continue;
            };
            let Some(entry) = node.reports.get(target) else {
                continue;
            };
            ballot.heard = ballot.heard.max(Some(node.heard));
            if now.saturating_duration_since(node.heard) < check.stale_after {
                ballot.add(entry, &checker.node, &checker.location);
            }
        }
        ballot
    }

    fn add(&mut self, entry: &'a Entry, node: &'a str, location: &'a str) {
        self.live += 1;
        self.changing |= entry.changing;
        match entry.served {
            Some(true) => self.served.0 += 1,
            Some(false) => self.served.1 += 1,
            None => {}
        }
        let expiry = self.certificate_expires.into_iter();
        self.certificate_expires = expiry.chain(entry.certificate_expires).min();
        if entry.state == State::Unknown {
            if !entry.changing && !entry.message.is_empty() {
                latest(&mut self.silent_why, entry, node);
            }
            return;
        }
        let healthy = entry.state == State::Healthy;
        self.fresh += 1;
        self.healthy += u32::from(healthy);
        let counts = self.locations.entry(location).or_default();
        counts.0 += u32::from(healthy);
        counts.1 += 1;
        if !healthy {
            latest(&mut self.failing, entry, node);
        }
        let since = &mut self.since[usize::from(!healthy)];
        *since = Some(since.map_or(entry.since, |since| since.min(entry.since)));
    }

    /// Whether so many have spoken that the verdict may change.
    pub(super) fn suffices(&self, check: &Check) -> bool {
        let locations = self.locations.len();
        let heard = self.locations.values().filter(|(_, fresh)| *fresh > 0);
        let wanted = usize::try_from(check.checkers.min_locations).unwrap_or(usize::MAX);
        self.fresh > 0 && self.fresh * 2 >= self.assigned && heard.count() >= wanted.min(locations)
    }

    /// What the fresh reports say together.
    pub(super) fn result(&self, check: &Check) -> bool {
        exceeds(self.healthy, self.fresh, check.quorum_percent)
    }

    /// The same, if every checker that has not spoken agreed with `seed`.
    pub(super) fn result_with(&self, check: &Check, seed: bool) -> bool {
        let all = check.checkers.per_target.max(self.assigned);
        let silent = if seed { all - self.fresh } else { 0 };
        exceeds(self.healthy + silent, all, check.quorum_percent)
    }

    /// What most nodes answer by, if any does; healthy when they are equal.
    pub(super) fn served(&self) -> Option<bool> {
        let (healthy, unhealthy) = self.served;
        (healthy + unhealthy > 0).then_some(healthy >= unhealthy)
    }

    /// Since when the first of those that agree with `healthy` says so.
    pub(super) fn since(&self, healthy: bool) -> Option<Instant> {
        self.since[usize::from(!healthy)]
    }

    /// Writes the counts into a verdict.
    pub(super) fn describe(self, verdict: &mut Verdict) {
        verdict.assigned_checkers = self.assigned;
        verdict.fresh_checkers = self.fresh;
        verdict.healthy_checkers = self.healthy;
        let locations = self.locations.into_iter();
        verdict.locations = locations
            .map(|(name, counts)| (name.to_owned(), counts))
            .collect();
        let error = self.failing.or(self.silent_why);
        verdict.last_error = error.map(|(entry, node)| (entry.message.clone(), node.to_owned()));
        verdict.certificate_expires = self.certificate_expires;
    }
}

fn latest<'a>(chosen: &mut Option<(&'a Entry, &'a str)>, entry: &'a Entry, node: &'a str) {
    if chosen.is_none_or(|(other, _)| other.at < entry.at) {
        *chosen = Some((entry, node));
    }
}

/// Whether `part` is more than so many percent of `whole`.
fn exceeds(part: u32, whole: u32, percent: u32) -> bool {
    u64::from(part) * 100 > u64::from(percent) * u64::from(whole)
}

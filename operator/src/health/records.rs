//! Failover: of the records whose clients do not return at once, which are held
//! where they are; and of versions, for all other records, which is only told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use watershed_health::{Checks, Hold, Target};
use watershed_policy::{Failback, FailbackMode, HeldRule, Policy};
use watershed_snapshot::{HealthStates, PolicyVersion};

use super::content::{Content, RecordContent};
use super::news::{Failover, News, Whose};
use super::view::{FailoverView, HeldView};

/// The failover of what one fleet serves.
#[derive(Debug, Default)]
pub(super) struct Records {
    records: BTreeMap<String, Record>,
    versions: BTreeMap<String, Record>,
}

/// By what the health of policies is found.
pub(super) struct Situation<'a> {
    pub(super) now: Instant,
    pub(super) unix: i64,
    pub(super) checks: &'a Checks,
    pub(super) verdicts: &'a BTreeMap<Target, bool>,
}

/// Clients that go the same way: of one record, or of all that share a
/// version.
#[derive(Debug)]
struct Record {
    whose: Whose,
    /// Where clients are is found for the first time, and so no news.
    is_new: bool,
    version: Arc<PolicyVersion>,
    mode: FailbackMode,
    failback: Failback,
    targets: BTreeSet<Target>,
    /// What the annotation asks for.
    release: Option<String>,
    /// The last that was carried out.
    released: Option<String>,
    /// Rules whose active branch is not their first, as last told.
    told: Vec<HeldRule>,
}

impl Records {
    /// These are the records from now on.
    pub(super) fn watch(&mut self, now: Instant, content: &Content) {
        let checks = &content.checks;
        self.records
            .retain(|name, _| content.records.contains_key(name));
        for (name, content) in &content.records {
            let whose = Whose::Record(name.clone());
            let record = self
                .records
                .entry(name.clone())
                .or_insert_with(|| Record::new(now, whose, content));
            record.change(content);
            record.targets = record.version.targets(checks);
        }
        self.versions
            .retain(|name, _| content.versions.contains_key(name));
        for (name, version) in &content.versions {
            let shared = shared(version);
            let whose = Whose::Version(name.clone());
            let record = self
                .versions
                .entry(name.clone())
                .or_insert_with(|| Record::new(now, whose, &shared));
            record.change(&shared);
            record.targets = version.targets(checks);
        }
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Record> {
        self.records.values_mut().chain(self.versions.values_mut())
    }

    /// Takes up the health of all records.
    pub(super) fn take_all(&mut self, situation: &Situation<'_>) -> Vec<News> {
        let news = self.all().flat_map(|record| record.take(situation));
        news.collect()
    }

    /// Takes up the health of records that depend on any of these targets.
    pub(super) fn take(
        &mut self,
        situation: &Situation<'_>,
        changed: &BTreeSet<Target>,
    ) -> Vec<News> {
        let records = self.all();
        let concerned = records.filter(|record| !record.targets.is_disjoint(changed));
        let news = concerned.flat_map(|record| record.take(situation));
        news.collect()
    }

    /// Takes up the health of records for which time alone changes something.
    pub(super) fn tick(&mut self, situation: &Situation<'_>) -> Vec<News> {
        let is_due = |record: &Record| {
            let deadline = record.failback.deadline();
            deadline.is_some_and(|deadline| deadline <= situation.now)
        };
        let due = self.records.values_mut().filter(|record| is_due(record));
        let news = due.flat_map(|record| record.take(situation));
        news.collect()
    }

    /// Clients of a rule are held there, unless it is known of the rule where
    /// they are held.
    pub(super) fn hold(&mut self, now: Instant, hold: &Hold) {
        let record = self.records.get_mut(&hold.record);
        if let Some(record) = record.filter(|record| record.mode != FailbackMode::Automatic) {
            record.hold(now, hold);
        }
    }

    /// What nodes are told.
    pub(super) fn holds(&self) -> Vec<Hold> {
        let holds = self.records.iter().flat_map(|(name, record)| {
            record.told.iter().map(|held| Hold {
                record: name.clone(),
                rule: held.rule.clone(),
                active: held.active.clone(),
            })
        });
        holds.collect()
    }

    /// The failover of a record.
    pub(super) fn view(&self, now: Instant, name: &str) -> Option<FailoverView> {
        let record = self.records.get(name)?;
        let rules = record.told.iter().map(|held| HeldView {
            rule: held.rule.clone(),
            active: held.active.clone(),
            preferred: held.preferred.clone(),
            age: now.saturating_duration_since(held.since),
            returns_in: (held.returns_at).map(|at| at.saturating_duration_since(now)),
        });
        Some(FailoverView {
            rules: rules.collect(),
            released: record.released.clone(),
        })
    }
}

impl Record {
    fn new(now: Instant, whose: Whose, content: &RecordContent) -> Self {
        let mut failback = Failback::new(content.mode);
        failback.restore(&content.version.policy, now, &content.written);
        let told = failback.failed_over(&content.version.policy);
        Self {
            is_new: matches!(whose, Whose::Version(_)),
            whose,
            version: Arc::clone(&content.version),
            mode: content.mode,
            failback,
            targets: BTreeSet::new(),
            release: None,
            released: content.released.clone(),
            told,
        }
    }

    fn change(&mut self, content: &RecordContent) {
        if self.mode != content.mode {
            self.mode = content.mode;
            self.failback.set_mode(content.mode);
        }
        self.version = Arc::clone(&content.version);
        self.release.clone_from(&content.release);
    }

    fn hold(&mut self, now: Instant, hold: &Hold) {
        if self.told.iter().any(|held| held.rule == hold.rule) {
            return;
        }
        let known = self.told.iter().map(|held| {
            let age = now.saturating_duration_since(held.since);
            (held.rule.clone(), held.active.clone(), age)
        });
        let own = (hold.rule.clone(), hold.active.clone(), Duration::ZERO);
        let active: Vec<_> = known.chain([own]).collect();
        self.failback.restore(&self.version.policy, now, &active);
    }

    fn take(&mut self, situation: &Situation<'_>) -> Vec<News> {
        let verdict = |target: &Target| situation.verdicts.get(target).copied();
        let health = self.version.health(
            situation.checks,
            situation.unix,
            &verdict,
            &HealthStates::all_healthy(),
        );
        let policy = &self.version.policy;
        let mut news = Vec::new();
        self.failback.take(situation.now, policy, &health);
        if self.release.is_some() && self.release != self.released {
            self.failback.release(situation.now, policy, &health);
            self.released.clone_from(&self.release);
            news.extend(self.looked_at());
        }
        let now = self.failback.failed_over(policy);
        if now != self.told {
            if !self.is_new {
                news.extend(moves(&self.whose, policy, &self.told, &now));
            }
            news.extend(self.looked_at());
            self.told = now;
        }
        self.is_new = false;
        news
    }

    /// The status of a record of its own tells more than that it failed over.
    fn looked_at(&self) -> Option<News> {
        match &self.whose {
            Whose::Record(record) => Some(News::Record(record.clone())),
            Whose::Version(_) => None,
        }
    }
}

/// What all records of a version have in common whose clients return at once.
fn shared(version: &Arc<PolicyVersion>) -> RecordContent {
    RecordContent {
        version: Arc::clone(version),
        mode: FailbackMode::Automatic,
        written: Vec::new(),
        release: None,
        released: None,
    }
}

/// The rules whose active branch is another one.
fn moves(whose: &Whose, policy: &Policy, before: &[HeldRule], now: &[HeldRule]) -> Vec<News> {
    let active = |list: &[HeldRule], rule: &str| {
        let held = list.iter().find(|held| held.rule == rule);
        held.map(|held| held.active.clone())
    };
    let rules = before.iter().chain(now).map(|held| held.rule.as_str());
    let rules: BTreeSet<&str> = rules.collect();
    let moved = rules.into_iter().filter_map(|rule| {
        let branches = branches(policy, rule);
        let first = || branches.first().map(|branch| (*branch).to_owned());
        let from = active(before, rule).or_else(first)?;
        let to = active(now, rule).or_else(first)?;
        let position = |branch: &str| branches.iter().position(|name| *name == branch);
        (from != to).then(|| {
            News::Failover(Failover {
                whose: whose.clone(),
                rule: rule.to_owned(),
                is_return: position(&to) < position(&from),
                from,
                to,
            })
        })
    });
    moved.collect()
}

/// Names of what the branches of a rule lead to.
fn branches<'p>(policy: &'p Policy, rule: &str) -> Vec<&'p str> {
    let rule = policy.rules().iter().find(|known| known.name == rule);
    let branches = rule.into_iter().flat_map(|rule| &rule.branches);
    branches
        .map(|branch| policy.name_of(branch.target))
        .collect()
}

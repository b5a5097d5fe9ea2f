//! Failover of the records whose clients do not return at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use watershed_health::{Checks, Hold, Target};
use watershed_policy::{Failback, FailbackMode, HeldRule, Policy};
use watershed_snapshot::{HealthStates, PolicyVersion};

use super::content::RecordContent;
use super::news::{Failover, News};
use super::view::{FailoverView, HeldView};

/// The records of one fleet whose clients do not return at once.
#[derive(Debug, Default)]
pub(super) struct Records {
    records: BTreeMap<String, Record>,
}

/// By what the health of policies is found.
pub(super) struct Situation<'a> {
    pub(super) now: Instant,
    pub(super) unix: i64,
    pub(super) checks: &'a Checks,
    pub(super) verdicts: &'a BTreeMap<Target, bool>,
}

#[derive(Debug)]
struct Record {
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
    pub(super) fn watch(
        &mut self,
        now: Instant,
        checks: &Checks,
        content: &BTreeMap<String, RecordContent>,
    ) {
        self.records.retain(|name, _| content.contains_key(name));
        for (name, content) in content {
            let record = self
                .records
                .entry(name.clone())
                .or_insert_with(|| Record::new(now, content));
            record.change(content);
            record.targets = record.version.targets(checks);
        }
    }

    /// Takes up the health of all records.
    pub(super) fn take_all(&mut self, situation: &Situation<'_>) -> Vec<News> {
        let records = self.records.iter_mut();
        let news = records.flat_map(|(name, record)| record.take(name, situation));
        news.collect()
    }

    /// Takes up the health of records that depend on any of these targets.
    pub(super) fn take(
        &mut self,
        situation: &Situation<'_>,
        changed: &BTreeSet<Target>,
    ) -> Vec<News> {
        let records = self.records.iter_mut();
        let concerned = records.filter(|(_, record)| !record.targets.is_disjoint(changed));
        let news = concerned.flat_map(|(name, record)| record.take(name, situation));
        news.collect()
    }

    /// Takes up the health of records for which time alone changes something.
    pub(super) fn tick(&mut self, situation: &Situation<'_>) -> Vec<News> {
        let is_due = |record: &Record| {
            let deadline = record.failback.deadline();
            deadline.is_some_and(|deadline| deadline <= situation.now)
        };
        let records = self.records.iter_mut();
        let due = records.filter(|(_, record)| is_due(record));
        let news = due.flat_map(|(name, record)| record.take(name, situation));
        news.collect()
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
    fn new(now: Instant, content: &RecordContent) -> Self {
        let mut failback = Failback::new(content.mode);
        failback.restore(&content.version.policy, now, &content.written);
        let told = failback.failed_over(&content.version.policy);
        Self {
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

    fn take(&mut self, name: &str, situation: &Situation<'_>) -> Vec<News> {
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
            news.push(News::Record(name.to_owned()));
        }
        let now = self.failback.failed_over(policy);
        if now != self.told {
            news.extend(moves(name, policy, &self.told, &now));
            news.push(News::Record(name.to_owned()));
            self.told = now;
        }
        news
    }
}

/// The rules whose active branch is another one.
fn moves(name: &str, policy: &Policy, before: &[HeldRule], now: &[HeldRule]) -> Vec<News> {
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
                record: name.to_owned(),
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

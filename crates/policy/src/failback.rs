//! Failback: when clients return to a branch that was down.
//!
//! Every failover rule has an *active* branch, which it tries first. It stays
//! active while it is healthy, until a more preferred one is healthy again and
//! may take over as the record says ([`FailbackMode`]). Health is looked at
//! without a client here: a rule is healthy when anything beneath it is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::document::RuleKind;
use crate::health::Health;
use crate::policy::{Branch, Node, Policy, Rule, RuleId};

/// When a more preferred branch that recovered takes over again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FailbackMode {
    /// At once.
    #[default]
    Automatic,
    /// When it has been healthy for so long without interruption.
    After(Duration),
    /// When somebody releases it, or the active branch fails.
    Manual,
}

/// A failover rule that tries another branch first than it would by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRule {
    /// Name of the rule.
    pub rule: String,
    /// Name of the rule or endpoint that the active branch leads to.
    pub active: String,
    /// What it would be without a hold. The same as `active` while nothing
    /// more preferred is healthy.
    pub preferred: String,
    /// Since when the active branch is active.
    pub since: Instant,
    /// When the preferred branch takes over if it stays healthy; `None` when
    /// somebody must release it.
    pub returns_at: Option<Instant>,
}

/// The active branches of all failover rules of one record. It has no clock:
/// every call gives the time, which never goes back.
#[derive(Clone, Debug, Default)]
pub struct Failback {
    mode: FailbackMode,
    rules: BTreeMap<String, RuleState>,
}

/// What is remembered of a failover rule.
#[derive(Clone, Debug)]
struct RuleState {
    /// Position of the active branch; `None` until health is known.
    active: Option<usize>,
    /// Since when it is active.
    since: Instant,
    /// The active branch was not the first, and is no longer there.
    lost: bool,
    /// The branch that Automatic takes.
    preferred: usize,
    branches: Vec<BranchState>,
}

/// What is remembered of a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BranchState {
    /// Name of its target.
    name: String,
    /// Since when it can be used without interruption.
    up_since: Option<Instant>,
}

/// Health of a rule or branch, whoever asks.
#[derive(Clone, Copy)]
struct Condition {
    healthy: bool,
    draining: bool,
}

/// The branches of a failover rule at one moment.
struct Situation {
    healthy: Vec<bool>,
    /// Not left out because it drains.
    eligible: Vec<bool>,
    /// None or too few are healthy, so all count as healthy.
    fallback: bool,
}

impl Failback {
    /// Nothing is known yet: the first call of [`Failback::take`] makes the
    /// first healthy branch of every rule the active one.
    pub fn new(mode: FailbackMode) -> Self {
        Self {
            mode,
            rules: BTreeMap::new(),
        }
    }

    /// Changes the mode. What it changes shows with the next
    /// [`Failback::take`].
    pub fn set_mode(&mut self, mode: FailbackMode) {
        self.mode = mode;
    }

    /// Takes over active branches that were written down: name of the rule,
    /// name of the active branch's target, and for how long it is active.
    ///
    /// The list replaces what was there: a rule that it does not name begins
    /// anew. Rules and branches that the policy has not are left out.
    pub fn restore(
        &mut self,
        policy: &Policy,
        now: Instant,
        active: &[(String, String, Duration)],
    ) {
        self.fit(policy, now);
        for (name, state) in &mut self.rules {
            let listed = active.iter().find(|(rule, _, _)| rule == name);
            let found = listed.and_then(|(_, branch, age)| {
                let position = state.branches.iter().position(|b| b.name == *branch)?;
                Some((position, now.checked_sub(*age).unwrap_or(now)))
            });
            state.lost = false;
            state.active = found.map(|(position, _)| position);
            state.since = found.map_or(now, |(_, since)| since);
        }
    }

    /// Takes up the health of the policy at this time, which may be another
    /// version than last time. Whether an active branch changed.
    pub fn take(&mut self, now: Instant, policy: &Policy, health: &Health) -> bool {
        self.fit(policy, now);
        let mode = self.mode;
        self.each(policy, health, |state, situation| {
            state.observe(now, situation);
            let active = state.next_active(now, mode, situation);
            state.activate(now, active)
        })
    }

    /// Lets every rule return to its first healthy branch now, or to its first
    /// branch when none is healthy. Whether an active branch changed.
    pub fn release(&mut self, now: Instant, policy: &Policy, health: &Health) -> bool {
        self.fit(policy, now);
        self.each(policy, health, |state, situation| {
            state.observe(now, situation);
            state.activate(now, state.preferred)
        })
    }

    /// The rules whose active branch is not the one that Automatic takes.
    pub fn held(&self, policy: &Policy) -> Vec<HeldRule> {
        self.report(policy, |active, state| active != state.preferred)
    }

    /// The rules whose active branch is not their first: those that are held,
    /// and those that failed over and have nowhere to return to yet. This is
    /// what must be written down for [`Failback::restore`].
    pub fn failed_over(&self, policy: &Policy) -> Vec<HeldRule> {
        self.report(policy, |active, _| active != 0)
    }

    /// When time alone changes an active branch next, if it does:
    /// [`Failback::take`] is to be called then.
    pub fn deadline(&self) -> Option<Instant> {
        let FailbackMode::After(wait) = self.mode else {
            return None;
        };
        let states = self.rules.values();
        states.filter_map(|state| state.deadline(wait)).min()
    }

    /// Makes the rules of `policy` try their active branches first.
    pub fn apply(&self, policy: &Policy, health: &mut Health) {
        for (id, rule) in failover_rules(policy) {
            let state = self.rules.get(&rule.name);
            if let Some(active) = state.and_then(|state| state.active) {
                health.set_first(id, active);
            }
        }
    }

    /// Brings what is remembered in line with the rules of the policy.
    fn fit(&mut self, policy: &Policy, now: Instant) {
        let mut before = std::mem::take(&mut self.rules);
        for (_, rule) in failover_rules(policy) {
            let names = rule.branches.iter().map(|b| policy.name_of(b.target));
            let state = match before.remove(&rule.name) {
                Some(state) if state.names().eq(names.clone()) => state,
                Some(state) => state.renamed(names),
                None => RuleState::new(names, now),
            };
            self.rules.insert(rule.name.clone(), state);
        }
    }

    /// Calls `change` for every failover rule; whether any call said true.
    fn each(
        &mut self,
        policy: &Policy,
        health: &Health,
        mut change: impl FnMut(&mut RuleState, &Situation) -> bool,
    ) -> bool {
        let conditions = conditions(policy, health);
        let mut changed = false;
        for (_, rule) in failover_rules(policy) {
            if let Some(state) = self.rules.get_mut(&rule.name) {
                changed |= change(state, &Situation::new(rule, policy, health, &conditions));
            }
        }
        changed
    }

    fn report(&self, policy: &Policy, wanted: impl Fn(usize, &RuleState) -> bool) -> Vec<HeldRule> {
        let rules = failover_rules(policy);
        let reports = rules.filter_map(|(_, rule)| {
            let state = self.rules.get(&rule.name)?;
            let active = state.active.filter(|active| wanted(*active, state))?;
            let preferred = state.branches.get(state.preferred)?;
            let returns_at = match self.mode {
                FailbackMode::After(wait) if state.preferred < active => {
                    preferred.up_since.and_then(|up| up.checked_add(wait))
                }
                _ => None,
            };
            Some(HeldRule {
                rule: rule.name.clone(),
                active: state.branches.get(active)?.name.clone(),
                preferred: preferred.name.clone(),
                since: state.since,
                returns_at,
            })
        });
        reports.collect()
    }
}

impl RuleState {
    fn new<'a>(names: impl Iterator<Item = &'a str>, now: Instant) -> Self {
        let branches = names.map(|name| BranchState {
            name: name.to_owned(),
            up_since: None,
        });
        Self {
            active: None,
            since: now,
            lost: false,
            preferred: 0,
            branches: branches.collect(),
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.branches.iter().map(|branch| branch.name.as_str())
    }

    /// The same with other branches: what is known of a name stays known. Where
    /// the first branch was active, nothing failed over, and the new order
    /// counts.
    fn renamed<'a>(self, names: impl Iterator<Item = &'a str>) -> Self {
        let mut renamed = Self::new(names, self.since);
        let known = |name: &str| self.branches.iter().find(|branch| branch.name == name);
        for branch in &mut renamed.branches {
            branch.up_since = known(&branch.name).and_then(|known| known.up_since);
        }
        let failed_over = self.active.filter(|active| *active > 0);
        let active = failed_over.and_then(|active| self.branches.get(active));
        renamed.active =
            active.and_then(|active| renamed.names().position(|name| name == active.name));
        renamed.lost = renamed.active.is_none() && failed_over.is_some();
        renamed
    }

    /// Takes down what can be used, and since when.
    fn observe(&mut self, now: Instant, situation: &Situation) {
        for (index, branch) in self.branches.iter_mut().enumerate() {
            branch.up_since = if situation.is_usable(index) {
                branch.up_since.or(Some(now))
            } else {
                None
            };
        }
        self.preferred = situation.preferred();
    }

    fn next_active(&self, now: Instant, mode: FailbackMode, situation: &Situation) -> usize {
        let Some(active) = self.active else {
            return self.preferred;
        };
        if mode == FailbackMode::Automatic {
            return self.preferred;
        }
        // Whatever recovers first will be the first to serve again; until then
        // nobody gains from being sent elsewhere.
        if situation.fallback {
            return active;
        }
        if !situation.is_healthy(active) {
            return self.preferred;
        }
        // A drained branch does not get its clients back by being held.
        if !situation.is_eligible(active) {
            return active.min(self.preferred);
        }
        let returns = |branch: &BranchState| match (mode, branch.up_since) {
            (FailbackMode::After(wait), Some(up)) => now.saturating_duration_since(up) >= wait,
            _ => false,
        };
        let mut ahead = self.branches.iter().take(active);
        ahead.position(returns).unwrap_or(active)
    }

    /// Makes a branch the active one; whether that changes what is tried
    /// first.
    fn activate(&mut self, now: Instant, active: usize) -> bool {
        if self.active == Some(active) {
            return false;
        }
        let lost = std::mem::take(&mut self.lost);
        let changed = lost || self.active.unwrap_or(0) != active;
        self.active = Some(active);
        self.since = now;
        changed
    }

    fn deadline(&self, wait: Duration) -> Option<Instant> {
        let ahead = self.branches.iter().take(self.active?);
        let returns = ahead.filter_map(|branch| branch.up_since?.checked_add(wait));
        returns.min()
    }
}

impl Situation {
    fn new(rule: &Rule, policy: &Policy, health: &Health, conditions: &[Condition]) -> Self {
        let branches = rule.branches.iter();
        let branches: Vec<Condition> = branches
            .map(|branch| condition(branch, policy, health, conditions))
            .collect();
        let all_drain = branches.iter().all(|branch| branch.draining);
        let eligible = branches.iter().map(|branch| all_drain || !branch.draining);
        let mut situation = Self {
            healthy: branches.iter().map(|branch| branch.healthy).collect(),
            eligible: eligible.collect(),
            fallback: false,
        };
        let eligible = situation.eligible.iter().filter(|e| **e).count();
        let usable = (0..branches.len())
            .filter(|i| situation.is_usable(*i))
            .count();
        let percent = usize::from(rule.min_healthy_percent.unwrap_or(0));
        situation.fallback = usable == 0 || usable * 100 < percent * eligible;
        situation
    }

    fn is_healthy(&self, index: usize) -> bool {
        self.healthy.get(index).copied().unwrap_or(false)
    }

    fn is_eligible(&self, index: usize) -> bool {
        self.eligible.get(index).copied().unwrap_or(false)
    }

    fn is_usable(&self, index: usize) -> bool {
        !self.fallback && self.is_healthy(index) && self.is_eligible(index)
    }

    /// The branch that a rule without failback answers from.
    fn preferred(&self) -> usize {
        let mut order = 0..self.healthy.len();
        let found = if self.fallback {
            order.find(|index| self.is_eligible(*index))
        } else {
            order.find(|index| self.is_usable(*index))
        };
        found.unwrap_or(0)
    }
}

fn failover_rules(policy: &Policy) -> impl Iterator<Item = (RuleId, &Rule)> {
    let rules = policy.rules().iter().enumerate();
    let rules = rules.filter(|(_, rule)| rule.kind == RuleKind::Failover);
    rules.map(|(index, rule)| (RuleId::new(index), rule))
}

/// The condition of every rule, whoever asks. Children come first.
fn conditions(policy: &Policy, health: &Health) -> Vec<Condition> {
    let mut conditions = Vec::with_capacity(policy.rules().len());
    for rule in policy.rules() {
        let branches = rule.branches.iter();
        let branches: Vec<Condition> = branches
            .map(|branch| condition(branch, policy, health, &conditions))
            .collect();
        let draining = branches.iter().all(|branch| branch.draining);
        let mut counted = branches.iter().filter(|b| draining || !b.draining);
        conditions.push(Condition {
            healthy: counted.any(|branch| branch.healthy),
            draining,
        });
    }
    conditions
}

/// The condition of a branch; `rules` holds those of the rules it may lead to.
fn condition(branch: &Branch, policy: &Policy, health: &Health, rules: &[Condition]) -> Condition {
    let target = match branch.target {
        Node::Endpoint(id) => Condition {
            healthy: health.endpoint(id),
            draining: policy.endpoint(id).drain,
        },
        Node::Rule(id) => rules.get(id.index()).copied().unwrap_or(Condition {
            healthy: true,
            draining: false,
        }),
    };
    let own = branch.check.is_none_or(|id| health.check(id));
    Condition {
        healthy: own && (target.healthy || !branch.evaluate_target_health),
        ..target
    }
}

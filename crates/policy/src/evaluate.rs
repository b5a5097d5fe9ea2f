//! What one rule does for one client: the single evaluation behind
//! [`decide`](crate::Policy::decide),
//! [`distribution`](crate::Policy::distribution) and
//! [`explain`](crate::Policy::explain).
//!
//! A rule is evaluated in four steps:
//!
//! 1. the branches that *apply* to the client, in order of preference;
//! 2. of these, the branches that do not drain, if there are any;
//! 3. of these, the healthy ones, if there are enough;
//! 4. the choice among them.

use smallvec::SmallVec;

use crate::client::{Client, LatencySource};
use crate::document::{Affinity, RuleKind, Selector};
use crate::health::Health;
use crate::policy::{Branch, Node, Policy, Rule, RuleId};
use crate::preference::{self, Sorted};
use crate::scope::Dependence;
use crate::sticky::{self, Contender};

/// Everything outside the policy that a decision depends on.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Who asks.
    pub client: &'a Client,
    /// Verdicts of health checks.
    pub health: &'a Health,
    /// Measured latency; distance is used where there is none.
    pub latency: Option<&'a dyn LatencySource>,
}

/// Indices of branches; most rules have few.
pub(crate) type Branches = SmallVec<[usize; 8]>;

/// Branches and their weights, or equal shares. Small, for it is handed on for
/// every decision.
pub(crate) type Shares = SmallVec<[Share; 8]>;

/// A branch and its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    branch: u32,
    weight: u32,
}

impl Share {
    /// Index of the branch.
    pub(crate) fn index(self) -> usize {
        self.branch as usize
    }

    pub(crate) fn weight(self) -> u64 {
        self.weight.into()
    }
}

/// Why a rule did not restrict itself to its healthy branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// It did restrict itself.
    None,
    /// No applicable branch is healthy, so all of them count as healthy.
    LastResort,
    /// Fewer are healthy than `minHealthyPercent`, so all count as healthy.
    BelowMinimum,
}

/// The outcome of evaluating one rule.
pub(crate) struct Evaluation {
    /// Branches that apply, in order of preference.
    pub(crate) applicable: Branches,
    /// Whether draining branches were left out.
    pub(crate) drained: bool,
    pub(crate) fallback: Fallback,
    pub(crate) choice: Choice,
}

/// What a rule chose, before any draw.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// No branch applies: no answer.
    Nothing,
    /// This branch for certain.
    One(usize),
    /// One of these by weight; all weights positive, at least two branches.
    Weighted(Shares),
    /// `size` of `pool` in one answer, drawn uniformly when the pool is larger.
    Several { pool: Branches, size: usize },
}

/// Whether a node is healthy and draining, for one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) healthy: bool,
    pub(crate) draining: bool,
    /// What of the client the state depended on.
    pub(crate) dependence: Dependence,
}

/// Branches of one kind, counted.
#[derive(Clone, Copy, Default)]
struct Tally {
    branches: usize,
    healthy: bool,
}

/// Evaluates rules of one policy for one query. States of rules are computed
/// once and remembered, so that shared rules cost no more than others.
pub(crate) struct Evaluator<'a> {
    policy: &'a Policy,
    record_type: u16,
    view: &'a View<'a>,
    /// States of rules that are the same for every client.
    fixed: &'a [Option<State>],
    /// Those of other rules, as far as they are known; empty at first.
    found: SmallVec<[Option<State>; 32]>,
    pub(crate) dependence: Dependence,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(policy: &'a Policy, record_type: u16, view: &'a View<'a>) -> Self {
        Self {
            policy,
            record_type,
            view,
            fixed: view.health.states(),
            found: SmallVec::new(),
            dependence: Dependence::default(),
        }
    }

    /// The states of all rules that are the same for every client and record
    /// type; `None` for the others.
    pub(crate) fn fixed_states(policy: &'a Policy, view: &'a View<'a>) -> Box<[Option<State>]> {
        let mut evaluator = Self::new(policy, 0, view);
        // Children come first, so that theirs are known.
        for (index, rule) in policy.rules.iter().enumerate() {
            let below = rule.branches.iter().all(|branch| match branch.target {
                Node::Rule(id) => evaluator.known(id).is_some(),
                Node::Endpoint(_) => true,
            });
            if below && rule.applies_alike() {
                evaluator.settle(RuleId::new(index));
            }
        }
        let mut states = evaluator.found;
        states.resize(policy.rules.len(), None);
        states.into_vec().into()
    }

    pub(crate) fn policy(&self) -> &'a Policy {
        self.policy
    }

    pub(crate) fn view(&self) -> &'a View<'a> {
        self.view
    }

    /// Evaluates a rule that the decision reached.
    pub(crate) fn evaluate(&mut self, id: RuleId) -> Evaluation {
        let rule = &self.policy.rules[id.index()];
        self.look_for(rule);
        let applicable = self.applicable(id, rule);
        let staying = self.staying(rule, &applicable);
        let eligible = staying.as_ref().unwrap_or(&applicable);
        let (choice, fallback) = if takes_first(rule.kind) && rule.min_healthy_percent.is_none() {
            self.first_healthy(rule, eligible)
        } else {
            let (candidates, fallback) = self.healthy_or_all(rule, eligible);
            (self.choose(rule, candidates), fallback)
        };
        Evaluation {
            drained: eligible.len() < applicable.len(),
            applicable,
            fallback,
            choice,
        }
    }

    /// Takes down what the selection of branches looks at.
    pub(crate) fn look_for(&mut self, rule: &Rule) {
        let dependence = self.selection_dependence(rule);
        self.dependence.merge(dependence);
    }

    /// State of a branch: its own check, and its target's health if that
    /// counts.
    pub(crate) fn branch_state(&mut self, branch: &Branch) -> State {
        let target = self.node_state(branch.target);
        let own = branch.check.is_none_or(|id| self.view.health.check(id));
        State {
            healthy: own && (target.healthy || !branch.evaluate_target_health),
            ..target
        }
    }

    /// Whether the branch's own check, if any, says healthy.
    pub(crate) fn own_check(&self, branch: &Branch) -> bool {
        branch.check.is_none_or(|id| self.view.health.check(id))
    }

    pub(crate) fn node_state(&mut self, node: Node) -> State {
        match node {
            Node::Endpoint(id) => State {
                healthy: self.view.health.endpoint(id),
                draining: self.policy.endpoints[id.index()].drain,
                dependence: Dependence::default(),
            },
            // Nearly always it is known, which is no reason for a stack.
            Node::Rule(id) => self.known(id).unwrap_or_else(|| self.rule_state(id)),
        }
    }

    /// State of a rule: healthy when one of its eligible branches is, draining
    /// when all that apply are. Depth first with an explicit stack, for a
    /// document may be deeper than a thread's stack.
    #[cold]
    fn rule_state(&mut self, root: RuleId) -> State {
        let mut stack: SmallVec<[(RuleId, usize); 16]> = SmallVec::new();
        stack.push((root, 0));
        while let Some((id, next)) = stack.pop() {
            match self.next_unsettled(id, next) {
                Some((child, position)) => {
                    stack.push((id, position + 1));
                    stack.push((child, 0));
                }
                None => self.settle(id),
            }
        }
        self.known(root).unwrap_or(State {
            healthy: true,
            draining: false,
            dependence: Dependence::default(),
        })
    }

    /// The first branch from `from` on that leads to a rule without a state.
    fn next_unsettled(&self, id: RuleId, from: usize) -> Option<(RuleId, usize)> {
        if self.known(id).is_some() {
            return None;
        }
        let branches = self.policy.rules[id.index()].branches.iter().enumerate();
        branches
            .skip(from)
            .find_map(|(position, branch)| match branch.target {
                Node::Rule(child) if self.known(child).is_none() => Some((child, position)),
                _ => None,
            })
    }

    fn settle(&mut self, id: RuleId) {
        if self.known(id).is_some() {
            return;
        }
        let rule = &self.policy.rules[id.index()];
        let mut dependence = match rule.kind {
            RuleKind::Geolocation | RuleKind::Cidr => self.selection_dependence(rule),
            // Order and weights do not change whether any branch is healthy.
            _ => Dependence::default(),
        };
        let (mut staying, mut draining) = (Tally::default(), Tally::default());
        for index in self.applicable_unordered(id, rule) {
            let state = self.branch_state(&rule.branches[index]);
            dependence.merge(state.dependence);
            let tally = if state.draining {
                &mut draining
            } else {
                &mut staying
            };
            tally.branches += 1;
            tally.healthy |= state.healthy;
        }
        let drains = staying.branches == 0 && draining.branches > 0;
        let counted = if drains { draining } else { staying };
        let state = State {
            healthy: counted.healthy,
            draining: drains,
            dependence,
        };
        self.found.resize(self.policy.rules.len(), None);
        self.found[id.index()] = Some(state);
    }

    /// The state of a rule, if it is known yet. Health of another policy may
    /// know more or fewer rules.
    fn known(&self, id: RuleId) -> Option<State> {
        let known = |states: &[Option<State>]| states.get(id.index()).copied().flatten();
        known(self.fixed).or_else(|| known(&self.found))
    }

    /// What of the client the selection of branches of a rule depends on.
    fn selection_dependence(&self, rule: &Rule) -> Dependence {
        let client = self.view.client;
        match rule.kind {
            RuleKind::Failover | RuleKind::MultiValue { .. } => Dependence::default(),
            RuleKind::Weighted { affinity } => match affinity {
                Affinity::None => Dependence::default(),
                Affinity::Client => Dependence::affinity(client),
            },
            RuleKind::Geolocation | RuleKind::Geoproximity => Dependence::location(),
            RuleKind::Latency => Dependence::latency(client, self.view.latency),
            RuleKind::Cidr => {
                let blocks = rule
                    .branches
                    .iter()
                    .flat_map(|branch| match &branch.selector {
                        Selector::Blocks(blocks) => blocks.as_slice(),
                        _ => &[],
                    });
                Dependence::blocks(client, blocks)
            }
        }
    }

    fn applicable_unordered(&self, id: RuleId, rule: &Rule) -> Branches {
        match rule.kind {
            RuleKind::Geolocation | RuleKind::Cidr | RuleKind::MultiValue { .. } => {
                self.applicable(id, rule)
            }
            _ => all(rule.branches.len()),
        }
    }

    /// The branches that apply to the client, most preferred first.
    fn applicable(&self, id: RuleId, rule: &Rule) -> Branches {
        let View {
            client, latency, ..
        } = *self.view;
        match rule.kind {
            RuleKind::Failover => in_order(rule.branches.len(), self.view.health.first(id)),
            RuleKind::Weighted { .. } => all(rule.branches.len()),
            RuleKind::MultiValue { .. } => self.with_values(rule),
            RuleKind::Geolocation => preference::by_place::<Sorted>(rule, client),
            RuleKind::Cidr => preference::by_block::<Sorted>(rule, client),
            RuleKind::Geoproximity => preference::by_biased_distance::<Sorted>(rule, client),
            RuleKind::Latency => preference::by_latency::<Sorted>(rule, client, latency),
        }
    }

    /// Branches whose endpoint has a value of the type that is asked.
    fn with_values(&self, rule: &Rule) -> Branches {
        let branches = rule.branches.iter().enumerate();
        let serving = branches.filter(|(_, branch)| match branch.target {
            Node::Endpoint(id) => {
                let endpoint = &self.policy.endpoints[id.index()];
                endpoint.values_of(self.record_type).next().is_some()
            }
            Node::Rule(_) => true,
        });
        serving.map(|(index, _)| index).collect()
    }

    /// The applicable branches that do not drain; `None` when all are eligible:
    /// because none drains, or because all do.
    fn staying(&mut self, rule: &Rule, applicable: &Branches) -> Option<Branches> {
        if !self.policy.drains {
            return None;
        }
        let mut staying = Branches::new();
        for &index in applicable {
            let state = self.branch_state(&rule.branches[index]);
            self.dependence.merge(state.dependence);
            if !state.draining {
                staying.push(index);
            }
        }
        (!staying.is_empty()).then_some(staying)
    }

    /// The first healthy branch, or the first when none is healthy. What comes
    /// after the chosen branch has no influence.
    fn first_healthy(&mut self, rule: &Rule, eligible: &[usize]) -> (Choice, Fallback) {
        for &index in eligible {
            let state = self.branch_state(&rule.branches[index]);
            self.dependence.merge(state.dependence);
            if state.healthy {
                return (Choice::One(index), Fallback::None);
            }
        }
        let first = eligible.first().copied();
        (
            first.map_or(Choice::Nothing, Choice::One),
            Fallback::LastResort,
        )
    }

    /// The healthy branches, or all when none or too few are healthy.
    fn healthy_or_all(&mut self, rule: &Rule, eligible: &Branches) -> (Branches, Fallback) {
        let mut healthy = Branches::new();
        for &index in eligible {
            let state = self.branch_state(&rule.branches[index]);
            self.dependence.merge(state.dependence);
            if state.healthy {
                healthy.push(index);
            }
        }
        let below = rule
            .min_healthy_percent
            .is_some_and(|percent| healthy.len() * 100 < usize::from(percent) * eligible.len());
        match (healthy.is_empty(), below) {
            (true, _) => (eligible.clone(), Fallback::LastResort),
            (false, true) => (eligible.clone(), Fallback::BelowMinimum),
            (false, false) => (healthy, Fallback::None),
        }
    }

    fn choose(&self, rule: &Rule, candidates: Branches) -> Choice {
        let Some(first) = candidates.first() else {
            return Choice::Nothing;
        };
        match rule.kind {
            RuleKind::Weighted { affinity } => self.choose_by_weight(rule, affinity, &candidates),
            RuleKind::MultiValue { max_answers } => Choice::Several {
                size: candidates.len().min(usize::from(max_answers)),
                pool: candidates,
            },
            _ => Choice::One(*first),
        }
    }

    fn choose_by_weight(&self, rule: &Rule, affinity: Affinity, candidates: &Branches) -> Choice {
        let shares = shares(rule, candidates);
        match (affinity, self.view.client.network, shares.as_slice()) {
            (_, _, [share]) => Choice::One(share.index()),
            (Affinity::Client, Some(network), _) => {
                let contenders = shares.iter().map(|share| Contender {
                    index: share.index(),
                    name: self.policy.name_of(rule.branches[share.index()].target),
                    occurrence: occurrence(rule, share.index()),
                    weight: share.weight(),
                });
                sticky::choose(network, &rule.name, contenders).map_or(Choice::Nothing, Choice::One)
            }
            _ => Choice::Weighted(shares),
        }
    }
}

/// `0..branches`.
fn all(branches: usize) -> Branches {
    const FIRST: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
    let few = FIRST.get(..branches).map(SmallVec::from_slice);
    few.unwrap_or_else(|| (0..branches).collect())
}

/// `0..branches`, with `first` at the front.
fn in_order(branches: usize, first: usize) -> Branches {
    let mut order = all(branches);
    if first > 0
        && let Some(front) = order.get_mut(..=first)
    {
        front.rotate_right(1);
    }
    order
}

/// Whether the rule answers from its most preferred healthy branch alone.
fn takes_first(kind: RuleKind) -> bool {
    match kind {
        RuleKind::Failover
        | RuleKind::Latency
        | RuleKind::Geolocation
        | RuleKind::Geoproximity
        | RuleKind::Cidr => true,
        RuleKind::Weighted { .. } | RuleKind::MultiValue { .. } => false,
    }
}

/// Weights of the candidates with positive weight; when all are zero, equal
/// shares.
fn shares(rule: &Rule, candidates: &[usize]) -> Shares {
    let share = |index: usize, weight| Share {
        // Documents are megabytes at most, so this never saturates.
        branch: u32::try_from(index).unwrap_or(u32::MAX),
        weight,
    };
    let mut positive = Shares::new();
    for &index in candidates {
        let weight = weight(&rule.branches[index]);
        if weight > 0 {
            positive.push(share(index, weight));
        }
    }
    if positive.is_empty() {
        candidates.iter().map(|&index| share(index, 1)).collect()
    } else {
        positive
    }
}

pub(crate) fn weight(branch: &Branch) -> u32 {
    match branch.selector {
        Selector::Weight(weight) => weight,
        _ => 0,
    }
}

fn occurrence(rule: &Rule, index: usize) -> usize {
    let target = rule.branches[index].target;
    let before = rule.branches[..index].iter();
    before.filter(|branch| branch.target == target).count()
}

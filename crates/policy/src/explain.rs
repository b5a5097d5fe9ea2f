//! Why a client gets its answer: what every rule on the way did.

use ipnet::IpNet;
use num_rational::BigRational;
use num_traits::{One, Zero};

use crate::client::Place;
use crate::distribution::{Distribution, fraction};
use crate::document::{RuleKind, Selector};
use crate::evaluate::{Choice, Evaluation, Evaluator, Fallback, State, View};
use crate::policy::{Branch, Node, Policy, RuleId};
use crate::preference::{self, Nearness};

/// Takes down what [`Policy::decide`](crate::Policy::decide) does.
pub trait Recorder {
    /// Whether steps are wanted at all; making them costs time.
    const ENABLED: bool;

    /// Takes down one step.
    fn record(&mut self, step: Step);
}

impl Recorder for () {
    const ENABLED: bool = false;

    fn record(&mut self, _: Step) {}
}

impl Recorder for Vec<Step> {
    const ENABLED: bool = true;

    fn record(&mut self, step: Step) {
        self.push(step);
    }
}

/// What one rule did.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The rule.
    pub rule: RuleId,
    /// How likely the walk comes here; 1 in the record of one decision.
    pub probability: BigRational,
    /// Why the rule did not restrict itself to healthy branches.
    pub fallback: Fallback,
    /// The branch that a failover rule tries first because failback holds it,
    /// where that is not its first branch.
    pub held: Option<usize>,
    /// Every branch, in document order.
    pub branches: Vec<BranchReport>,
}

/// What became of one branch of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct BranchReport {
    /// Position in the rule, from 0.
    pub index: usize,
    /// Where it leads.
    pub target: Node,
    /// Chosen, or why not.
    pub verdict: Verdict,
    /// How likely the branch is taken once its rule is reached. For a
    /// multivalue rule, how likely the endpoint is in the answer.
    pub share: BigRational,
    /// Its health.
    pub health: BranchHealth,
    /// Whether it takes no new clients while anything else is left.
    pub draining: bool,
    /// What the rule compared.
    pub measure: Measure,
}

/// Why a branch was chosen, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be taken; see the share.
    Chosen,
    /// It does not apply to this client: another place or block, or an
    /// endpoint without a value of the type asked.
    NotApplicable,
    /// It is left out because it drains.
    Draining,
    /// It is left out because it is unhealthy.
    Unhealthy,
    /// Another branch comes first: earlier, closer, faster or more specific.
    LessPreferred,
    /// Its weight is zero while others have weight.
    ZeroWeight,
    /// Client affinity keeps this client's network at another branch.
    OtherClients,
}

/// Health of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BranchHealth {
    /// Its check and its target are healthy.
    Healthy,
    /// Its own check is unhealthy.
    CheckUnhealthy,
    /// Its target is unhealthy.
    TargetUnhealthy,
    /// Its target is unhealthy, but target health is not evaluated.
    TargetIgnored,
}

/// What a rule compared of a branch.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// Position in the order (failover) or membership (multivalue).
    Order,
    /// Weight.
    Weight(u32),
    /// The smallest of its places that holds the client.
    Place(Option<Place>),
    /// The longest of its blocks that holds the client's network.
    Block(Option<IpNet>),
    /// It is for everyone else.
    Default,
    /// Latency to its region.
    Latency {
        /// The region as written.
        region: String,
        /// Measured, in microseconds.
        micros: Option<u32>,
        /// Great-circle distance in kilometres, where nothing was measured.
        distance_km: Option<f64>,
        /// It comes first because the client is in China.
        china: bool,
    },
    /// Distance, if the client's position is known.
    Distance {
        /// Great-circle kilometres.
        km: Option<f64>,
        /// The same after bias, by which branches are compared.
        biased_km: Option<f64>,
        /// The bias, -99..=99.
        bias: i32,
    },
}

impl Policy {
    /// The distribution of answers, and the steps that led to it: one for
    /// every rule that is reached, parents first.
    pub fn explain(&self, record_type: u16, view: &View<'_>) -> (Distribution, Vec<Step>) {
        let mut steps = Vec::new();
        let distribution = self.spread(record_type, view, |evaluator, id, evaluation, mass| {
            steps.push(Step::new(evaluator, id, evaluation, mass.clone()));
        });
        (distribution, steps)
    }
}

impl Step {
    pub(crate) fn certain(
        evaluator: &mut Evaluator<'_>,
        id: RuleId,
        evaluation: &Evaluation,
    ) -> Self {
        Self::new(evaluator, id, evaluation, BigRational::one())
    }

    fn new(
        evaluator: &mut Evaluator<'_>,
        id: RuleId,
        evaluation: &Evaluation,
        probability: BigRational,
    ) -> Self {
        let policy = evaluator.policy();
        let held = held(evaluator, id);
        let reports = policy.rule(id).branches.iter().enumerate();
        let branches = reports.map(|(index, branch)| report(evaluator, evaluation, index, branch));
        Self {
            rule: id,
            probability,
            fallback: evaluation.fallback,
            held,
            branches: branches.collect(),
        }
    }
}

/// The branch that a failover rule tries before its first.
fn held(evaluator: &Evaluator<'_>, id: RuleId) -> Option<usize> {
    let rule = evaluator.policy().rule(id);
    let first = evaluator.view().health.first(id);
    (rule.kind == RuleKind::Failover && (1..rule.branches.len()).contains(&first)).then_some(first)
}

fn report(
    evaluator: &mut Evaluator<'_>,
    evaluation: &Evaluation,
    index: usize,
    branch: &Branch,
) -> BranchReport {
    let state = evaluator.branch_state(branch);
    let share = share(&evaluation.choice, index);
    BranchReport {
        index,
        target: branch.target,
        verdict: verdict(evaluation, index, branch, state, &share),
        share,
        health: health(evaluator, branch),
        draining: state.draining,
        measure: measure(&branch.selector, evaluator.view()),
    }
}

fn share(choice: &Choice, index: usize) -> BigRational {
    match choice {
        Choice::One(one) if *one == index => BigRational::one(),
        Choice::Weighted(shares) => {
            let total: u64 = shares.iter().map(|share| share.weight()).sum();
            let own = shares.iter().filter(|share| share.index() == index);
            fraction(own.map(|share| share.weight()).sum(), total)
        }
        Choice::Several { pool, size } if pool.contains(&index) => {
            fraction(*size as u64, pool.len() as u64)
        }
        _ => BigRational::zero(),
    }
}

fn verdict(
    evaluation: &Evaluation,
    index: usize,
    branch: &Branch,
    state: State,
    share: &BigRational,
) -> Verdict {
    if !share.is_zero() {
        Verdict::Chosen
    } else if !evaluation.applicable.contains(&index) {
        Verdict::NotApplicable
    } else if state.draining && evaluation.drained {
        Verdict::Draining
    } else if !state.healthy && evaluation.fallback == Fallback::None {
        Verdict::Unhealthy
    } else {
        match branch.selector {
            Selector::Weight(0) => Verdict::ZeroWeight,
            Selector::Weight(_) => Verdict::OtherClients,
            _ => Verdict::LessPreferred,
        }
    }
}

fn health(evaluator: &mut Evaluator<'_>, branch: &Branch) -> BranchHealth {
    let target_healthy = evaluator.node_state(branch.target).healthy;
    match (evaluator.own_check(branch), target_healthy) {
        (false, _) => BranchHealth::CheckUnhealthy,
        (true, true) => BranchHealth::Healthy,
        (true, false) if branch.evaluate_target_health => BranchHealth::TargetUnhealthy,
        (true, false) => BranchHealth::TargetIgnored,
    }
}

fn measure(selector: &Selector, view: &View<'_>) -> Measure {
    let client = view.client;
    match selector {
        Selector::Always | Selector::Missing => Measure::Order,
        Selector::Weight(weight) => Measure::Weight(*weight),
        Selector::Default => Measure::Default,
        Selector::Places(places) => {
            Measure::Place(preference::smallest_place(places, &client.location).cloned())
        }
        Selector::Blocks(_) => Measure::Block(preference::longest_block(selector, client).copied()),
        Selector::Region(region) => {
            let (nearness, value) = preference::nearness(region, client, view.latency);
            Measure::Latency {
                region: region.name.clone(),
                micros: view
                    .latency
                    .and_then(|l| l.latency_micros(client, &region.name)),
                distance_km: (nearness == Nearness::Distance).then_some(value.0),
                china: nearness == Nearness::ChinaInBeijing,
            }
        }
        Selector::Position { bias, .. } => {
            let distances = preference::biased_distance_km(selector, client);
            Measure::Distance {
                km: distances.map(|(km, _)| km),
                biased_km: distances.map(|(_, biased)| biased),
                bias: *bias,
            }
        }
    }
}

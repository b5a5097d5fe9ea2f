//! The exact probability of every answer.

use std::collections::BTreeMap;

use num_rational::BigRational;
use num_traits::One;

use crate::decide::leaves;
use crate::evaluate::{Choice, Evaluation, Evaluator, View};
use crate::policy::{EndpointId, Node, Policy, RuleId};
use crate::scope::Scope;

/// Every answer that a client may get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// In document order of their endpoints, no answer last; probabilities
    /// are positive and sum to one.
    pub outcomes: Vec<Outcome>,
    /// For which clients the distribution is the same.
    pub scope: Scope,
}

/// One possible answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How likely it is.
    pub probability: BigRational,
    /// The endpoints that make the answer together; empty for no answer.
    pub endpoints: Vec<EndpointId>,
    /// When set, the answer is this many of `endpoints`, drawn uniformly.
    pub subset: Option<usize>,
}

/// What tells answers apart; ordered with no answer last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    empty: bool,
    endpoints: Vec<EndpointId>,
    subset: Option<usize>,
}

impl Policy {
    /// The exact distribution of answers for `record_type`, an IANA type
    /// number that the policy serves. Work is linear in the size of the
    /// policy, but for the length of the fractions.
    pub fn distribution(&self, record_type: u16, view: &View<'_>) -> Distribution {
        self.spread(record_type, view, |_, _, _, _| {})
    }

    /// Spreads probability one from the start over all rules, parents before
    /// children, and calls `visit` for every rule that is reached.
    pub(crate) fn spread(
        &self,
        record_type: u16,
        view: &View<'_>,
        mut visit: impl FnMut(&mut Evaluator<'_>, RuleId, &Evaluation, &BigRational),
    ) -> Distribution {
        let mut evaluator = Evaluator::new(self, record_type, view);
        let mut spread = Spread::new(self, record_type);
        spread.reach(self.start, BigRational::one());
        for index in (0..self.rules.len()).rev() {
            let Some(mass) = spread.rules[index].take() else {
                continue;
            };
            let id = RuleId::new(index);
            let evaluation = evaluator.evaluate(id);
            visit(&mut evaluator, id, &evaluation, &mass);
            spread.pass_on(id, &evaluation.choice, &mass);
        }
        Distribution {
            outcomes: spread.outcomes(),
            scope: evaluator.dependence.scope(view.client),
        }
    }
}

/// Probability on its way from the start to the answers.
struct Spread<'a> {
    policy: &'a Policy,
    record_type: u16,
    rules: Vec<Option<BigRational>>,
    answers: BTreeMap<Answer, BigRational>,
}

impl<'a> Spread<'a> {
    fn new(policy: &'a Policy, record_type: u16) -> Self {
        Self {
            policy,
            record_type,
            rules: vec![None; policy.rules.len()],
            answers: BTreeMap::new(),
        }
    }

    fn reach(&mut self, node: Node, mass: BigRational) {
        match node {
            Node::Rule(id) => {
                let slot = &mut self.rules[id.index()];
                *slot = Some(slot.take().map_or(mass.clone(), |sum| sum + mass));
            }
            Node::Endpoint(id) => {
                let endpoints = self.policy.answer(id, self.record_type);
                self.answer(endpoints.into_vec(), None, mass);
            }
        }
    }

    fn pass_on(&mut self, id: RuleId, choice: &Choice, mass: &BigRational) {
        let rule = self.policy.rule(id);
        match choice {
            Choice::Nothing => self.answer(Vec::new(), None, mass.clone()),
            Choice::One(index) => self.reach(rule.branches[*index].target, mass.clone()),
            Choice::Weighted(shares) => {
                let total: u64 = shares.iter().map(|share| share.weight()).sum();
                for share in shares {
                    let part = fraction(share.weight(), total);
                    self.reach(rule.branches[share.index()].target, mass * part);
                }
            }
            Choice::Several { pool, size } => {
                let endpoints = leaves(rule, pool).into_vec();
                let subset = (*size < pool.len()).then_some(*size);
                self.answer(endpoints, subset, mass.clone());
            }
        }
    }

    fn answer(&mut self, endpoints: Vec<EndpointId>, subset: Option<usize>, mass: BigRational) {
        let answer = Answer {
            empty: endpoints.is_empty(),
            endpoints,
            subset,
        };
        let sum = self
            .answers
            .remove(&answer)
            .map_or(mass.clone(), |sum| sum + mass);
        self.answers.insert(answer, sum);
    }

    fn outcomes(self) -> Vec<Outcome> {
        let answers = self.answers.into_iter();
        let outcomes = answers.map(|(answer, probability)| Outcome {
            probability,
            endpoints: answer.endpoints,
            subset: answer.subset,
        });
        outcomes.collect()
    }
}

/// `part / whole`, exactly; `whole` is positive.
pub(crate) fn fraction(part: u64, whole: u64) -> BigRational {
    BigRational::new(part.into(), whole.into())
}

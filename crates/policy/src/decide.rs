//! One answer for one query.

use smallvec::SmallVec;

use crate::document::Value;
use crate::evaluate::{Branches, Choice, Evaluator, Share, View};
use crate::explain::{Recorder, Step};
use crate::policy::{EndpointId, Node, Policy, Rule, RuleId};
use crate::scope::Scope;

/// A source of uniform draws.
pub trait Draw {
    /// A number in `0..bound`, each equally likely; `bound` is positive.
    fn below(&mut self, bound: u64) -> u64;
}

impl<F: FnMut(u64) -> u64> Draw for F {
    fn below(&mut self, bound: u64) -> u64 {
        self(bound)
    }
}

/// What one query gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The endpoints whose values make the answer; empty for no answer
    /// (NODATA).
    pub endpoints: SmallVec<[EndpointId; 8]>,
    /// For which clients the distribution of answers is the same.
    pub scope: Scope,
}

impl Decision {
    /// The values of the answer, for the type that was asked.
    pub fn values<'a>(
        &'a self,
        policy: &'a Policy,
        record_type: u16,
    ) -> impl Iterator<Item = &'a Value> {
        let endpoints = self.endpoints.iter().map(|id| policy.endpoint(*id));
        endpoints.flat_map(move |endpoint| endpoint.values_of(record_type))
    }
}

impl Policy {
    /// Decides one query for `record_type`, an IANA type number that the
    /// policy serves. Work is linear in the size of the policy.
    pub fn decide<D: Draw, R: Recorder>(
        &self,
        record_type: u16,
        view: &View<'_>,
        draw: &mut D,
        recorder: &mut R,
    ) -> Decision {
        let mut evaluator = Evaluator::new(self, record_type, view);
        let mut node = self.start;
        let endpoints = loop {
            let id = match node {
                Node::Endpoint(endpoint) => break self.answer(endpoint, record_type),
                Node::Rule(id) => id,
            };
            let rule = self.rule(id);
            if !R::ENABLED
                && let Some(index) = evaluator.usual(id, draw)
            {
                node = rule.branches[index].target;
                continue;
            }
            let evaluation = evaluator.evaluate(id);
            if R::ENABLED {
                recorder.record(Step::certain(&mut evaluator, id, &evaluation));
            }
            node = match evaluation.choice {
                Choice::Nothing => break SmallVec::new(),
                Choice::One(index) => rule.branches[index].target,
                Choice::Weighted(shares) => {
                    let drawn = draw_weighted(&shares, draw);
                    self.look_at_the_undrawn(&mut evaluator, rule, &shares, drawn);
                    rule.branches[drawn].target
                }
                Choice::Several { pool, size } => break sample(rule, pool, size, draw),
            };
        };
        Decision {
            endpoints,
            scope: evaluator.dependence.scope(view.client),
        }
    }

    /// The endpoint, unless it has no value of the type.
    pub(crate) fn answer(&self, id: EndpointId, record_type: u16) -> SmallVec<[EndpointId; 8]> {
        let has_values = self.endpoint(id).values_of(record_type).next().is_some();
        has_values.then_some(id).into_iter().collect()
    }

    /// Makes the scope hold for the distribution of answers, not just for the
    /// one drawn: a resolver that cached the drawn branch for the whole world
    /// would keep the others' clients from their own answers.
    fn look_at_the_undrawn(
        &self,
        evaluator: &mut Evaluator<'_>,
        rule: &Rule,
        shares: &[Share],
        drawn: usize,
    ) {
        let undrawn = shares.iter().filter(|share| share.index() != drawn);
        let undrawn = undrawn.map(|share| rule.branches[share.index()].target);
        let mut waiting: SmallVec<[RuleId; 8]> = undrawn.filter_map(|n| self.looking(n)).collect();
        let mut seen: SmallVec<[RuleId; 8]> = SmallVec::new();
        while let Some(id) = waiting.pop() {
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            let target = |index: usize| self.looking(self.rule(id).branches[index].target);
            match evaluator.evaluate(id).choice {
                Choice::One(index) => waiting.extend(target(index)),
                Choice::Weighted(shares) => {
                    waiting.extend(shares.iter().filter_map(|share| target(share.index())));
                }
                Choice::Nothing | Choice::Several { .. } => {}
            }
        }
    }

    /// The rule, if it or one that it leads to looks at the client.
    fn looking(&self, node: Node) -> Option<RuleId> {
        match node {
            Node::Rule(id) if self.looks_at_client[id.index()] => Some(id),
            Node::Rule(_) | Node::Endpoint(_) => None,
        }
    }
}

/// Draws an index in proportion to the weights.
fn draw_weighted(shares: &[Share], draw: &mut impl Draw) -> usize {
    let total = shares.iter().map(|share| share.weight()).sum();
    let mut ticket = draw.below(total);
    for share in shares {
        if ticket < share.weight() {
            return share.index();
        }
        ticket -= share.weight();
    }
    // Only a draw outside its bound comes here.
    shares.last().map_or(0, |share| share.index())
}

/// Draws `size` branches of the pool by a partial Fisher-Yates shuffle.
fn sample(
    rule: &Rule,
    mut pool: Branches,
    size: usize,
    draw: &mut impl Draw,
) -> SmallVec<[EndpointId; 8]> {
    if size < pool.len() {
        for position in 0..size {
            let remaining = pool.len() - position;
            let offset = usize::try_from(draw.below(remaining as u64)).unwrap_or(0);
            pool.swap(position, position + offset.min(remaining - 1));
        }
        pool.truncate(size);
    }
    leaves(rule, &pool)
}

/// The endpoints that branches of a multivalue rule lead to.
pub(crate) fn leaves(rule: &Rule, branches: &[usize]) -> SmallVec<[EndpointId; 8]> {
    let targets = branches.iter().map(|index| rule.branches[*index].target);
    let endpoints = targets.filter_map(|target| match target {
        Node::Endpoint(id) => Some(id),
        Node::Rule(_) => None,
    });
    endpoints.collect()
}

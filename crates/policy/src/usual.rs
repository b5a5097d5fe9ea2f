//! The usual ways through a rule, for decisions: without lists, as nobody asks
//! what became of the other branches.
//!
//! Here and in the full evaluation the same branch is taken, with the same
//! draws and the same dependence on the client; a property test holds decisions
//! to the distribution, which takes the full evaluation.

use crate::decide::Draw;
use crate::document::{Affinity, RuleKind};
use crate::evaluate::{Evaluator, View, weight};
use crate::policy::{Branch, Rule, RuleId};
use crate::preference::{self, First};

impl Evaluator<'_> {
    /// The branch that a decision takes at a rule. `None` where it needs the
    /// full evaluation: nothing was drawn then, and nothing looked at that
    /// this would not look at as well.
    pub(crate) fn usual(&mut self, id: RuleId, draw: &mut impl Draw) -> Option<usize> {
        let policy = self.policy();
        let rule = policy.rule(id);
        if policy.drains || rule.min_healthy_percent.is_some() {
            return None;
        }
        match rule.kind {
            RuleKind::Failover => self.first_healthy_in_order(id, rule),
            RuleKind::Weighted {
                affinity: Affinity::None,
            } if !policy.looks_at_client[id.index()] => self.draw_branch(rule, draw),
            RuleKind::Weighted { .. } | RuleKind::MultiValue { .. } => None,
            RuleKind::Geolocation | RuleKind::Latency | RuleKind::Geoproximity | RuleKind::Cidr => {
                self.look_for(rule);
                let index = self.most_preferred(rule)?;
                self.is_healthy(&rule.branches[index]).then_some(index)
            }
        }
    }

    fn first_healthy_in_order(&mut self, id: RuleId, rule: &Rule) -> Option<usize> {
        let first = self.view().health.first(id);
        let order = (first < rule.branches.len()).then_some(first);
        let others = (0..rule.branches.len()).filter(|index| Some(*index) != order);
        let mut order = order.into_iter().chain(others);
        order.find(|index| self.is_healthy(&rule.branches[*index]))
    }

    /// Draws among the healthy branches that have weight.
    fn draw_branch(&mut self, rule: &Rule, draw: &mut impl Draw) -> Option<usize> {
        let (mut total, mut count, mut last) = (0, 0, 0);
        for (index, branch) in rule.branches.iter().enumerate() {
            let weight = u64::from(weight(branch));
            if weight > 0 && self.is_healthy(branch) {
                (total, count, last) = (total + weight, count + 1, index);
            }
        }
        match count {
            0 => return None,
            1 => return Some(last),
            _ => {}
        }
        let mut ticket = draw.below(total);
        for (index, branch) in rule.branches.iter().enumerate() {
            let weight = u64::from(weight(branch));
            if weight > 0 && self.is_healthy(branch) {
                if ticket < weight {
                    return Some(index);
                }
                ticket -= weight;
            }
        }
        // Only a draw outside its bound comes here.
        Some(last)
    }

    fn most_preferred(&self, rule: &Rule) -> Option<usize> {
        let View {
            client, latency, ..
        } = *self.view();
        match rule.kind {
            RuleKind::Geolocation => preference::by_place::<First>(rule, client),
            RuleKind::Cidr => preference::by_block::<First>(rule, client),
            RuleKind::Geoproximity => preference::by_biased_distance::<First>(rule, client),
            RuleKind::Latency => preference::by_latency::<First>(rule, client, latency),
            RuleKind::Failover | RuleKind::Weighted { .. } | RuleKind::MultiValue { .. } => None,
        }
    }

    fn is_healthy(&mut self, branch: &Branch) -> bool {
        let state = self.branch_state(branch);
        self.dependence.merge(state.dependence);
        state.healthy
    }
}

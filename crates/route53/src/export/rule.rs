//! Rules, with what Route 53 lacks rewritten or refused.

use serde_json::{Value, json};
use watershed_crd::document::{Affinity, Branch, Rule, RuleType};
use watershed_policy::Path;

use super::Export;
use crate::format::RuleKind;

/// Most values in a multivalue answer of Route 53, and the default here.
const MAX_ANSWERS: i32 = 8;

/// Largest weight of Route 53.
const MAX_WEIGHT: i32 = 255;

impl Export<'_> {
    pub(super) fn rule(&mut self, name: &str, rule: &Rule) -> Option<Value> {
        let Some(kind) = RuleKind::of_policy(rule.type_) else {
            let type_ = rule.type_.as_str();
            self.refuse(
                Path::Rule(name.to_owned(), Some("type")),
                format!("Route 53 traffic policies have no rules of type {type_}"),
            );
            return None;
        };
        self.refuse_extras(name, rule);
        Some(match kind {
            RuleKind::Failover => self.failover(name, &rule.branches),
            RuleKind::Weighted => self.weighted(name, &rule.branches),
            _ => self.list(kind, name, &rule.branches),
        })
    }

    /// Fields of the rule itself that Route 53 does not have, where they make
    /// a difference.
    fn refuse_extras(&mut self, name: &str, rule: &Rule) {
        let path = |field| Path::Rule(name.to_owned(), Some(field));
        let count = rule.branches.len();
        if rule.affinity == Some(Affinity::Client) {
            self.refuse(
                path("affinity"),
                "Route 53 draws anew for every query: it has no affinity",
            );
        }
        if rule
            .min_healthy_percent
            .is_some_and(|percent| matters(percent, count))
        {
            self.refuse(
                path("minHealthyPercent"),
                "Route 53 uses unhealthy items only when none is healthy: it has no minimum",
            );
        }
        let limits = |max: i32| max != MAX_ANSWERS && usize::try_from(max).is_ok_and(|m| m < count);
        if rule.type_ == RuleType::MultiValue && rule.max_answers.is_some_and(limits) {
            let message = format!("Route 53 always answers with up to {MAX_ANSWERS} values");
            self.refuse(path("maxAnswers"), message);
        }
    }

    /// A rule whose items stand in one array.
    fn list(&mut self, kind: RuleKind, name: &str, branches: &[Branch]) -> Value {
        let mut items = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            items.extend(self.items(kind, name, index, branch));
        }
        let mut rule = json!({"RuleType": kind.as_str()});
        rule[kind.item_holders()[0]] = items.into();
        rule
    }

    /// Two tiers are a failover rule, and more are rules within rules: the
    /// last resort of all of them together is the first tier as well.
    fn failover(&mut self, name: &str, branches: &[Branch]) -> Value {
        let mut items = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            items.extend(self.items(RuleKind::Failover, name, index, branch));
        }
        // Fewer than two are a fault of the document itself, told already.
        let mut rest = items.pop().unwrap_or_default();
        let mut before = items.into_iter();
        let primary = before.next().unwrap_or_default();
        for (index, item) in before.enumerate().rev() {
            let tier = self.free_rule_name(&format!("{name}-tier-{}", index + 2));
            self.rules.insert(tier.clone(), tiers(&item, &rest));
            rest = json!({"RuleReference": tier, "EvaluateTargetHealth": true});
        }
        tiers(&primary, &rest)
    }

    /// Weights above 255 are divided by what they have in common.
    fn weighted(&mut self, name: &str, branches: &[Branch]) -> Value {
        let weights = branches.iter().map(|b| b.weight.unwrap_or_default());
        let largest = weights.clone().max().unwrap_or_default();
        let divisor = if largest > MAX_WEIGHT {
            weights.fold(0, gcd).max(1)
        } else {
            1
        };
        if largest / divisor > MAX_WEIGHT {
            self.refuse(
                Path::Rule(name.to_owned(), Some("branches")),
                format!("The weights cannot be written as 0 to {MAX_WEIGHT}, Route 53's range, without changing the shares"),
            );
        }
        let scaled: Vec<Branch> = branches.iter().map(|b| scale(b, divisor)).collect();
        self.list(RuleKind::Weighted, name, &scaled)
    }
}

fn tiers(primary: &Value, secondary: &Value) -> Value {
    json!({"RuleType": "failover", "Primary": primary, "Secondary": secondary})
}

fn scale(branch: &Branch, divisor: i32) -> Branch {
    Branch {
        weight: branch.weight.map(|weight| weight / divisor),
        ..branch.clone()
    }
}

fn gcd(a: i32, b: i32) -> i32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Whether a minimum of healthy branches can say other than "one of them".
fn matters(percent: i32, branches: usize) -> bool {
    i32::try_from(branches)
        .ok()
        .and_then(|count| percent.checked_mul(count))
        .is_none_or(|product| product > 100)
}

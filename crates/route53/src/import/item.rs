//! Items of rules: where they lead, their health, and when they apply.

use serde_json::Value;
use watershed_crd::document::{Branch, LocalReference};
use watershed_policy::Code;

use super::Walk;
use crate::format::{MAX_HEALTH_CHECK_CHARS, REGION_PREFIX, RuleKind};
use crate::hosts::AliasType;
use crate::members::Members;
use crate::place::Place;
use crate::regions::is_latency_region;

impl Walk {
    /// An item as a branch. What is wrong with it is left out.
    pub(super) fn item(&mut self, kind: RuleKind, place: &Place, value: &Value) -> Branch {
        let mut branch = Branch::default();
        let known = [kind.common_members(), kind.item_members(self.version)];
        let members = Members::read(value, place.clone(), &known, &mut self.faults);
        let Some(members) = members else {
            return branch;
        };
        self.target(kind, &members, &mut branch);
        branch.health_check_ref = self.health_check(&members);
        match kind {
            RuleKind::Failover | RuleKind::Multivalue => {}
            RuleKind::Geo => self.location(&members, &mut branch),
            RuleKind::Geoproximity => self.position(&members, &mut branch),
            RuleKind::Latency => branch.region = self.latency_region(&members),
            RuleKind::Weighted => branch.weight = self.weight(&members),
        }
        branch
    }

    fn target(&mut self, kind: RuleKind, members: &Members<'_>, branch: &mut Branch) {
        match (
            members.has("EndpointReference"),
            members.has("RuleReference"),
        ) {
            (true, true) => self.fault(
                &members.place,
                Code::FieldConflict,
                "EndpointReference and RuleReference exclude each other: keep one of them",
            ),
            (true, false) => {
                let id = members.text("EndpointReference", &mut self.faults);
                branch.endpoint = id.map(str::to_owned);
            }
            // That a multivalue item has no such member was reported.
            (false, true) if kind == RuleKind::Multivalue => {}
            (false, true) => {
                let id = members.text("RuleReference", &mut self.faults);
                branch.rule = id.map(str::to_owned);
            }
            (false, false) => {
                let message = match kind {
                    RuleKind::Multivalue => "EndpointReference is missing",
                    _ => "EndpointReference or RuleReference is missing",
                };
                self.fault(&members.place, Code::MissingField, message);
            }
        }
        if kind != RuleKind::Multivalue {
            branch.evaluate_target_health =
                members.boolean("EvaluateTargetHealth", &mut self.faults);
        }
        self.endpoint_allowed(kind, members, branch);
    }

    /// What the type of the endpoint that an item leads to forbids.
    fn endpoint_allowed(&mut self, kind: RuleKind, members: &Members<'_>, branch: &Branch) {
        let endpoint = branch.endpoint.as_ref();
        let Some(alias) = endpoint.and_then(|id| self.aliases.get(id)).copied() else {
            return;
        };
        let name = alias.as_str();
        if kind == RuleKind::Multivalue {
            let message = format!(
                "EndpointReference of a multivalue rule must lead to an endpoint of type value, not {name}"
            );
            let place = members.place.member("EndpointReference");
            self.fault(&place, Code::InvalidStructure, message);
        } else if alias == AliasType::CloudFront && branch.evaluate_target_health == Some(true) {
            let message = "EvaluateTargetHealth cannot be true for an endpoint of type cloudfront";
            let place = members.place.member("EvaluateTargetHealth");
            self.fault(&place, Code::InvalidValue, message);
        }
    }

    fn health_check(&mut self, members: &Members<'_>) -> Option<LocalReference> {
        let id = members.text("HealthCheck", &mut self.faults)?;
        if (1..=MAX_HEALTH_CHECK_CHARS).contains(&id.chars().count()) {
            return Some(LocalReference {
                name: id.to_owned(),
            });
        }
        let message = format!("HealthCheck must have 1 to {MAX_HEALTH_CHECK_CHARS} characters");
        let place = members.place.member("HealthCheck");
        self.fault(&place, Code::InvalidValue, message);
        None
    }

    fn weight(&mut self, members: &Members<'_>) -> Option<i32> {
        members.required("Weight", &mut self.faults)?;
        let weight = members.integer("Weight", &mut self.faults)?;
        if (0..=255).contains(&weight) {
            return i32::try_from(weight).ok();
        }
        let message = format!("Weight must be 0 to 255, not {weight}");
        self.fault(&members.place.member("Weight"), Code::InvalidValue, message);
        None
    }

    fn latency_region(&mut self, members: &Members<'_>) -> Option<String> {
        members.required("Region", &mut self.faults)?;
        let code = members.text("Region", &mut self.faults)?;
        if is_latency_region(code) {
            return Some(code.to_owned());
        }
        let message = if code.starts_with(REGION_PREFIX) {
            format!("Region of a latency rule is a bare code without {REGION_PREFIX}, not {code:?}")
        } else {
            format!("Region must be the code of an AWS Region such as us-east-1, not {code:?}")
        };
        self.fault(&members.place.member("Region"), Code::InvalidValue, message);
        None
    }
}

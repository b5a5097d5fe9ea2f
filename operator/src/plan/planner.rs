//! One look at many objects.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use watershed_compile::{Condition as Said, ConditionType, ObjectKey, Reason, Verdict};
use watershed_snapshot::{ResourceKind, ResourceName};

use super::fleets::{held_back, together};
use super::{Fleets, Notice, Plan, StatusWrite, Write, notices};
use crate::fleet::{FleetName, Progress};
use crate::object::{ObjectId, ObjectKind};
use crate::status::{self, Carried, Found};
use crate::world::{Facts, World};

/// Plans what to write about objects, one after the other.
pub struct Planner<'a> {
    pub(super) world: &'a World,
    pub(super) fleets: &'a dyn Fleets,
    pub(super) now: Timestamp,
    pub(super) plan: Plan,
}

/// What nodes say of an object's resources.
pub(super) struct Report {
    progress: Option<Progress>,
    held_back: Option<String>,
    settled: bool,
    percent: i32,
}

impl Report {
    pub(super) fn carried(&self) -> Carried<'_> {
        Carried {
            progress: self.progress.as_ref(),
            held_back: self.held_back.as_deref(),
            settled: self.settled,
            percent: self.percent,
        }
    }
}

/// What the status of an object is made of, whatever its kind.
pub(super) struct Look<'a, S> {
    pub(super) before: S,
    pub(super) verdict: Verdict,
    pub(super) fault: Option<&'a str>,
}

impl<'a> Planner<'a> {
    /// Plans in this world and at this time.
    pub fn new(world: &'a World, fleets: &'a dyn Fleets, now: Timestamp) -> Self {
        Self {
            world,
            fleets,
            now,
            plan: Plan::default(),
        }
    }

    /// What to write about these objects.
    pub fn plan<'i>(mut self, objects: impl IntoIterator<Item = &'i ObjectId>) -> Plan {
        for id in objects {
            if let Some(facts) = self.world.objects.get(id) {
                self.object(id, facts);
            }
        }
        self.plan
    }

    fn object(&mut self, id: &ObjectId, facts: &'a Facts) {
        match id.kind {
            ObjectKind::CIDRCollection => self.cidr_collection(id, facts),
            ObjectKind::DNSFleet => self.dns_fleet(id, facts),
            ObjectKind::HealthCheck => self.health_check(id, facts),
            ObjectKind::HostedZone => self.hosted_zone(id, facts),
            ObjectKind::PolicyRecord => self.policy_record(id, facts),
            ObjectKind::RecordSet => self.record_set(id, facts),
            ObjectKind::TrafficPolicy => self.traffic_policy(id, facts),
            ObjectKind::TrafficPolicyVersion => self.version(id, facts),
        }
    }

    /// What is known of an object that has a status; `None` while nothing can
    /// be said, as of what is withdrawn.
    pub(super) fn look<S: DeserializeOwned + Default>(
        &self,
        id: &ObjectId,
        facts: &'a Facts,
    ) -> Option<Look<'a, S>> {
        let fault = self.world.faults.get(id).map(String::as_str);
        let verdict = match (self.world.verdict(id), fault) {
            (Some(verdict), _) => verdict.clone(),
            (None, Some(_)) => unread(id, facts)?,
            (None, None) => return None,
        };
        Some(Look {
            before: self.before(id, facts),
            verdict,
            fault,
        })
    }

    /// The status that an object has, or is about to have.
    pub(super) fn before<S: DeserializeOwned + Default>(&self, id: &ObjectId, facts: &Facts) -> S {
        let status = self.world.pending.status(id).unwrap_or(&facts.status);
        S::deserialize(status).unwrap_or_default()
    }

    /// What the nodes say of these resources, which lie in one zone. The first
    /// is the one that must be there.
    pub(super) fn report(&self, names: &[ResourceName], percent: Option<i32>) -> Report {
        let first = names.first();
        let fleet = first.and_then(|name| self.world.homes.fleet_of(name));
        let Some(fleet) = fleet else {
            return Report {
                progress: None,
                held_back: None,
                settled: true,
                percent: 100,
            };
        };
        let names: Vec<ResourceName> = names
            .iter()
            .filter(|name| self.world.homes.has(name))
            .cloned()
            .collect();
        let progress: Option<Vec<Progress>> = names
            .iter()
            .map(|name| self.fleets.progress(fleet, name))
            .collect();
        let progress = progress.and_then(together);
        let waits = progress
            .as_ref()
            .is_some_and(|p| p.id.is_none() && p.rejected.is_empty());
        let view = if waits { self.fleets.view(fleet) } else { None };
        Report {
            held_back: view.and_then(|view| held_back(&view, &names)),
            progress,
            settled: self.fleets.settled(fleet),
            percent: percent.unwrap_or_else(|| self.percent(fleet)),
        }
    }

    /// Adds why a version is not carried to what is said of a record that
    /// binds it, and that waits for no reason of its own.
    pub(super) fn add_refusals(
        &self,
        report: &mut Report,
        record: &ResourceName,
        version: &ObjectKey,
    ) {
        let Some(fleet) = self.world.homes.fleet_of(record) else {
            return;
        };
        let Some(progress) = &mut report.progress else {
            return;
        };
        if progress.id.is_some() || !progress.rejected.is_empty() || report.held_back.is_some() {
            return;
        }
        let kind = ResourceKind::TrafficPolicyVersion;
        let version = ResourceName::new(kind, &version.namespace, &version.name);
        if let Some(of_version) = self.fleets.progress(fleet, &version) {
            progress.rejected = of_version.rejected;
        }
        let view = self.fleets.view(fleet);
        report.held_back = view.and_then(|view| held_back(&view, &[version]));
    }

    /// `minProgrammedPercent` of a fleet.
    fn percent(&self, fleet: &FleetName) -> i32 {
        self.world
            .fleet(fleet)
            .map_or(100, |(_, spec)| spec.min_programmed_percent)
    }

    /// Takes up what was found out about an object.
    pub(super) fn settle<S: Serialize>(
        &mut self,
        id: &ObjectId,
        facts: &Facts,
        (before, found): (&S, Found<S>),
        conditions: impl Fn(&S) -> &[Condition],
        more: Option<Notice>,
    ) {
        if let Some(again) = found.again {
            self.plan.again.insert(id.clone(), again);
        }
        if found.awaits_nodes {
            self.plan.awaiting.insert(id.clone());
        }
        let Ok(status) = serde_json::to_value(&found.status) else {
            return;
        };
        let known = self.world.pending.status(id).unwrap_or(&facts.status);
        if *known == status {
            return;
        }
        let (former, now) = (conditions(before), conditions(&found.status));
        let mut notices = notices::of_conditions(former, now);
        notices.extend(more);
        self.plan.writes.push(Write::Status(StatusWrite {
            id: id.clone(),
            uid: facts.uid.clone(),
            is_minor: same(former, now) && told(known) == told(&status),
            status,
            notices,
        }));
    }

    fn cidr_collection(&mut self, id: &ObjectId, facts: &'a Facts) {
        let Some(look) = self.look(id, facts) else {
            return;
        };
        let resources = self.world.compiler.resources();
        let blocks = resources.cidr_collections.get(&id.key);
        let blocks = blocks.map_or(0, |object| object.spec.values().map(Vec::len).sum());
        let found = status::cidr_collection(
            &look.before,
            blocks,
            facts.generation,
            &look.verdict,
            look.fault,
            self.now,
        );
        self.settle(id, facts, (&look.before, found), |s| &s.conditions, None);
    }

    fn dns_fleet(&mut self, id: &ObjectId, facts: &Facts) {
        let Some(spec) = self.world.fleets.get(&id.key) else {
            return;
        };
        let fleet = FleetName::new(&id.key.name);
        let view = self.fleets.view(&fleet);
        let taken = self
            .world
            .fleet(&fleet)
            .is_some_and(|(key, _)| *key != id.key);
        let before = self.before(id, facts);
        let found = status::dns_fleet(status::FleetInput {
            before: &before,
            spec,
            generation: facts.generation,
            fault: self.world.faults.get(id).map(String::as_str),
            taken,
            view: view.as_ref(),
            settled: self.fleets.settled(&fleet),
            now: self.now,
        });
        self.settle(id, facts, (&before, found), |s| &s.conditions, None);
    }
}

/// Whether conditions are the same but for what they tell people.
fn same(before: &[Condition], now: &[Condition]) -> bool {
    let parts = |condition: &Condition| {
        let Condition {
            type_,
            status,
            reason,
            observed_generation,
            ..
        } = condition.clone();
        (type_, status, reason, observed_generation)
    };
    before.len() == now.len() && before.iter().map(parts).eq(now.iter().map(parts))
}

/// What a status tells beside its conditions that somebody may wait for.
#[derive(Debug, PartialEq)]
struct Told<'s> {
    /// Whether anything uses the object: that decides whether it may be
    /// deleted, so it is not one number among others.
    is_used: bool,
    /// Verdicts, and where clients are.
    health: Vec<Option<&'s Value>>,
}

fn told(status: &Value) -> Told<'_> {
    let counts = ["total", "policyRecords", "recordSets"].into_iter();
    let mut counts = counts.filter_map(|count| status.get("records")?.get(count)?.as_u64());
    let mut health = vec![
        status.get("targets"),
        status.get("endpointsHealthy"),
        status.get("failbackReleased"),
    ];
    let rules = status.get("failover").and_then(Value::as_array);
    let rules = rules.into_iter().flatten();
    health.extend(rules.map(|rule| rule.get("active")));
    Told {
        is_used: counts.any(|count| count > 0),
        health,
    }
}

/// Of an object that was never understood: nothing holds.
fn unread(id: &ObjectId, facts: &Facts) -> Option<Verdict> {
    let condition = |kind, status, reason| Said {
        kind,
        status,
        reason,
        message: String::new(),
    };
    Some(Verdict {
        object: id.compiled()?,
        generation: Some(facts.generation),
        conditions: [
            condition(ConditionType::Accepted, false, Reason::InvalidSpec),
            condition(ConditionType::ResolvedRefs, true, Reason::Resolved),
            condition(ConditionType::Ready, false, Reason::InvalidSpec),
        ],
        findings: Vec::new(),
        serving: None,
    })
}

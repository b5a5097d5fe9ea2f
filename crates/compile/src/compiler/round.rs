//! One compilation: versions, policies, and all that is looked at on its own.

use std::collections::{BTreeMap, BTreeSet};

use watershed_snapshot::OwnerName;

use super::Compiler;
use super::mark::Dirty;
use crate::changes::Changes;
use crate::dependants::{dependencies, members};
use crate::object::{Kind, ObjectKey, ObjectRef};
use crate::resources::policy_of;
use crate::verdict::Report;
use crate::{collections, health_check, traffic_policy};

/// What a compilation has found out so far.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) changes: Changes,
    /// What is to be said, the last of each object.
    reports: BTreeMap<ObjectRef, Report>,
    /// Versions that records see differently.
    pub(super) seen: BTreeSet<ObjectKey>,
    /// Versions that are something else to be served.
    pub(super) versions: BTreeSet<ObjectKey>,
    /// Versions that others use.
    pub(super) used: BTreeSet<ObjectKey>,
    /// Attached objects to be placed.
    pub(super) attached: BTreeSet<ObjectRef>,
    /// Names to be settled.
    pub(super) slots: BTreeSet<(ObjectKey, OwnerName)>,
    /// Names with aliases to be followed.
    pub(super) aliases: BTreeSet<(ObjectKey, OwnerName)>,
    /// Attached objects to be reported on.
    pub(super) told: BTreeSet<ObjectRef>,
    /// Zones to be reported on.
    pub(super) zones: BTreeSet<ObjectKey>,
    /// Zones whose own records were settled.
    pub(super) own: BTreeSet<ObjectKey>,
    /// Zones that came, went or have another head.
    pub(super) heads: BTreeSet<ObjectKey>,
}

impl Round {
    /// Notes what is to be said about an object.
    pub(super) fn tell(&mut self, object: ObjectRef, report: Report) {
        self.reports.insert(object, report);
    }
}

impl Compiler {
    /// Ends a compilation: what was said before about an object is not said
    /// again.
    pub(super) fn finish(&mut self, round: Round) -> Changes {
        let mut changes = round.changes;
        for (object, report) in round.reports {
            let verdict = report.verdict(object.clone());
            if self.verdicts.get(&object) != Some(&verdict) {
                self.verdicts.insert(object, verdict.clone());
                changes.verdicts.push(verdict);
            }
        }
        changes.resources.sort_by(|(a, _), (b, _)| a.cmp(b));
        changes.gone.sort();
        changes
    }

    /// Notes that an object is gone.
    pub(super) fn retract(&mut self, round: &mut Round, object: &ObjectRef) {
        round.reports.remove(object);
        if self.verdicts.remove(object).is_some() {
            round.changes.gone.push(object.clone());
        }
    }

    pub(super) fn compile_versions(&mut self, dirty: &Dirty, round: &mut Round) {
        for key in &dirty.versions {
            let is_held = |version: &ObjectKey| self.contents.holds(version);
            let updated = self.versions.update(&self.resources, key, is_held);
            if updated.concerns_records {
                round.seen.insert(key.clone());
            }
            if updated.differs {
                round.versions.insert(key.clone());
            }
            let object = ObjectRef::new(Kind::TrafficPolicyVersion, key.clone());
            let version = self.resources.versions.get(key);
            let document = version.map(|version| &version.spec.spec.document);
            let found = document.map(|document| dependencies(&key.namespace, document));
            self.dependants.set(&object, found.unwrap_or_default());
            match updated.report {
                Some(report) => round.tell(object, report),
                None => self.retract(round, &object),
            }
        }
    }

    pub(super) fn compile_policies(&mut self, dirty: &Dirty, round: &mut Round) {
        let versions = dirty.versions.iter();
        let of_versions =
            versions.filter_map(|key| self.resources.versions.get(key).map(policy_of));
        let mut policies: BTreeSet<ObjectKey> = of_versions.collect();
        policies.extend(dirty.policies.iter().cloned());
        for key in &policies {
            self.compile_policy(key, round);
            let resources = &self.resources;
            let affected = (self.asks).look(resources, &self.versions, key, &round.seen);
            let records = affected.records.into_iter();
            let records = records.map(|key| ObjectRef::new(Kind::PolicyRecord, key));
            round.attached.extend(records);
            round.used.extend(affected.versions);
        }
        let policies = policies.into_iter();
        let there = policies.filter(|key| self.resources.traffic_policies.contains_key(key));
        round.changes.policies.extend(there);
    }

    fn compile_policy(&mut self, key: &ObjectKey, round: &mut Round) {
        let object = ObjectRef::new(Kind::TrafficPolicy, key.clone());
        let policy = self.resources.traffic_policies.get(key);
        let document = policy.and_then(|policy| policy.spec.document.as_ref());
        let found = document.map(|document| dependencies(&key.namespace, document));
        self.dependants.set(&object, found.unwrap_or_default());
        match policy {
            Some(policy) => {
                let report = traffic_policy::report(&self.resources, &self.versions, policy);
                round.tell(object, report);
            }
            None => self.retract(round, &object),
        }
    }

    /// Takes up a health check; what is said about it, if it exists.
    fn compile_check(&mut self, object: &ObjectRef) -> Option<Report> {
        let key = &object.key;
        let Some(check) = self.resources.health_checks.get(key) else {
            self.dependants.set(object, BTreeSet::new());
            self.health_checks.remove(key);
            return None;
        };
        let found = members(&key.namespace, &check.spec);
        self.dependants.set(object, found);
        let read = health_check::read(&self.resources, check);
        self.health_checks.set(key, read.check);
        Some(Report {
            problems: read.problems,
            warnings: read.warnings,
            ..Report::new(check.generation)
        })
    }

    pub(super) fn compile_plain(&mut self, dirty: &Dirty, round: &mut Round) {
        for object in &dirty.plain {
            let report = if object.kind == Kind::HealthCheck {
                self.compile_check(object)
            } else {
                let collection = self.resources.cidr_collections.get(&object.key);
                collection.map(collections::report)
            };
            match report {
                Some(report) => round.tell(object.clone(), report),
                None => self.retract(round, object),
            }
        }
    }
}

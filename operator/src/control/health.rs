//! Health: what the monitors are told, and what they tell.

use jiff::Timestamp;
use watershed_compile::ObjectKey;
use watershed_crd::health_check::{HealthCheckStatus, TargetHealth};

use super::controller::Controller;
use crate::fleet::FleetName;
use crate::health::{Failover, News, Transition, Whose};
use crate::object::{ObjectId, ObjectKind};
use crate::plan::Notice;
use crate::status::target_name;

impl Controller {
    /// Tells monitors what there is to watch, as far as it changed or `anyway`.
    pub(super) fn tell_health(&mut self, anyway: bool) {
        if let Some(contents) = self.world.take_health(Timestamp::now(), anyway) {
            self.hub.watch_health(contents);
        }
        if let Some(states) = self.world.take_states() {
            self.hub.set_states(&states);
        }
    }

    /// What the monitor of a fleet tells.
    pub(super) fn health_news(&mut self, fleet: &FleetName, news: Vec<News>) {
        if self.leading.is_none() {
            return;
        }
        for news in news {
            match news {
                News::Settled => self.world.look_at_health(),
                News::Counts(checks) => {
                    for check in checks {
                        self.world.look_at_users(&check, true);
                    }
                }
                News::Verdict(transition) => {
                    self.announce_transition(fleet, &transition);
                    self.world.look_at_users(&transition.target.check, false);
                }
                News::Failover(failover) => self.announce_failover(&failover),
                News::Record(record) => {
                    if let Some(id) = id(ObjectKind::PolicyRecord, &record) {
                        self.world.look_at(id);
                    }
                }
            }
        }
    }

    /// Tells people that a verdict changed. A new leader learns of verdicts
    /// that were told already: those that status has.
    fn announce_transition(&mut self, fleet: &FleetName, transition: &Transition) {
        let check = &transition.target.check;
        let Some((id, uid)) = self.object(ObjectKind::HealthCheck, check) else {
            return;
        };
        let Some(healthy) = transition.healthy else {
            return;
        };
        let target = target_name(check, &transition.target);
        if transition.before.is_none() && healthy != self.is_told_unhealthy(&id, &target) {
            return;
        }
        let notice = notice(fleet, &target, healthy, transition);
        tracing::info!(%fleet, object = %id, note = notice.note, "{}", notice.reason);
        self.announce(&id, &uid, notice);
    }

    /// Whether the status of a check says that a target is unhealthy.
    fn is_told_unhealthy(&self, id: &ObjectId, target: &str) -> bool {
        use serde::Deserialize;
        let Some(facts) = self.world.objects.get(id) else {
            return false;
        };
        let status = self.world.pending.status(id).unwrap_or(&facts.status);
        let status = HealthCheckStatus::deserialize(status).unwrap_or_default();
        let mut failing = status.failing.iter();
        failing.any(|told| told.target == target && told.health == TargetHealth::Unhealthy)
    }

    fn announce_failover(&mut self, failover: &Failover) {
        let Failover { rule, from, to, .. } = failover;
        let notice = if failover.is_return {
            let note = format!("rule {rule}: clients return from {from} to {to}");
            Notice::normal("FailedBack", note)
        } else {
            let note = format!("rule {rule}: clients go to {to} in place of {from}");
            Notice::warning("FailedOver", note)
        };
        for record in self.records_of(&failover.whose) {
            let Some((id, uid)) = self.object(ObjectKind::PolicyRecord, &record.to_string()) else {
                continue;
            };
            tracing::info!(object = %id, note = notice.note, "{}", notice.reason);
            self.announce(&id, &uid, notice.clone());
        }
    }

    /// The records whose clients these are, where few enough share a version.
    fn records_of(&self, whose: &Whose) -> Vec<ObjectKey> {
        match whose {
            Whose::Record(record) => {
                let record = id(ObjectKind::PolicyRecord, record).map(|id| id.key);
                let version = record.as_ref().and_then(|key| self.world.version_of(key));
                let told = version.map(|version| self.world.records_with(version));
                let told = told.unwrap_or_default();
                record
                    .filter(|record| told.contains(record))
                    .into_iter()
                    .collect()
            }
            Whose::Version(version) => {
                let version = id(ObjectKind::TrafficPolicyVersion, version);
                let records = version.map(|id| self.world.records_with(&id.key));
                let records = records.into_iter().flatten();
                records
                    .filter(|record| self.world.health.is_automatic(record))
                    .collect()
            }
        }
    }

    /// An object by its `namespace/name`, and its uid.
    fn object(&self, kind: ObjectKind, name: &str) -> Option<(ObjectId, String)> {
        let id = id(kind, name)?;
        let uid = self.world.objects.get(&id)?.uid.clone();
        Some((id, uid))
    }
}

fn id(kind: ObjectKind, name: &str) -> Option<ObjectId> {
    let (namespace, name) = name.split_once('/')?;
    Some(ObjectId::new(kind, ObjectKey::new(namespace, name)))
}

fn notice(fleet: &FleetName, target: &str, healthy: bool, transition: &Transition) -> Notice {
    let (said, fresh) = transition.checkers;
    let agree = if healthy {
        said
    } else {
        fresh - said.min(fresh)
    };
    let who = match fresh {
        0 => String::new(),
        fresh => format!(", say {agree} of {fresh} checkers"),
    };
    if healthy {
        let note = format!("{target} is healthy in fleet {fleet}{who}");
        return Notice::normal("TargetHealthy", note);
    }
    let why = match &transition.error {
        Some((words, node)) if node.is_empty() => format!(": {words}"),
        Some((words, node)) => format!(": {words} (from {node})"),
        None => String::new(),
    };
    let note = format!("{target} is unhealthy in fleet {fleet}{who}{why}");
    Notice::warning("TargetUnhealthy", note)
}

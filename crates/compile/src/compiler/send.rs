//! One compilation: what the nodes are to serve.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watershed_snapshot::{PolicyVersion, Resource as Served, ResourceKind, ResourceName, ZoneHead};

use super::Compiler;
use super::round::Round;
use crate::contents::{Claimant, version_name};
use crate::object::{Kind, ObjectKey, ObjectRef};
use crate::resources::policy_of;

/// What the caller was told of zones and versions. Of all else it is known
/// from what is at the names.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    heads: BTreeMap<ObjectKey, ZoneHead>,
    own: BTreeSet<ObjectKey>,
    versions: BTreeMap<ObjectKey, Arc<PolicyVersion>>,
}

impl Compiler {
    pub(super) fn send(&mut self, serial_floor: u32, round: &mut Round) {
        (round.changes.resources).extend(self.health_checks.take_changes());
        let news = std::mem::take(&mut self.contents.news);
        for name in &news.resources {
            self.send_records(name, round);
        }
        for apex in &news.touched {
            if let Some(key) = self.zones.apexes().get(apex).cloned()
                && let Some(zone) = self.zones.get_mut(&key)
            {
                zone.touched = true;
                round.heads.insert(key);
            }
        }
        for apex in &news.counted {
            round.zones.extend(self.zones.apexes().get(apex).cloned());
        }
        for key in std::mem::take(&mut round.heads) {
            self.zones.number(&key, serial_floor);
            self.send_head(&key, round);
        }
        round.versions.extend(news.rebound.iter().cloned());
        for key in std::mem::take(&mut round.versions) {
            self.send_version(&key, round);
        }
        round.used.extend(news.rebound);
        self.note_use(round);
    }

    fn send_records(&mut self, name: &ResourceName, round: &mut Round) {
        let key = ObjectKey::new(name.namespace(), name.name());
        let kind = match name.kind() {
            ResourceKind::RecordSet => Kind::RecordSet,
            ResourceKind::PolicyRecord => Kind::PolicyRecord,
            _ => return self.send_own_records(name, &key, round),
        };
        let claimant = Claimant::Object(ObjectRef::new(kind, key));
        let resource = self.contents.resource(&claimant);
        round.changes.resources.push((name.clone(), resource));
    }

    fn send_own_records(&mut self, name: &ResourceName, key: &ObjectKey, round: &mut Round) {
        let zone = self.zones.get(key);
        let resource = zone.and_then(|zone| self.contents.resource_of(zone.own_claimants()));
        let sent = match resource {
            Some(_) => {
                self.sent.own.insert(key.clone());
                true
            }
            None => self.sent.own.remove(key),
        };
        if sent {
            round.changes.resources.push((name.clone(), resource));
        }
    }

    fn send_head(&mut self, key: &ObjectKey, round: &mut Round) {
        let zone = self.zones.get(key);
        let head = zone.and_then(|zone| Some(zone.head.served(zone.serial?)));
        if self.sent.heads.get(key) == head.as_ref() {
            return;
        }
        let name = ResourceName::new(ResourceKind::HostedZone, &key.namespace, &key.name);
        let resource = head.clone().map(Served::Zone);
        round.changes.resources.push((name, resource));
        super::set(&mut self.sent.heads, key.clone(), head);
    }

    fn send_version(&mut self, key: &ObjectKey, round: &mut Round) {
        let serves = self.contents.serves(key);
        let version = self.versions.known(key).filter(|_| serves).cloned();
        let pointer = |version: Option<&Arc<PolicyVersion>>| version.map(Arc::as_ptr);
        let sent = self.sent.versions.get(key);
        if pointer(sent) == pointer(version.as_ref()) {
            return;
        }
        let resource = version.clone().map(Served::Version);
        round.changes.resources.push((version_name(key), resource));
        match version {
            Some(version) => self.sent.versions.insert(key.clone(), version),
            None => self.sent.versions.remove(key),
        };
    }

    /// Tells of versions that others use, and of their policies.
    fn note_use(&mut self, round: &mut Round) {
        let mut policies: BTreeSet<ObjectKey> = std::mem::take(&mut round.changes.policies)
            .into_iter()
            .collect();
        for key in std::mem::take(&mut round.used) {
            if let Some(version) = self.resources.versions.get(&key) {
                policies.insert(policy_of(version));
                round.changes.versions.push(key);
            }
        }
        let held = &self.resources.traffic_policies;
        policies.retain(|key| held.contains_key(key));
        round.changes.policies = policies.into_iter().collect();
    }
}

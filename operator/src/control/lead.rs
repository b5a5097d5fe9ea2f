//! Beginning to lead, and ceasing to.
//!
//! A new leader must take nothing away and change nothing that need not
//! change. What records served, it knows from their status; what nodes serve,
//! they tell it, where that differs from what it has compiled.

use std::collections::BTreeSet;

use serde_json::Value;
use watershed_compile::ObjectKey;
use watershed_snapshot::{Resource, ResourceKind, ResourceName, Term};

use super::controller::{Controller, Leading};
use crate::fleet::{FleetName, HubEvent};
use crate::leader::Role;
use crate::object::{ObjectId, ObjectKind};
use crate::plan::Notice;

impl Controller {
    /// Leads or follows from now on.
    pub(super) fn role(&mut self, role: Role) {
        match role {
            Role::Leading { term } => {
                if self
                    .leading
                    .as_ref()
                    .is_none_or(|leading| leading.term != term)
                {
                    self.lead(term);
                }
            }
            Role::Following { leader } => {
                self.cease();
                self.hub.follow(leader);
            }
        }
    }

    fn lead(&mut self, term: Term) {
        tracing::info!(term = term.0, "leading");
        self.cease();
        self.hub.lead(term);
        self.leading = Some(Leading { term, wanted: None });
        self.world.look_at_everything();
    }

    /// Writes nothing any more. What is under way is given up by the guard.
    fn cease(&mut self) {
        if let Some(leading) = self.leading.take() {
            tracing::info!(term = leading.term.0, "no longer leading");
        }
        self.queue.clear();
        self.world.pending.clear();
        self.awaiting.clear();
        self.failures.clear();
    }

    /// What the fleets have to tell.
    pub(super) fn hub(&mut self, event: HubEvent) {
        match event {
            HubEvent::Deposed(..) => self.cease(),
            HubEvent::Recalled(_, resources) => self.restore(resources),
            HubEvent::Health(fleet, news) => self.health_news(&fleet, news),
        }
    }

    /// Publishes what changed; when this replica begins to lead, everything.
    pub(super) fn publish(&mut self) {
        let Some(leading) = &self.leading else {
            self.world.take_unpublished();
            return;
        };
        if let Some(wanted) = &leading.wanted {
            let changes = self.world.take_unpublished();
            if !changes.is_empty() {
                self.hub.publish(changes, wanted.clone());
            }
            self.tell_health(false);
            return;
        }
        self.expect_nodes();
        self.number_zones();
        self.compile();
        self.world.take_unpublished();
        let wanted = self.wanted();
        self.hub
            .publish(self.world.homes.everything(), wanted.clone());
        if let Some(leading) = &mut self.leading {
            leading.wanted = Some(wanted);
        }
        self.tell_health(true);
        self.announce_lead();
    }

    /// Tells people that another replica leads.
    fn announce_lead(&mut self) {
        let Some(term) = self.leading.as_ref().map(|leading| leading.term.0) else {
            return;
        };
        let note = format!("{} leads, in term {term}", self.announcer.instance());
        let fleets = self.world.of_kind(ObjectKind::DNSFleet);
        let fleets = fleets.map(|(id, facts)| (id.clone(), facts.uid.clone()));
        for (id, uid) in fleets.collect::<Vec<_>>() {
            self.announce(&id, &uid, Notice::normal("LeaderChanged", note.clone()));
        }
    }

    /// Tells compilation which versions records served, as their status has
    /// it.
    pub(super) fn restore_active(&mut self) {
        let records = self.world.of_kind(ObjectKind::PolicyRecord);
        let active: Vec<(ObjectKey, u32, Option<String>)> = records
            .filter_map(|(id, facts)| {
                let version = number(&facts.status, "activeVersion")?;
                Some((id.key.clone(), version, active_digest(&facts.status)))
            })
            .collect();
        let compiler = &mut self.world.compiler;
        for (record, version, digest) in active {
            compiler.restore_active(&record, version, digest.as_deref());
        }
    }

    /// Tells the hub how many nodes there were, as the status of the fleets has
    /// it.
    fn expect_nodes(&self) {
        for (id, facts) in self.world.of_kind(ObjectKind::DNSFleet) {
            let nodes = facts.status.get("nodes");
            let nodes = |field| nodes.and_then(|nodes| number(nodes, field));
            let live = nodes("connected").unwrap_or(0) + nodes("stale").unwrap_or(0);
            let live = usize::try_from(live).unwrap_or(0);
            self.hub.expect(&FleetName::new(&id.key.name), live);
        }
    }

    /// Zones go on with the serial numbers of the former leader.
    fn number_zones(&mut self) {
        let zones = self.world.of_kind(ObjectKind::HostedZone);
        let serials: Vec<(ObjectKey, u32)> = zones
            .filter_map(|(id, facts)| Some((id.key.clone(), number(&facts.status, "serial")?)))
            .collect();
        for (zone, serial) in serials {
            self.world.compiler.set_serial(&zone, serial);
        }
    }

    /// What nodes are asked for when they serve something else: what cannot be
    /// compiled now, and the heads of all zones, for their serial numbers.
    fn wanted(&self) -> BTreeSet<ResourceName> {
        let named = |kind, id: &ObjectId| ResourceName::new(kind, &id.key.namespace, &id.key.name);
        let mut wanted = BTreeSet::new();
        for id in self.world.objects.keys() {
            let unready = self
                .world
                .verdict(id)
                .is_none_or(|verdict| !verdict.is_ready());
            match id.kind {
                ObjectKind::HostedZone => {
                    wanted.insert(named(ResourceKind::HostedZone, id));
                    if unready {
                        wanted.insert(named(ResourceKind::ZoneRecords, id));
                    }
                }
                ObjectKind::PolicyRecord if unready || self.is_paused(&id.key) => {
                    wanted.insert(named(ResourceKind::PolicyRecord, id));
                }
                ObjectKind::RecordSet if unready => {
                    wanted.insert(named(ResourceKind::RecordSet, id));
                }
                // A record on the channel `latest` would be led to a lower
                // version, and be ready with it.
                ObjectKind::TrafficPolicyVersion if unready => {
                    wanted.insert(named(ResourceKind::TrafficPolicyVersion, id));
                }
                ObjectKind::HealthCheck if unready => {
                    wanted.insert(named(ResourceKind::HealthCheck, id));
                }
                _ => {}
            }
        }
        wanted
    }

    /// Whether a record keeps what it serves, although it could be served
    /// otherwise.
    fn is_paused(&self, record: &ObjectKey) -> bool {
        let records = &self.world.compiler.resources().policy_records;
        records.get(record).is_some_and(|record| record.spec.paused)
    }

    /// Takes up what nodes gave back, which serve something else than what was
    /// compiled: zones get numbers beyond those that they have there.
    fn restore(&mut self, resources: Vec<(ResourceName, Resource)>) {
        self.metrics.recalled(resources.len());
        self.world.compiler.restore(resources.clone());
        for (name, resource) in resources {
            if let Resource::Zone(head) = resource {
                let zone = ObjectKey::new(name.namespace(), name.name());
                self.world.compiler.exceed_serial(&zone, &head);
            }
        }
        self.compile();
        self.publish();
    }
}

/// Digest of the version that a record serves: the first of its history.
fn active_digest(status: &Value) -> Option<String> {
    let latest = status.get("history")?.get(0)?;
    let is_active = latest.get("version") == status.get("activeVersion");
    let digest = latest.get("digest").filter(|_| is_active)?;
    digest.as_str().map(ToOwned::to_owned)
}

fn number(status: &Value, field: &str) -> Option<u32> {
    let number = status.get(field)?.as_u64()?;
    u32::try_from(number).ok()
}

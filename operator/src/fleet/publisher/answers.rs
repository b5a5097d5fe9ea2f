//! What nodes answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use watershed_proto::{Nack, NackReason, NodeMessage, OperatorMessage};
use watershed_snapshot::{Digest, Fault, Held, ResourceName, ResourceSet};

use super::node::{Knowledge, Rejection, Work};
use super::offer::OfferState;
use super::{Phase, Publisher};
use crate::fleet::{NodeName, StreamId};

impl Publisher {
    pub(super) fn hear(&mut self, now: Instant, stream: StreamId, message: NodeMessage) {
        let Some(name) = self.streams.get(&stream).cloned() else {
            return;
        };
        let Some(node) = self.nodes.get_mut(&name) else {
            return;
        };
        node.last_seen = now;
        match message {
            NodeMessage::Heartbeat
            | NodeMessage::HealthReport { .. }
            | NodeMessage::HealthBeat { .. }
            | NodeMessage::OwnHolds(_) => {}
            NodeMessage::Hello(_) => self.close(stream, "Hello comes once, first"),
            NodeMessage::Holdings(holdings) => self.hear_holdings(&name, holdings),
            NodeMessage::Staged(held) => self.hear_staged(now, &name, stream, held),
            NodeMessage::Applied { held, .. } => self.hear_applied(&name, held),
            NodeMessage::Nack(nack) => self.hear_nack(now, &name, stream, nack),
            NodeMessage::Recalled(resources) => self.hear_recalled(&name, resources),
        }
    }

    fn hear_holdings(&mut self, name: &NodeName, holdings: Vec<(ResourceName, Digest)>) {
        let Some(node) = self.nodes.get_mut(name) else {
            return;
        };
        let Work::Inquired { asked, .. } = &mut node.work else {
            return;
        };
        let answered = asked.remove(0);
        let done = asked.is_empty();
        if let Knowledge::Buckets {
            holdings: known, ..
        } = &mut node.knowledge
        {
            let mut buckets: HashMap<u8, HashMap<ResourceName, Digest>> = HashMap::new();
            for (name, hash) in holdings {
                let bucket = ResourceSet::bucket_of(&name);
                buckets.entry(bucket).or_default().insert(name, hash);
            }
            for bucket in answered {
                known.insert(bucket, buckets.remove(&bucket).unwrap_or_default());
            }
        }
        if done {
            node.work = Work::Idle;
        }
    }

    fn hear_staged(&mut self, now: Instant, name: &NodeName, stream: StreamId, held: Held) {
        let state = match &self.offers.current {
            Some(current) if current.held == held => Some(current.state),
            _ => None,
        };
        let active = state == Some(OfferState::Active) || self.offers.is_active(held);
        let Some(node) = self.nodes.get_mut(name) else {
            return;
        };
        if !matches!(&node.work, Work::Staging { offer, .. } if *offer == held) {
            return;
        }
        node.rejection = None;
        if active {
            node.work = Work::Activating {
                offer: held,
                since: now,
            };
            if state.is_some() {
                self.offers.activate(true);
            }
            self.send_activate(stream, held);
        } else if matches!(state, Some(OfferState::Staging { .. })) {
            node.work = Work::Staged { offer: held };
        } else {
            node.work = Work::Idle;
        }
        self.change();
    }

    fn hear_applied(&mut self, name: &NodeName, held: Held) {
        let set = self.offers.set_of(held).cloned();
        let newest = self.offers.is(Some(held));
        if let Some(node) = self.nodes.get_mut(name) {
            node.serves(held, set);
            node.work = Work::Idle;
            if newest {
                node.lagging = false;
                node.rejection = None;
            }
        }
        self.change();
    }

    fn hear_recalled(&mut self, name: &NodeName, resources: Vec<(ResourceName, Arc<[u8]>)>) {
        if matches!(self.phase, Phase::Restoring(_)) {
            self.recalled(name, resources);
            return;
        }
        for (resource, bytes) in resources {
            self.desired.recover(&resource, bytes, &self.offers.acked);
        }
        self.change();
    }

    fn hear_nack(&mut self, now: Instant, name: &NodeName, stream: StreamId, nack: Nack) {
        let Some(node) = self.nodes.get_mut(name) else {
            return;
        };
        self.tally = std::sync::OnceLock::new();
        self.changed = true;
        match nack.reason {
            NackReason::Term => {
                // The node says which term when it connects again.
                self.doubt = true;
                self.close_lost(stream, name, now, "the node has seen a later term");
                return;
            }
            NackReason::Stale | NackReason::Conflict | NackReason::Epoch => {
                let id = nack.held.unwrap_or(nack.id);
                self.ledger.take(id);
                self.doubt = true;
                node.work = Work::Idle;
                node.serves(
                    Held {
                        id,
                        digest: Digest::of(&[]),
                    },
                    None,
                );
                return;
            }
            _ => {}
        }
        let (offer, full) = match &node.work {
            Work::Staging { offer, full, .. } if offer.id == nack.id => (*offer, *full),
            Work::Activating { offer, .. } if offer.id == nack.id => (*offer, false),
            _ => return,
        };
        node.work = Work::Idle;
        match nack.reason {
            NackReason::Base | NackReason::Digest if !full => node.knowledge = Knowledge::Nothing,
            _ if !nack.faults.is_empty() => self.hear_faults(now, name, offer, &nack.faults),
            _ => self.reject(now, name, nack.message, Vec::new()),
        }
    }

    fn close_lost(&mut self, stream: StreamId, name: &NodeName, now: Instant, why: &str) {
        self.disconnect(now, stream, crate::fleet::event::Ending::Lost);
        self.close(stream, format!("{why}; connect again, node {name}"));
    }

    /// Nobody waits for this node any more; it is asked again later.
    fn reject(
        &mut self,
        now: Instant,
        name: &NodeName,
        message: String,
        faults: Vec<(ResourceName, Digest, String)>,
    ) {
        let Some(node) = self.nodes.get_mut(name) else {
            return;
        };
        let attempts = node
            .rejection
            .as_ref()
            .map_or(0, |former| former.attempts + 1);
        node.rejection = Some(Rejection {
            message,
            faults,
            attempts,
            retry_at: Some(now + self.config.pause(attempts)),
        });
    }

    /// A node refuses resources. Those that nobody has acknowledged yet are
    /// quarantined; what others serve already is the node's own problem.
    fn hear_faults(&mut self, now: Instant, name: &NodeName, offer: Held, faults: &[Fault]) {
        let offered = self.offers.set_of(offer).cloned().unwrap_or_default();
        let (mut quarantined, mut own) = (Vec::new(), Vec::new());
        for fault in faults {
            let Some(form) = offered.get(&fault.resource).map(Digest::of) else {
                continue;
            };
            let refused = (fault.resource.clone(), form, fault.message.clone());
            if self.quarantine(name, fault, form) {
                quarantined.push(refused);
            } else {
                own.push(refused);
            }
        }
        let first = faults.first();
        let message = first.map(|fault| format!("{}: {}", fault.resource, fault.message));
        let message = message.unwrap_or_default();
        if quarantined.is_empty() {
            self.reject(now, name, message, own);
            self.drop_what_all_refuse(name);
            return;
        }
        self.offers.abandon_if(offer);
        if self.offers.is_active(offer) {
            // It cannot be given up, and stays the newest one until another is
            // recorded.
            quarantined.extend(own);
            self.reject(now, name, message, quarantined);
        }
    }

    /// Takes `form` of a resource out of the target, unless it is in service.
    /// False: it stays.
    fn quarantine(&mut self, name: &NodeName, fault: &Fault, form: Digest) -> bool {
        let resource = &fault.resource;
        let Some(node) = self.nodes.get(name) else {
            return false;
        };
        let boot = node.hello.boot;
        if self.desired.target_form(resource) != Some(form) {
            // It has been dealt with since this was offered.
            self.desired
                .refuse_too(resource, name, boot, &fault.message);
            return true;
        }
        let acked = self.offers.acked.get(resource);
        let serves = node
            .form_of(resource)
            .filter(|bytes| Digest::of(bytes) != form);
        let fallback = match acked {
            Some(acked) if Digest::of(acked) == form && serves.is_none() => return false,
            Some(acked) if Digest::of(acked) != form => Some(acked),
            _ => serves,
        };
        let fallback = fallback.map(Arc::from);
        let forgotten = fallback.is_none() && node.holds_other_than(resource, form);
        let stream = node.stream();
        let who = (name, boot, fault.message.as_str());
        self.desired
            .refuse(resource, form, who, fallback, &self.offers.acked);
        if let (true, Some(stream)) = (forgotten, stream) {
            self.send(
                stream,
                vec![OperatorMessage::Recall(vec![resource.clone()])],
            );
        }
        true
    }

    /// What is in service is not taken away because one node refuses it. But
    /// when all do, nothing else would ever be published again.
    fn drop_what_all_refuse(&mut self, last: &NodeName) {
        let Some(node) = self.nodes.get(last) else {
            return;
        };
        let boot = node.hello.boot;
        let faults = node
            .rejection
            .as_ref()
            .map(|rejection| rejection.faults.clone());
        for (resource, form, message) in faults.unwrap_or_default() {
            let mut connected = self.nodes.values().filter(|node| node.is_connected());
            let all = connected.all(|node| {
                let rejection = node.rejection.as_ref();
                rejection.is_some_and(|rejection| rejection.names(&resource, form))
            });
            if all {
                let who = (last, boot, message.as_str());
                self.desired
                    .refuse(&resource, form, who, None, &self.offers.acked);
                self.offers.abandon();
            }
        }
    }

    /// How long the newest content took, for those who wait for it.
    pub(super) fn count(&mut self, now: Instant) {
        if !self.changed {
            return;
        }
        if let Some(id) = self.tally().reached_by_all() {
            self.carried.complete(id, now);
        }
    }
}

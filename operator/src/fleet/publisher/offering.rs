//! From a target to what nodes are sent: claim, stage, activate.

use std::time::Instant;

use watershed_proto::{OperatorMessage, split};
use watershed_snapshot::{Held, ResourceSet};

use super::Publisher;
use super::node::{Node, Rejection, Way, Work};
use super::offer::{Offer, OfferState};
use crate::fleet::event::Action;
use crate::fleet::{NodeName, StreamId};

/// How many buckets a node is asked about at once: of a million resources,
/// what it answers still fits a message.
const BUCKETS_AT_ONCE: usize = 16;

impl Publisher {
    /// Claims a generation for the target when there is none on its way.
    pub(super) fn claim(&mut self, now: Instant) {
        if !self.ledger.is_free(now) {
            return;
        }
        if std::mem::take(&mut self.doubt) {
            self.ledger.begin_reading();
            self.actions.push(Action::Read);
            return;
        }
        if self.ledger.record.is_none() {
            self.fence(now);
            return;
        }
        let Some(target) = self.desired.target().cloned() else {
            return;
        };
        if self.offers.is_staging() {
            return;
        }
        if let Some(next) = self.ledger.next(now, target.digest()) {
            self.offers.claiming = Some(target);
            self.begin_claim(next);
        } else if let Some(held) = self.ledger.record.as_ref().map(|record| record.held) {
            self.offer_again(now, held, target);
        }
    }

    /// The record has this content already: after a restart, or when a change
    /// was taken back.
    fn offer_again(&mut self, now: Instant, held: Held, target: ResourceSet) {
        let abandoned = self
            .offers
            .current
            .as_ref()
            .is_none_or(|offer| offer.state == OfferState::Abandoned || offer.held != held);
        if abandoned {
            self.begin_offer(now, held, target);
            self.offer_all(now);
        }
    }

    /// `held` was claimed for `set`: it goes to the nodes.
    pub(super) fn begin_offer(&mut self, now: Instant, held: Held, set: ResourceSet) {
        let nothing = ResourceSet::new();
        let former = self.offers.current.as_ref().map(|offer| &offer.set);
        for (name, content) in former.unwrap_or(&nothing).changes_to(&set) {
            let name = name.to_shared();
            if content.is_some() && self.desired.is_form_in(&name, &set) {
                self.carried.published(&name, held.id, now);
            } else if content.is_some() || self.desired.is_desired(&name) {
                self.carried.withdrawn(&name, now);
            }
        }
        let deadline = now + self.config.staging_deadline;
        let state = OfferState::Staging { deadline };
        let offer = Offer { held, set, state };
        self.offers.begin(offer, self.config.remembered);
        // What nodes have built of a generation that was given up is not
        // served any more.
        for node in self.nodes.values_mut() {
            if matches!(node.work, Work::Staged { .. }) {
                node.work = Work::Idle;
            }
        }
        self.identify_all();
        self.change();
    }

    /// Recognises what nodes serve, by what has become known.
    pub(super) fn identify_all(&mut self) {
        let mut nodes = std::mem::take(&mut self.nodes);
        for node in nodes.values_mut() {
            self.identify(node);
        }
        self.nodes = nodes;
    }

    /// Activates the newest generation when it is time, and gives it up when
    /// it cannot be served.
    pub(super) fn mind_offer(&mut self, now: Instant) {
        for node in self.nodes.values() {
            if let Some(held) = &node.held {
                self.ledger.note(held);
            }
        }
        let Some(offer) = &self.offers.current else {
            return;
        };
        let OfferState::Staging { deadline } = offer.state else {
            return;
        };
        if !self.ledger.stands(&offer.held) {
            // A node or the record contradicts: this id may stand for another
            // content.
            self.offers.abandon();
        } else if deadline <= now || self.awaited(offer.held).next().is_none() {
            self.activate(now, offer.held);
        }
    }

    /// The nodes that `offer` waits for.
    fn awaited(&self, offer: Held) -> impl Iterator<Item = &NodeName> {
        let is_full = self.turns_left() == 0;
        let done =
            move |work: &Work| matches!(work, Work::Staged { offer: staged } if *staged == offer);
        self.nodes
            .iter()
            .filter(move |(_, node)| node.is_awaited() && node.held != Some(offer))
            // Who waits for others to catch up was sent nothing.
            .filter(move |(_, node)| !is_full || !node.is_behind() || node.has_turn())
            .filter(move |(_, node)| !done(&node.work))
            .map(|(name, _)| name)
    }

    fn activate(&mut self, now: Instant, offer: Held) {
        let late: Vec<NodeName> = self.awaited(offer).cloned().collect();
        for name in late {
            if let Some(node) = self.nodes.get_mut(&name) {
                node.lagging = true;
            }
        }
        let mut streams = Vec::new();
        for node in self.nodes.values_mut() {
            if let (Work::Staged { offer: staged }, Some(stream)) = (&node.work, node.stream())
                && *staged == offer
            {
                node.work = Work::Activating { offer, since: now };
                streams.push(stream);
            }
        }
        let serving = self.nodes.values().any(|node| node.held == Some(offer));
        self.offers.activate(serving || !streams.is_empty());
        for stream in streams {
            self.send_activate(stream, offer);
        }
        self.change();
    }

    pub(super) fn send_activate(&mut self, stream: StreamId, offer: Held) {
        let message = OperatorMessage::Activate {
            id: offer.id,
            term: self.ledger.term,
        };
        self.send(stream, vec![message]);
    }

    /// Sends the newest generation to every node that has nothing else to
    /// answer and does not serve it, and whose turn it is.
    pub(super) fn offer_all(&mut self, now: Instant) {
        let Some(offer) = self.offers.current.clone() else {
            return;
        };
        if offer.state == OfferState::Abandoned {
            return;
        }
        let format = self.desired.format_of_target();
        let mut sent = Vec::new();
        let mut changed = false;
        let mut turns = self.turns_left();
        for node in self.nodes.values_mut() {
            let Some(stream) = node.stream() else {
                continue;
            };
            let ahead = node.held.is_some_and(|held| held.id >= offer.held.id);
            if ahead || !matches!(node.work, Work::Idle) {
                continue;
            }
            if *node.hello.formats.end() < format {
                if node.rejection.is_none() {
                    let newest = node.hello.formats.end();
                    node.rejection = Some(Rejection::of_format(format!(
                        "the node reads formats up to {newest}, what the fleet serves needs {format}: bring the node to a newer version"
                    )));
                    changed = true;
                }
                continue;
            }
            let is_over = |rejection: &Rejection| {
                // It has been brought to a version that reads this, or what
                // it could not read is gone.
                rejection.is_of_format() || rejection.is_over(now, &offer.set)
            };
            if !node.rejection.as_ref().is_none_or(is_over) {
                continue;
            }
            if node.is_behind() && !node.is_catching_up() {
                let Some(left) = turns.checked_sub(1) else {
                    continue;
                };
                turns = left;
            }
            if node.rejection.take_if(|it| it.is_of_format()).is_some() {
                changed = true;
            }
            let way = node.way_to(&offer.set);
            node.work = way.begins(&offer.held, now);
            sent.push((stream, way));
        }
        for (stream, way) in sent {
            self.go(stream, way, &offer);
        }
        if !self.nodes.values().any(Node::is_staging) {
            self.prepared.forget();
        }
        if changed {
            self.change();
        }
    }

    /// How many nodes more may catch up now.
    fn turns_left(&self) -> usize {
        let under_way = self.nodes.values().filter(|node| node.is_catching_up());
        self.config.catching_up.saturating_sub(under_way.count())
    }

    fn go(&mut self, stream: StreamId, way: Way, offer: &Offer) {
        let term = self.ledger.term;
        let parts = match way {
            Way::Ask(buckets) => return self.send(stream, inquiries(&buckets)),
            Way::From(base) => {
                let digest = base.as_ref().map(ResourceSet::digest);
                let delta = || base.unwrap_or_default().diff(&offer.set);
                self.prepared.parts((offer.held, term), digest, delta)
            }
            Way::Delta(base, delta) => split(offer.held, term, Some(base), delta),
        };
        let messages = parts.into_iter().map(OperatorMessage::Stage);
        self.send(stream, messages.collect());
    }
}

impl Way {
    /// What a node is at that was sent this way.
    pub(super) fn begins(&self, offer: &Held, now: Instant) -> Work {
        match self {
            Self::Ask(buckets) => Work::Inquired {
                asked: buckets
                    .chunks(BUCKETS_AT_ONCE)
                    .map(<[u8]>::to_vec)
                    .collect(),
                since: now,
            },
            Self::From(_) | Self::Delta(..) => Work::Staging {
                offer: *offer,
                full: matches!(self, Self::From(None)),
                since: now,
            },
        }
    }
}

/// The questions for what a node holds in `buckets`. Each is answered by one
/// message, in order.
pub(super) fn inquiries(buckets: &[u8]) -> Vec<OperatorMessage> {
    let chunks = buckets.chunks(BUCKETS_AT_ONCE);
    chunks
        .map(|chunk| OperatorMessage::Inquire(chunk.to_vec()))
        .collect()
}

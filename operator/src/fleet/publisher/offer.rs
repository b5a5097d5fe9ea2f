//! Generations: the newest, and those before it that are remembered.

use std::collections::VecDeque;
use std::time::Instant;

use watershed_snapshot::{Digest, Held, ResourceSet};

/// A generation that was claimed.
#[derive(Clone)]
pub(super) struct Offer {
    pub(super) held: Held,
    pub(super) set: ResourceSet,
    pub(super) state: OfferState,
}

/// How far a generation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfferState {
    /// Nodes build it, until then at the latest.
    Staging { deadline: Instant },
    /// Whoever has built it serves it.
    Active,
    /// Nobody is to serve it: something in it was refused.
    Abandoned,
}

/// The newest generation and what is known of former ones.
#[derive(Default)]
pub(super) struct Offers {
    pub(super) current: Option<Offer>,
    /// What a claim in flight is for.
    pub(super) claiming: Option<ResourceSet>,
    /// The newest state that was activated and that some node had built: the
    /// last acknowledged form of everything.
    pub(super) acked: ResourceSet,
    known: VecDeque<Known>,
}

struct Known {
    held: Held,
    set: ResourceSet,
    active: bool,
}

impl Offers {
    pub(super) fn is(&self, held: Option<Held>) -> bool {
        self.current.as_ref().map(|offer| offer.held) == held
    }

    pub(super) fn is_staging(&self) -> bool {
        let state = self.current.as_ref().map(|offer| offer.state);
        matches!(state, Some(OfferState::Staging { .. }))
    }

    /// Gives up the newest generation, when it is `held` and nobody serves it.
    pub(super) fn abandon_if(&mut self, held: Held) {
        if self.is(Some(held)) {
            self.abandon();
        }
    }

    /// Gives up the newest generation, when nobody serves it yet.
    pub(super) fn abandon(&mut self) {
        if let Some(offer) = &mut self.current
            && matches!(offer.state, OfferState::Staging { .. })
        {
            offer.state = OfferState::Abandoned;
        }
    }

    /// The newest generation from now on is this.
    pub(super) fn begin(&mut self, offer: Offer, remembered: usize) {
        self.remember(offer.held, offer.set.clone(), false, remembered);
        self.current = Some(offer);
    }

    pub(super) fn remember(&mut self, held: Held, set: ResourceSet, active: bool, most: usize) {
        self.known.retain(|known| known.held != held);
        self.known.push_front(Known { held, set, active });
        self.known.truncate(most.max(1));
    }

    /// Whoever has built the newest generation serves it.
    pub(super) fn activate(&mut self, acked: bool) {
        let Some(offer) = &mut self.current else {
            return;
        };
        offer.state = OfferState::Active;
        if acked {
            self.acked = offer.set.clone();
        }
        let held = offer.held;
        for known in self.known.iter_mut().filter(|known| known.held == held) {
            known.active = true;
        }
    }

    /// Whether `held` is a generation that may be served.
    pub(super) fn is_active(&self, held: Held) -> bool {
        let known = self.known.iter().find(|known| known.held == held);
        known.is_some_and(|known| known.active)
    }

    /// The content of a generation.
    pub(super) fn set_of(&self, held: Held) -> Option<&ResourceSet> {
        let known = self.known.iter().find(|known| known.held == held);
        known.map(|known| &known.set)
    }

    /// A content, of whatever generation.
    pub(super) fn set_with(&self, digest: Digest) -> Option<&ResourceSet> {
        let known = self.known.iter().find(|known| known.held.digest == digest);
        known.map(|known| &known.set)
    }
}

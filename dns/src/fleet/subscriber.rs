//! What a node does with what an operator says: a state machine without any
//! input or output of its own.
//!
//! ```text
//!            Stage, all parts               Activate
//!  nothing ──────────────────▶ staged ──────────────────▶ served
//!     ▲  it cannot be built: Nack │ another Stage, or a new stream │
//!     └───────────────────────────┘                                ▼
//!                                             swapped, reported, kept
//! ```
//!
//! What is served never goes down: neither in epoch, nor in generation within
//! one, nor from one content to another under the same number. The only way
//! to serve is [`Subscriber::activate`], which asks [`judge`] again.

use std::ops::RangeInclusive;
use std::sync::Arc;

use watershed_health::Checker;
use watershed_proto::{Hello, Location, Nack, NackReason, NodeMessage, OperatorMessage, StagePart};
use watershed_snapshot::{
    Adoption, Digest, Fault, Held, ResourceName, ResourceSet, Snapshot, SnapshotId, Term, judge,
};

use super::build::{Builder, Built, Unusable};
use super::incoming::{Incoming, Taken};

/// Content of one [`NodeMessage::Recalled`] in octets, far below the 8 MiB
/// that a message may have.
const RECALLED_PART: usize = 1 << 20;

/// Stands for what a node holds that holds nothing. Generations count from 1.
const NOTHING: SnapshotId = SnapshotId {
    epoch: 0,
    generation: 0,
};

/// Who a node is; the same for as long as the program runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the fleet.
    pub fleet: String,
    /// Name of the node, unique in the fleet.
    pub node: String,
    /// Where it stands.
    pub location: Location,
    /// Formats of resources that it reads.
    pub formats: RangeInclusive<u32>,
    /// Differs with every start of the program.
    pub boot: u64,
    /// Of the program.
    pub version: String,
}

impl Identity {
    /// The node as one that probes: where it stands is its region, or its
    /// cluster or zone where no region is known.
    pub fn checker(&self) -> Checker {
        let Location {
            cluster,
            region,
            zone,
        } = &self.location;
        let known = [region, cluster, zone];
        let location = known.into_iter().find(|part| !part.is_empty());
        Checker {
            node: self.node.clone(),
            location: location.cloned().unwrap_or_default(),
        }
    }
}

/// What outlives the program.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// What is served; `None` when nothing is.
    pub held: Option<Held>,
    /// The resources that it is made of.
    pub resources: ResourceSet,
    /// The highest term seen.
    pub term: Term,
}

/// What is to be done, in this order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Tell the operator.
    Send(NodeMessage),
    /// Serve this from now on.
    Swap(Arc<Snapshot>),
    /// Tell the operator that this is served, and how long it took.
    ReportApplied(Held),
    /// Write this down for the next start. Nothing waits for it: `Applied`
    /// means that a state is served, and a node whose disk fails still serves.
    Keep(Kept),
    /// End the stream, for this reason.
    Close(&'static str),
}

/// The state machine of a node.
pub struct Subscriber {
    identity: Identity,
    builder: Builder,
    term: Term,
    served: Option<Built>,
    staged: Option<Built>,
    incoming: Incoming,
    /// Whether the stream is still listened to.
    open: bool,
}

impl Subscriber {
    /// A node that serves nothing yet.
    pub fn new(identity: Identity, builder: Builder) -> Self {
        Self {
            identity,
            builder,
            term: Term::default(),
            served: None,
            staged: None,
            incoming: Incoming::default(),
            open: false,
        }
    }

    /// A node that goes on with what an earlier one kept.
    ///
    /// # Errors
    /// Every resource that cannot be read or does not fit the others.
    pub fn restore(identity: Identity, builder: Builder, kept: Kept) -> Result<Self, Vec<Fault>> {
        let Kept {
            held,
            resources,
            term,
        } = kept;
        let served = held
            .map(|held| builder.restore(held, resources))
            .transpose()?;
        Ok(Self {
            term,
            served,
            ..Self::new(identity, builder)
        })
    }

    /// What is served.
    pub fn served(&self) -> Option<&Built> {
        self.served.as_ref()
    }

    /// The highest term seen.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Begins a stream: its first message. What was staged is forgotten, so
    /// that an `Activate` means what its own stream has offered.
    pub fn connect(&mut self) -> Hello {
        self.staged = None;
        self.incoming = Incoming::default();
        self.open = true;
        let Identity {
            fleet,
            node,
            location,
            formats,
            boot,
            version,
        } = self.identity.clone();
        Hello {
            fleet,
            node,
            location,
            software: format!("watershed-dns {version}"),
            formats,
            held: self.held().copied(),
            bucket_digests: self
                .served
                .as_ref()
                .map(|served| Box::new(served.resources().bucket_digests())),
            term: self.term,
            boot,
            health: true,
        }
    }

    /// Takes a message of the operator.
    pub fn handle(&mut self, message: OperatorMessage) -> Vec<Effect> {
        if !self.open {
            return Vec::new();
        }
        match message {
            OperatorMessage::Welcome { term, format, .. } => self.welcome(term, format),
            OperatorMessage::Inquire(buckets) => vec![Effect::Send(self.holdings(&buckets))],
            OperatorMessage::Stage(part) => self.stage(part),
            OperatorMessage::Activate { id, term } => self.activate(id, term),
            OperatorMessage::Recall(names) => self.recall(&names),
            // Those who hold the stream look after it.
            OperatorMessage::Redirect { .. }
            | OperatorMessage::Heartbeat
            | OperatorMessage::Checkers(_)
            | OperatorMessage::Verdicts { .. }
            | OperatorMessage::HealthInquire => Vec::new(),
        }
    }

    fn welcome(&mut self, term: Term, format: u32) -> Vec<Effect> {
        let id = self.held().map_or(NOTHING, |held| held.id);
        match self.heed(term, id) {
            Ok(_) if !self.identity.formats.contains(&format) => {
                self.close("the operator speaks a format that this node does not read")
            }
            Ok(effects) | Err(effects) => effects,
        }
    }

    /// Takes a part of a new state, and builds it when all parts are there.
    fn stage(&mut self, part: StagePart) -> Vec<Effect> {
        let mut effects = match self.heed(part.term, part.offer.id) {
            Ok(effects) => effects,
            Err(refusal) => return refusal,
        };
        let (offer, last) = (part.offer, part.part + 1 >= part.parts);
        match judge(self.held(), &offer) {
            Adoption::Adopt => effects.extend(self.collect(part)),
            // Said once, however many parts there are.
            _ if !last => {}
            Adoption::AlreadyAt => effects.push(Effect::ReportApplied(offer)),
            refused => effects.extend(self.refuse(offer.id, &refused)),
        }
        effects
    }

    fn collect(&mut self, part: StagePart) -> Option<Effect> {
        let offer = part.offer;
        match self.incoming.take(part, self.served.as_ref()) {
            Taken::More => {
                self.staged = None;
                None
            }
            Taken::Ignored => None,
            Taken::OtherBase(message) => {
                let nack = self.nack(offer.id, NackReason::Base, message);
                Some(Effect::Send(NodeMessage::Nack(nack)))
            }
            Taken::All(complete) => {
                self.staged = None;
                let message = match self.builder.build(*complete) {
                    Ok(built) => {
                        self.staged = Some(built);
                        NodeMessage::Staged(offer)
                    }
                    Err(unusable) => NodeMessage::Nack(self.unusable(offer.id, unusable)),
                };
                Some(Effect::Send(message))
            }
        }
    }

    /// Serves what was staged.
    fn activate(&mut self, id: SnapshotId, term: Term) -> Vec<Effect> {
        let mut effects = match self.heed(term, id) {
            Ok(effects) => effects,
            Err(refusal) => return refusal,
        };
        let held = self.held().copied();
        if held.is_some_and(|held| held.id == id) {
            effects.extend(held.map(Effect::ReportApplied));
            return effects;
        }
        let wanted = |staged: &mut Built| {
            staged.held().id == id && judge(held.as_ref(), staged.held()) == Adoption::Adopt
        };
        match self.staged.take_if(wanted) {
            Some(staged) => effects.extend(self.serve(staged)),
            None => effects.push(self.not_staged(id)),
        }
        effects
    }

    fn serve(&mut self, built: Built) -> [Effect; 3] {
        let (snapshot, held) = (built.snapshot(), *built.held());
        self.served = Some(built);
        [
            Effect::Swap(snapshot),
            Effect::ReportApplied(held),
            Effect::Keep(self.kept()),
        ]
    }

    /// Why a state that is not staged is not activated.
    fn not_staged(&self, id: SnapshotId) -> Effect {
        let (reason, message) = match self.held() {
            Some(held) if id.epoch < held.id.epoch => (
                NackReason::Epoch,
                "this node serves a later epoch".to_owned(),
            ),
            Some(held) if id < held.id => (
                NackReason::Stale,
                "this node serves a later generation".to_owned(),
            ),
            _ => (
                NackReason::Base,
                format!("{id} is not staged here: stage it first"),
            ),
        };
        Effect::Send(NodeMessage::Nack(self.nack(id, reason, message)))
    }

    /// The resources that are served, in these buckets.
    fn holdings(&self, buckets: &[u8]) -> NodeMessage {
        let resources = self.served.as_ref().map(Built::resources);
        let entries = resources.into_iter().flat_map(|resources| {
            let entries = buckets.iter().map(|bucket| resources.entries_of(*bucket));
            entries.flatten()
        });
        let entries = entries.map(|(name, content)| (name.to_shared(), Digest::of(content)));
        NodeMessage::Holdings(entries.collect())
    }

    /// The contents asked for, as far as they are held, in messages of a
    /// bounded size; one at least, so that the operator has an answer.
    fn recall(&self, names: &[ResourceName]) -> Vec<Effect> {
        let mut parts = vec![Vec::new()];
        let mut room = RECALLED_PART;
        for name in names {
            let resources = self.served.as_ref().map(Built::resources);
            let Some(content) = resources.and_then(|resources| resources.get(name)) else {
                continue;
            };
            if content.len() > room {
                parts.push(Vec::new());
                room = RECALLED_PART;
            }
            room = room.saturating_sub(content.len());
            if let Some(part) = parts.last_mut() {
                part.push((name.clone(), content.into()));
            }
        }
        let messages = parts.into_iter().map(NodeMessage::Recalled);
        messages.map(Effect::Send).collect()
    }

    /// Notes the term of a message: what is to be done beforehand, or how a
    /// sender is turned away that no longer leads.
    fn heed(&mut self, term: Term, id: SnapshotId) -> Result<Vec<Effect>, Vec<Effect>> {
        if term < self.term {
            let message = format!("this node has seen term {}", self.term.0);
            let nack = self.nack(id, NackReason::Term, message);
            let mut effects = vec![Effect::Send(NodeMessage::Nack(nack))];
            effects.extend(self.close("the operator no longer leads"));
            return Err(effects);
        }
        if term == self.term {
            return Ok(Vec::new());
        }
        self.term = term;
        Ok(vec![Effect::Keep(self.kept())])
    }

    fn close(&mut self, reason: &'static str) -> Vec<Effect> {
        self.open = false;
        vec![Effect::Close(reason)]
    }

    fn refuse(&self, id: SnapshotId, adoption: &Adoption) -> Option<Effect> {
        let (reason, message) = match adoption {
            Adoption::Adopt | Adoption::AlreadyAt => return None,
            Adoption::Stale { .. } => (NackReason::Stale, "this node serves a later generation"),
            Adoption::Conflict { .. } => (
                NackReason::Conflict,
                "this node serves another content under this number",
            ),
            Adoption::WrongEpoch { .. } => (NackReason::Epoch, "this node serves a later epoch"),
        };
        let nack = self.nack(id, reason, message.to_owned());
        Some(Effect::Send(NodeMessage::Nack(nack)))
    }

    fn unusable(&self, id: SnapshotId, unusable: Unusable) -> Nack {
        let (reason, message, faults) = match unusable {
            Unusable::Digest { found } => {
                let message = format!("the result has the digest {found}");
                (NackReason::Digest, message, Vec::new())
            }
            Unusable::Resources(faults) => {
                let message = "some resources cannot be served".to_owned();
                (NackReason::Resource, message, faults)
            }
            Unusable::SelfTest(faults) => {
                let message = "some names are not answered as they should be".to_owned();
                (NackReason::SelfTest, message, faults)
            }
        };
        Nack {
            faults,
            ..self.nack(id, reason, message)
        }
    }

    fn nack(&self, id: SnapshotId, reason: NackReason, message: String) -> Nack {
        Nack {
            id,
            reason,
            faults: Vec::new(),
            message,
            held: self.held().map(|held| held.id),
        }
    }

    fn held(&self) -> Option<&Held> {
        self.served.as_ref().map(Built::held)
    }

    fn kept(&self) -> Kept {
        Kept {
            held: self.held().copied(),
            resources: self
                .served
                .as_ref()
                .map(|served| served.resources().clone())
                .unwrap_or_default(),
            term: self.term,
        }
    }
}

//! What was served before this leader began is learnt from a node, so that a
//! change of leaders takes nothing away: resources that cannot be compiled now
//! go on as they were, and what is refused has a last acknowledged form.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use watershed_proto::OperatorMessage;
use watershed_snapshot::{Digest, Held, Resource, ResourceName, ResourceSet};

use super::node::{Knowledge, Node, Way, Work, differing};
use super::offer::{Offer, OfferState};
use super::offering::inquiries;
use super::{Phase, Publisher};
use crate::fleet::NodeName;
use crate::fleet::event::Action;

/// How many resources are asked for at once: of the largest there are, what a
/// node answers still fits a message.
const RESOURCES_AT_ONCE: usize = 64;

/// How much longer to wait for a node when something is wanted from it.
const PATIENCE: u32 = 3;

/// How far the learning is.
pub(super) struct Restoring {
    /// Until then, this step.
    until: Instant,
    step: Step,
}

enum Step {
    /// Waiting for a node that serves what is recorded.
    Listening { extended: bool },
    /// Asking this node.
    Asking(Interview),
    /// What was wanted has been handed on, and is to come back compiled.
    Restored,
}

/// What one node is asked, and what it said.
struct Interview {
    node: NodeName,
    /// Resources that it was asked for.
    asked: BTreeSet<ResourceName>,
    got: HashMap<ResourceName, Arc<[u8]>>,
}

impl Restoring {
    pub(super) fn new(until: Instant) -> Self {
        Self {
            until,
            step: Step::Listening { extended: false },
        }
    }
}

impl Publisher {
    pub(super) fn restore(&mut self, now: Instant) {
        let Some(target) = self.desired.target().cloned() else {
            return;
        };
        let recorded = self.ledger.record.as_ref().map(|record| record.held);
        if let Some(held) = recorded.filter(|held| held.digest == target.digest()) {
            self.adopt(held, target);
            self.lead();
            return;
        }
        let Phase::Restoring(mut restoring) = std::mem::replace(&mut self.phase, Phase::Leading)
        else {
            return;
        };
        if self.step(now, &mut restoring, &target) {
            self.phase = Phase::Restoring(restoring);
        } else {
            self.lead();
        }
    }

    /// One step further; false: that was the last.
    fn step(&mut self, now: Instant, restoring: &mut Restoring, target: &ResourceSet) -> bool {
        let late = restoring.until <= now;
        match &mut restoring.step {
            Step::Restored => !late,
            Step::Listening { extended } => {
                if let Some(node) = self.witness(late) {
                    restoring.step = Step::Asking(Interview::of(node));
                    restoring.until = now + self.config.restore_window;
                    return self.step(now, restoring, target);
                }
                let patient = !*extended && !self.wanted.is_empty() && self.ledger.has_history();
                if late && patient {
                    *extended = true;
                    restoring.until = now + self.config.restore_window * PATIENCE;
                }
                !late || patient
            }
            Step::Asking(interview) => {
                if late {
                    return false;
                }
                match self.interview(now, interview, target) {
                    Turn::Wait => true,
                    Turn::Lost => {
                        *restoring = Restoring::new(restoring.until);
                        true
                    }
                    Turn::Done => {
                        let wanted = self.learn(interview, target);
                        restoring.step = Step::Restored;
                        restoring.until = now + self.config.restore_window;
                        let any = !wanted.is_empty();
                        if any {
                            self.actions.push(Action::Recalled(wanted));
                        }
                        any
                    }
                }
            }
        }
    }

    /// A node to ask: one that serves what is recorded or, when it is `late`,
    /// the one that serves the latest.
    fn witness(&self, late: bool) -> Option<NodeName> {
        let recorded = self.ledger.record.as_ref().map(|record| record.held.digest);
        let able = self.nodes.iter().filter(|(_, node)| {
            node.stream().is_some() && matches!(node.knowledge, Knowledge::Buckets { .. })
        });
        let mut held = able.filter_map(|(name, node)| Some((name, node.held?)));
        let witness = if late {
            held.max_by_key(|(_, held)| (Some(held.digest) == recorded, held.id))
        } else {
            held.find(|(_, held)| Some(held.digest) == recorded)
        };
        witness.map(|(name, _)| name.clone())
    }

    fn interview(&mut self, now: Instant, interview: &mut Interview, target: &ResourceSet) -> Turn {
        let Some(node) = self.nodes.get_mut(&interview.node) else {
            return Turn::Lost;
        };
        let Some(stream) = node.stream() else {
            return Turn::Lost;
        };
        if !matches!(node.work, Work::Idle) || interview.is_waiting() {
            return Turn::Wait;
        }
        let way = node.way_to(target);
        if let (Way::Ask(buckets), Some(held)) = (&way, node.held) {
            node.work = way.begins(&held, now);
            self.send(stream, inquiries(buckets));
            return Turn::Wait;
        }
        let missing = interview.missing(node, target);
        if missing.is_empty() {
            return Turn::Done;
        }
        let questions: Vec<OperatorMessage> = missing
            .chunks(RESOURCES_AT_ONCE)
            .map(|names| OperatorMessage::Recall(names.to_vec()))
            .collect();
        interview.asked.extend(missing);
        self.send(stream, questions);
        Turn::Wait
    }

    /// A node has given back resources.
    pub(super) fn recalled(&mut self, name: &NodeName, resources: Vec<(ResourceName, Arc<[u8]>)>) {
        if let Phase::Restoring(Restoring {
            step: Step::Asking(interview),
            ..
        }) = &mut self.phase
            && interview.node == *name
        {
            interview.got.extend(resources);
        }
    }

    /// Puts together what the node serves. Gives what of it is wanted.
    fn learn(
        &mut self,
        interview: &Interview,
        target: &ResourceSet,
    ) -> Vec<(ResourceName, Resource)> {
        let Some(node) = self.nodes.get(&interview.node) else {
            return Vec::new();
        };
        let Some(held) = node.held else {
            return Vec::new();
        };
        let set = interview.assemble(node, target);
        if set.digest() == held.digest {
            if self
                .ledger
                .record
                .as_ref()
                .is_some_and(|record| record.held == held)
            {
                self.adopt(held, set.clone());
            } else {
                self.offers
                    .remember(held, set.clone(), true, self.config.remembered);
                self.offers.acked = set.clone();
            }
        }
        self.wanted_of(&set, target)
    }

    /// What is recorded is known to be `set`, and in service.
    fn adopt(&mut self, held: Held, set: ResourceSet) {
        self.carried.begin(held.id);
        for (name, _) in set.iter() {
            if self.desired.is_form_in(&name, &set) {
                self.carried.removed(&name.to_shared());
            }
        }
        let state = OfferState::Active;
        self.offers
            .begin(Offer { held, set, state }, self.config.remembered);
        self.offers.activate(true);
        self.identify_all();
        self.change();
    }

    /// The next desired state is what the restored resources are in.
    pub(super) fn restored(&mut self) {
        if let Phase::Restoring(Restoring {
            step: Step::Restored,
            ..
        }) = self.phase
        {
            self.lead();
        }
    }

    fn lead(&mut self) {
        self.phase = Phase::Leading;
        self.identify_all();
        self.change();
    }
}

/// What to do next with a node.
enum Turn {
    Wait,
    /// Its stream has ended.
    Lost,
    /// It has said all that it is asked.
    Done,
}

impl Interview {
    fn of(node: NodeName) -> Self {
        Self {
            node,
            asked: BTreeSet::new(),
            got: HashMap::new(),
        }
    }

    /// Whether something that the node was asked for has not come. It comes in
    /// as many messages as the node likes.
    fn is_waiting(&self) -> bool {
        self.asked.iter().any(|name| !self.got.contains_key(name))
    }

    /// What the node holds otherwise than `target`, by bucket and name.
    fn others<'a>(
        node: &'a Node,
        target: &'a ResourceSet,
    ) -> impl Iterator<Item = (&'a ResourceName, Digest)> {
        let (digests, holdings) = match &node.knowledge {
            Knowledge::Buckets { digests, holdings } => (Some(digests), Some(holdings)),
            _ => (None, None),
        };
        let buckets = digests.map(|digests| differing(digests, target));
        buckets
            .unwrap_or_default()
            .into_iter()
            .filter_map(move |bucket| holdings?.get(&bucket))
            .flatten()
            .map(|(name, hash)| (name, *hash))
            .filter(|(name, hash)| target.get(name).map(Digest::of) != Some(*hash))
    }

    /// Resources whose content the node has not been asked for.
    fn missing(&self, node: &Node, target: &ResourceSet) -> Vec<ResourceName> {
        let others = Self::others(node, target);
        let mut missing: Vec<ResourceName> = others
            .filter(|(name, _)| !self.asked.contains(*name))
            .map(|(name, _)| name.clone())
            .collect();
        missing.sort();
        missing
    }

    /// What the node serves: the target, where it does not differ.
    fn assemble(&self, node: &Node, target: &ResourceSet) -> ResourceSet {
        let mut changes = Vec::new();
        if let Knowledge::Buckets { digests, holdings } = &node.knowledge {
            for bucket in differing(digests, target) {
                let held = holdings.get(&bucket).into_iter().flatten();
                let held: HashSet<_> = held.map(|(name, _)| name.borrowed()).collect();
                let entries = target.entries_of(bucket).map(|(name, _)| name);
                let gone = entries.filter(|name| !held.contains(name));
                changes.extend(gone.map(|name| (name, None)));
            }
        }
        for (name, hash) in Self::others(node, target) {
            let got = self.got.get(name);
            let content = got.filter(|bytes| Digest::of(bytes) == hash);
            changes.push((name.borrowed(), content.map(|bytes| &**bytes)));
        }
        let mut set = target.clone();
        set.change(changes);
        set
    }
}

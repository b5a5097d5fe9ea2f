//! What a node serves never goes down, whatever comes in whatever order.
//!
//! The world of a schedule is small, so that things collide: a few contents,
//! few numbers, few terms. Operators may offer anything under any number;
//! messages are repeated, lost and mixed between streams; the node is
//! restarted from any state that its disk had.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use proptest::collection::vec;
use proptest::prelude::*;
use watershed_dns::fleet::{Builder, Effect, Kept, Subscriber};
use watershed_proto::{NodeMessage, OperatorMessage};
use watershed_snapshot::{Digest, Held, ResourceSet, Snapshot, SnapshotId, Term};

use crate::support::content::{
    address, assembled, edition, encoded, held, id, identity, parts, subscriber,
};
use crate::support::operator::welcome;

/// Contents in this world.
const CONTENTS: u8 = 4;

/// A content, encoded, and what it is when it is served.
struct Known {
    resources: ResourceSet,
    snapshot: Snapshot,
}

fn known() -> &'static [Known] {
    static KNOWN: OnceLock<Vec<Known>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let contents = (0..CONTENTS).map(|number| {
            let mut resources = edition(number);
            // Contents differ in size, so that removals occur.
            resources.extend((0..number).map(|n| address(&format!("host{n}"), n)));
            Known {
                resources: encoded(&resources),
                snapshot: Snapshot::clone(assembled(&resources).snapshot()),
            }
        });
        contents.collect()
    })
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// The stream breaks and another begins.
    Connect,
    Welcome(u64),
    /// A state is offered; some of its parts may be lost.
    Offer {
        epoch: u64,
        generation: u64,
        content: u8,
        /// `None`: in full; a content that the node may not hold otherwise.
        base: Option<u8>,
        term: u64,
        lost: Option<u8>,
    },
    /// A state is offered as an honest operator does, and activated.
    Publish {
        content: u8,
    },
    Activate {
        epoch: u64,
        generation: u64,
        term: u64,
    },
    /// The node gets again what it got so many messages ago.
    Replay(usize),
    /// The node is killed; so many writes had not reached its disk.
    Restart(usize),
}

fn steps() -> impl Strategy<Value = Step> {
    let number = || (1..3_u64, 1..5_u64);
    let content = || 0..CONTENTS;
    prop_oneof![
        2 => Just(Step::Connect),
        2 => (0..4_u64).prop_map(Step::Welcome),
        6 => (number(), content(), proptest::option::of(content()), 0..4_u64, proptest::option::weighted(0.1, 0..3_u8))
            .prop_map(|((epoch, generation), content, base, term, lost)| Step::Offer {
                epoch, generation, content, base, term, lost,
            }),
        4 => content().prop_map(|content| Step::Publish { content }),
        6 => (number(), 0..4_u64)
            .prop_map(|((epoch, generation), term)| Step::Activate { epoch, generation, term }),
        3 => (0..20_usize).prop_map(Step::Replay),
        1 => (0..3_usize).prop_map(Step::Restart),
    ]
}

/// A node, and everything that must hold of it.
struct World {
    node: Subscriber,
    /// All messages so far.
    log: Vec<OperatorMessage>,
    /// All writes so far.
    disk: Vec<Kept>,
    /// The highest term, as far as it must not have been forgotten.
    term: Term,
    served: Option<Held>,
}

impl World {
    fn new() -> Self {
        let mut node = subscriber();
        node.connect();
        Self {
            node,
            log: Vec::new(),
            disk: vec![Kept::default()],
            term: Term(0),
            served: None,
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Connect => self.connect(),
            Step::Welcome(term) => self.deliver(&welcome(term)),
            Step::Offer {
                epoch,
                generation,
                content,
                base,
                term,
                lost,
            } => self.offer(id(epoch, generation), content, base, Term(term), lost),
            Step::Publish { content } => self.publish(content),
            Step::Activate {
                epoch,
                generation,
                term,
            } => self.deliver(&OperatorMessage::Activate {
                id: id(epoch, generation),
                term: Term(term),
            }),
            Step::Replay(ago) => {
                let at = self.log.len().checked_sub(ago + 1);
                if let Some(message) = at.map(|at| self.log[at].clone()) {
                    self.deliver(&message);
                }
            }
            Step::Restart(unwritten) => self.restart(unwritten),
        }
    }

    fn connect(&mut self) {
        let hello = self.node.connect();
        assert_eq!(hello.held, self.served);
        assert_eq!(hello.term, self.term);
    }

    fn offer(
        &mut self,
        id: SnapshotId,
        content: u8,
        base: Option<u8>,
        term: Term,
        lost: Option<u8>,
    ) {
        let to = &known()[usize::from(content)].resources;
        let base = base.map(|base| &known()[usize::from(base)].resources);
        let offer = Held {
            id,
            digest: to.digest(),
        };
        for part in singly(parts(offer, term, base, to)) {
            if Some(part.part) != lost.map(u32::from) {
                self.deliver(&OperatorMessage::Stage(part));
            }
        }
    }

    /// What a leader does that has claimed the next generation.
    fn publish(&mut self, content: u8) {
        self.connect();
        let term = self.term;
        self.deliver(&welcome(term.0));
        let next = match self.served.map(|held| held.id) {
            Some(id) => SnapshotId {
                generation: id.generation + 1,
                ..id
            },
            None => id(1, 1),
        };
        let base = self.served.and_then(|held| number_of(held.digest));
        self.offer(next, content, base, term, None);
        self.deliver(&OperatorMessage::Activate { id: next, term });
        let digest = known()[usize::from(content)].resources.digest();
        assert_eq!(self.served, Some(Held { id: next, digest }));
    }

    fn deliver(&mut self, message: &OperatorMessage) {
        self.log.push(message.clone());
        let effects = self.node.handle(message.clone());
        let before = self.served;
        for effect in &effects {
            self.check(effect);
        }
        let held = self.node.served().map(|served| *served.held());
        assert_eq!(held, self.served, "only a swap changes what is served");
        if before != self.served {
            let kept = self.disk.last().unwrap();
            assert_eq!(kept.held, self.served, "what is served is kept");
        }
        self.check_term(message, &effects);
    }

    fn check(&mut self, effect: &Effect) {
        match effect {
            Effect::Swap(snapshot) => {
                let served = self.node.served().unwrap();
                let now = *served.held();
                if let Some(before) = self.served {
                    assert!(now.id > before.id, "{now} after {before}");
                }
                let content = &known()[usize::from(number_of(now.digest).unwrap())];
                assert!(**snapshot == content.snapshot, "half a state is served");
                assert_eq!(served.resources().digest(), now.digest);
                self.served = Some(now);
            }
            Effect::ReportApplied(held) => assert_eq!(Some(*held), self.served),
            Effect::Send(NodeMessage::Nack(nack)) => {
                assert_eq!(nack.held, self.served.map(|held| held.id));
            }
            Effect::Keep(kept) => {
                assert!(kept.term >= self.disk.last().unwrap().term);
                self.disk.push(kept.clone());
            }
            Effect::Send(_) | Effect::Close(_) => {}
        }
    }

    fn check_term(&mut self, message: &OperatorMessage, effects: &[Effect]) {
        let term = match message {
            OperatorMessage::Welcome { term, .. } | OperatorMessage::Activate { term, .. } => *term,
            OperatorMessage::Stage(part) => part.term,
            _ => return,
        };
        if term < self.term {
            let swaps = effects
                .iter()
                .any(|effect| matches!(effect, Effect::Swap(_)));
            assert!(!swaps, "a deposed operator changed what is served");
        }
        assert!(self.node.term() >= self.term);
        self.term = self.node.term();
    }

    /// The disk is behind what is served by some writes, but its own states
    /// never go down either.
    fn restart(&mut self, unwritten: usize) {
        let left = self.disk.len().saturating_sub(unwritten).max(1);
        self.disk.truncate(left);
        let states: Vec<_> = self.disk.iter().filter_map(|kept| kept.held).collect();
        assert!(states.is_sorted_by_key(|held| held.id));
        let kept = self.disk.last().unwrap().clone();
        (self.served, self.term) = (kept.held, kept.term);
        let builder = Builder::new(identity().formats);
        self.node = Subscriber::restore(identity(), builder, kept).unwrap();
        self.connect();
    }
}

fn number_of(digest: Digest) -> Option<u8> {
    static NUMBERS: OnceLock<HashMap<Digest, u8>> = OnceLock::new();
    let numbers = NUMBERS.get_or_init(|| {
        let digests = known().iter().map(|known| known.resources.digest());
        digests.zip(0..).collect()
    });
    numbers.get(&digest).copied()
}

/// The same offer with one change in each part.
fn singly(parts: Vec<watershed_proto::StagePart>) -> Vec<watershed_proto::StagePart> {
    let mut single = Vec::new();
    for part in parts {
        let empty = watershed_snapshot::Delta::default();
        let puts = part.delta.put.iter().map(|put| watershed_snapshot::Delta {
            put: vec![put.clone()],
            remove: Vec::new(),
        });
        let removals = watershed_snapshot::Delta {
            remove: part.delta.remove.clone(),
            ..empty
        };
        let deltas = std::iter::once(removals).chain(puts);
        single.extend(deltas.map(|delta| watershed_proto::StagePart {
            delta: Arc::new(delta),
            ..part.clone()
        }));
    }
    let count = u32::try_from(single.len()).unwrap();
    for (number, part) in (0..).zip(&mut single) {
        (part.part, part.parts) = (number, count);
    }
    single
}

proptest! {
    #[test]
    fn nothing_goes_down(schedule in vec(steps(), 1..60)) {
        let mut world = World::new();
        for step in schedule {
            world.take(&step);
        }
        // However confused it was, an operator that leads gets through.
        world.publish(1);
        prop_assert_eq!(
            world.served.map(|held| held.digest),
            Some(held(1, 1, &known()[1].resources).digest)
        );
    }
}

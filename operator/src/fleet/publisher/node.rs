//! A node, as its publisher knows it.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use watershed_proto::Hello;
use watershed_snapshot::{Delta, Digest, Held, ResourceName, ResourceSet, SnapshotId};

use crate::fleet::StreamId;
use crate::fleet::event::Ending;

/// One node of the fleet, whether it has a stream or had one lately.
pub(super) struct Node {
    /// What it said of itself.
    pub(super) hello: Hello,
    pub(super) link: Link,
    /// What it serves.
    pub(super) held: Option<Held>,
    /// The id of what it serves, when this publisher knows that content to be
    /// the one of that id.
    pub(super) lineage: Option<SnapshotId>,
    pub(super) knowledge: Knowledge,
    pub(super) work: Work,
    /// Missed a staging deadline and has not caught up: nobody waits for it.
    pub(super) lagging: bool,
    pub(super) rejection: Option<Rejection>,
    pub(super) last_seen: Instant,
}

/// The connection to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// It has a stream, and was told who leads if `welcomed`.
    Up { stream: StreamId, welcomed: bool },
    /// It has none since then.
    Down { since: Instant, ending: Ending },
}

/// What is known of the content that a node serves.
pub(super) enum Knowledge {
    /// Nothing, or it serves nothing: it is sent all.
    Nothing,
    /// All of it.
    Set(ResourceSet),
    /// The digests of its buckets, and what it said to hold in some of them.
    Buckets {
        digests: Box<[Digest; 256]>,
        holdings: BTreeMap<u8, HashMap<ResourceName, Digest>>,
    },
}

/// What a node is at. It has at most one thing to answer at a time: a slow
/// node is not buried in offers, and a late one gets the newest only.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// Nothing.
    Idle,
    /// Asked what it holds; this many answers are missing.
    Inquired { asked: Vec<Vec<u8>>, since: Instant },
    /// Building a state.
    Staging {
        offer: Held,
        full: bool,
        since: Instant,
    },
    /// Has built a state and waits for the others.
    Staged { offer: Held },
    /// Told to serve a state that it has built.
    Activating { offer: Held, since: Instant },
}

/// Why a node does not take what it was offered, and when it is asked again.
#[derive(Clone, Debug)]
pub(super) struct Rejection {
    pub(super) message: String,
    /// Resources that it named, in the forms that it refuses.
    pub(super) faults: Vec<(ResourceName, Digest, String)>,
    pub(super) attempts: u32,
    /// `None`: it cannot read the format; asked again when that changes.
    pub(super) retry_at: Option<Instant>,
}

impl Node {
    pub(super) fn new(now: Instant, stream: StreamId, hello: Hello) -> Self {
        let knowledge = match (&hello.held, &hello.bucket_digests) {
            (Some(_), Some(digests)) => Knowledge::Buckets {
                digests: digests.clone(),
                holdings: BTreeMap::new(),
            },
            _ => Knowledge::Nothing,
        };
        Self {
            held: hello.held,
            lineage: None,
            knowledge,
            work: Work::Idle,
            lagging: false,
            rejection: None,
            last_seen: now,
            link: Link::Up {
                stream,
                welcomed: false,
            },
            hello,
        }
    }

    /// Its stream, when it has been welcomed there.
    pub(super) fn stream(&self) -> Option<StreamId> {
        match self.link {
            Link::Up {
                stream,
                welcomed: true,
            } => Some(stream),
            _ => None,
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        matches!(self.link, Link::Up { .. })
    }

    /// Whether a new generation waits for it.
    pub(super) fn is_awaited(&self) -> bool {
        self.stream().is_some() && !self.lagging && self.rejection.is_none()
    }

    /// Whether it builds a state.
    pub(super) fn is_staging(&self) -> bool {
        matches!(self.work, Work::Staging { .. })
    }

    /// Whether it needs more than the difference between two generations.
    pub(super) fn is_behind(&self) -> bool {
        !matches!(self.knowledge, Knowledge::Set(_))
    }

    /// Whether it is behind, and is being asked for what it holds or sent what
    /// it lacks.
    pub(super) fn is_catching_up(&self) -> bool {
        let is_done = matches!(self.work, Work::Staged { .. } | Work::Activating { .. });
        self.is_behind() && self.stream().is_some() && self.has_turn() && !is_done
    }

    /// Whether something has been sent to it, or is to be sent next.
    pub(super) fn has_turn(&self) -> bool {
        !matches!(self.work, Work::Idle) || (self.has_answered() && self.rejection.is_none())
    }

    /// Whether it has said what it holds in some buckets.
    fn has_answered(&self) -> bool {
        matches!(&self.knowledge, Knowledge::Buckets { holdings, .. } if !holdings.is_empty())
    }

    /// Since when it owes an answer.
    pub(super) fn owes_since(&self) -> Option<Instant> {
        match &self.work {
            Work::Idle | Work::Staged { .. } => None,
            Work::Inquired { since, .. }
            | Work::Staging { since, .. }
            | Work::Activating { since, .. } => Some(*since),
        }
    }

    /// The form in which it serves `name`, when that is known to be known.
    pub(super) fn form_of(&self, name: &ResourceName) -> Option<&[u8]> {
        match &self.knowledge {
            Knowledge::Set(set) => set.get(name),
            _ => None,
        }
    }

    /// Whether it said to hold `name` in another form than `form`.
    pub(super) fn holds_other_than(&self, name: &ResourceName, form: Digest) -> bool {
        match &self.knowledge {
            Knowledge::Buckets { holdings, .. } => holdings
                .values()
                .filter_map(|bucket| bucket.get(name))
                .any(|hash| *hash != form),
            _ => false,
        }
    }

    /// Serves `held` now, which is `set` when that is known.
    pub(super) fn serves(&mut self, held: Held, set: Option<ResourceSet>) {
        self.held = Some(held);
        self.lineage = set.is_some().then_some(held.id);
        self.knowledge = set.map_or(Knowledge::Nothing, Knowledge::Set);
    }
}

impl Rejection {
    /// The node cannot read what it would be sent.
    pub(super) fn of_format(message: String) -> Self {
        Self {
            message,
            faults: Vec::new(),
            attempts: 0,
            retry_at: None,
        }
    }

    /// Whether it is the format that the node cannot read.
    pub(super) fn is_of_format(&self) -> bool {
        self.retry_at.is_none()
    }

    /// Whether the node is to be asked again, with `target`.
    pub(super) fn is_over(&self, now: Instant, target: &ResourceSet) -> bool {
        let form = |name: &ResourceName| target.get(name).map(Digest::of);
        let changed = |(name, hash, _): &(ResourceName, Digest, String)| form(name) != Some(*hash);
        self.retry_at.is_some_and(|at| at <= now) || self.faults.iter().any(changed)
    }

    /// The form in which it refuses `name`.
    pub(super) fn names(&self, name: &ResourceName, form: Digest) -> bool {
        let mut faults = self.faults.iter();
        faults.any(|(fault, hash, _)| fault == name && *hash == form)
    }
}

/// How a node comes to a target.
pub(super) enum Way {
    /// From a state that is known, and that others may serve as well; `None`:
    /// from nothing at all.
    From(Option<ResourceSet>),
    /// By this difference to what it serves, of which this is the digest.
    Delta(Digest, Delta),
    /// It must first say what it holds in these buckets.
    Ask(Vec<u8>),
}

impl Node {
    /// How this node comes to `target`.
    pub(super) fn way_to(&self, target: &ResourceSet) -> Way {
        match (&self.knowledge, self.held) {
            (Knowledge::Set(set), _) => Way::From(Some(set.clone())),
            (Knowledge::Buckets { digests, holdings }, Some(held)) => {
                let differing = differing(digests, target);
                let unknown = differing
                    .iter()
                    .filter(|bucket| !holdings.contains_key(bucket));
                let ask: Vec<u8> = unknown.copied().collect();
                if ask.is_empty() {
                    Way::Delta(held.digest, delta(&differing, holdings, target))
                } else {
                    Way::Ask(ask)
                }
            }
            _ => Way::From(None),
        }
    }
}

/// The buckets that `target` has otherwise.
pub(super) fn differing(digests: &[Digest; 256], target: &ResourceSet) -> Vec<u8> {
    let of_target = target.bucket_digests();
    (0..=u8::MAX)
        .filter(|bucket| digests[usize::from(*bucket)] != of_target[usize::from(*bucket)])
        .collect()
}

/// From what is held in `buckets` to `target`.
fn delta(
    buckets: &[u8],
    holdings: &BTreeMap<u8, HashMap<ResourceName, Digest>>,
    target: &ResourceSet,
) -> Delta {
    let mut delta = Delta {
        put: Vec::new(),
        remove: Vec::new(),
    };
    for bucket in buckets {
        let Some(held) = holdings.get(bucket) else {
            continue;
        };
        let held = held.iter().map(|(name, hash)| (name.borrowed(), hash));
        let mut held: HashMap<_, _> = held.collect();
        for (name, content, hash) in target.hashes_of(*bucket) {
            if held.remove(&name) != Some(&hash) {
                delta.put.push((name.to_shared(), content.into()));
            }
        }
        let gone = held.keys().map(ResourceName::to_shared);
        delta.remove.extend(gone);
    }
    delta.put.sort_by(|(a, _), (b, _)| a.cmp(b));
    delta.remove.sort();
    delta
}

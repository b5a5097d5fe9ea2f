//! A state that comes in parts.

use std::sync::Arc;

use watershed_proto::StagePart;
use watershed_snapshot::{Assembled, Delta, Held, ResourceName, ResourceSet};

use super::build::Built;

/// The offer of which parts are coming.
#[derive(Default)]
pub(super) enum Incoming {
    /// None.
    #[default]
    Nothing,
    /// So far all parts have come in their order.
    Collecting(Box<Complete>, Progress),
    /// It was refused; what is still on the way is ignored.
    Refused(Held),
}

/// How far an offer has come.
#[derive(Clone, Copy)]
pub(super) struct Progress {
    /// The number of the next part.
    next: u32,
    parts: u32,
}

/// All that is needed to build an offer.
pub(super) struct Complete {
    /// What it will be.
    pub(super) offer: Held,
    /// What the node serves already, and the resources that it is made from.
    pub(super) assembled: Assembled,
    pub(super) before: ResourceSet,
    /// The changes, in their order; `None` is a removal. They are made when
    /// all have come: each part has something for every bucket.
    pub(super) changes: Vec<(ResourceName, Option<Arc<[u8]>>)>,
}

/// What became of a part.
pub(super) enum Taken {
    /// Others are missing.
    More,
    /// It was the last one.
    All(Box<Complete>),
    /// It is against something that this node does not hold.
    OtherBase(String),
    /// It belongs to an offer that was refused.
    Ignored,
}

impl Incoming {
    /// Takes the next part of an offer, or the first of another, which
    /// replaces the former. `served` is what differences are against.
    pub(super) fn take(&mut self, part: StagePart, served: Option<&Built>) -> Taken {
        let offer = part.offer;
        match self.open(&part, served) {
            Opened::Ready(mut complete, progress) => {
                complete.add(Arc::unwrap_or_clone(part.delta));
                let next = progress.next + 1;
                if next >= progress.parts {
                    return Taken::All(complete);
                }
                *self = Self::Collecting(complete, Progress { next, ..progress });
                Taken::More
            }
            Opened::Ignored => {
                *self = Self::Refused(offer);
                Taken::Ignored
            }
            Opened::OtherBase(message) => {
                *self = Self::Refused(offer);
                Taken::OtherBase(message)
            }
        }
    }

    /// What the part belongs to.
    fn open(&mut self, part: &StagePart, served: Option<&Built>) -> Opened {
        let former = std::mem::take(self);
        if part.part == 0 {
            return Opened::first(part, served);
        }
        match former {
            Self::Collecting(complete, progress)
                if complete.offer == part.offer
                    && progress.next == part.part
                    && progress.parts == part.parts =>
            {
                Opened::Ready(complete, progress)
            }
            Self::Refused(refused) if refused == part.offer => Opened::Ignored,
            _ => Opened::OtherBase(format!("part {} came without those before it", part.part)),
        }
    }
}

/// What a part is added to.
enum Opened {
    /// The offer that it continues or begins.
    Ready(Box<Complete>, Progress),
    /// Its offer was refused.
    Ignored,
    /// Nothing that the node holds.
    OtherBase(String),
}

impl Opened {
    fn first(part: &StagePart, served: Option<&Built>) -> Self {
        let progress = Progress {
            next: 0,
            parts: part.parts,
        };
        match Complete::begin(part, served) {
            Some(complete) => Self::Ready(Box::new(complete), progress),
            None => Self::OtherBase(other_base(served)),
        }
    }
}

impl Complete {
    /// Begins with the base of the offer; `None` when it is not held.
    fn begin(part: &StagePart, served: Option<&Built>) -> Option<Self> {
        let (assembled, before) = match (part.base, served) {
            (None, _) => (Assembled::new(), ResourceSet::new()),
            (Some(base), Some(served)) if served.held().digest == base => {
                (served.assembled().clone(), served.resources().clone())
            }
            (Some(_), _) => return None,
        };
        Some(Self {
            offer: part.offer,
            assembled,
            before,
            changes: Vec::new(),
        })
    }

    /// Removals first, so that a name that is in both lists ends up put.
    fn add(&mut self, delta: Delta) {
        let Delta { put, remove } = delta;
        let removals = remove.into_iter().map(|name| (name, None));
        self.changes.extend(removals);
        let puts = put.into_iter().map(|(name, content)| (name, Some(content)));
        self.changes.extend(puts);
    }
}

fn other_base(served: Option<&Built>) -> String {
    match served {
        Some(served) => format!("this node holds {}", served.held().digest),
        None => "this node holds nothing".to_owned(),
    }
}

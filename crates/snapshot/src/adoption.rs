//! States of all resources by name, and which of two a node may serve.

use std::fmt;

use crate::digest::Digest;

/// The name of a state of all resources.
///
/// It only ever grows: by generation within an epoch, and by epoch when the
/// history of generations was lost. The order is that of age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId {
    /// Which history the generation counts in.
    pub epoch: u64,
    /// Grows with every change of content; from 1.
    pub generation: u64,
}

impl fmt::Display for SnapshotId {
    /// `e14.g20391`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}.g{}", self.epoch, self.generation)
    }
}

/// A fencing token: grows with every change of the leader, so that a deposed
/// leader is known by its lower term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A state of all resources: its name and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// Its name.
    pub id: SnapshotId,
    /// Of its [`ResourceSet`](crate::ResourceSet).
    pub digest: Digest,
}

impl fmt::Display for Held {
    /// `e14.g20391 (9f86d081)`: the id and the first octets of the digest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.digest.to_string();
        write!(f, "{} ({})", self.id, digest.get(..8).unwrap_or(&digest))
    }
}

/// What a node does with a state that it is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// It is later than what is held: adopt it.
    Adopt,
    /// It is what is held already: nothing to do, and no fault.
    AlreadyAt,
    /// It is an earlier generation: the sender's view is out of date.
    Stale {
        /// What the node holds.
        held: Held,
    },
    /// It has the name of what is held, but another content: two senders gave
    /// the same name to different states, or one made up a name.
    Conflict {
        /// What the node holds.
        held: Held,
    },
    /// It is of an earlier epoch: the sender lost its history and did not
    /// begin a later one.
    WrongEpoch {
        /// What the node holds.
        held: Held,
    },
}

/// Decides about a state that is `offered` to a node that holds `held`. What
/// a node holds never goes back: the only outcome that changes it is
/// [`Adoption::Adopt`], for a later epoch or a later generation of the same.
pub fn judge(held: Option<&Held>, offered: &Held) -> Adoption {
    let Some(&held) = held else {
        return Adoption::Adopt;
    };
    if offered.id > held.id {
        Adoption::Adopt
    } else if offered.id.epoch < held.id.epoch {
        Adoption::WrongEpoch { held }
    } else if offered.id.generation < held.id.generation {
        Adoption::Stale { held }
    } else if offered.digest == held.digest {
        Adoption::AlreadyAt
    } else {
        Adoption::Conflict { held }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state(epoch: u64, generation: u64, content: u8) -> Held {
        Held {
            id: SnapshotId { epoch, generation },
            digest: Digest::of(&[content]),
        }
    }

    fn states() -> impl Strategy<Value = Held> {
        (0..4_u64, 0..4_u64, 0..2_u8)
            .prop_map(|(epoch, generation, content)| state(epoch, generation, content))
    }

    #[test]
    fn outcomes_are_those_of_the_protocol() {
        let held = state(3, 7, 0);
        let judged = |offered| judge(Some(&held), &offered);
        assert_eq!(judge(None, &state(0, 0, 0)), Adoption::Adopt);
        assert_eq!(judged(state(3, 8, 0)), Adoption::Adopt);
        assert_eq!(judged(state(4, 1, 0)), Adoption::Adopt);
        assert_eq!(judged(state(3, 7, 0)), Adoption::AlreadyAt);
        assert_eq!(judged(state(3, 6, 0)), Adoption::Stale { held });
        assert_eq!(judged(state(3, 7, 1)), Adoption::Conflict { held });
        assert_eq!(judged(state(2, 9, 0)), Adoption::WrongEpoch { held });
    }

    #[test]
    fn text_forms() {
        let held = state(14, 20391, 0);
        assert_eq!(held.id.to_string(), "e14.g20391");
        assert_eq!(held.to_string(), "e14.g20391 (6e340b9c)");
    }

    proptest! {
        /// Whatever is offered in whatever order, what a node holds never
        /// goes back, and one name never stands for two contents.
        #[test]
        fn never_goes_back(offers in proptest::collection::vec(states(), 0..20)) {
            let mut held: Option<Held> = None;
            for offered in offers {
                let before = held;
                match judge(held.as_ref(), &offered) {
                    Adoption::Adopt => held = Some(offered),
                    Adoption::AlreadyAt => prop_assert_eq!(before, Some(offered)),
                    Adoption::Stale { held } | Adoption::Conflict { held }
                    | Adoption::WrongEpoch { held } => {
                        prop_assert_eq!(before, Some(held));
                        prop_assert!(offered.id <= held.id && offered != held);
                    }
                }
                if let (Some(before), Some(after)) = (before, held) {
                    prop_assert!(before == after || before.id < after.id);
                }
            }
        }
    }
}

//! What a node probes.

use std::sync::Arc;

use watershed_health::{Check, Checker, Target, checkers};
use watershed_probe::Assignment;

/// A node's share of the probes of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// It is one of those who probe it.
    Assigned {
        /// Its place among them.
        rank: u32,
        /// How many they are.
        of: u32,
    },
    /// It is not, but probes it for itself, less often.
    OwnAccount {
        /// Its place among all nodes.
        rank: u32,
        /// How many they are.
        of: u32,
    },
    /// It does not probe it.
    Nothing,
}

/// The share of `me` among these nodes. `alone`: it needs results of its own
/// of everything.
pub(super) fn share(
    target: &Target,
    check: &Check,
    me: &str,
    nodes: &[Checker],
    alone: bool,
) -> Share {
    if !check.is_probed() {
        return Share::Nothing;
    }
    let chosen = checkers(target, &check.checkers, nodes);
    let is_me = |position: &usize| nodes.get(*position).is_some_and(|node| node.node == me);
    if let Some(rank) = chosen.iter().position(is_me) {
        let (rank, of) = place(rank, chosen.len());
        Share::Assigned { rank, of }
    } else if alone {
        let rank = nodes.iter().position(|node| node.node == me);
        let (rank, of) = place(rank.unwrap_or(0), nodes.len());
        Share::OwnAccount { rank, of }
    } else {
        Share::Nothing
    }
}

fn place(rank: usize, of: usize) -> (u32, u32) {
    let number = |number| u32::try_from(number).unwrap_or(u32::MAX);
    (number(rank), number(of))
}

impl Share {
    /// What the prober is told.
    pub(super) fn assignment(self, target: &Target, check: &Arc<Check>) -> Option<Assignment> {
        let (rank, of, own_account) = match self {
            Self::Assigned { rank, of } => (rank, of, false),
            Self::OwnAccount { rank, of } => (rank, of, true),
            Self::Nothing => return None,
        };
        Some(Assignment {
            target: target.clone(),
            check: Arc::clone(check),
            rank,
            of,
            own_account,
        })
    }
}

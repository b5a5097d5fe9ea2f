//! What a node probes.

use std::sync::Arc;

use watershed_health::{Check, Checker, Target, checkers};
use watershed_probe::Assignment;

/// Where others probe a target, a node that cannot hear them does so on its
/// own account, but only every so many intervals.
const SELDOM: u32 = 3;

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
    /// It is not, but probes it for itself.
    OwnAccount,
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
    match chosen.iter().position(is_me) {
        Some(rank) => Share::Assigned {
            rank: u32::try_from(rank).unwrap_or(u32::MAX),
            of: u32::try_from(chosen.len()).unwrap_or(u32::MAX),
        },
        None if alone => Share::OwnAccount,
        None => Share::Nothing,
    }
}

impl Share {
    /// What the prober is told.
    pub(super) fn assignment(self, target: &Target, check: &Arc<Check>) -> Option<Assignment> {
        let (check, rank, of) = match self {
            Self::Assigned { rank, of } => (Arc::clone(check), rank, of),
            Self::OwnAccount => {
                let mut seldom = Check::clone(check);
                seldom.interval = seldom.interval.saturating_mul(SELDOM);
                (Arc::new(seldom), 0, 0)
            }
            Self::Nothing => return None,
        };
        Some(Assignment {
            target: target.clone(),
            check,
            rank,
            of,
        })
    }
}

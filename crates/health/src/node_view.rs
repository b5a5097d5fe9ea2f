//! By which verdicts a node goes: the fleet's, or its own while it is alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::target::Target;
use crate::tracker::State;

/// What a node takes for the health of targets.
///
/// While an operator is connected, what the fleet says counts, and what it
/// said last for targets that it has not spoken of again. A node that has
/// been alone for longer than the grace time goes by its own results, where
/// it has any. When an operator returns, all stays as it is, target by
/// target, until the operator speaks.
#[derive(Clone, Debug)]
pub struct NodeView {
    grace: Duration,
    /// When the grace time ends; `None` while an operator is connected, and
    /// once it has ended.
    deadline: Option<Instant>,
    connected: bool,
    /// The grace time has ended, and no operator has spoken since.
    alone: bool,
    known: BTreeMap<Target, Known>,
}

/// What is known of a target.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// By the fleet: whether it is healthy, and whether that may soon change.
    fleet: Option<(bool, bool)>,
    /// By the node's own probes.
    own: Option<(bool, bool)>,
    /// Whether the own result comes first.
    by_own: bool,
}

impl Known {
    fn counts(self) -> Option<(bool, bool)> {
        if self.by_own {
            self.own.or(self.fleet)
        } else {
            self.fleet
        }
    }
}

impl NodeView {
    /// Alone since `now`, and nothing known.
    pub fn new(now: Instant, grace: Duration) -> Self {
        Self {
            grace,
            deadline: now.checked_add(grace),
            connected: false,
            alone: false,
            known: BTreeMap::new(),
        }
    }

    /// The stream to the operator begins or ends.
    pub fn connected(&mut self, now: Instant, connected: bool) {
        if connected {
            self.deadline = None;
        } else if self.connected && !self.alone {
            self.deadline = now.checked_add(self.grace);
        }
        self.connected = connected;
    }

    /// The fleet's verdicts: whether each target is healthy, and whether that
    /// may soon change. `whole`: of the others the fleet knows nothing, so
    /// they do not soon change, but count as before: a new leader that does
    /// not know yet must not make anything healthy. Gives whether anything
    /// that counts differs from before.
    pub fn fleet(&mut self, verdicts: Vec<(Target, bool, bool)>, whole: bool) -> bool {
        self.alone = false;
        let mut differs = false;
        if whole {
            for known in self.known.values_mut() {
                let before = known.counts();
                known.fleet = known.fleet.map(|(healthy, _)| (healthy, false));
                differs |= known.counts() != before;
            }
        }
        for (target, healthy, changing) in verdicts {
            differs |= self.change(&target, |known| {
                known.fleet = Some((healthy, changing));
                known.by_own = false;
            });
        }
        differs
    }

    /// The node's own result; whether anything that counts differs.
    pub fn own(&mut self, target: &Target, state: State, changing: bool) -> bool {
        let own = match state {
            State::Unknown => None,
            State::Healthy => Some((true, changing)),
            State::Unhealthy => Some((false, changing)),
        };
        self.change(target, |known| known.own = own)
    }

    /// Time passes; whether anything that counts differs.
    pub fn tick(&mut self, now: Instant) -> bool {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return false;
        }
        self.deadline = None;
        self.alone = true;
        let mut differs = false;
        for known in self.known.values_mut() {
            let before = known.counts();
            known.by_own = true;
            differs |= known.counts() != before;
        }
        differs
    }

    /// When the grace time ends, if it runs.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the node goes by its own results: from the end of the grace
    /// time until an operator speaks.
    pub fn is_alone(&self) -> bool {
        self.alone
    }

    /// Forgets all targets but these.
    pub fn retain(&mut self, targets: &BTreeSet<Target>) {
        self.known.retain(|target, _| targets.contains(target));
    }

    /// Whether a target counts as healthy; `None`: nothing is known.
    pub fn verdict(&self, target: &Target) -> Option<bool> {
        self.counts(target).map(|(healthy, _)| healthy)
    }

    /// Whether the verdict on a target may soon change.
    pub fn is_changing(&self, target: &Target) -> bool {
        self.counts(target).is_some_and(|(_, changing)| changing)
    }

    /// All that count.
    pub fn verdicts(&self) -> BTreeMap<Target, bool> {
        let known = self.known.iter();
        known
            .filter_map(|(target, known)| Some((target.clone(), known.counts()?.0)))
            .collect()
    }

    fn counts(&self, target: &Target) -> Option<(bool, bool)> {
        self.known.get(target).copied()?.counts()
    }

    /// Changes what is known of a target; whether what counts differs.
    fn change(&mut self, target: &Target, change: impl FnOnce(&mut Known)) -> bool {
        if !self.known.contains_key(target) {
            let fresh = Known {
                by_own: self.alone,
                ..Known::default()
            };
            self.known.insert(target.clone(), fresh);
        }
        let Some(known) = self.known.get_mut(target) else {
            return false;
        };
        let before = known.counts();
        change(known);
        known.counts() != before
    }
}

//! Where all pods stand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use watershed_health::{Checker, checkers};

use crate::content::{CHECKED, checked_how, target};
use crate::crowd::{Milestone, Reached};
use crate::process;

/// Where all pods stand.
pub(crate) struct Board {
    pods: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the first came to a milestone, and how many have.
    milestones: HashMap<Milestone, (Duration, usize)>,
    octets: usize,
    assignment: Arc<Assignment>,
}

/// Who probes which target, by a list of nodes that all are sent.
#[derive(Default)]
pub(crate) struct Assignment {
    list: Vec<Checker>,
    /// Of each target.
    nodes: Vec<Vec<usize>>,
}

impl Assignment {
    fn of(list: &[Checker]) -> Self {
        let how = checked_how();
        let nodes = (0..CHECKED).map(|number| checkers(&target(number), &how.checkers, list));
        Self {
            list: list.to_vec(),
            nodes: nodes.collect(),
        }
    }

    /// The targets that the node of this name probes.
    pub(crate) fn of_node(&self, name: &str) -> Vec<usize> {
        let Some(own) = self.list.iter().position(|node| node.node == name) else {
            return Vec::new();
        };
        let all = self.nodes.iter().enumerate();
        let probed = all.filter(|(_, nodes)| nodes.contains(&own));
        probed.map(|(number, _)| number).collect()
    }

    /// Whether it is among so many.
    pub(crate) fn is_complete(&self, nodes: usize) -> bool {
        self.list.len() >= nodes
    }
}

impl Board {
    /// So many pods have done nothing yet.
    pub(crate) fn new(pods: usize) -> Self {
        Self {
            pods,
            state: Mutex::default(),
        }
    }

    /// How many pods there are.
    pub(crate) fn pods(&self) -> usize {
        self.pods
    }

    /// A pod received so many octets of messages.
    pub(crate) fn received(&self, octets: usize) {
        self.lock().octets += octets;
    }

    /// What leads to a milestone begins now; whoever was there before is not
    /// any more.
    ///
    /// # Errors
    /// When the clock is wrong.
    pub(crate) fn begin(&self, milestone: Milestone) -> Result<()> {
        let now = process::clock()?;
        self.lock().milestones.insert(milestone, (now, 0));
        Ok(())
    }

    /// A pod came to a milestone. When it was the last, that is told.
    ///
    /// # Errors
    /// When the clock is wrong.
    pub(crate) fn reach(&self, milestone: Milestone) -> Result<()> {
        let last = process::clock()?;
        let mut state = self.lock();
        let (first, count) = state.milestones.entry(milestone).or_insert((last, 0));
        *count += 1;
        if *count == self.pods {
            let first = *first;
            let octets = match milestone {
                Milestone::Applied(_) => std::mem::take(&mut state.octets),
                _ => 0,
            };
            let reached = Reached {
                milestone,
                first,
                last,
                octets,
            };
            println!("{}", serde_json::to_string(&reached)?);
        }
        Ok(())
    }

    /// Who probes what by this list; worked out once for all pods.
    pub(crate) fn assignment(&self, list: &[Checker]) -> Arc<Assignment> {
        let mut state = self.lock();
        if state.assignment.list != list {
            state.assignment = Arc::new(Assignment::of(list));
        }
        Arc::clone(&state.assignment)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

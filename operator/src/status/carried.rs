//! How far the nodes are with a change: the condition Programmed, and the
//! numbers beside it.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use watershed_crd::common::FleetProgress;

use super::conditions::{Draft, Waiting};
use super::{count, counted};
use crate::fleet::{NodeName, Progress};

/// What the fleet says about one resource.
#[derive(Clone, Copy, Debug)]
pub struct Carried<'a> {
    /// How far it is; `None` when there is nothing to carry, or no publisher.
    pub progress: Option<&'a Progress>,
    /// Why it is held back, when it is not refused and not published either.
    pub held_back: Option<&'a str>,
    /// Whether the counts mean something: after a change of leader, nodes need
    /// some seconds to return.
    pub settled: bool,
    /// Percentage of the live nodes that must serve it.
    pub percent: i32,
}

impl Carried<'_> {
    /// Whether enough live nodes serve it.
    pub(super) fn is_programmed(&self) -> bool {
        self.progress.is_some_and(|progress| {
            progress.rejected.is_empty()
                && progress.id.is_some()
                && progress.live > 0
                && progress.programmed >= self.needed(progress.live)
        })
    }

    /// Whether every live node serves it.
    fn is_complete(&self) -> bool {
        self.is_programmed() && self.progress.is_some_and(|p| p.programmed >= p.live)
    }

    fn needed(&self, live: usize) -> usize {
        let percent = usize::try_from(self.percent.clamp(1, 100)).unwrap_or(100);
        (live * percent).div_ceil(100)
    }

    /// The condition Programmed.
    fn draft(&self) -> Draft {
        let pending =
            |message: &str| Draft::fails("Programmed", "Pending", message, Waiting::Helps);
        let Some(progress) = self.progress else {
            return pending("not published yet");
        };
        if !progress.rejected.is_empty() {
            let message = rejections(&progress.rejected);
            return Draft::fails("Programmed", "RejectedByNodes", message, Waiting::InVain);
        }
        if let Some(why) = self.held_back {
            return pending(why);
        }
        if progress.live == 0 {
            let message = "no DNS node is connected";
            return Draft::fails("Programmed", "TooFewNodes", message, Waiting::Helps);
        }
        let share = format!(
            "{} of {}",
            progress.programmed,
            counted(progress.live, "node")
        );
        let needed = self.needed(progress.live);
        if !self.is_programmed() {
            let message = format!("{share}; {needed} needed ({}%)", self.percent);
            return pending(&message);
        }
        if progress.programmed >= progress.live {
            return Draft::holds("Programmed", "Programmed", share);
        }
        let message = format!("{share} ({}% needed)", self.percent);
        Draft::holds("Programmed", "QuorumProgrammed", message)
    }

    /// The numbers. Times are those of the moment when the last node reported.
    fn numbers(&self, before: Option<&FleetProgress>, now: Timestamp) -> FleetProgress {
        let Some(progress) = self.progress else {
            return FleetProgress::default();
        };
        let snapshot = progress.id.map(|id| id.to_string());
        // What was complete under the same snapshot stays so.
        let before = before.filter(|before| before.snapshot == snapshot);
        let complete = self.is_complete();
        let time = before.and_then(|before| before.complete_time.clone());
        let delay = progress.complete_after.map(|delay| delay.as_millis());
        let delay = delay.and_then(|delay| i64::try_from(delay).ok());
        FleetProgress {
            snapshot,
            nodes: Some(count(progress.live)),
            programmed: Some(count(progress.programmed)),
            rejected: Some(count(progress.rejected.len())),
            stale: None,
            summary: Some(format!("{}/{}", progress.programmed, progress.live)),
            complete_time: if complete {
                time.or(Some(Time(now)))
            } else {
                None
            },
            delay_milliseconds: if complete {
                delay.or(before.and_then(|before| before.delay_milliseconds))
            } else {
                None
            },
        }
    }
}

/// What a status tells of a change so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    pub(super) generation: i64,
    pub(super) conditions: &'a [Condition],
    pub(super) fleet: Option<&'a FleetProgress>,
}

impl Told<'_> {
    /// Whether it tells of this generation that all nodes serve it.
    fn is_complete(&self) -> bool {
        let programmed = self.conditions.iter().any(|condition| {
            condition.type_ == "Programmed"
                && condition.status == "True"
                && condition.observed_generation == Some(self.generation)
        });
        programmed && is_complete(self.fleet)
    }
}

/// Whether there is nothing more to tell of a change: the condition holds and
/// the numbers are final. Numbers alone may be those of the change before.
pub(super) fn is_final(programmed: &Draft, fleet: Option<&FleetProgress>) -> bool {
    programmed.holds && is_complete(fleet)
}

/// Whether numbers are final.
fn is_complete(fleet: Option<&FleetProgress>) -> bool {
    fleet.is_some_and(|fleet| fleet.complete_time.is_some())
}

impl Carried<'_> {
    /// The condition Programmed and its numbers. A change that is `the_same`
    /// as told and was complete is not touched again, whatever becomes of the
    /// nodes: one node would otherwise change the status of every object.
    /// `obstacle` says why there is nothing to wait for.
    pub(super) fn tell(
        &self,
        told: Told<'_>,
        the_same: bool,
        obstacle: Option<&str>,
        now: Timestamp,
    ) -> (Draft, Option<FleetProgress>) {
        let pending = |message: &str| {
            let draft = Draft::fails("Programmed", "Pending", message, Waiting::Helps);
            (draft, told.fleet.cloned())
        };
        match obstacle {
            Some(obstacle) => pending(obstacle),
            None if the_same && told.is_complete() => {
                (as_told(told.conditions), told.fleet.cloned())
            }
            None if !self.settled => pending("waiting for the nodes to report"),
            None => (self.draft(), Some(self.numbers(told.fleet, now))),
        }
    }
}

/// The condition Programmed as it is, for a status that is not touched.
fn as_told(conditions: &[Condition]) -> Draft {
    let told = conditions
        .iter()
        .find(|condition| condition.type_ == "Programmed");
    let message = told
        .map(|condition| condition.message.clone())
        .unwrap_or_default();
    let quorum = told.is_some_and(|condition| condition.reason == "QuorumProgrammed");
    let reason = if quorum {
        "QuorumProgrammed"
    } else {
        "Programmed"
    };
    Draft::holds("Programmed", reason, message)
}

/// Who refused, and why; the first of several in full.
fn rejections(rejected: &[(NodeName, String)]) -> String {
    let Some((node, message)) = rejected.first() else {
        return String::new();
    };
    match rejected.len() - 1 {
        0 => format!("node {node}: {message}"),
        more => format!("node {node}: {message}; and {}", counted(more, "more node")),
    }
}

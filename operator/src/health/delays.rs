//! How long verdicts take.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use watershed_health::{State, Target};

/// For every target whose verdict a node contradicts: since when, and which
/// node was the first.
#[derive(Debug, Default)]
pub(super) struct Delays {
    began: BTreeMap<Target, (Instant, String)>,
}

impl Delays {
    /// A node reports a state of a target, on which the verdict is `known`.
    pub(super) fn report(
        &mut self,
        now: Instant,
        node: &str,
        (target, state): (&Target, State),
        known: Option<bool>,
    ) {
        let says = match state {
            State::Unknown => None,
            State::Healthy => Some(true),
            State::Unhealthy => Some(false),
        };
        if says.is_some() && says != known {
            if !self.began.contains_key(target) {
                self.began.insert(target.clone(), (now, node.to_owned()));
            }
        } else if self
            .began
            .get(target)
            .is_some_and(|(_, first)| first == node)
        {
            // It takes back what it said; another one may still say so, and
            // then the time is a little short.
            self.began.remove(target);
        }
    }

    /// The verdict on a target has changed: how long that took.
    pub(super) fn end(&mut self, now: Instant, target: &Target) -> Option<Duration> {
        let (began, _) = self.began.remove(target)?;
        Some(now.saturating_duration_since(began))
    }

    /// Forgets targets that are no longer watched.
    pub(super) fn retain(&mut self, is_watched: impl Fn(&Target) -> bool) {
        self.began.retain(|target, _| is_watched(target));
    }
}

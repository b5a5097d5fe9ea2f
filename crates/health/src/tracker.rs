//! What one checker makes of its own results.

use std::time::Instant;

use crate::check::Check;

/// What came of one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed; in words, such as `HTTP 200`.
    Success(String),
    /// It failed; in words, such as `HTTP 503`.
    Failure(String),
    /// It says nothing about the target, for this reason: what was known
    /// stays.
    Nothing(String),
}

/// What a checker knows of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Not enough yet.
    #[default]
    Unknown,
    /// Healthy.
    Healthy,
    /// Unhealthy.
    Unhealthy,
}

/// What a checker says of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnState {
    /// What it knows.
    pub state: State,
    /// Whether the last results point to another state.
    pub changing: bool,
    /// Since when the state is this one.
    pub since: Option<Instant>,
    /// What the last probe said.
    pub message: String,
    /// When the certificate of the target ends, in Unix seconds.
    pub certificate_expires: Option<i64>,
}

/// Counts results of one checker for one target: so many failures in a row
/// make it unhealthy, so many successes healthy (Route 53, "Determining
/// whether a health check is healthy"). The first state needs as many.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    state: State,
    since: Option<Instant>,
    successes: u32,
    failures: u32,
    message: String,
    last: Option<Kind>,
}

/// What kind of outcome there was last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Success,
    Failure,
    Nothing,
}

impl Tracker {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes up a result; whether the state, `changing` or the message differs
    /// from before in a way that others want to know at once (a message that
    /// only differs in words while the state stays does not).
    pub fn take(&mut self, now: Instant, outcome: &Outcome, check: &Check) -> bool {
        let before = (self.state, self.is_changing(), self.last);
        let (kind, message) = match outcome {
            Outcome::Success(message) => (Kind::Success, message),
            Outcome::Failure(message) => (Kind::Failure, message),
            Outcome::Nothing(message) => (Kind::Nothing, message),
        };
        self.last = Some(kind);
        self.message.clone_from(message);
        match kind {
            Kind::Success => {
                self.failures = 0;
                self.successes = self.successes.saturating_add(1);
                if self.successes >= check.success_threshold {
                    self.become_state(now, State::Healthy);
                }
            }
            Kind::Failure => {
                self.successes = 0;
                self.failures = self.failures.saturating_add(1);
                if self.failures >= check.failure_threshold {
                    self.become_state(now, State::Unhealthy);
                }
            }
            Kind::Nothing => {}
        }
        before != (self.state, self.is_changing(), self.last)
    }

    /// What is known. The certificate is not: whoever probes adds it.
    pub fn state(&self) -> OwnState {
        OwnState {
            state: self.state,
            changing: self.is_changing(),
            since: self.since,
            message: self.message.clone(),
            certificate_expires: None,
        }
    }

    fn become_state(&mut self, now: Instant, state: State) {
        if self.state != state {
            self.state = state;
            self.since = Some(now);
        }
    }

    fn is_changing(&self) -> bool {
        match self.state {
            State::Unknown => self.successes > 0 || self.failures > 0,
            State::Healthy => self.failures > 0,
            State::Unhealthy => self.successes > 0,
        }
    }
}

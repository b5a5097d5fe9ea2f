//! How far a probe has come: what is known when its time is up.

use std::time::Duration;

use tokio::time::Instant;

use crate::failure::{Failed, seconds};

/// What a probe waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Lookup,
    Connect,
    Tls,
    Answer,
    Body,
}

/// How far a probe has come.
#[derive(Debug)]
pub(crate) struct Trace {
    /// When its time is up.
    pub(crate) deadline: Instant,
    pub(crate) stage: Stage,
    /// When the certificate of the peer ends, in Unix seconds.
    pub(crate) certificate_expires: Option<i64>,
}

impl Trace {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            deadline: Instant::now() + timeout,
            stage: Stage::Connect,
            certificate_expires: None,
        }
    }

    /// What to say when the time is up.
    pub(crate) fn timed_out(&self, timeout: Duration) -> Failed {
        let what = match self.stage {
            Stage::Lookup => "DNS: no answer",
            Stage::Connect => "no connection",
            Stage::Tls => "no TLS handshake",
            Stage::Answer => "no answer",
            Stage::Body => "the body was not complete",
        };
        let after = match self.stage {
            Stage::Body => "after",
            _ => "in",
        };
        Failed::new("timeout", format!("{what} {after} {}", seconds(timeout)))
    }
}

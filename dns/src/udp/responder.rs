//! One datagram in, one reply out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::answer::{self, Ask};
use super::datagram::{Datagram, NameBuffers};
use super::limit::{Limited, Limiting, RateLimiter, Time};
use crate::counts::ThreadCounts;
use crate::handler::{self, Came, Draw, Handler, Transport};
use crate::state::{State, StateCell};

/// How a datagram was dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// It was an ordinary query, answered without allocating anything.
    Fast,
    /// It was something else, answered by the full responder.
    Full,
    /// It gets no reply: it must not have one, or is over the rate limit.
    Silent,
}

/// Answers datagrams, one after the other, as one worker thread does. What it
/// needs for that is made once.
pub struct UdpResponder {
    pub(super) state: Arc<StateCell>,
    pub(super) names: NameBuffers,
    pub(super) answering: Answering,
    /// The time, where it is not the system's.
    time: Option<Time>,
}

/// What a responder answers with, besides the state.
pub(super) struct Answering {
    pub(super) handler: Handler,
    counts: ThreadCounts,
}

impl UdpResponder {
    pub(crate) fn new(handler: Handler) -> Self {
        Self {
            state: Arc::clone(&handler.state),
            names: NameBuffers::new(),
            answering: Answering {
                counts: handler.counts.of_thread(),
                handler,
            },
            time: None,
        }
    }

    /// Takes it that so much time has passed since the start, from now on: for
    /// tests of rate limits.
    pub fn set_time(&mut self, time: Duration) {
        self.time = Some(Time::after(time));
    }

    fn time(&self) -> Time {
        self.time.unwrap_or_else(|| self.answering.time())
    }

    /// Answers one datagram by the state of this moment. The reply replaces
    /// what is in `reply`.
    pub fn answer(&mut self, packet: &[u8], source: SocketAddr, reply: &mut Vec<u8>) -> Path {
        self.answer_with(packet, source, &mut handler::draw, reply)
    }

    /// The same with draws of the caller's: `draw` gives a number below its
    /// argument.
    pub fn answer_with(
        &mut self,
        packet: &[u8],
        source: SocketAddr,
        draw: &mut dyn FnMut(u64) -> u64,
        reply: &mut Vec<u8>,
    ) -> Path {
        let now = Now {
            time: self.time(),
            state: &self.state.load(),
        };
        let datagram = self.names.read(packet, source);
        self.answering.answer(&now, &datagram, draw, reply)
    }

    /// The same by the full responder alone, for comparison.
    pub fn answer_fully(
        &mut self,
        packet: &[u8],
        source: SocketAddr,
        draw: &mut dyn FnMut(u64) -> u64,
        reply: &mut Vec<u8>,
    ) -> Path {
        let time = self.time();
        self.answering
            .answer_fully((packet, source), time, draw, reply)
    }
}

/// What is the same for a whole batch.
pub(super) struct Now<'s> {
    pub(super) state: &'s State,
    pub(super) time: Time,
}

impl Answering {
    /// The time for rate limits. Without one nobody asks the system.
    pub(super) fn time(&self) -> Time {
        let limiter = self.handler.limiter.as_deref();
        limiter.map_or_else(Time::default, RateLimiter::now)
    }

    fn limiting(&self, source: SocketAddr, time: Time) -> Option<Limiting<'_>> {
        let limiter = self.handler.limiter.as_deref()?;
        limiter.at(source.ip(), time)
    }

    /// Answers by what may have been loaded for a whole batch.
    pub(super) fn answer(
        &mut self,
        now: &Now<'_>,
        datagram: &Datagram<'_>,
        draw: Draw<'_>,
        reply: &mut Vec<u8>,
    ) -> Path {
        let udp_payload = self.handler.udp_payload;
        let ask = datagram.query.as_ref().map(|query| Ask {
            state: now.state,
            query,
            udp_payload,
            limiting: self.limiting(datagram.source, now.time),
        });
        if let Some(written) = ask.and_then(|ask| answer::write(&ask, draw, reply)) {
            let kind = (Transport::Udp, written.rcode);
            self.counts.add(kind, written.limited);
            return match written.limited {
                Some(Limited::Dropped) => Path::Silent,
                _ => Path::Fast,
            };
        }
        let message = (datagram.packet, datagram.source);
        self.answer_fully(message, now.time, draw, reply)
    }

    fn answer_fully(
        &self,
        (packet, source): (&[u8], SocketAddr),
        time: Time,
        draw: Draw<'_>,
        reply: &mut Vec<u8>,
    ) -> Path {
        let came = Came::Udp(self.limiting(source, time));
        if self.handler.write_reply(packet, source, came, draw, reply) {
            Path::Full
        } else {
            Path::Silent
        }
    }
}

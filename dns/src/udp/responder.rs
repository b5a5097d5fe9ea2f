//! One datagram in, one reply out.

use std::net::SocketAddr;
use std::sync::Arc;

use super::answer::{self, Ask};
use super::datagram::{Datagram, NameBuffers};
use crate::counts::ThreadCounts;
use crate::handler::{self, Draw, Handler, Transport};
use crate::state::{State, StateCell};

/// How a datagram was dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// It was an ordinary query, answered without allocating anything.
    Fast,
    /// It was something else, answered by the full responder.
    Full,
    /// It gets no reply.
    Silent,
}

/// Answers datagrams, one after the other, as one worker thread does. What it
/// needs for that is made once.
pub struct UdpResponder {
    pub(super) state: Arc<StateCell>,
    pub(super) names: NameBuffers,
    pub(super) answering: Answering,
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
        }
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
        let state = self.state.load();
        let datagram = self.names.read(packet, source);
        self.answering.answer(&state, &datagram, draw, reply)
    }

    /// The same by the full responder alone, for comparison.
    pub fn answer_fully(
        &mut self,
        packet: &[u8],
        source: SocketAddr,
        draw: &mut dyn FnMut(u64) -> u64,
        reply: &mut Vec<u8>,
    ) -> Path {
        self.answering.answer_fully(packet, source, draw, reply)
    }
}

impl Answering {
    /// Answers by a state that may have been loaded for a whole batch.
    pub(super) fn answer(
        &mut self,
        state: &State,
        datagram: &Datagram<'_>,
        draw: Draw<'_>,
        reply: &mut Vec<u8>,
    ) -> Path {
        let udp_payload = self.handler.udp_payload;
        let ask = datagram.query.as_ref().map(|query| Ask {
            state,
            query,
            udp_payload,
        });
        if let Some(rcode) = ask.and_then(|ask| answer::write(&ask, draw, reply)) {
            self.counts.add(Transport::Udp, rcode);
            return Path::Fast;
        }
        self.answer_fully(datagram.packet, datagram.source, draw, reply)
    }

    fn answer_fully(
        &self,
        packet: &[u8],
        source: SocketAddr,
        draw: Draw<'_>,
        reply: &mut Vec<u8>,
    ) -> Path {
        let handler = &self.handler;
        if handler.write_reply(packet, source, Transport::Udp, draw, reply) {
            Path::Full
        } else {
            Path::Silent
        }
    }
}

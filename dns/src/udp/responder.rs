//! One datagram in, one reply out.

use std::net::SocketAddr;
use std::panic::catch_unwind;
use std::sync::Arc;

use smallvec::SmallVec;

use super::answer::{self, Ask};
use super::batch::BATCH;
use super::query::{MAX_NAME, PlainQuery};
use crate::counts::ThreadCounts;
use crate::handler::{self, Draw, Handler, Transport};
use crate::log;
use crate::query::ClientNetwork;
use crate::reply::Rcode;
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
    pub(super) names: Names,
    pub(super) answering: Answering,
}

/// Room for the names of a batch, in lower case.
pub(super) struct Names(Vec<[u8; MAX_NAME]>);

/// What a responder answers with, besides the state.
pub(super) struct Answering {
    pub(super) handler: Handler,
    counts: ThreadCounts,
}

/// A datagram, as far as it was read.
pub(super) struct Read<'a> {
    packet: &'a [u8],
    source: SocketAddr,
    /// Unless it is something else.
    plain: Option<Plain<'a>>,
}

/// An ordinary query.
pub(super) struct Plain<'a> {
    pub(super) query: PlainQuery<'a>,
    /// QNAME in lower case.
    pub(super) name: &'a [u8],
    pub(super) client: ClientNetwork,
}

impl UdpResponder {
    pub(crate) fn new(handler: Handler) -> Self {
        Self {
            state: Arc::clone(&handler.state),
            names: Names(vec![[0; MAX_NAME]; BATCH]),
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
        let Some(place) = self.names.0.first_mut() else {
            return Path::Silent;
        };
        let read = Read::new(packet, source, place);
        self.answering.answer(&state, &read, draw, reply)
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

impl Names {
    /// Reads datagrams and whence they come into `reads`, as many as a batch
    /// has at most.
    pub(super) fn read<'a>(
        &'a mut self,
        datagrams: impl Iterator<Item = (&'a [u8], SocketAddr)>,
        reads: &mut SmallVec<[Read<'a>; BATCH]>,
    ) {
        let places = self.0.iter_mut().zip(datagrams);
        reads.extend(places.map(|(place, (packet, source))| Read::new(packet, source, place)));
    }
}

impl<'a> Plain<'a> {
    /// `place` is for its name.
    fn read(packet: &'a [u8], source: SocketAddr, place: &'a mut [u8; MAX_NAME]) -> Option<Self> {
        // What one datagram breaks costs that datagram alone.
        let query = catch_unwind(|| PlainQuery::read(packet)).ok().flatten()?;
        let name = place.get_mut(..query.name.len())?;
        name.copy_from_slice(query.name);
        // Length octets are below the letters, so they stay.
        name.make_ascii_lowercase();
        let subnet = query.edns.and_then(|edns| edns.subnet.ok().flatten());
        Some(Self {
            client: ClientNetwork::new(subnet, source.ip()),
            query,
            name,
        })
    }
}

impl<'a> Read<'a> {
    /// `place` is for the name.
    fn new(packet: &'a [u8], source: SocketAddr, place: &'a mut [u8; MAX_NAME]) -> Self {
        // The log wants more than the fast path knows.
        let plain = if log::is_enabled() {
            None
        } else {
            Plain::read(packet, source, place)
        };
        Self {
            packet,
            source,
            plain,
        }
    }

    /// The query, if it is an ordinary one.
    pub(super) fn plain(&self) -> Option<&Plain<'a>> {
        self.plain.as_ref()
    }
}

impl Answering {
    /// Answers by a state that may have been loaded for a whole batch.
    pub(super) fn answer(
        &mut self,
        state: &State,
        read: &Read<'_>,
        draw: Draw<'_>,
        reply: &mut Vec<u8>,
    ) -> Path {
        if let Some(plain) = read.plain()
            && let Some(rcode) = self.answer_plain(state, plain, draw, reply)
        {
            self.counts.add(Transport::Udp, rcode);
            return Path::Fast;
        }
        self.answer_fully(read.packet, read.source, draw, reply)
    }

    fn answer_plain(
        &self,
        state: &State,
        plain: &Plain<'_>,
        draw: Draw<'_>,
        reply: &mut Vec<u8>,
    ) -> Option<Rcode> {
        let ask = Ask {
            state,
            plain,
            udp_payload: self.handler.udp_payload,
        };
        answer::write(&ask, draw, reply)
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

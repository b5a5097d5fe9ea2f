//! From a request to a reply, for hickory-server and for raw packets.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use hickory_proto::op::{Header, HeaderCounts, MessageType, Metadata, ResponseCode};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder};
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use rand::Rng;
use tracing::debug;

use crate::counts::QueryCounts;
use crate::edns::{QueryEdns, udp_limit};
use crate::log;
use crate::message::{OutgoingMessage, points_into_header};
use crate::query::Query;
use crate::reply::{Rcode, Reply};
use crate::responder::{self, lookup};
use crate::screen::screen;
use crate::state::{State, StateCell};
use crate::udp::Limited;
use crate::udp::limit::{Account, Answered, Limiting, RateLimiter};
use crate::writer::{self, Asked, Limit};

/// How a query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram: replies are truncated to what the client takes.
    Udp,
    /// A stream: replies have up to 65535 octets.
    Tcp,
}

/// A source of uniform numbers below its argument, which is positive.
pub(crate) type Draw<'d> = &'d mut dyn FnMut(u64) -> u64;

/// Answers requests from the current state.
#[derive(Clone)]
pub(crate) struct Handler {
    pub(crate) state: Arc<StateCell>,
    /// Largest UDP payload that is sent, and the size announced in OPT.
    pub(crate) udp_payload: u16,
    pub(crate) counts: Arc<QueryCounts>,
    /// Limits what is answered by UDP, if anything is limited.
    pub(crate) limiter: Option<Arc<RateLimiter>>,
}

/// The transport of a query, and what limits its answer.
#[derive(Clone, Copy)]
pub(crate) enum Came<'l> {
    Udp(Option<Limiting<'l>>),
    Tcp,
}

impl<'l> Came<'l> {
    fn transport(self) -> Transport {
        match self {
            Self::Udp(_) => Transport::Udp,
            Self::Tcp => Transport::Tcp,
        }
    }

    fn limiting(self) -> Option<Limiting<'l>> {
        match self {
            Self::Udp(limiting) => limiting,
            Self::Tcp => None,
        }
    }
}

impl Handler {
    /// Works out the reply to a decoded request, and hands it to `encode`.
    fn reply_to<T>(
        &self,
        request: &Request,
        came: Came<'_>,
        draw: Draw<'_>,
        encode: impl FnOnce(&Reply<'_>, Option<QueryEdns>, Option<Limited>) -> T,
    ) -> T {
        let transport = came.transport();
        let edns = QueryEdns::read(request, request.as_slice());
        let state = self.state.load();
        let query = screen(request, edns, request.src().ip());
        let reply = match &query {
            Ok(query) => responder::answer(&state, query, &mut *draw),
            Err(rcode) => Reply::error(*rcode),
        };
        let limiting = came.limiting();
        let limited = limiting.and_then(|limiting| {
            let query = query.as_ref().ok();
            limiting.count(&account(&state, query, &reply), draw)
        });
        log::query(request, transport, edns, &reply, limited);
        self.counts.add((transport, reply.rcode), limited);
        encode(&reply, edns, limited)
    }

    /// The reply to a packet; `None` for one that must not be answered.
    pub(crate) fn handle_packet(
        &self,
        packet: &[u8],
        source: SocketAddr,
        transport: Transport,
    ) -> Option<Vec<u8>> {
        let limiter = self.limiter.as_deref();
        let came = match transport {
            Transport::Udp => Came::Udp(limiter.and_then(|it| it.at(source.ip(), it.now()))),
            Transport::Tcp => Came::Tcp,
        };
        let mut octets = Vec::with_capacity(512);
        self.write_reply(packet, source, came, &mut draw, &mut octets)
            .then_some(octets)
    }

    /// Writes the reply to a packet; false for one that must not be answered:
    /// too short for a header, or a response, or over the limit.
    pub(crate) fn write_reply(
        &self,
        packet: &[u8],
        source: SocketAddr,
        came: Came<'_>,
        draw: Draw<'_>,
        octets: &mut Vec<u8>,
    ) -> bool {
        let Ok(header) = Header::read(&mut BinDecoder::new(packet)) else {
            return false;
        };
        if header.message_type == MessageType::Response {
            return false;
        }
        let protocol = match came {
            Came::Udp(_) => Protocol::Udp,
            Came::Tcp => Protocol::Tcp,
        };
        let Ok(request) = Request::from_bytes(packet.to_vec(), source, protocol) else {
            return self.may_report(came.limiting(), draw) && malformed(&header.metadata, octets);
        };
        self.reply_to(&request, came, draw, |reply, edns, limited| {
            if limited == Some(Limited::Dropped) {
                return false;
            }
            let usual = udp_limit(edns, self.udp_payload);
            let limit = match came {
                Came::Udp(_) => Limited::length(limited, reply.rcode, usual),
                Came::Tcp => Limit::Fail,
            };
            let asked = asked(&request, edns);
            writer::write(asked, reply, (self.udp_payload, limit), octets);
            true
        })
    }

    /// Whether a packet that cannot be read may be answered.
    fn may_report(&self, limiting: Option<Limiting<'_>>, draw: Draw<'_>) -> bool {
        let limited = limiting.and_then(|it| it.count(&Account::error(Rcode::FormErr), draw));
        if let Some(limited) = limited {
            self.counts.add_limited(limited);
        }
        limited != Some(Limited::Dropped)
    }
}

/// What the reply to a query is counted as; without one it is an error.
fn account<'q>(state: &State, query: Option<&'q Query>, reply: &Reply<'_>) -> Account<'q> {
    let Some(query) = query else {
        return Account::error(reply.rcode);
    };
    let name = query.name.as_wire();
    let zone = lookup::zone_for(&state.snapshot, name, query.record_type);
    // A CNAME record answers any type, which makes no other answer of it.
    let answer = reply.answers.first();
    let record_type = answer.map_or(query.record_type, |set| set.record_type);
    let answered = Answered {
        rcode: reply.rcode,
        authoritative: reply.authoritative,
        data: !reply.answers.is_empty(),
    };
    Account::of(zone, name, record_type, answered)
}

/// What a reply repeats of a request. A question that must not be repeated is
/// none, nor are several: these are an error (RFC 9619), and may be longer
/// than a reply.
fn asked(request: &Request, edns: Option<QueryEdns>) -> Asked<'_> {
    let queries = &request.queries;
    let repeated = queries.len() == 1 && !points_into_header(queries);
    let header = request.as_slice().first_chunk().copied();
    let [id_high, id_low, flags_high, flags_low] = header.unwrap_or_default();
    Asked {
        id: u16::from_be_bytes([id_high, id_low]),
        flags: u16::from_be_bytes([flags_high, flags_low]),
        question: repeated.then_some(queries.as_bytes()),
        edns,
    }
}

/// FORMERR without any section: what cannot be read cannot be repeated.
fn malformed(request: &Metadata, octets: &mut Vec<u8>) -> bool {
    let mut metadata = Metadata::response_from_request(request);
    metadata.response_code = ResponseCode::FormErr;
    octets.clear();
    let header = Header {
        metadata,
        counts: HeaderCounts::default(),
    };
    header.emit(&mut BinEncoder::new(octets)).is_ok()
}

/// A uniform number below `bound`, from the thread's own generator, which
/// clients cannot predict.
pub(crate) fn draw(bound: u64) -> u64 {
    rand::rng().random_range(0..bound.max(1))
}

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response_handle: R,
    ) -> ResponseInfo {
        // UDP has workers of its own.
        let message = self.reply_to(request, Came::Tcp, &mut draw, |reply, edns, _| {
            let opt = edns.map(|edns| edns.reply(self.udp_payload, reply.scope));
            let mut message = OutgoingMessage::new(request, reply, opt);
            message.fail_beyond(u16::MAX, &request.queries);
            message
        });
        let response = message.response(&request.queries);
        match response_handle.send_response(response).await {
            Ok(info) => info,
            Err(error) => {
                debug!(%error, client = %request.src(), "cannot send a reply");
                let header = Header {
                    metadata: message.metadata(),
                    counts: HeaderCounts::default(),
                };
                header.into()
            }
        }
    }
}

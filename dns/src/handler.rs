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
use crate::reply::Reply;
use crate::responder;
use crate::screen::screen;
use crate::state::StateCell;
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
}

impl Handler {
    /// Works out the reply to a decoded request, and hands it to `encode`.
    fn reply_to<T>(
        &self,
        request: &Request,
        transport: Transport,
        draw: Draw<'_>,
        encode: impl FnOnce(&Reply<'_>, Option<QueryEdns>) -> T,
    ) -> T {
        let edns = QueryEdns::read(request, request.as_slice());
        let state = self.state.load();
        let query = screen(request, edns, request.src().ip());
        let reply = match &query {
            Ok(query) => responder::answer(&state, query, draw),
            Err(rcode) => Reply::error(*rcode),
        };
        log::query(request, transport, edns, &reply);
        self.counts.add(transport, reply.rcode);
        encode(&reply, edns)
    }

    /// The reply to a packet; `None` for one that must not be answered.
    pub(crate) fn handle_packet(
        &self,
        packet: &[u8],
        source: SocketAddr,
        transport: Transport,
    ) -> Option<Vec<u8>> {
        let mut octets = Vec::with_capacity(512);
        self.write_reply(packet, source, transport, &mut draw, &mut octets)
            .then_some(octets)
    }

    /// Writes the reply to a packet; false for one that must not be answered:
    /// too short for a header, or a response.
    pub(crate) fn write_reply(
        &self,
        packet: &[u8],
        source: SocketAddr,
        transport: Transport,
        draw: Draw<'_>,
        octets: &mut Vec<u8>,
    ) -> bool {
        let Ok(header) = Header::read(&mut BinDecoder::new(packet)) else {
            return false;
        };
        if header.message_type == MessageType::Response {
            return false;
        }
        let protocol = match transport {
            Transport::Udp => Protocol::Udp,
            Transport::Tcp => Protocol::Tcp,
        };
        let Ok(request) = Request::from_bytes(packet.to_vec(), source, protocol) else {
            return malformed(&header.metadata, octets);
        };
        self.reply_to(&request, transport, draw, |reply, edns| {
            let limit = match transport {
                Transport::Udp => Limit::Truncate(udp_limit(edns, self.udp_payload)),
                Transport::Tcp => Limit::Fail,
            };
            let asked = asked(&request, edns);
            writer::write(asked, reply, (self.udp_payload, limit), octets);
        });
        true
    }
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
        let message = self.reply_to(request, Transport::Tcp, &mut draw, |reply, edns| {
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

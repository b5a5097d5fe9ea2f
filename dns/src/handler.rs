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
use crate::message::OutgoingMessage;
use crate::reply::Reply;
use crate::responder;
use crate::screen::screen;
use crate::state::StateCell;

/// How a query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram: replies are truncated to what the client takes.
    Udp,
    /// A stream: replies have up to 65535 octets.
    Tcp,
}

/// Answers requests from the current state.
pub(crate) struct Handler {
    pub(crate) state: Arc<StateCell>,
    /// Largest UDP payload that is sent, and the size announced in OPT.
    pub(crate) udp_payload: u16,
    pub(crate) counts: Arc<QueryCounts>,
}

impl Handler {
    /// The reply to a decoded request.
    fn reply_to(&self, request: &Request, transport: Transport) -> OutgoingMessage {
        let edns = QueryEdns::read(request, request.as_slice());
        let state = self.state.load();
        let query = screen(request, edns, request.src().ip());
        let reply = match &query {
            Ok(query) => responder::answer(&state, query, &mut |bound| draw(bound)),
            Err(rcode) => Reply::error(*rcode),
        };
        log::query(request, transport, edns, &reply);
        self.counts.add(transport, reply.rcode);
        let opt = edns.map(|edns| edns.reply(self.udp_payload, reply.scope));
        let mut message = OutgoingMessage::new(request, &reply, opt);
        match transport {
            Transport::Udp => {
                message.truncate_to(udp_limit(edns, self.udp_payload), &request.queries);
            }
            Transport::Tcp => message.fail_beyond(u16::MAX, &request.queries),
        }
        message
    }

    /// The reply to a packet; `None` for one that must not be answered: too
    /// short for a header, or a response.
    pub(crate) fn handle_packet(
        &self,
        packet: &[u8],
        source: SocketAddr,
        transport: Transport,
    ) -> Option<Vec<u8>> {
        let header = Header::read(&mut BinDecoder::new(packet)).ok()?;
        if header.message_type == MessageType::Response {
            return None;
        }
        let protocol = match transport {
            Transport::Udp => Protocol::Udp,
            Transport::Tcp => Protocol::Tcp,
        };
        match Request::from_bytes(packet.to_vec(), source, protocol) {
            Ok(request) => self
                .reply_to(&request, transport)
                .into_octets(&request.queries),
            Err(_) => malformed(&header.metadata),
        }
    }
}

/// FORMERR without any section: what cannot be read cannot be repeated.
fn malformed(request: &Metadata) -> Option<Vec<u8>> {
    let mut metadata = Metadata::response_from_request(request);
    metadata.response_code = ResponseCode::FormErr;
    let mut octets = Vec::with_capacity(12);
    let header = Header {
        metadata,
        counts: HeaderCounts::default(),
    };
    header.emit(&mut BinEncoder::new(&mut octets)).ok()?;
    Some(octets)
}

/// A uniform number below `bound`, from the thread's own generator, which
/// clients cannot predict.
fn draw(bound: u64) -> u64 {
    rand::rng().random_range(0..bound.max(1))
}

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response_handle: R,
    ) -> ResponseInfo {
        let transport = match request.protocol() {
            Protocol::Udp => Transport::Udp,
            _ => Transport::Tcp,
        };
        let message = self.reply_to(request, transport);
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

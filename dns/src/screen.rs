//! Which requests reach the responder.

use std::net::IpAddr;

use hickory_proto::op::{LowerQuery, OpCode};
use hickory_proto::rr::DNSClass;
use hickory_server::zone_handler::MessageRequest;
use watershed_snapshot::OwnerName;

use crate::edns::QueryEdns;
use crate::message::points_into_header;
use crate::query::{ClientNetwork, Query};
use crate::reply::Rcode;

/// The query in a request, or the response code that refuses it.
pub(crate) fn screen(
    request: &MessageRequest,
    edns: Option<QueryEdns>,
    source: IpAddr,
) -> Result<Query, Rcode> {
    if request.metadata.op_code != OpCode::Query {
        return Err(Rcode::NotImp);
    }
    if edns.is_some_and(|edns| edns.version != 0) {
        return Err(Rcode::BadVers);
    }
    // RFC 9619: a query has one question.
    let [question] = request.queries.queries() else {
        return Err(Rcode::FormErr);
    };
    if points_into_header(&request.queries) {
        return Err(Rcode::FormErr);
    }
    let subnet = edns.map_or(Ok(None), |edns| edns.subnet);
    let subnet = subnet.map_err(|_| Rcode::FormErr)?;
    if question.query_class() != DNSClass::IN {
        return Err(Rcode::Refused);
    }
    let record_type = question.query_type().into();
    check_type(record_type)?;
    Ok(Query {
        name: name_of(question).ok_or(Rcode::FormErr)?,
        record_type,
        client: ClientNetwork::new(subnet, source),
    })
}

/// Query types that are no data types, but for ANY.
fn check_type(record_type: u16) -> Result<(), Rcode> {
    match record_type {
        // Reserved, OPT, NXNAME (RFC 9824 section 5.1), TKEY, TSIG.
        0 | 41 | 128 | 249 | 250 => Err(Rcode::FormErr),
        // IXFR, AXFR: zones are not handed out.
        251 | 252 => Err(Rcode::Refused),
        // MAILB, MAILA.
        253 | 254 => Err(Rcode::NotImp),
        _ => Ok(()),
    }
}

fn name_of(question: &LowerQuery) -> Option<OwnerName> {
    let mut wire = Vec::with_capacity(64);
    for label in question.original().name() {
        wire.push(u8::try_from(label.len()).ok()?);
        wire.extend_from_slice(label);
    }
    wire.push(0);
    OwnerName::from_wire(&wire).ok()
}

//! EDNS of a query and of its reply (RFC 6891).

use hickory_proto::op::Edns;
use hickory_proto::rr::rdata::opt::EdnsCode;
use hickory_server::zone_handler::MessageRequest;
use watershed_policy::Scope;

use crate::ecs::{ClientSubnet, EcsError};

/// Payload that every requestor takes without EDNS (RFC 1035 section 2.3.4).
const PLAIN_PAYLOAD: u16 = 512;
/// Type number of the OPT pseudo-record.
const OPT: u16 = 41;

/// What the OPT record of a query asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryEdns {
    /// EDNS version; only 0 is known.
    pub(crate) version: u8,
    /// Largest UDP payload that the requestor takes.
    payload: u16,
    dnssec_ok: bool,
    /// The client subnet, or why it is malformed.
    pub(crate) subnet: Result<Option<ClientSubnet>, EcsError>,
}

impl QueryEdns {
    /// Reads it from a decoded query and its octets; `None` without OPT.
    pub(crate) fn read(request: &MessageRequest, packet: &[u8]) -> Option<Self> {
        let edns = request.edns.as_ref()?;
        Some(Self {
            version: edns.version(),
            payload: edns.max_payload(),
            dnssec_ok: edns.flags().dnssec_ok,
            subnet: client_subnet(packet),
        })
    }

    /// The OPT record for a reply. Options of the query other than ECS are
    /// unknown here, and so not answered.
    pub(crate) fn reply(self, own_payload: u16, scope: Scope) -> Edns {
        let mut edns = Edns::new();
        edns.set_max_payload(own_payload);
        // RFC 3225 section 3: the bit is copied.
        edns.set_dnssec_ok(self.dnssec_ok);
        if let Ok(Some(subnet)) = self.subnet {
            edns.options_mut().insert(subnet.reply_option(scope));
        }
        edns
    }
}

/// Most octets of a UDP reply: what the requestor takes, but no more than
/// `own_payload`, which keeps replies from being fragmented.
pub(crate) fn udp_limit(edns: Option<QueryEdns>, own_payload: u16) -> u16 {
    let asked = edns.map_or(PLAIN_PAYLOAD, |edns| edns.payload);
    asked.clamp(PLAIN_PAYLOAD, own_payload.max(PLAIN_PAYLOAD))
}

/// The ECS option of a packet. Of several the last would win in hickory; one
/// that is malformed makes the query malformed, and so do two.
fn client_subnet(packet: &[u8]) -> Result<Option<ClientSubnet>, EcsError> {
    let mut rest = opt_data(packet).unwrap_or_default();
    let mut found = None;
    while !rest.is_empty() {
        let (code, data, tail) = split_option(rest).ok_or(EcsError::Short)?;
        if code == u16::from(EdnsCode::Subnet) {
            let subnet = ClientSubnet::from_query(data)?;
            if found.replace(subnet).is_some() {
                return Err(EcsError::Repeated);
            }
        }
        rest = tail;
    }
    Ok(found)
}

/// Code and data of the first option, and what follows it.
fn split_option(options: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (code, rest) = split_u16(options)?;
    let (len, rest) = split_u16(rest)?;
    let (data, tail) = rest.split_at_checked(usize::from(len))?;
    Some((code, data, tail))
}

/// The record data of the OPT record.
fn opt_data(packet: &[u8]) -> Option<&[u8]> {
    let (header, mut rest) = packet.split_at_checked(12)?;
    let count = |at: usize| u32::from(u16::from_be_bytes([header[at], header[at + 1]]));
    for _ in 0..count(4) {
        rest = skip_name(rest)?.get(4..)?;
    }
    for _ in 0..count(6) + count(8) + count(10) {
        let (record_type, after_type) = split_u16(skip_name(rest)?)?;
        // CLASS and TTL, then RDLENGTH.
        let (len, after_len) = split_u16(after_type.get(6..)?)?;
        let (data, tail) = after_len.split_at_checked(usize::from(len))?;
        if record_type == OPT {
            return Some(data);
        }
        rest = tail;
    }
    None
}

/// What follows the possibly compressed name.
fn skip_name(mut octets: &[u8]) -> Option<&[u8]> {
    loop {
        let (len, rest) = octets.split_first()?;
        match len {
            0 => return Some(rest),
            1..=63 => octets = rest.get(usize::from(*len)..)?,
            // A pointer ends the name.
            _ => return rest.get(1..),
        }
    }
}

fn split_u16(octets: &[u8]) -> Option<(u16, &[u8])> {
    let (first, rest) = octets.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*first), rest))
}

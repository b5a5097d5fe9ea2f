//! EDNS of a query and of its reply (RFC 6891).

use hickory_proto::op::Edns;
use hickory_server::zone_handler::MessageRequest;
use watershed_policy::Scope;

use crate::ecs::{ClientSubnet, EcsError, SUBNET};

/// Payload that every requestor takes without EDNS (RFC 1035 section 2.3.4).
const PLAIN_PAYLOAD: u16 = 512;
/// Type number of the OPT pseudo-record.
const OPT: u16 = 41;
/// The bit DO among the flags in the TTL field of OPT.
const DNSSEC_OK: u8 = 0x80;

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
            subnet: client_subnet(opt_data(packet).unwrap_or_default()),
        })
    }

    /// Reads an OPT record that is all of `octets` and as resolvers send it:
    /// at the root, of version 0, with no flag but DO, and with well-formed
    /// options. `None` for any other.
    pub(crate) fn read_plain(octets: &[u8]) -> Option<Self> {
        let [0, 0, 41, high, low, 0, 0, flags, 0, data @ ..] = octets else {
            return None;
        };
        let (len, options) = split_u16(data)?;
        if flags & !DNSSEC_OK != 0 || usize::from(len) != options.len() {
            return None;
        }
        Some(Self {
            version: 0,
            payload: u16::from_be_bytes([*high, *low]),
            dnssec_ok: *flags == DNSSEC_OK,
            subnet: Ok(client_subnet(options).ok()?),
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

    /// Writes the OPT record for a reply, the same as [`QueryEdns::reply`].
    /// `rcode_high` are the upper bits of the response code.
    pub(crate) fn write_reply(
        self,
        own_payload: u16,
        scope: Scope,
        rcode_high: u8,
        octets: &mut Vec<u8>,
    ) {
        let [high, low] = own_payload.to_be_bytes();
        let flags = if self.dnssec_ok { DNSSEC_OK } else { 0 };
        let [_, opt] = OPT.to_be_bytes();
        octets.extend_from_slice(&[0, 0, opt, high, low, rcode_high, 0, flags, 0]);
        let length_at = octets.len();
        octets.extend_from_slice(&[0, 0]);
        if let Ok(Some(subnet)) = self.subnet {
            subnet.write_reply_option(scope, octets);
            // One option of at most 24 octets.
            let written = octets.len() - length_at - 2;
            octets[length_at + 1] = u8::try_from(written).unwrap_or_default();
        }
    }
}

/// Most octets of a UDP reply: what the requestor takes, but no more than
/// `own_payload`, which keeps replies from being fragmented.
pub(crate) fn udp_limit(edns: Option<QueryEdns>, own_payload: u16) -> u16 {
    let asked = edns.map_or(PLAIN_PAYLOAD, |edns| edns.payload);
    asked.clamp(PLAIN_PAYLOAD, own_payload.max(PLAIN_PAYLOAD))
}

/// The ECS option among others. Of several the last would win in hickory; one
/// that is malformed makes the query malformed, and so do two.
fn client_subnet(options: &[u8]) -> Result<Option<ClientSubnet>, EcsError> {
    let mut rest = options;
    let mut found = None;
    while !rest.is_empty() {
        let (code, data, tail) = split_option(rest).ok_or(EcsError::Short)?;
        if code == u16::from(SUBNET) {
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

//! Queries as resolvers send them, read where they lie.

use std::net::IpAddr;

use crate::edns::QueryEdns;
use crate::query::ClientNetwork;

/// Longest name in wire form (RFC 1035 section 2.3.4).
pub(super) const MAX_NAME: usize = 255;
/// RD in the first octet of the flags.
const RECURSION_DESIRED: u8 = 0x01;
/// AD and CD in the second.
const AD_AND_CD: u8 = 0x30;
/// Class IN.
const IN: [u8; 2] = [0, 1];

/// An ordinary query: opcode QUERY, one question of class IN for a data type,
/// at most an OPT record besides, and nothing odd about any of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlainQuery<'p> {
    pub(super) id: u16,
    pub(super) flags: u16,
    /// QNAME in wire form and lower case.
    pub(super) name: &'p [u8],
    /// The question section.
    pub(super) question: &'p [u8],
    pub(super) record_type: u16,
    pub(super) edns: Option<QueryEdns>,
    pub(super) client: ClientNetwork,
}

impl<'p> PlainQuery<'p> {
    /// `None` for every other message, well-formed or not. What is taken here
    /// is what the full path takes, and is read to the same. `place` is for the
    /// name.
    pub(super) fn read(
        packet: &'p [u8],
        source: IpAddr,
        place: &'p mut [u8; MAX_NAME],
    ) -> Option<Self> {
        let (header, body) = packet.split_first_chunk()?;
        let [id0, id1, f0, f1, 0, 1, 0, 0, 0, 0, 0, opts @ 0..=1] = *header else {
            return None;
        };
        if f0 & !RECURSION_DESIRED != 0 || f1 & !AD_AND_CD != 0 {
            return None;
        }
        let (name, rest) = body.split_at_checked(name_len(body)?)?;
        let ([type_high, type_low, class @ ..], rest) = rest.split_first_chunk::<4>()?;
        let record_type = u16::from_be_bytes([*type_high, *type_low]);
        if *class != IN || !is_data_type(record_type) {
            return None;
        }
        let edns = match (opts, rest) {
            (0, []) => None,
            (1, rest) => Some(QueryEdns::read_plain(rest)?),
            _ => return None,
        };
        let subnet = edns.and_then(|edns| edns.subnet.ok().flatten());
        Some(Self {
            id: u16::from_be_bytes([id0, id1]),
            flags: u16::from_be_bytes([f0, f1]),
            name: in_lower_case(name, place)?,
            question: body.get(..name.len() + 4)?,
            record_type,
            edns,
            client: ClientNetwork::new(subnet, source),
        })
    }
}

fn in_lower_case<'p>(name: &[u8], place: &'p mut [u8; MAX_NAME]) -> Option<&'p [u8]> {
    let lower = place.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    // Length octets are below the letters, so they stay.
    lower.make_ascii_lowercase();
    Some(lower)
}

/// Length of the uncompressed name at the start of `octets`.
fn name_len(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match octets.get(at)? {
            0 => return (at < MAX_NAME).then_some(at + 1),
            len @ 1..=63 => at += 1 + usize::from(*len),
            _ => return None,
        }
    }
}

/// Whether a type has data of its own: neither reserved (0, NXNAME), nor one
/// of messages (OPT and 249 to 255).
fn is_data_type(record_type: u16) -> bool {
    !matches!(record_type, 0 | 41 | 128 | 249..=255)
}

//! Replies as the messages that hickory-server sends by TCP.

use hickory_proto::ProtoError;
use hickory_proto::op::{Edns, Metadata, ResponseCode};
use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncoder};
use hickory_server::server::ResponseInfo;
use hickory_server::zone_handler::{
    MessageRequest, MessageResponse, MessageResponseBuilder, Queries,
};
use watershed_snapshot::OwnerName;

use crate::reply::{Records, Reply};

/// Octets of a message header (RFC 1035 section 4.1.1).
const HEADER: usize = 12;
/// Octets of an OPT record with an ECS option of a whole IPv6 address.
const LARGEST_OPT: usize = 11 + 4 + 4 + 16;
/// Type, class, TTL and data length of a record.
const RECORD_FIXED: usize = 10;

/// A reply ready to be encoded.
#[derive(Debug)]
pub(crate) struct OutgoingMessage {
    metadata: Metadata,
    answers: Vec<Record>,
    authorities: Vec<Record>,
    additionals: Vec<Record>,
    edns: Option<Edns>,
    /// Stands for the question where that cannot be repeated.
    no_question: Option<Queries>,
}

impl OutgoingMessage {
    /// The reply to `request`. A name that cannot be encoded makes it a
    /// SERVFAIL; no snapshot holds one.
    pub(crate) fn new(request: &MessageRequest, reply: &Reply<'_>, edns: Option<Edns>) -> Self {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.response_code = reply.rcode.into();
        metadata.authoritative = reply.authoritative;
        let mut message = Self {
            metadata,
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
            edns,
            no_question: no_question(&request.queries),
        };
        if let Err(error) = message.fill(request, reply) {
            tracing::error!(%error, "cannot encode a reply");
            message.fail();
        }
        message
    }

    fn fill(&mut self, request: &MessageRequest, reply: &Reply<'_>) -> Result<(), ProtoError> {
        let asked = request
            .queries
            .queries()
            .first()
            .map(|q| q.original().name());
        self.answers = records(&reply.answers, asked)?;
        self.authorities = records(&reply.authorities, asked)?;
        self.additionals = records(&reply.additionals, asked)?;
        Ok(())
    }

    /// Gives up on a TCP reply that no message can hold.
    pub(crate) fn fail_beyond(&mut self, limit: u16, queries: &Queries) {
        if !self.fits(limit, queries) {
            tracing::error!("a reply exceeds what a DNS message can hold");
            self.fail();
        }
    }

    fn fail(&mut self) {
        self.clear();
        self.metadata.authoritative = false;
        self.metadata.response_code = ResponseCode::ServFail;
    }

    fn clear(&mut self) {
        self.answers.clear();
        self.authorities.clear();
        self.additionals.clear();
    }

    /// Encoding only to measure is for the few replies whose uncompressed
    /// size is over the limit.
    fn fits(&self, limit: u16, queries: &Queries) -> bool {
        let limit = usize::from(limit);
        self.longest_len(queries) <= limit
            || self
                .encode(queries)
                .is_ok_and(|octets| octets.len() <= limit)
    }

    /// Length without name compression.
    fn longest_len(&self, queries: &Queries) -> usize {
        let sections = [&self.answers, &self.authorities, &self.additionals];
        let records = sections.into_iter().flatten().map(record_len);
        let opt = self.edns.as_ref().map_or(0, |_| LARGEST_OPT);
        HEADER + queries.as_bytes().len() + records.sum::<usize>() + opt
    }

    /// The wire form, however long. hickory's encoder cuts at 65535 octets and
    /// marks that by TC.
    fn encode(&self, queries: &Queries) -> Result<Vec<u8>, ProtoError> {
        let mut octets = Vec::with_capacity(512);
        let mut encoder = BinEncoder::new(&mut octets);
        let info: ResponseInfo = self.response(queries).destructive_emit(&mut encoder)?;
        if info.truncation && !self.metadata.truncation {
            return Err(ProtoError::Message("the reply exceeds 65535 octets"));
        }
        Ok(octets)
    }

    /// The form in which hickory-server takes it.
    pub(crate) fn response<'q>(
        &'q self,
        queries: &'q Queries,
    ) -> MessageResponse<
        'q,
        'q,
        std::slice::Iter<'q, Record>,
        std::slice::Iter<'q, Record>,
        std::slice::Iter<'q, Record>,
        std::slice::Iter<'q, Record>,
    > {
        let queries = self.no_question.as_ref().unwrap_or(queries);
        let builder = MessageResponseBuilder::new(queries, self.edns.as_ref());
        builder.build(
            self.metadata,
            &self.answers,
            &self.authorities,
            &[],
            &self.additionals,
        )
    }

    /// Header fields of the reply.
    pub(crate) fn metadata(&self) -> Metadata {
        self.metadata
    }
}

/// Nothing in place of a question that must not be repeated, or of several:
/// these are an error (RFC 9619), and may be longer than a reply.
fn no_question(queries: &Queries) -> Option<Queries> {
    (queries.len() != 1 || points_into_header(queries))
        .then(|| Queries::read(&mut BinDecoder::new(&[]), 0).ok())
        .flatten()
}

/// Whether a name in the question goes on in the header, by a compression
/// pointer (RFC 1035 section 4.1.4). No sane query does, and since the reply
/// has another header, the name would read differently there.
pub(crate) fn points_into_header(queries: &Queries) -> bool {
    let mut octets = queries.as_bytes();
    while let Some((&length, rest)) = octets.split_first() {
        let skipped = match length {
            // The name ends; type and class follow.
            0 => 4,
            0xC0.. => {
                let low = rest.first().copied().unwrap_or_default();
                if usize::from(u16::from_be_bytes([length & 0x3F, low])) < HEADER {
                    return true;
                }
                5
            }
            label => usize::from(label),
        };
        octets = rest.get(skipped..).unwrap_or_default();
    }
    false
}

fn record_len(record: &Record) -> usize {
    let data = match &record.data {
        RData::Unknown { rdata, .. } => rdata.anything.len(),
        // No other form is made here.
        _ => usize::from(u16::MAX),
    };
    // `Name::len` leaves out the root label of a name that is not the root.
    record.name.len() + 1 + RECORD_FIXED + data
}

/// `asked` is the query's own name: the answer repeats its letter case, which
/// resolvers use against spoofing.
fn records(sets: &[Records<'_>], asked: Option<&Name>) -> Result<Vec<Record>, ProtoError> {
    let mut all = Vec::with_capacity(sets.iter().map(|set| set.rdata.len()).sum());
    for set in sets {
        let owner = wire_name(&set.owner)?;
        let owner = asked
            .filter(|asked| **asked == owner)
            .cloned()
            .unwrap_or(owner);
        all.extend(set.rdata.iter().map(|data| {
            let mut record =
                Record::from_rdata(owner.clone(), set.ttl, verbatim(set.record_type, data));
            record.dns_class = DNSClass::IN;
            record
        }));
    }
    Ok(all)
}

fn wire_name(owner: &OwnerName) -> Result<Name, ProtoError> {
    Ok(Name::read(&mut BinDecoder::new(owner.as_wire()))?)
}

/// Record data is held in wire form, so it is sent as it is.
fn verbatim(record_type: u16, data: &[u8]) -> RData {
    let mut rdata = NULL::new();
    rdata.anything = data.to_vec();
    RData::Unknown {
        code: RecordType::Unknown(record_type),
        rdata,
    }
}

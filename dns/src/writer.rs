//! Replies in wire form.
//!
//! The full path and the fast path write by this alone, so that a reply is the
//! same octets on both. Owner names point to the question where they can; the
//! data of records is sent as it is held.

use smallvec::SmallVec;
use watershed_policy::Scope;
use watershed_snapshot::OwnerName;

use crate::edns::QueryEdns;
use crate::reply::{Rcode, Records, Reply};

/// Octets of a message header (RFC 1035 section 4.1.1), and so where the
/// question begins.
pub(crate) const HEADER: usize = 12;
/// The two bits that make a length octet a pointer (RFC 1035 section 4.1.4).
const POINTER: u16 = 0xC000;
/// Class IN.
const IN: u16 = 1;

/// QR: the message is a response.
const RESPONSE: u16 = 0x8000;
const AUTHORITATIVE: u16 = 0x0400;
const TRUNCATED: u16 = 0x0200;
/// OPCODE, RD and CD, which a reply repeats.
const REPEATED: u16 = 0x7910;

/// A section of records; the number is that of its count in the header, from
/// ANCOUNT on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Section {
    Answer,
    Authority,
    Additional,
}

/// How long a reply may be, and what becomes of a longer one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// Cut to the question, with TC: part of an RRset would only tempt
    /// (RFC 2181 section 9), and the client asks again by TCP.
    Truncate(u16),
    /// SERVFAIL: no message can hold it.
    Fail,
}

/// What a reply repeats of its query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'p> {
    pub(crate) id: u16,
    /// The second word of the query's header.
    pub(crate) flags: u16,
    /// The question section, unless it must not be repeated.
    pub(crate) question: Option<&'p [u8]>,
    pub(crate) edns: Option<QueryEdns>,
}

/// What ends a reply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) rcode: Rcode,
    pub(crate) authoritative: bool,
    pub(crate) scope: Scope,
    /// The size announced in OPT.
    pub(crate) own_payload: u16,
    pub(crate) limit: Limit,
}

/// Writes one reply into a buffer.
pub(crate) struct MessageWriter<'b, 'p> {
    octets: &'b mut Vec<u8>,
    asked: Asked<'p>,
    counts: [u16; 3],
    /// Where the question ends.
    body: usize,
    /// Where labels begin that names may point to; filled when a name comes
    /// that is not known to be in the question.
    labels: Option<SmallVec<[u16; 16]>>,
    /// Something cannot be encoded. No snapshot holds such a thing.
    failed: bool,
}

impl<'b, 'p> MessageWriter<'b, 'p> {
    /// Begins a reply in `octets`, whatever was there.
    pub(crate) fn new(octets: &'b mut Vec<u8>, asked: Asked<'p>) -> Self {
        octets.clear();
        octets.extend_from_slice(&[0; HEADER]);
        octets.extend_from_slice(asked.question.unwrap_or_default());
        Self {
            body: octets.len(),
            octets,
            asked,
            counts: [0; 3],
            labels: None,
            failed: false,
        }
    }

    /// Adds a record whose owner is the suffix of QNAME that begins at
    /// `offset` in it.
    pub(crate) fn record_of_question(
        &mut self,
        section: Section,
        offset: usize,
        (record_type, ttl): (u16, u32),
        data: &[u8],
    ) {
        let at = HEADER + offset;
        if self.octets.get(at) == Some(&0) {
            // A pointer would be longer than the root.
            self.octets.push(0);
        } else {
            self.pointer(u16::try_from(at).unwrap_or_default());
        }
        self.rest_of_record(section, (record_type, ttl), data);
    }

    /// Adds the records of an owner that may be any.
    fn records(&mut self, section: Section, records: &Records<'_>) {
        for data in &records.rdata {
            self.name(records.owner.as_wire());
            self.rest_of_record(section, (records.record_type, records.ttl), data);
        }
    }

    fn rest_of_record(&mut self, section: Section, (record_type, ttl): (u16, u32), data: &[u8]) {
        let [type_high, type_low] = record_type.to_be_bytes();
        let [class_high, class_low] = IN.to_be_bytes();
        let [t0, t1, t2, t3] = ttl.to_be_bytes();
        let len = u16::try_from(data.len()).unwrap_or_else(|_| {
            self.failed = true;
            0
        });
        let [len_high, len_low] = len.to_be_bytes();
        self.octets.extend_from_slice(&[
            type_high, type_low, class_high, class_low, t0, t1, t2, t3, len_high, len_low,
        ]);
        self.octets.extend_from_slice(data);
        let count = &mut self.counts[section as usize];
        *count = count.saturating_add(1);
    }

    fn pointer(&mut self, at: u16) {
        self.octets.extend_from_slice(&(POINTER | at).to_be_bytes());
    }

    /// Writes a name, from where on it stands in the message by a pointer.
    fn name(&mut self, name: &[u8]) {
        let mut labels = self.labels.take().unwrap_or_else(|| self.question_labels());
        let known = labels.len();
        for suffix in OwnerName::suffixes_of(name) {
            let found = labels.iter().take(known);
            let found = found.copied().find(|at| self.stands_at(*at, suffix));
            match (found, suffix) {
                (_, [len @ 0, ..]) => self.octets.push(*len),
                (Some(at), _) => {
                    self.pointer(at);
                    break;
                }
                (None, [len, rest @ ..]) => {
                    let here = u16::try_from(self.octets.len());
                    labels.extend(here.ok().filter(|at| at & POINTER == 0));
                    self.octets.push(*len);
                    let label = rest.get(..usize::from(*len)).unwrap_or_default();
                    self.octets.extend_from_slice(label);
                }
                (None, []) => self.failed = true,
            }
        }
        self.labels = Some(labels);
    }

    fn question_labels(&self) -> SmallVec<[u16; 16]> {
        let name = self.asked.question.unwrap_or_default();
        let labels = OwnerName::suffixes_of(name).take_while(|rest| !matches!(rest, [0, ..] | []));
        let offsets = labels.map(|rest| HEADER + name.len() - rest.len());
        offsets.filter_map(|at| u16::try_from(at).ok()).collect()
    }

    /// Whether `name` stands at that place, in any letter case.
    fn stands_at(&self, at: u16, name: &[u8]) -> bool {
        let (mut at, mut rest) = (usize::from(at), name);
        loop {
            let there = self.octets.get(at..).unwrap_or_default();
            match there {
                // Pointers lead backwards, so this comes to an end.
                [high, low, ..] if *high >= 0xC0 => {
                    at = usize::from(u16::from_be_bytes([*high, *low]) & !POINTER);
                }
                [len, ..] => {
                    let taken = 1 + usize::from(*len);
                    let (Some(ours), Some(theirs)) = (rest.get(..taken), there.get(..taken)) else {
                        return false;
                    };
                    if !ours.eq_ignore_ascii_case(theirs) {
                        return false;
                    }
                    if *len == 0 {
                        return true;
                    }
                    (at, rest) = (at + taken, &rest[taken..]);
                }
                [] => return false,
            }
        }
    }

    /// Whether the answer section has records.
    pub(crate) fn has_answers(&self) -> bool {
        self.counts[Section::Answer as usize] > 0
    }

    /// Ends the reply: OPT, and what only now is known of the header.
    pub(crate) fn finish(mut self, outcome: &Outcome) {
        let mut rcode = if self.failed {
            Rcode::ServFail
        } else {
            outcome.rcode
        };
        let mut flags = RESPONSE | (self.asked.flags & REPEATED);
        if outcome.authoritative {
            flags |= AUTHORITATIVE;
        }
        if self.failed {
            self.clear();
        }
        self.opt(outcome, rcode);
        let limit = match outcome.limit {
            Limit::Truncate(limit) => limit,
            Limit::Fail => u16::MAX,
        };
        if self.octets.len() > usize::from(limit) {
            self.clear();
            match outcome.limit {
                Limit::Truncate(_) => flags |= TRUNCATED,
                Limit::Fail => {
                    tracing::error!("a reply exceeds what a DNS message can hold");
                    rcode = Rcode::ServFail;
                }
            }
            self.opt(outcome, rcode);
        }
        if rcode == Rcode::ServFail {
            flags &= !AUTHORITATIVE;
        }
        self.header(flags | (rcode.number() & 0xF));
    }

    /// Drops all sections but the question.
    fn clear(&mut self) {
        self.octets.truncate(self.body);
        self.counts = [0; 3];
    }

    fn opt(&mut self, outcome: &Outcome, rcode: Rcode) {
        if let Some(edns) = self.asked.edns {
            let [_, rcode_high] = (rcode.number() >> 4).to_be_bytes();
            edns.write_reply(outcome.own_payload, outcome.scope, rcode_high, self.octets);
            let count = &mut self.counts[Section::Additional as usize];
            *count = count.saturating_add(1);
        }
    }

    fn header(&mut self, flags: u16) {
        let questions = u16::from(self.asked.question.is_some());
        let [answers, authorities, additionals] = self.counts;
        let words = [
            self.asked.id,
            flags,
            questions,
            answers,
            authorities,
            additionals,
        ];
        let header = self.octets.as_chunks_mut::<2>().0.iter_mut();
        for (octets, word) in header.zip(words) {
            *octets = word.to_be_bytes();
        }
    }
}

/// Writes a reply of any kind.
pub(crate) fn write(
    asked: Asked<'_>,
    reply: &Reply<'_>,
    (own_payload, limit): (u16, Limit),
    octets: &mut Vec<u8>,
) {
    let mut writer = MessageWriter::new(octets, asked);
    let sections = [
        (Section::Answer, &reply.answers),
        (Section::Authority, &reply.authorities),
        (Section::Additional, &reply.additionals),
    ];
    for (section, sets) in sections {
        for records in sets {
            writer.records(section, records);
        }
    }
    writer.finish(&Outcome {
        rcode: reply.rcode,
        authoritative: reply.authoritative,
        scope: reply.scope,
        own_payload,
        limit,
    });
}

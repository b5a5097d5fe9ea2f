//! Answers written straight into the reply, without anything in between.
//!
//! It does for ordinary answers what [`responder::answer`] does for all, and
//! leaves every other to that: referrals, CNAME records, alias targets.
//!
//! [`responder::answer`]: crate::responder::answer

use smallvec::SmallVec;
use watershed_policy::{Scope, Value, View};
use watershed_snapshot::record_type::{CNAME, SOA};
use watershed_snapshot::{Binding, Zone};

use super::limit::{Account, Answered, Limited, Limiting};
use super::query::PlainQuery;
use crate::edns::udp_limit;
use crate::handler::Draw;
use crate::reply::Rcode;
use crate::responder::client::QueryClient;
use crate::responder::lookup::{self, Lookup};
use crate::state::State;
use crate::writer::{Asked, MessageWriter, Outcome, Section};

/// A query and what its answer depends on.
pub(super) struct Ask<'a> {
    pub(super) state: &'a State,
    pub(super) query: &'a PlainQuery<'a>,
    pub(super) udp_payload: u16,
    pub(super) limiting: Option<Limiting<'a>>,
}

/// What a query got.
pub(super) struct Written {
    pub(super) rcode: Rcode,
    /// When it is dropped, the reply is of no use.
    pub(super) limited: Option<Limited>,
}

/// What was found for a query.
struct Found<'s> {
    rcode: Rcode,
    scope: Scope,
    /// Where; `None` outside all zones.
    zone: Option<&'s Zone>,
}

/// Writes the reply into `octets`; `None` when it is not an ordinary one, and
/// nothing of `octets` is of use.
///
/// Answers that are signed will come from a cache of signatures here: what is
/// signed is an RRset, so after the choice and before the records are written.
pub(super) fn write(ask: &Ask<'_>, draw: Draw<'_>, octets: &mut Vec<u8>) -> Option<Written> {
    let query = ask.query;
    let mut writer = MessageWriter::new(
        octets,
        Asked {
            id: query.id,
            flags: query.flags,
            question: Some(query.question),
            edns: query.edns,
        },
    );
    let found = sections(ask, &mut *draw, &mut writer)?;
    let (rcode, authoritative) = (found.rcode, found.rcode != Rcode::Refused);
    let limited = ask.limiting.and_then(|limiting| {
        let answered = Answered {
            rcode,
            authoritative,
            data: writer.has_answers(),
        };
        let account = Account::of(found.zone, query.name, query.record_type, answered);
        limiting.count(&account, draw)
    });
    let usual = udp_limit(query.edns, ask.udp_payload);
    writer.finish(&Outcome {
        rcode,
        authoritative,
        scope: found.scope,
        own_payload: ask.udp_payload,
        limit: Limited::length(limited, rcode, usual),
    });
    Some(Written { rcode, limited })
}

fn sections<'s>(
    ask: &Ask<'s>,
    draw: Draw<'_>,
    writer: &mut MessageWriter<'_, '_>,
) -> Option<Found<'s>> {
    let record_type = ask.query.record_type;
    let Some(zone) = lookup::zone_for(&ask.state.snapshot, ask.query.name, record_type) else {
        return Some(Found {
            rcode: Rcode::Refused,
            scope: Scope::default(),
            zone: None,
        });
    };
    let found = |rcode, scope| {
        let zone = Some(zone);
        Some(Found { rcode, scope, zone })
    };
    let node = match lookup::lookup(zone, ask.query.name, record_type) {
        Lookup::Node(node) => node,
        Lookup::NoName => {
            negative(ask, zone, writer);
            return found(Rcode::NxDomain, Scope::default());
        }
        Lookup::Delegation(..) => return None,
    };
    if let Some(set) = node.rrset(record_type) {
        for data in &set.rdata {
            writer.record_of_question(Section::Answer, 0, (record_type, set.ttl), data);
        }
    } else if let Some(binding) = node.policy(record_type) {
        return found(Rcode::NoError, decide(ask, zone, binding, draw, writer)?);
    } else if node.has(CNAME) {
        return None;
    } else {
        negative(ask, zone, writer);
    }
    found(Rcode::NoError, Scope::default())
}

/// The SOA record that says how long the absence may be cached.
fn negative(ask: &Ask<'_>, zone: &Zone, writer: &mut MessageWriter<'_, '_>) {
    let apex = ask.query.name.len() - zone.apex.as_wire().len();
    for data in &zone.soa.rdata {
        writer.record_of_question(Section::Authority, apex, (SOA, zone.negative_ttl), data);
    }
}

fn decide(
    ask: &Ask<'_>,
    zone: &Zone,
    binding: &Binding,
    mut draw: Draw<'_>,
    writer: &mut MessageWriter<'_, '_>,
) -> Option<Scope> {
    let record_type = ask.query.record_type;
    let policy = &binding.version.policy;
    let client = QueryClient::new(ask.state, ask.query.client);
    let view = View {
        client: client.get(policy),
        health: &ask.state.health_of(binding),
        latency: ask.state.latency_source(),
    };
    let decision = policy.decide(record_type, &view, &mut draw, &mut ());
    let mut values = Values::default();
    for endpoint in &decision.endpoints {
        for value in policy.endpoint(*endpoint).values_of(record_type) {
            values.add(Data::of(value)?);
        }
    }
    if record_type == CNAME {
        // A name has one canonical name.
        values.0.truncate(1);
    }
    if values.0.is_empty() {
        negative(ask, zone, writer);
    }
    let ttl = ask.state.ttl_of(binding);
    for data in &values.0 {
        writer.record_of_question(Section::Answer, 0, (record_type, ttl), data.octets());
    }
    Some(decision.scope)
}

/// The data of an RRset, which is a set: endpoints may share a value.
#[derive(Default)]
struct Values<'s>(SmallVec<[Data<'s>; 16]>);

impl<'s> Values<'s> {
    fn add(&mut self, data: Data<'s>) {
        if !self.0.iter().any(|held| held.octets() == data.octets()) {
            self.0.push(data);
        }
    }
}

/// The data of one record.
enum Data<'s> {
    Ipv4([u8; 4]),
    Ipv6([u8; 16]),
    Held(&'s [u8]),
}

impl<'s> Data<'s> {
    /// `None` for a host name: an alias target, or that of a CNAME record.
    fn of(value: &'s Value) -> Option<Self> {
        match value {
            Value::Ipv4(address) => Some(Self::Ipv4(address.octets())),
            Value::Ipv6(address) => Some(Self::Ipv6(address.octets())),
            Value::Rdata { wire, .. } => Some(Self::Held(wire)),
            Value::Hostname(_) => None,
        }
    }

    fn octets(&self) -> &[u8] {
        match self {
            Self::Ipv4(octets) => octets,
            Self::Ipv6(octets) => octets,
            Self::Held(octets) => octets,
        }
    }
}

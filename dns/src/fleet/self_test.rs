//! Asks a state that is not served yet, through everything that a query goes
//! through but the socket.
//!
//! It finds what no check of a single resource finds: a record set that no
//! message can hold, a type that is never answered, a zone that is not found.
//! What only the user can judge passes, such as an alias of a name that does
//! not exist.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use watershed_snapshot::record_type::{A, DS, NS, SOA};
use watershed_snapshot::{
    Content, Fault, OwnerName, Placed, Records, Resource, ResourceName, Snapshot,
};

use crate::handler::{Handler, Transport};
use crate::state::{State, StateCell};

/// Octets of a header (RFC 1035 section 4.1.1).
const HEADER: usize = 12;
const NOERROR: u8 = 0;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// Tests states.
pub(super) struct SelfTest {
    /// Everything but the snapshot.
    surroundings: State,
}

/// A question, and what must come of it.
pub(super) struct Question {
    resource: ResourceName,
    zone: OwnerName,
    name: OwnerName,
    record_type: u16,
    expected: Expected,
}

/// What must come of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Data, or a referral for what is below a zone cut.
    Data,
    /// Any reply of the zone: what a policy leads to is its author's business.
    Reply,
}

impl SelfTest {
    /// Names asked at most for one change. At some ten microseconds a query they
    /// take some ten milliseconds.
    pub(super) const SAMPLE: usize = 1000;

    pub(super) fn new() -> Self {
        // Other hosts have not been looked up yet; an address stands for
        // theirs (RFC 5737).
        let elsewhere = |_: &OwnerName, record_type: u16| {
            let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
            Some((record_type == A).then_some(address).into_iter().collect())
        };
        Self {
            surroundings: State::new().with_hostnames(Arc::new(elsewhere)),
        }
    }

    /// Questions about what changes: all of them, or a sample spread over
    /// them.
    pub(super) fn questions(changes: &[(ResourceName, Option<Resource>)]) -> Vec<Question> {
        let put = changes
            .iter()
            .filter_map(|(name, resource)| Some((name, resource.as_ref()?)));
        let all: Vec<Ask<'_>> = put
            .flat_map(|(name, resource)| asks(name, resource))
            .collect();
        let step = all.len().div_ceil(Self::SAMPLE).max(1);
        all.into_iter().step_by(step).map(Ask::question).collect()
    }

    /// Asks, and says which resources are not answered.
    pub(super) fn run(&self, snapshot: &Arc<Snapshot>, questions: Vec<Question>) -> Vec<Fault> {
        let state = self
            .surroundings
            .clone()
            .with_snapshot(Arc::clone(snapshot));
        let handler = Handler {
            state: Arc::new(StateCell::new(state)),
            udp_payload: 0,
            counts: Arc::default(),
            limiter: None,
        };
        let mut faults = Vec::new();
        for question in questions {
            if !is_reachable(snapshot, &question) {
                continue;
            }
            if let Err(fault) = question.ask(&handler) {
                let Question {
                    resource,
                    name,
                    record_type,
                    ..
                } = question;
                faults.push(Fault {
                    resource,
                    message: format!("{name} type {record_type}: {fault}"),
                });
            }
        }
        faults
    }
}

/// A question before it is copied.
struct Ask<'r> {
    resource: &'r ResourceName,
    zone: &'r OwnerName,
    name: &'r OwnerName,
    record_type: u16,
    expected: Expected,
}

impl Ask<'_> {
    fn question(self) -> Question {
        Question {
            resource: self.resource.clone(),
            zone: self.zone.clone(),
            name: self.name.clone(),
            record_type: self.record_type,
            expected: self.expected,
        }
    }
}

/// The names that a resource brings, and for records their zone.
fn asks<'r>(resource: &'r ResourceName, content: &'r Resource) -> Vec<Ask<'r>> {
    let ask = |zone, name, record_type, expected| Ask {
        resource,
        zone,
        name,
        record_type,
        expected,
    };
    match content {
        Resource::Zone(head) => {
            let apex = &head.apex;
            let at_apex = |record_type| ask(apex, apex, record_type, Expected::Data);
            vec![at_apex(SOA), at_apex(NS)]
        }
        Resource::Records(Records { zone, placed }) => {
            let placed = placed.iter().flat_map(|Placed { owner, content }| {
                let (types, expected) = match content {
                    Content::Static(set) => (vec![set.record_type], Expected::Data),
                    Content::Policy(binding) => (binding.record_types.clone(), Expected::Reply),
                };
                let types = types.into_iter();
                types.map(move |record_type| ask(zone, owner, record_type, expected))
            });
            let apex = ask(zone, zone, SOA, Expected::Data);
            std::iter::once(apex).chain(placed).collect()
        }
        // Asked by the names that serve them.
        Resource::Version(_) | Resource::Check(_) => Vec::new(),
    }
}

/// Whether queries for the name get to the zone. A zone below hides it, and
/// DS records of an apex are the parent's.
fn is_reachable(snapshot: &Snapshot, question: &Question) -> bool {
    let zone = snapshot.zone_for(&question.name);
    let parental = question.record_type == DS && question.name == question.zone;
    zone.is_some_and(|zone| zone.apex == question.zone) && !parental
}

impl Question {
    fn ask(&self, handler: &Handler) -> Result<(), String> {
        let source = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
        // By TCP, where only what no message can hold is too long.
        let reply = handler.handle_packet(&self.packet(), source, Transport::Tcp);
        let reply = reply.ok_or("no reply")?;
        let header = reply
            .first_chunk::<HEADER>()
            .ok_or("a reply without header")?;
        let (authoritative, rcode) = (header[2] & 0x04 != 0, header[3] & 0x0F);
        let answers = u16::from_be_bytes([header[6], header[7]]);
        match self.expected {
            Expected::Data if rcode != NOERROR => Err(format!("response code {rcode}")),
            Expected::Data if answers == 0 && authoritative => Err("no data".to_owned()),
            Expected::Reply if ![NOERROR, SERVFAIL, NXDOMAIN].contains(&rcode) => {
                Err(format!("response code {rcode}"))
            }
            Expected::Data | Expected::Reply => Ok(()),
        }
    }

    /// A query of class IN for one question.
    fn packet(&self) -> Vec<u8> {
        let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        packet.extend_from_slice(self.name.as_wire());
        packet.extend_from_slice(&self.record_type.to_be_bytes());
        packet.extend_from_slice(&1_u16.to_be_bytes());
        packet
    }
}

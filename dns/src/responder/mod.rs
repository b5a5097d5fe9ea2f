//! What a question gets: the meaning of an answer, without any transport.

pub(crate) mod client;
pub(crate) mod lookup;
mod policy;

use watershed_snapshot::record_type::{A, AAAA, CNAME, HINFO, SOA};
use watershed_snapshot::{Node, OwnerName, RrSet, Zone};

use self::client::QueryClient;
use self::lookup::Lookup;
use crate::query::Query;
use crate::reply::{Rcode, Records, Reply};
use crate::state::State;

/// QTYPE `*`.
const ANY: u16 = 255;
/// Names that are looked up for one query at most: the question, the targets
/// of CNAME records (RFC 1034 section 3.6.2 wants chains of length one) and
/// of aliases. It bounds the work, not the use: resolvers give up earlier.
const MAX_LOOKUPS: u32 = 32;
/// TTL of the stand-in for ANY; RFC 8482 section 4.2 wants it long.
const HINFO_TTL: u32 = 3600;
/// CPU `RFC8482`, OS empty (RFC 8482 section 4.2).
const HINFO_DATA: &[u8] = b"\x07RFC8482\x00";

/// Answers one question of class IN and of a data type or ANY.
///
/// `draw` gives a uniform number below its argument, which is positive.
pub fn answer<'s>(state: &'s State, query: &Query, draw: &mut dyn FnMut(u64) -> u64) -> Reply<'s> {
    let mut lookups = MAX_LOOKUPS;
    let mut walk = Walk {
        state,
        record_type: query.record_type,
        client: &QueryClient::new(state, query.client),
        draw,
        lookups: &mut lookups,
        reply: Reply::error(Rcode::NoError),
    };
    match walk.follow(&query.name) {
        End::Outside(_) if walk.reply.answers.is_empty() => Reply::error(Rcode::Refused),
        End::Failed => walk.reply.failed(),
        End::NoName => {
            walk.reply.rcode = Rcode::NxDomain;
            walk.reply
        }
        End::Answered | End::NoData | End::Outside(_) | End::Delegated(_) | End::Endless => {
            walk.reply
        }
    }
}

/// One walk from a name along CNAME records to data.
struct Walk<'a, 's> {
    state: &'s State,
    record_type: u16,
    client: &'a QueryClient<'s>,
    draw: &'a mut dyn FnMut(u64) -> u64,
    /// Names that may still be looked up.
    lookups: &'a mut u32,
    reply: Reply<'s>,
}

/// How a walk ended. The sections are filled accordingly.
#[derive(Debug)]
enum End {
    /// With data.
    Answered,
    /// At a name that has nothing of the type.
    NoData,
    /// At a name that does not exist.
    NoName,
    /// At this name, which is in none of the zones.
    Outside(OwnerName),
    /// At this name, which is delegated to others.
    Delegated(OwnerName),
    /// In a loop of CNAME records, or after too many.
    Endless,
    /// At an alias whose addresses are unknown.
    Failed,
}

/// What a node contributes.
enum Step {
    /// The walk ends here.
    End(End),
    /// A CNAME record leads to this name.
    To(OwnerName),
}

impl<'s> Walk<'_, 's> {
    fn follow(&mut self, start: &OwnerName) -> End {
        let mut name = start.clone();
        loop {
            if *self.lookups == 0 {
                return End::Endless;
            }
            *self.lookups -= 1;
            let snapshot = &self.state.snapshot;
            let Some(zone) = lookup::zone_for(snapshot, name.as_wire(), self.record_type) else {
                return End::Outside(name);
            };
            match self.at(zone, &name) {
                Step::End(end) => return end,
                Step::To(target) if self.visited(&target) => return End::Endless,
                Step::To(target) => name = target,
            }
        }
    }

    /// Whether a CNAME record of that owner is in the answer already.
    fn visited(&self, name: &OwnerName) -> bool {
        self.reply
            .answers
            .iter()
            .any(|records| records.owner == *name)
    }

    /// Takes what `zone` has for `name`.
    fn at(&mut self, zone: &'s Zone, name: &OwnerName) -> Step {
        self.reply.zone.get_or_insert(&zone.apex);
        let node = match lookup::lookup(zone, name.as_wire(), self.record_type) {
            Lookup::Delegation(ns, labels) => {
                self.refer(zone, name, ns, labels);
                return Step::End(End::Delegated(name.clone()));
            }
            Lookup::NoName => {
                self.negative(zone);
                return Step::End(End::NoName);
            }
            Lookup::Node(node) => node,
        };
        self.reply.authoritative = true;
        if self.record_type == ANY {
            return Step::End(self.any(zone, name, node));
        }
        if let Some(set) = node.rrset(self.record_type) {
            self.reply.answers.push(Records::of(name.clone(), set));
            Step::End(End::Answered)
        } else if let Some(binding) = node.policy(self.record_type) {
            Step::End(self.decide(zone, name, binding, self.record_type))
        } else {
            self.at_other_type(zone, name, node)
        }
    }

    /// A CNAME record answers every other type.
    fn at_other_type(&mut self, zone: &'s Zone, name: &OwnerName, node: &'s Node) -> Step {
        if let Some(set) = node.rrset(CNAME) {
            self.reply.answers.push(Records::of(name.clone(), set));
        } else if let Some(binding) = node.policy(CNAME) {
            match self.decide(zone, name, binding, CNAME) {
                End::Answered => {}
                end => return Step::End(end),
            }
        } else {
            self.negative(zone);
            return Step::End(End::NoData);
        }
        self.target().map_or(Step::End(End::Failed), Step::To)
    }

    /// Target of the CNAME record that was just added.
    fn target(&self) -> Option<OwnerName> {
        let data = self.reply.answers.last()?.rdata.first()?;
        OwnerName::from_wire(data).ok()
    }

    /// One RRset of those at the name (RFC 8482 section 4.1), or a stand-in
    /// where all depend on the client: no one should cache those for ANY.
    fn any(&mut self, zone: &'s Zone, name: &OwnerName, node: &'s Node) -> End {
        let stand_in = || Records {
            owner: name.clone(),
            record_type: HINFO,
            ttl: HINFO_TTL,
            rdata: vec![HINFO_DATA.into()],
        };
        if let Some(set) = node.rrsets.first() {
            self.reply.answers.push(Records::of(name.clone(), set));
        } else if let Some(binding) = node.policy(CNAME) {
            return self.decide(zone, name, binding, CNAME);
        } else if node.is_empty() {
            self.negative(zone);
            return End::NoData;
        } else {
            self.reply.answers.push(stand_in());
        }
        End::Answered
    }

    /// The SOA record that says how long the absence may be cached (RFC 2308
    /// section 3).
    fn negative(&mut self, zone: &'s Zone) {
        self.reply.authoritative = true;
        let mut soa = Records::of(zone.apex.clone(), &zone.soa);
        soa.ttl = zone.negative_ttl;
        debug_assert_eq!(soa.record_type, SOA);
        self.reply.authorities.push(soa);
    }

    /// A referral to the name servers of the zone cut with `labels` labels
    /// above or at `name`. Glue is added for those that the zone knows
    /// (RFC 9471).
    fn refer(&mut self, zone: &'s Zone, name: &OwnerName, ns: &'s RrSet, labels: usize) {
        let skipped = name.label_count() - labels;
        let cut = name.suffixes().nth(skipped).map(OwnerName::from_wire);
        if let Some(Ok(cut)) = cut {
            self.reply.authorities.push(Records::of(cut, ns));
        }
        for server in ns
            .rdata
            .iter()
            .filter_map(|data| OwnerName::from_wire(data).ok())
        {
            let node = zone.node(&server);
            let glue = [A, AAAA].into_iter().filter_map(|t| node?.rrset(t));
            let glue = glue.map(|set| Records::of(server.clone(), set));
            self.reply.additionals.extend(glue);
        }
    }
}

//! Reading ahead for a whole batch, which changes no answer.
//!
//! What an answer needs lies at many places of the memory, each found by the
//! one before, so a query that is answered by itself waits for one after the
//! other. The places of several queries do not depend on each other. So each
//! step is done for all queries of a batch before the next is, in loops so short
//! that the processor is at several queries at once and waits for all of them
//! together.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use smallvec::SmallVec;
use watershed_policy::Node as Target;
use watershed_snapshot::{Binding, Node};

use super::batch::BATCH;
use super::datagram::Datagram;
use super::query::PlainQuery;
use crate::query::ClientNetwork;
use crate::responder::lookup;
use crate::state::State;

/// Branches of a rule that are read ahead at most.
const BRANCHES: usize = 8;

/// One thing for each query of a batch, or for some.
type Each<T> = SmallVec<[T; BATCH]>;

/// Reads what the answers to these will read, as far as it is spread widely.
pub(super) fn read(state: &State, datagrams: &[Datagram<'_>]) {
    if datagrams.len() < 2 {
        // Nothing to overlap with.
        return;
    }
    let queries = || datagrams.iter().filter_map(|came| came.query.as_ref());
    if state.ahead.names {
        let nodes = nodes(state, queries());
        data(&nodes);
        policies(state, &bindings(&nodes));
    }
    if state.ahead.locations {
        state.read_locations_ahead(queries().filter_map(ipv4_address));
    }
}

fn ipv4_address(query: &PlainQuery<'_>) -> Option<Ipv4Addr> {
    match query.client {
        ClientNetwork::Known(network) => match network.addr() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        },
        ClientNetwork::Withheld => None,
    }
}

/// What is at the names, with the types that are asked for.
fn nodes<'a, 's>(
    state: &'s State,
    queries: impl Iterator<Item = &'a PlainQuery<'a>>,
) -> Each<(&'s Node, u16)> {
    let hashed: Each<_> = queries
        .filter_map(|query| {
            let zone = lookup::zone_for(&state.snapshot, query.name, query.record_type)?;
            Some((zone, zone.hash_of(query.name), query.record_type))
        })
        .collect();
    let nodes = hashed
        .iter()
        .filter_map(|(zone, hash, record_type)| Some((zone.likely_node(*hash)?, *record_type)));
    nodes.collect()
}

/// Static data there.
fn data(nodes: &[(&Node, u16)]) {
    let sets: Each<_> = nodes
        .iter()
        .filter_map(|(node, record_type)| node.rrset(*record_type))
        .collect();
    let first: Each<_> = sets.iter().filter_map(|set| set.rdata.first()).collect();
    for data in first {
        black_box(data.first());
    }
}

/// What is bound there.
fn bindings<'s>(nodes: &[(&'s Node, u16)]) -> Each<&'s Binding> {
    let bindings = nodes
        .iter()
        .filter_map(|(node, record_type)| node.policy(*record_type));
    bindings.collect()
}

/// What decisions of these begin with.
fn policies(state: &State, bindings: &[&Binding]) {
    let policies: Each<_> = bindings
        .iter()
        .map(|binding| {
            let policy = &binding.version.policy;
            (policy, policy.start(), state.health_ahead(binding))
        })
        .collect();
    let rules: Each<_> = policies
        .iter()
        .filter_map(|(policy, start, health)| match start {
            Target::Rule(id) => Some((policy, policy.rule(*id), health)),
            Target::Endpoint(_) => None,
        })
        .collect();
    for (policy, rule, health) in rules {
        for branch in rule.branches.iter().take(BRANCHES) {
            if let Target::Endpoint(id) = branch.target {
                black_box(policy.endpoint(id).values.as_ptr());
                black_box(health.is_none_or(|health| health.endpoint(id)));
            }
        }
    }
}

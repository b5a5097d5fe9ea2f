//! Who probes what.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::check::CheckerChoice;
use crate::target::Target;

/// A node that may probe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Checker {
    /// Name of the node.
    pub node: String,
    /// Region of the node, or its cluster or zone where no region is known.
    pub location: String,
}

/// The nodes that probe `target`: positions in `nodes`, in order of rank.
///
/// Everyone computes the same from the same nodes, whatever their order
/// (rendezvous hashing), and a node that comes or goes moves only the targets
/// that it gains or loses. They are spread over locations: each location gives
/// its best node before one gives a second. At most `choice.per_target`;
/// only nodes of `choice.locations` unless that is empty or has none. The cost
/// is in proportion to the nodes.
pub fn checkers(target: &Target, choice: &CheckerChoice, nodes: &[Checker]) -> Vec<usize> {
    Ranking::new(nodes).checkers(target, choice)
}

/// Nodes, made ready for choosing among them many times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranking {
    /// By location: position and hash of each node.
    locations: BTreeMap<String, Vec<(usize, u64)>>,
}

/// A node that a location offers: how many better ones the same location has,
/// how high it scores, and its position. Less is better.
type Offer = (usize, Reverse<u64>, usize);

impl Ranking {
    pub(crate) fn new(nodes: &[Checker]) -> Self {
        let mut locations: BTreeMap<String, Vec<(usize, u64)>> = BTreeMap::new();
        for (position, node) in nodes.iter().enumerate() {
            let hash = hash_parts(&[node.node.as_bytes()]);
            let location = locations.entry(node.location.clone()).or_default();
            location.push((position, hash));
        }
        Self { locations }
    }

    /// As [`checkers`].
    pub(crate) fn checkers(&self, target: &Target, choice: &CheckerChoice) -> Vec<usize> {
        let wanted = usize::try_from(choice.per_target.max(1)).unwrap_or(usize::MAX);
        let hash = hash_target(target);
        let mut offers: Vec<Offer> = Vec::new();
        for nodes in self.chosen_locations(choice) {
            offer(&mut offers, nodes, hash, wanted);
        }
        if offers.len() > wanted {
            offers.select_nth_unstable(wanted - 1);
            offers.truncate(wanted);
        }
        offers.sort_unstable();
        offers
            .into_iter()
            .map(|(_, _, position)| position)
            .collect()
    }

    fn chosen_locations(&self, choice: &CheckerChoice) -> Vec<&[(usize, u64)]> {
        let names = choice.locations.iter();
        let mut chosen: Vec<&[(usize, u64)]> = names
            .filter_map(|name| self.locations.get(name).map(Vec::as_slice))
            .collect();
        if chosen.is_empty() {
            chosen = self.locations.values().map(Vec::as_slice).collect();
        }
        chosen
    }
}

/// Adds the best nodes of one location, at most `wanted`.
fn offer(offers: &mut Vec<Offer>, nodes: &[(usize, u64)], target: u64, wanted: usize) {
    let mut best: Vec<(Reverse<u64>, usize)> = Vec::with_capacity(wanted.min(nodes.len()) + 1);
    for &(position, node) in nodes {
        let entry = (Reverse(score(target, node)), position);
        if best.len() == wanted && best.last().is_some_and(|worst| *worst < entry) {
            continue;
        }
        let place = best.partition_point(|other| *other < entry);
        best.insert(place, entry);
        best.truncate(wanted);
    }
    let ranked = best.into_iter().enumerate();
    offers.extend(ranked.map(|(rank, (score, position))| (rank, score, position)));
}

/// Rendezvous score of a node for a target, both given by their hash.
fn score(target: u64, node: u64) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(target, node);
    hasher.write(b"watershed");
    hasher.finish()
}

/// A hash of a target that is the same on every machine and in every version.
pub(crate) fn hash_target(target: &Target) -> u64 {
    let address = target.address.as_ref().map(ToString::to_string);
    match &address {
        Some(address) => hash_parts(&[target.check.as_bytes(), address.as_bytes()]),
        None => hash_parts(&[target.check.as_bytes()]),
    }
}

fn hash_parts(parts: &[&[u8]]) -> u64 {
    let mut hasher = SipHasher13::new();
    for part in parts {
        // The length keeps `ab` `c` apart from `a` `bc`.
        hasher.write(&(part.len() as u64).to_le_bytes());
        hasher.write(part);
    }
    hasher.finish()
}

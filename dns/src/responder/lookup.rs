//! Where in a zone a name leads. Names are uncompressed wire forms in lower
//! case, so that none need be made for a look-up.

use smallvec::SmallVec;
use watershed_snapshot::record_type::{DS, NS};
use watershed_snapshot::{Node, OwnerName, RrSet, Snapshot, Zone};

/// What a zone has for a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lookup<'s> {
    /// The name exists, or a wildcard stands for it. The node may be an empty
    /// non-terminal.
    Node(&'s Node),
    /// The name is at or below a zone cut: these are the NS records there,
    /// at the name with so many labels.
    Delegation(&'s RrSet, usize),
    /// The name does not exist.
    NoName,
}

/// Longest wildcard: its label before the longest name.
const MAX_WILDCARD: usize = 2 + 255;

/// The zone that answers for a name and type: the one with the closest apex.
/// DS records of an apex are the parent's (RFC 4035 section 3.1.4.1).
pub(crate) fn zone_for<'s>(
    snapshot: &'s Snapshot,
    name: &[u8],
    record_type: u16,
) -> Option<&'s Zone> {
    let zone = snapshot.zone_for_wire(name)?;
    if record_type == DS && *name == *zone.apex.as_wire() {
        let parent = OwnerName::suffixes_of(name).nth(1);
        let parent = parent.and_then(|parent| snapshot.zone_for_wire(parent));
        return Some(parent.unwrap_or(zone));
    }
    Some(zone)
}

/// Walks from the apex of `zone` down to `name`, which is at or below it
/// (RFC 1034 section 4.3.2, with the wildcards of RFC 4592).
pub(crate) fn lookup<'s>(zone: &'s Zone, name: &[u8], record_type: u16) -> Lookup<'s> {
    if !zone.has_cuts() {
        // Then a name that exists is found as such, and one that does not is
        // like nothing but a wildcard.
        match zone.node_by_wire(name) {
            Some(node) => return Lookup::Node(node),
            None if !zone.has_wildcards() => return Lookup::NoName,
            None => {}
        }
    }
    let apex = zone.apex.as_wire();
    let mut below: SmallVec<[&[u8]; 16]> = OwnerName::suffixes_of(name).collect();
    let total = below.len();
    below.retain(|suffix| suffix.len() > apex.len());
    let mut encloser = apex;
    for (left, suffix) in below.iter().enumerate().rev() {
        // Empty non-terminals are nodes, so the first name that is missing
        // ends the walk, and the one before it is the closest encloser.
        let Some(node) = zone.node_by_wire(suffix) else {
            return wildcard(zone, encloser);
        };
        let parental = record_type == DS && left == 0;
        if let (Some(ns), false) = (node.rrset(NS), parental) {
            return Lookup::Delegation(ns, total - 1 - left);
        }
        if left == 0 {
            return Lookup::Node(node);
        }
        encloser = suffix;
    }
    zone.node_by_wire(apex).map_or(Lookup::NoName, Lookup::Node)
}

/// The wildcard directly below the closest encloser is the only one that may
/// stand for the name (RFC 4592 section 3.3.1).
fn wildcard<'s>(zone: &'s Zone, encloser: &[u8]) -> Lookup<'s> {
    let mut source = [0; MAX_WILDCARD];
    let len = 2 + encloser.len();
    let Some(wire) = source.get_mut(..len) else {
        return Lookup::NoName;
    };
    wire[..2].copy_from_slice(b"\x01*");
    wire[2..].copy_from_slice(encloser);
    zone.node_by_wire(wire).map_or(Lookup::NoName, Lookup::Node)
}

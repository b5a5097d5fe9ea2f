//! Where in a zone a name leads.

use watershed_snapshot::record_type::{DS, NS};
use watershed_snapshot::{Node, OwnerName, RrSet, Snapshot, Zone};

/// What a zone has for a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Lookup<'s> {
    /// The name exists, or a wildcard stands for it. The node may be an empty
    /// non-terminal.
    Node(&'s Node),
    /// The name is at or below a zone cut: these are the NS records there,
    /// at the name with so many labels.
    Delegation(&'s RrSet, usize),
    /// The name does not exist.
    NoName,
}

/// The zone that answers for a name and type: the one with the closest apex.
/// DS records of an apex are the parent's (RFC 4035 section 3.1.4.1).
pub(super) fn zone_for<'s>(
    snapshot: &'s Snapshot,
    name: &OwnerName,
    record_type: u16,
) -> Option<&'s Zone> {
    let zone = snapshot.zone_for(name)?;
    if record_type == DS && *name == zone.apex {
        let parent = name.parent().and_then(|name| snapshot.zone_for(&name));
        return Some(parent.unwrap_or(zone));
    }
    Some(zone)
}

/// Walks from the apex of `zone` down to `name`, which is at or below it
/// (RFC 1034 section 4.3.2, with the wildcards of RFC 4592).
pub(super) fn lookup<'s>(zone: &'s Zone, name: &OwnerName, record_type: u16) -> Lookup<'s> {
    let mut below: Vec<&[u8]> = name.suffixes().collect();
    let total = below.len();
    below.truncate(total - zone.apex.label_count() - 1);
    let mut encloser = zone.apex.as_wire();
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
        encloser = suffix;
    }
    zone.node(name).map_or(Lookup::NoName, Lookup::Node)
}

/// The wildcard directly below the closest encloser is the only one that may
/// stand for the name (RFC 4592 section 3.3.1).
fn wildcard<'s>(zone: &'s Zone, encloser: &[u8]) -> Lookup<'s> {
    let source = [b"\x01*", encloser].concat();
    zone.node_by_wire(&source)
        .map_or(Lookup::NoName, Lookup::Node)
}

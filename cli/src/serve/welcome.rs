//! What a person reads first: where to ask, and how.

use std::net::SocketAddr;

use watershed_snapshot::{Node, OwnerName, Snapshot, record_type};

/// Names shown at most; a large zone would push them off the screen.
const NAMES: usize = 5;

/// Prints where queries are answered, with commands to paste.
pub(super) fn print(snapshot: &Snapshot, address: SocketAddr) {
    anstream::println!("Answering on {address}, UDP and TCP. Try:");
    for line in lines(snapshot, address) {
        anstream::println!("  {line}");
    }
    anstream::println!("Stop with Ctrl-C.");
}

/// Commands that ask for names with policies, or else for the zones.
fn lines(snapshot: &Snapshot, address: SocketAddr) -> Vec<String> {
    let mut names: Vec<(&OwnerName, u16)> = Vec::new();
    for zone in snapshot.zones.values() {
        let with_policy = zone
            .names()
            .filter_map(|(name, node)| Some((name, kind(node)?)));
        names.extend(with_policy);
    }
    if names.is_empty() {
        let zones = snapshot.zones.keys();
        names.extend(zones.map(|apex| (apex, record_type::SOA)));
    }
    names.sort_by_key(|(name, _)| (name.label_count(), name.to_string()));
    let dig = |(name, kind): &(&OwnerName, u16)| {
        let (ip, port) = (address.ip(), address.port());
        let kind = type_name(*kind);
        format!("dig @{ip} -p {port} {name} {kind} +short")
    };
    let mut lines: Vec<String> = names.iter().take(NAMES).map(dig).collect();
    // A client elsewhere, as its resolver would tell: a network in Japan and
    // one in Germany.
    if let Some(first) = lines
        .first()
        .filter(|_| names.iter().any(|(_, k)| *k != record_type::SOA))
    {
        let first = first.clone();
        lines.push(format!("{first} +subnet=133.11.0.0/16"));
        lines.push(format!("{first} +subnet=130.149.0.0/16"));
    }
    lines
}

/// The first type of a name's first policy.
fn kind(node: &Node) -> Option<u16> {
    node.policies.first()?.record_types.first().copied()
}

fn type_name(number: u16) -> String {
    match watershed_crd::document::RecordType::from_number(number) {
        Some(known) => known.to_string(),
        None if number == record_type::SOA => "SOA".to_owned(),
        None => format!("TYPE{number}"),
    }
}

//! Resources to publish.

use watershed_operator::fleet::Content;
use watershed_snapshot::{
    Content as Placement, OwnerName, Placed, Records, Resource, ResourceKind, ResourceName, RrSet,
    ZoneHead, record_type,
};

const APEX: &str = "example.com";

fn owner(name: &str) -> OwnerName {
    name.parse().expect("a name")
}

fn rrset(record_type: u16, rdata: Vec<u8>) -> RrSet {
    RrSet {
        record_type,
        ttl: 60,
        rdata: vec![rdata.into_boxed_slice()],
    }
}

/// Wire form of a name.
fn wire(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.') {
        wire.push(u8::try_from(label.len()).expect("a short label"));
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

/// The zone, which all records need.
pub(crate) fn zone() -> (ResourceName, Resource) {
    let mut soa = [wire("ns.example.com"), wire("hostmaster.example.com")].concat();
    soa.extend_from_slice(&[0, 0, 0, 1]);
    soa.extend_from_slice(&[0; 16]);
    let head = ZoneHead {
        apex: owner(APEX),
        soa: rrset(record_type::SOA, soa),
        ns: rrset(record_type::NS, wire("ns.example.com")),
    };
    let name = ResourceName::new(ResourceKind::HostedZone, "dns-system", "example-com");
    (name, Resource::Zone(head))
}

/// The name of the resource of record number `number`.
pub(crate) fn record_name(number: u8) -> ResourceName {
    ResourceName::new(ResourceKind::RecordSet, "shop", format!("r{number}"))
}

/// An address record whose content is told from others by `edition`.
pub(crate) fn record(number: u8, edition: u8) -> Resource {
    Resource::Records(Records {
        zone: owner(APEX),
        placed: vec![Placed {
            owner: owner(&format!("r{number}.{APEX}")),
            content: Placement::Static(rrset(record_type::A, vec![192, 0, 2, edition])),
        }],
    })
}

/// A change of the desired state.
pub(crate) type Change = (ResourceName, Option<Content>);

pub(crate) fn put(number: u8, edition: u8) -> Change {
    (
        record_name(number),
        Some(Content::of(&record(number, edition))),
    )
}

pub(crate) fn put_zone() -> Change {
    let (name, zone) = zone();
    (name, Some(Content::of(&zone)))
}

pub(crate) fn remove(number: u8) -> Change {
    (record_name(number), None)
}

/// The same content, said to need a newer format.
pub(crate) fn put_in_format(number: u8, edition: u8, format: u32) -> Change {
    let (name, content) = put(number, edition);
    let content = content.map(|content| Content { format, ..content });
    (name, content)
}

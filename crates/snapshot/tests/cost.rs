//! A change costs in proportion to itself, not to the zone: measured by what
//! is allocated, which is the same on every machine.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use watershed_snapshot::record_type::{A, NS, SOA};
use watershed_snapshot::{
    Assembly, Content, OwnerName, Placed, Records, Resource, ResourceKind, ResourceName, RrSet,
    ZoneHead,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn set(record_type: u16, rdata: &[u8]) -> RrSet {
    RrSet {
        record_type,
        ttl: 60,
        rdata: vec![rdata.into()],
    }
}

fn zone(serial: u8) -> (ResourceName, Option<Resource>) {
    let mut soa = [0; 22];
    soa[5] = serial;
    let head = ZoneHead {
        apex: "example.com".parse().unwrap(),
        soa: set(SOA, &soa),
        ns: set(NS, b"\x00"),
    };
    let name = ResourceName::new(ResourceKind::HostedZone, "shop", "z");
    (name, Some(Resource::Zone(head)))
}

fn record(number: usize, last: u8) -> (ResourceName, Option<Resource>) {
    let apex: OwnerName = "example.com".parse().unwrap();
    let records = Records {
        placed: vec![Placed {
            owner: apex.prepend(format!("n{number}").as_bytes()).unwrap(),
            content: Content::Static(set(A, &[192, 0, 2, last])),
        }],
        zone: apex,
    };
    let name = ResourceName::new(ResourceKind::RecordSet, "shop", format!("n{number}"));
    (name, Some(Resource::Records(records)))
}

/// Octets allocated by a change of one record and of the serial number, in a
/// zone of so many records.
fn cost_among(records: usize) -> usize {
    let all = (0..records)
        .map(|number| record(number, 1))
        .chain([zone(1)]);
    let assembly = Assembly::new().apply(all.collect()).unwrap();
    let change = vec![record(records / 2, 2), zone(2)];
    let region = Region::new(ALLOCATOR);
    let changed = assembly.apply(change).unwrap();
    let cost = region.change().bytes_allocated;
    assert_ne!(changed.snapshot(), assembly.snapshot());
    cost
}

#[test]
fn a_change_is_cheap_in_a_large_zone() {
    let (small, large) = (cost_among(1_000), cost_among(100_000));
    println!("one change: {small} octets among 1,000 records, {large} among 100,000");
    // A hundred times the records, at most ten times the cost; a copy of all
    // of them would be tens of megabytes.
    assert!(
        large < 10 * small,
        "{small} among 1,000, {large} among 100,000"
    );
    assert!(large < 400_000, "{large}");
}

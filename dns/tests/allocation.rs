//! Ordinary answers allocate nothing. A binary of its own, for what other
//! tests allocate would count as well.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

#[path = "server/common.rs"]
#[allow(dead_code, reason = "made for the tests of the server")]
mod common;

use std::alloc::System;

use common::{ORDINARY, limited_node, node, query, query_for, resolver};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use watershed_dns::{Node, Path};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn ordinary_answers_allocate_nothing() {
    check(&node());
    // With a limit neither, be they under it or over.
    check(&limited_node(1000, 1, &["192.0.2.0/24"]));
    check(&limited_node(1, 1, &[]));
}

fn check(node: &Node) {
    let mut responder = node.udp_responder();
    let mut reply = Vec::with_capacity(4096);
    for (qname, qtype) in ORDINARY {
        for message in [
            query(qname, qtype),
            query_for(qname, qtype, "198.51.100.0/24"),
        ] {
            let packet = message.to_vec().unwrap();
            // The first makes what is made once, such as the thread's draws.
            responder.answer(&packet, resolver(), &mut reply);
            let region = Region::new(ALLOCATOR);
            for _ in 0..10 {
                let path = responder.answer(&packet, resolver(), &mut reply);
                assert_eq!(path, Path::Fast, "{qname}");
            }
            let change = region.change();
            assert_eq!(
                (change.allocations, change.reallocations),
                (0, 0),
                "{qname}"
            );
        }
    }
}

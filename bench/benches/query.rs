//! What a query costs: the packet path alone, and over a real socket.
#![allow(
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark fails by panicking"
)]

use std::net::{SocketAddr, UdpSocket};

use criterion::{Criterion, criterion_group, criterion_main};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsOption};
use hickory_proto::rr::{Name, RecordType};
use watershed_bench::{getting_started, snapshot};
use watershed_dns::{Config, Node, Transport};

fn query(name: &str, subnet: Option<&str>) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    let name = Name::from_ascii(name).expect("a name");
    message.add_query(Query::query(name, RecordType::A));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    if let Some(subnet) = subnet {
        let subnet: ClientSubnet = subnet.parse().expect("a subnet");
        edns.options_mut().insert(EdnsOption::Subnet(subnet));
    }
    message.edns = Some(edns);
    message.to_vec().expect("a message")
}

fn node() -> Node {
    let node = Node::new(Config::default());
    let policy = getting_started().expect("the example is valid");
    node.publish(snapshot(policy, 1000).expect("a snapshot"));
    node
}

fn packets(criterion: &mut Criterion) {
    let node = node();
    let source = SocketAddr::from(([127, 0, 0, 1], 40_000));
    let cases = [
        ("policy", "n500.example.com.", None),
        (
            "policy, client subnet",
            "n500.example.com.",
            Some("133.0.0.0/24"),
        ),
        ("no such name", "none.example.com.", None),
        ("refused", "www.example.net.", None),
    ];
    let mut group = criterion.benchmark_group("packet");
    for (case, name, subnet) in cases {
        let packet = query(name, subnet);
        group.bench_function(case, |bencher| {
            bencher.iter(|| node.handle_packet(&packet, source, Transport::Udp));
        });
    }
    group.finish();
}

fn round_trip(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let node = node();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = runtime.block_on(node.bind(any)).expect("a free port");
    let client = UdpSocket::bind(any).expect("a socket");
    client.connect(listener.local_addr()).expect("a route");
    let packet = query("n500.example.com.", Some("133.0.0.0/24"));
    let mut reply = [0; 1232];
    criterion.bench_function("round trip over loopback UDP", |bencher| {
        bencher.iter(|| {
            client.send(&packet).expect("sent");
            client.recv(&mut reply).expect("answered")
        });
    });
}

criterion_group!(benches, packets, round_trip);
criterion_main!(benches);

//! DNS messages of any content, to a node with a zone of every kind of data.

#![no_main]

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

use hickory_proto::op::{Message, MessageType};
use libfuzzer_sys::fuzz_target;
use watershed_compile::{References, compile_policy, parse_rdata};
use watershed_dns::{Config, Node, Path, Transport, UdpResponder};
use watershed_policy::Limits;
use watershed_snapshot::{Binding, OwnerName, PolicyVersion, RrSet, Snapshot, Zone, ZoneBuilder};

const SOURCE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), 5353);

static NODE: LazyLock<Node> = LazyLock::new(|| {
    let node = Node::new(Config::default());
    node.publish(snapshot());
    node
});

thread_local! {
    static RESPONDER: RefCell<UdpResponder> = RefCell::new(NODE.udp_responder());
}

fuzz_target!(|packet: &[u8]| {
    RESPONDER.with_borrow_mut(|responder| check_paths(responder, packet));
    for transport in [Transport::Udp, Transport::Tcp] {
        if let Some(reply) = NODE.handle_packet(packet, SOURCE, transport) {
            check_reply(packet, &reply, transport);
        }
    }
});

/// The fast path for UDP and the full responder write the same octets.
fn check_paths(responder: &mut UdpResponder, packet: &[u8]) {
    let (mut fast, mut full) = (Vec::new(), Vec::new());
    let path = responder.answer_with(packet, SOURCE, &mut |bound| bound / 2, &mut fast);
    let fully = responder.answer_fully(packet, SOURCE, &mut |bound| bound / 2, &mut full);
    assert_eq!(path == Path::Silent, fully == Path::Silent);
    assert!(path == Path::Silent || fast == full, "{fast:?} {full:?}");
}

/// A reply is a message that belongs to the query and fits its transport.
fn check_reply(packet: &[u8], reply: &[u8], transport: Transport) {
    let message = Message::from_vec(reply).expect("a reply can be read");
    assert_eq!(reply.get(..2), packet.get(..2), "the id is the query's");
    assert_eq!(message.metadata.message_type, MessageType::Response);
    let limit = match transport {
        Transport::Udp => 1232,
        Transport::Tcp => usize::from(u16::MAX),
    };
    assert!(reply.len() <= limit, "{} octets", reply.len());
}

fn snapshot() -> Snapshot {
    let mut zone = Zone::builder(name("example.com."), soa()).expect("a SOA record");
    for (owner, kind, data) in STATIC {
        zone.insert(&name(owner), rrset(kind, data))
            .expect("static data");
    }
    for (owner, document) in [
        ("example.com.", PLACES),
        ("www.example.com.", PLACES),
        ("pool.example.com.", POOL),
    ] {
        bind(&mut zone, owner, document);
    }
    Snapshot::new([Arc::new(zone.build())])
}

const STATIC: [(&str, &str, &[&str]); 8] = [
    ("example.com.", "NS", &["ns1.example.com."]),
    ("ns1.example.com.", "A", &["192.0.2.53"]),
    (
        "mail.example.com.",
        "MX",
        &["10 mx1.example.com.", "20 mx2.example.org."],
    ),
    ("*.wild.example.com.", "TXT", &["\"any name\""]),
    ("alias.example.com.", "CNAME", &["www.example.com."]),
    ("loop.example.com.", "CNAME", &["loop.example.com."]),
    ("cut.example.com.", "NS", &["ns.cut.example.com."]),
    ("ns.cut.example.com.", "AAAA", &["2001:db8::53"]),
];

const PLACES: &str = "
recordTypes: [A, AAAA]
startRule: place
rules:
  place:
    type: Geolocation
    branches:
    - {locations: [country/NZ, continent/EU], rule: split}
    - {default: true, endpoint: far}
  split:
    type: Weighted
    branches:
    - {weight: 3, endpoint: near}
    - {weight: 1, endpoint: far}
endpoints:
  near: {addresses: [192.0.2.1, '2001:db8::1']}
  far: {addresses: [192.0.2.2]}
";

const POOL: &str = "
recordTypes: [A]
startRule: pool
rules:
  pool:
    type: MultiValue
    branches: [{endpoint: a}, {endpoint: b}]
endpoints:
  a: {addresses: [192.0.2.3]}
  b: {addresses: [192.0.2.4]}
";

fn name(text: &str) -> OwnerName {
    OwnerName::from_text(text).expect("a name")
}

fn soa() -> RrSet {
    let mut wire = [name("ns1.example.com."), name("admin.example.com.")]
        .map(|name| name.as_wire().to_vec())
        .concat();
    for number in [1_u32, 7200, 900, 1_209_600, 60] {
        wire.extend(number.to_be_bytes());
    }
    RrSet {
        record_type: 6,
        ttl: 900,
        rdata: vec![wire.into()],
    }
}

fn rrset(kind: &str, data: &[&str]) -> RrSet {
    let record_type = match kind {
        "A" => 1,
        "NS" => 2,
        "CNAME" => 5,
        "MX" => 15,
        "TXT" => 16,
        _ => 28,
    };
    let wire = |text: &&str| parse_rdata(record_type, text).expect("record data").into();
    RrSet {
        record_type,
        ttl: 300,
        rdata: data.iter().map(wire).collect(),
    }
}

fn bind(zone: &mut ZoneBuilder, owner: &str, document: &str) {
    let document = serde_yaml::from_str(document).expect("a document");
    let (policy, findings) = compile_policy(&document, &References::none(), &Limits::api());
    let policy = policy.unwrap_or_else(|| panic!("{findings:?}"));
    let binding = Binding {
        record_types: policy.record_types().into(),
        ttl: 30,
        ttl_range: None,
        failback: None,
        version: Arc::new(PolicyVersion {
            namespace: "shop".to_owned(),
            policy_name: "fuzz".to_owned(),
            number: 1,
            digest: "sha256:00".to_owned(),
            policy,
        }),
    };
    zone.bind(&name(owner), binding)
        .expect("a policy at a free name");
}

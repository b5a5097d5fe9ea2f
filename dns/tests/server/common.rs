//! Zones, policies and queries that the tests share.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, Record, RecordType};
use watershed_dns::{Config, Node, RateLimit, Transport};
use watershed_geo::{GeoDatabase, testing};
use watershed_policy::{
    BranchSpec, Document, EndpointKind, EndpointSpec, Limits, Location, Place, Policy, RuleKind,
    RuleSpec, Selector, Target, Value,
};
use watershed_snapshot::{Binding, OwnerName, PolicyVersion, RrSet, Snapshot, Zone, ZoneBuilder};

pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;
pub(crate) const MX: u16 = 15;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;
pub(crate) const DS: u16 = 43;

/// Questions that are answered without anything special, in the zones of
/// [`node`].
pub(crate) const ORDINARY: [(&str, u16); 14] = [
    ("static.example.com.", A),
    ("static.example.com.", MX),
    ("www.example.com.", A),
    ("www.example.com.", AAAA),
    ("country.example.com.", A),
    ("multi.example.com.", A),
    ("mail.example.com.", MX),
    ("x.wild.example.com.", A),
    ("any.policy.example.com.", A),
    ("missing.example.com.", A),
    ("a.b.c.missing.example.com.", A),
    ("medium.example.com.", TXT),
    ("big.example.com.", TXT),
    ("example.org.", A),
];

pub(crate) fn name(text: &str) -> OwnerName {
    text.parse().unwrap()
}

// Record data.

pub(crate) fn address(text: &str) -> Vec<u8> {
    match text.parse().unwrap() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

pub(crate) fn wire(text: &str) -> Vec<u8> {
    name(text).as_wire().to_vec()
}

fn soa(apex: &str) -> RrSet {
    let mut rdata = [wire(&format!("ns1.{apex}")), wire(&format!("admin.{apex}"))].concat();
    for number in [7, 7200, 900, 1_209_600, 60] {
        rdata.extend(u32::to_be_bytes(number));
    }
    set(SOA, 900, [rdata])
}

fn set(record_type: u16, ttl: u32, rdata: impl IntoIterator<Item = Vec<u8>>) -> RrSet {
    RrSet {
        record_type,
        ttl,
        rdata: rdata.into_iter().map(Vec::into_boxed_slice).collect(),
    }
}

fn text(octets: usize) -> Vec<u8> {
    let strings = vec![b'x'; octets];
    let with_len = strings.chunks(255).flat_map(|part| {
        let len = u8::try_from(part.len()).unwrap();
        std::iter::once(len).chain(part.iter().copied())
    });
    with_len.collect()
}

// Policies.

fn endpoint(name: &str, kind: EndpointKind, values: Vec<Value>) -> EndpointSpec {
    EndpointSpec {
        name: name.into(),
        kind,
        values,
        check: None,
        drain: false,
    }
}

fn addresses(name: &str, values: &[&str]) -> EndpointSpec {
    let values = values.iter().map(|text| match text.parse().unwrap() {
        IpAddr::V4(address) => Value::Ipv4(address),
        IpAddr::V6(address) => Value::Ipv6(address),
    });
    endpoint(name, EndpointKind::Value, values.collect())
}

fn branch(target: &str, selector: Selector) -> BranchSpec {
    BranchSpec {
        target: Some(Target::Endpoint(target.into())),
        check: None,
        evaluate_target_health: true,
        selector,
    }
}

fn one_rule(
    record_types: &[u16],
    kind: RuleKind,
    branches: Vec<BranchSpec>,
    endpoints: Vec<EndpointSpec>,
) -> Document {
    Document {
        record_types: record_types.to_vec(),
        start: Some(Target::Rule("start".into())),
        rules: vec![RuleSpec {
            name: "start".into(),
            kind,
            min_healthy_percent: None,
            branches,
        }],
        endpoints,
    }
}

fn one_endpoint(record_types: &[u16], endpoint: EndpointSpec) -> Document {
    Document {
        record_types: record_types.to_vec(),
        start: Some(Target::Endpoint(endpoint.name.clone())),
        rules: Vec::new(),
        endpoints: vec![endpoint],
    }
}

fn blocks(texts: &[&str]) -> Selector {
    Selector::Blocks(texts.iter().map(|text| text.parse().unwrap()).collect())
}

/// By the client's network, both families.
fn site() -> Document {
    let branches = vec![
        branch("office", blocks(&["192.0.2.0/24", "2001:db8:1::/48"])),
        branch("world", Selector::Default),
    ];
    let endpoints = vec![
        addresses("office", &["203.0.113.10", "2001:db8::10"]),
        addresses("world", &["203.0.113.20", "2001:db8::20"]),
    ];
    one_rule(&[A, AAAA], RuleKind::Cidr, branches, endpoints)
}

/// Answers one network only.
fn picky() -> Document {
    let branches = vec![branch("office", blocks(&["192.0.2.0/24"]))];
    let endpoints = vec![addresses("office", &["203.0.113.10"])];
    one_rule(&[A], RuleKind::Cidr, branches, endpoints)
}

/// By country, with a health check on the country's endpoint.
fn country() -> Document {
    let new_zealand = Place::Country("NZ".parse().unwrap());
    let branches = vec![
        branch("nz", Selector::Places(vec![new_zealand])),
        branch("world", Selector::Default),
    ];
    let mut nz = addresses("nz", &["203.0.113.64"]);
    nz.check = Some("shop/nz".into());
    let endpoints = vec![nz, addresses("world", &["203.0.113.20"])];
    one_rule(&[A], RuleKind::Geolocation, branches, endpoints)
}

/// Several values in one answer.
fn multi() -> Document {
    let names = ["m1", "m2", "m3"];
    let endpoints = ["203.0.113.1", "203.0.113.2", "203.0.113.3"];
    let endpoints = names
        .iter()
        .zip(endpoints)
        .map(|(name, value)| addresses(name, &[value]));
    let branches = names.iter().map(|name| branch(name, Selector::Always));
    let kind = RuleKind::MultiValue { max_answers: 8 };
    one_rule(&[A], kind, branches.collect(), endpoints.collect())
}

/// A CNAME by the client's network.
fn canonical() -> Document {
    let host = |name: &str, host: &str| {
        endpoint(
            name,
            EndpointKind::Value,
            vec![Value::Hostname(host.into())],
        )
    };
    let branches = vec![
        branch("near", blocks(&["192.0.2.0/24"])),
        branch("far", Selector::Default),
    ];
    let endpoints = vec![
        host("near", "static.example.com"),
        host("far", "host.example.org."),
    ];
    one_rule(&[CNAME], RuleKind::Cidr, branches, endpoints)
}

/// An alias of a host.
fn alias(host: &str) -> Document {
    let target = endpoint(
        "lb",
        EndpointKind::Alias,
        vec![Value::Hostname(host.into())],
    );
    one_endpoint(&[A, AAAA], target)
}

fn mail() -> Document {
    let rdata = |preference: u8, host: &str| Value::Rdata {
        text: format!("{preference} {host}"),
        wire: [vec![0, preference], wire(host)].concat().into(),
    };
    let values = vec![rdata(10, "mx1.example.com."), rdata(20, "mx2.example.com.")];
    one_endpoint(&[MX], endpoint("mx", EndpointKind::Value, values))
}

pub(crate) fn version(name: &str, document: &Document) -> Arc<PolicyVersion> {
    let (policy, findings) = Policy::build(document, &Limits::api());
    Arc::new(PolicyVersion {
        namespace: "shop".into(),
        policy_name: name.into(),
        number: 1,
        digest: "sha256:00".into(),
        policy: policy.unwrap_or_else(|| panic!("{findings:?}")),
    })
}

fn binding(version: &Arc<PolicyVersion>) -> Binding {
    Binding {
        version: Arc::clone(version),
        record_types: version.policy.record_types().into(),
        ttl: 30,
        ttl_range: None,
        failback: None,
    }
}

// Zones.

fn zone(apex: &str) -> ZoneBuilder {
    let mut builder = Zone::builder(name(apex), soa(apex)).unwrap();
    let server = set(NS, 3600, [wire(&format!("ns1.{apex}"))]);
    builder.insert(&name(apex), server).unwrap();
    builder
}

fn fill_static(zone: &mut ZoneBuilder) {
    let mut put = |owner: &str, rrset| {
        let owner = OwnerName::from_relative(owner, &name("example.com")).unwrap();
        zone.insert(&owner, rrset).unwrap();
    };
    put("ns1", set(A, 3600, [address("192.0.2.53")]));
    put(
        "static",
        set(A, 300, [address("192.0.2.1"), address("192.0.2.2")]),
    );
    put("static", set(TXT, 300, [b"\x05hello".to_vec()]));
    put("lb", set(A, 20, [address("192.0.2.80")]));
    put("*.wild", set(A, 300, [address("192.0.2.99")]));
    put("a.ent.wild", set(A, 300, [address("192.0.2.98")]));
    put("*.wildalias", set(CNAME, 300, [wire("static.example.com")]));
    put("chain1", set(CNAME, 300, [wire("chain2.example.com")]));
    put("chain2", set(CNAME, 300, [wire("static.example.com")]));
    put("loop1", set(CNAME, 300, [wire("loop2.example.com")]));
    put("loop2", set(CNAME, 300, [wire("loop1.example.com")]));
    put("self", set(CNAME, 300, [wire("self.example.com")]));
    put("outside", set(CNAME, 300, [wire("host.example.org")]));
    put("dangling", set(CNAME, 300, [wire("missing.example.com")]));
    put("other-zone", set(CNAME, 300, [wire("example.net")]));
    put("into-cut", set(CNAME, 300, [wire("www.cut.example.com")]));
    put(
        "cut",
        set(
            NS,
            600,
            [wire("ns.cut.example.com"), wire("ns.example.org")],
        ),
    );
    put("cut", set(DS, 600, [b"\x30\x39\x0d\x02\xab\xcd".to_vec()]));
    put("ns.cut", set(A, 600, [address("192.0.2.54")]));
    put("ns.cut", set(AAAA, 600, [address("2001:db8::54")]));
    put("child", set(NS, 600, [wire("ns1.child.example.com")]));
    put(
        "child",
        set(DS, 600, [b"\x30\x3a\x0d\x02\xab\xcd".to_vec()]),
    );
    put("big", set(TXT, 300, [text(1500)]));
    put("medium", set(TXT, 300, [text(800)]));
    put(
        "huge",
        set(
            TXT,
            300,
            (0..30_u8).map(|n| [vec![1, n], text(2500)].concat()),
        ),
    );
}

fn fill_policies(zone: &mut ZoneBuilder) {
    let mut put = |owner: &str, document: Document| {
        let owner = OwnerName::from_relative(owner, &name("example.com")).unwrap();
        let version = version(owner.to_string().trim_end_matches('.'), &document);
        zone.bind(&owner, binding(&version)).unwrap();
    };
    put("picky", picky());
    put("country", country());
    put("multi", multi());
    put("canonical", canonical());
    put("mail", mail());
    put("*.policy", site());
    put("alias", alias("lb.example.com"));
    put("alias-www", alias("www.example.com"));
    put("alias-foreign", alias("lb.example.org"));
    put("alias-out", alias("outside.example.com"));
    put("alias-unknown", alias("unknown.example.org"));
    put("alias-missing", alias("missing.example.com"));
    put("alias-self", alias("alias-self.example.com"));
    put("alias-loop", alias("loop1.example.com"));
}

/// `example.com` with all of the above, `example.net` with the same policy at
/// its apex, and `child.example.com`.
pub(crate) fn snapshot() -> Snapshot {
    let site = version("site", &site());
    let mut com = zone("example.com");
    fill_static(&mut com);
    fill_policies(&mut com);
    com.bind(&name("example.com"), binding(&site)).unwrap();
    com.bind(&name("www.example.com"), binding(&site)).unwrap();
    let mut net = zone("example.net");
    net.bind(&name("example.net"), binding(&site)).unwrap();
    let child = zone("child.example.com");
    Snapshot::new([com, net, child].map(|zone| Arc::new(zone.build())))
}

/// `example.com` with this many names `h0` and so on: by turns a static address,
/// 10.0.0.0 and the number, a policy by network, and one by country.
pub(crate) fn large(names: u32) -> Snapshot {
    let policies = [version("site", &site()), version("country", &country())];
    let mut com = zone("example.com");
    for number in 0..names {
        let owner = name(&format!("h{number}.example.com"));
        match number % 3 {
            0 => {
                let address = u32::to_be_bytes((10 << 24) + number).to_vec();
                com.insert(&owner, set(A, 300, [address])).unwrap();
            }
            turn => {
                let version = &policies[turn as usize - 1];
                com.bind(&owner, binding(version)).unwrap();
            }
        }
    }
    Snapshot::new([Arc::new(com.build())])
}

/// New Zealand is `198.51.100.0/25` and `2001:db8:64::/48`.
pub(crate) fn geo() -> GeoDatabase {
    let new_zealand = Location {
        country: Some("NZ".parse().unwrap()),
        ..Location::default()
    };
    let places = ["198.51.100.0/25", "2001:db8:64::/48"]
        .map(|network| (network.parse().unwrap(), new_zealand.clone()));
    GeoDatabase::from_mmdb(testing::mmdb(&places)).unwrap()
}

pub(crate) fn node() -> Node {
    node_of(Config::default())
}

/// A node whose answers are limited.
pub(crate) fn limited_node(per_second: u32, slip: u8, exempt: &[&str]) -> Node {
    node_of(Config {
        rate_limit: RateLimit {
            per_second,
            slip,
            exempt: exempt.iter().map(|it| it.parse().unwrap()).collect(),
        },
        ..Config::default()
    })
}

fn node_of(config: Config) -> Node {
    let node = Node::new(config);
    node.set_geo(geo());
    node.set_hostnames(|host: &OwnerName, record_type: u16| {
        let address = match record_type {
            A => "203.0.113.200",
            _ => "2001:db8::200",
        };
        let known = ["lb.example.org.", "host.example.org."];
        known
            .contains(&host.to_string().as_str())
            .then(|| vec![address.parse().unwrap()])
    });
    node.publish(snapshot());
    node
}

// Queries.

/// A query with EDNS, as `dig` sends it.
pub(crate) fn query(qname: &str, qtype: u16) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    let qname = Name::from_ascii(qname).unwrap();
    message.add_query(Query::query(qname, RecordType::from(qtype)));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    message.edns = Some(edns);
    message
}

/// The same with a client subnet such as `192.0.2.0/24`.
pub(crate) fn query_for(qname: &str, qtype: u16, subnet: &str) -> Message {
    let mut message = query(qname, qtype);
    let subnet = EdnsOption::Subnet(subnet.parse().unwrap());
    message.edns.as_mut().unwrap().options_mut().insert(subnet);
    message
}

/// The query with octets as its ECS option, well-formed or not.
pub(crate) fn query_with_raw_subnet(data: &[u8]) -> Message {
    let mut message = query("www.example.com.", A);
    let option = EdnsOption::Unknown(8, data.to_vec());
    message.edns.as_mut().unwrap().options_mut().insert(option);
    message
}

pub(crate) fn resolver() -> SocketAddr {
    "203.0.113.77:5353".parse().unwrap()
}

/// The reply to a UDP packet from [`resolver`].
pub(crate) fn ask_packet(node: &Node, packet: &[u8]) -> Message {
    let reply = node
        .handle_packet(packet, resolver(), Transport::Udp)
        .unwrap();
    Message::from_vec(&reply).unwrap()
}

pub(crate) fn ask(node: &Node, query: &Message) -> Message {
    let reply = ask_packet(node, &query.to_vec().unwrap());
    assert_eq!(reply.metadata.id, query.metadata.id);
    assert_eq!(
        reply.edns.is_some(),
        query.edns.is_some(),
        "OPT is answered by OPT"
    );
    reply
}

/// Records in presentation form, sorted.
pub(crate) fn texts(records: &[Record]) -> Vec<String> {
    let mut texts: Vec<String> = records.iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

/// `address/source/scope` of the ECS option.
pub(crate) fn subnet_of(reply: &Message) -> Option<String> {
    match reply.edns.as_ref()?.option(EdnsCode::Subnet)? {
        EdnsOption::Subnet(s) => Some(format!(
            "{}/{}/{}",
            s.addr(),
            s.source_prefix(),
            s.scope_prefix()
        )),
        _ => None,
    }
}

pub(crate) fn rcode(reply: &Message) -> ResponseCode {
    reply.metadata.response_code
}

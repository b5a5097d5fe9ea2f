//! The fast path for UDP against the full responder: whatever comes, both
//! reply with the same octets.

#[path = "../../../crates/policy/tests/policy/support.rs"]
#[allow(dead_code, reason = "made for the tests of policies")]
mod policies;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use watershed_dns::{Config, Node, Path, UdpResponder};
use watershed_policy::Document;
use watershed_snapshot::{
    Binding, HealthStates, OwnerName, RrSet, Snapshot, Zone, ZoneBuilder, record_type,
};

use crate::common::*;

const ANY: u16 = 255;
const TYPES: [u16; 11] = [A, AAAA, NS, CNAME, SOA, MX, TXT, DS, ANY, 252, 65280];

/// Draws that depend on the seed alone.
fn draws(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |bound| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % bound
    }
}

/// Both replies to a packet, and how the first came about.
struct Both {
    path: Path,
    reply: Vec<u8>,
    full: Option<Vec<u8>>,
}

fn both(responder: &mut UdpResponder, packet: &[u8], source: SocketAddr, seed: u64) -> Both {
    // What was in a buffer before must not matter.
    let (mut reply, mut full) = (vec![0xEE; 700], Vec::new());
    let path = responder.answer_with(packet, source, &mut draws(seed), &mut reply);
    let answered = responder.answer_fully(packet, source, &mut draws(seed), &mut full);
    Both {
        path,
        reply,
        full: (answered != Path::Silent).then_some(full),
    }
}

impl Both {
    fn agree(&self) -> bool {
        match &self.full {
            None => self.path == Path::Silent,
            Some(full) => self.path != Path::Silent && self.reply == *full,
        }
    }
}

fn owners(snapshot: &Snapshot) -> Vec<OwnerName> {
    let names = snapshot.zones.values().flat_map(|zone| zone.names());
    let mut owners: Vec<OwnerName> = names.map(|(owner, _)| owner.clone()).collect();
    owners.sort();
    owners
}

/// A query in wire form. `upper` is whether to write the name in capitals.
fn packet(
    name: &OwnerName,
    qtype: u16,
    flags: [u8; 2],
    upper: bool,
    opt: Option<&[u8]>,
) -> Vec<u8> {
    let additionals = u8::from(opt.is_some());
    let mut packet = vec![
        0xAB,
        0xCD,
        flags[0],
        flags[1],
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        additionals,
    ];
    let wire = name.as_wire().to_vec();
    packet.extend(if upper {
        wire.to_ascii_uppercase()
    } else {
        wire
    });
    packet.extend(qtype.to_be_bytes());
    packet.extend([0, 1]);
    packet.extend(opt.unwrap_or_default());
    packet
}

/// An OPT record.
fn opt(payload: u16, flags: u8, options: &[(u8, &[u8])]) -> Vec<u8> {
    let options: Vec<u8> = options
        .iter()
        .flat_map(|(code, data)| {
            let len = u8::try_from(data.len()).unwrap();
            [&[0, *code, 0, len], *data].concat()
        })
        .collect();
    let len = u16::try_from(options.len()).unwrap().to_be_bytes();
    let [high, low] = payload.to_be_bytes();
    [
        &[0, 0, 41, high, low, 0, 0, flags, 0, len[0], len[1]][..],
        &options,
    ]
    .concat()
}

fn opts() -> Vec<Option<Vec<u8>>> {
    const OFFICE: &[u8] = &[0, 1, 24, 0, 192, 0, 2];
    const NEW_ZEALAND: &[u8] = &[0, 2, 56, 0, 0x20, 1, 0xd, 0xb8, 0, 0x64, 0];
    const WITHHELD: &[u8] = &[0, 1, 0, 0];
    const COOKIE: (u8, &[u8]) = (10, &[1, 2, 3, 4, 5, 6, 7, 8]);
    [
        opt(1232, 0, &[]),
        opt(4096, 0x80, &[COOKIE]),
        opt(512, 0, &[(8, OFFICE)]),
        opt(100, 0x80, &[COOKIE, (8, NEW_ZEALAND), (12, &[0; 40])]),
        opt(1232, 0, &[(8, WITHHELD)]),
        opt(1232, 0, &[(8, OFFICE), (8, OFFICE)]),
        opt(1232, 0, &[(8, &[0, 1, 24, 0, 192, 0])]),
        opt(1232, 0x40, &[]),
        opt(1232, 0, &[(3, &[]), (8, &[0, 3, 0, 0])]),
    ]
    .into_iter()
    .map(Some)
    .chain([None])
    .collect()
}

#[test]
fn every_name_type_and_option_gets_the_same_octets() {
    let node = node();
    let mut responder = node.udp_responder();
    let mut names = owners(&snapshot());
    let more = [
        "missing.example.com",
        "a.b.missing.example.com",
        "x.wild.example.com",
        "b.ent.wild.example.com",
        "y.x.wild.example.com",
        "x.wildalias.example.com",
        "any.policy.example.com",
        "www.cut.example.com",
        "www.child.example.com",
        "example.org",
        "com",
        ".",
    ];
    names.extend(more.map(name));
    let (mut fast, mut all) = (0, 0);
    for (owner, qtype) in names.iter().flat_map(|n| TYPES.map(|t| (n, t))) {
        for (seed, opt) in (0..).zip(opts()) {
            let flags = [
                u8::from(seed % 2 == 0),
                if seed % 3 == 0 { 0x30 } else { 0 },
            ];
            let packet = packet(owner, qtype, flags, seed % 2 == 1, opt.as_deref());
            let both = both(&mut responder, &packet, resolver(), seed);
            assert!(both.agree(), "{owner} {qtype} {opt:?}");
            all += 1;
            fast += usize::from(both.path == Path::Fast);
        }
    }
    assert!(fast * 4 > all, "{fast} of {all} took the fast path");
}

#[test]
fn ordinary_answers_take_the_fast_path() {
    let mut responder = node().udp_responder();
    for (qname, qtype) in ORDINARY {
        let packet = query_for(qname, qtype, "192.0.2.0/24").to_vec().unwrap();
        let both = both(&mut responder, &packet, resolver(), 1);
        assert!(both.agree() && both.path == Path::Fast, "{qname} {qtype}");
    }
}

/// The flags of a reply that was cut to its question, and OPT if there was one.
fn is_cut(reply: &[u8]) -> bool {
    matches!(reply, [_, _, flags, _, 0, 1, 0, 0, 0, 0, 0, 0 | 1, ..] if flags & 0x02 != 0)
}

/// What two paths with a limit do with the same packet at the same time, each by
/// a limiter of its own.
struct Limited {
    fast: UdpResponder,
    full: UdpResponder,
    time: Duration,
}

impl Limited {
    fn of(one: &Node, other: &Node) -> Self {
        Self {
            fast: one.udp_responder(),
            full: other.udp_responder(),
            time: Duration::ZERO,
        }
    }

    fn both(&mut self, packet: &[u8], source: SocketAddr, seed: u64) -> Both {
        self.fast.set_time(self.time);
        self.full.set_time(self.time);
        let (mut reply, mut full) = (vec![0xEE; 700], Vec::new());
        let fast = &mut self.fast;
        let path = fast.answer_with(packet, source, &mut draws(seed), &mut reply);
        let responder = &mut self.full;
        let answered = responder.answer_fully(packet, source, &mut draws(seed), &mut full);
        Both {
            path,
            reply,
            full: (answered != Path::Silent).then_some(full),
        }
    }
}

/// Addresses of three networks.
fn sources() -> [SocketAddr; 5] {
    let addresses = [
        "192.0.2.1:53",
        "192.0.2.200:1053",
        "[::ffff:192.0.2.9]:53",
        "[2001:db8::1]:53",
        "203.0.113.1:53",
    ];
    addresses.map(|address| address.parse().unwrap())
}

#[test]
fn both_paths_limit_the_same_answers_and_change_no_other() {
    let nodes = [limited_node(2, 2, &[]), limited_node(2, 2, &[])];
    let mut limited = Limited::of(&nodes[0], &nodes[1]);
    let mut unlimited = node().udp_responder();
    let mut names = owners(&snapshot());
    names.extend(["missing.example.com", "x.wild.example.com", "example.org"].map(name));
    names.extend(["y.x.wild.example.com", "www.cut.example.com"].map(name));
    // How many were answered, cut and dropped, on the fast path and on the other.
    let mut seen = [[0_u32; 3]; 2];
    let asked = names.iter().flat_map(|n| TYPES.map(|t| (n, t)));
    let asked = asked.flat_map(|(n, t)| opts().into_iter().map(move |opt| (n, t, opt)));
    for (seed, (owner, qtype, opt)) in (0..).zip(asked) {
        let packet = packet(owner, qtype, [1, 0], seed % 2 == 0, opt.as_deref());
        let source = sources()[(seed % 5) as usize];
        limited.time += Duration::from_millis(seed % 7);
        let both = limited.both(&packet, source, seed);
        assert!(both.agree(), "{owner} {qtype} {opt:?}");
        let mut plain = Vec::new();
        let path = unlimited.answer_with(&packet, source, &mut draws(seed), &mut plain);
        let outcome = match &both.full {
            None => 2,
            Some(full) if *full == plain => 0,
            Some(full) => {
                assert!(is_cut(full), "{owner} {qtype} {opt:?}");
                1
            }
        };
        seen[usize::from(path == Path::Full)][outcome] += 1;
    }
    assert!(
        seen.as_flattened().iter().all(|count| *count > 100),
        "{seen:?}"
    );
}

/// Labels of generated names: few, so that names meet.
const LABELS: [&str; 4] = ["a", "b", "*", "www"];

fn labels() -> impl Strategy<Value = String> {
    vec(select(&LABELS[..]), 0..4).prop_map(|labels| {
        let labels: Vec<&str> = labels.into_iter().chain(["example.com."]).collect();
        labels.join(".")
    })
}

/// What is put at a generated name.
#[derive(Clone, Debug)]
enum Data {
    Static(u16, usize),
    Policy(Document),
}

fn data() -> impl Strategy<Value = Data> {
    let types = select(vec![A, AAAA, NS, CNAME, TXT, MX]);
    prop_oneof![
        (types, 1..4_usize).prop_map(|(t, count)| Data::Static(t, count)),
        policies::documents().prop_map(Data::Policy),
    ]
}

/// Puts it there, unless it does not fit what is there already.
fn put(zone: &mut ZoneBuilder, owner: &OwnerName, data: &Data) {
    let _ = match data {
        Data::Static(qtype, count) => {
            let rdata = (0..u8::try_from(*count).unwrap()).map(|n| match *qtype {
                A => vec![192, 0, 2, n],
                AAAA => address(&format!("2001:db8::{n}")),
                TXT => vec![1, n],
                MX => [vec![0, n], wire("www.example.com")].concat(),
                _ => wire(&format!("{}.example.com", LABELS[usize::from(n)])),
            });
            zone.insert(owner, rrset(*qtype, rdata.collect()))
        }
        Data::Policy(document) => {
            let version = version(&owner.to_string(), document);
            let record_types = version.policy.record_types().into();
            zone.bind(
                owner,
                Binding {
                    version,
                    record_types,
                    ttl: 30,
                    ttl_range: Some((5, 60)),
                    failback: None,
                },
            )
        }
    };
}

fn rrset(record_type: u16, rdata: Vec<Vec<u8>>) -> RrSet {
    RrSet {
        record_type,
        ttl: 300,
        rdata: rdata.into_iter().map(Vec::into_boxed_slice).collect(),
    }
}

/// A zone of that data, and one below it.
fn generated(contents: &[(String, Data)]) -> Snapshot {
    let zones = ["example.com", "www.example.com"].map(|apex| {
        let soa = [wire("ns"), wire("admin"), vec![0; 20]].concat();
        let mut zone = Zone::builder(name(apex), rrset(record_type::SOA, vec![soa])).unwrap();
        for (owner, data) in contents {
            let owner = name(owner);
            if owner.is_at_or_below(&name(apex)) {
                put(&mut zone, &owner, data);
            }
        }
        Arc::new(zone.build())
    });
    Snapshot::new(zones)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn generated_zones_are_answered_alike(
        contents in vec((labels(), data()), 0..12),
        asked in vec((labels(), select(&TYPES[..]), any::<u64>(), any::<Index>()), 60),
        down in vec(0..4_u8, 0..3),
    ) {
        let node = Node::new(Config::default());
        node.set_geo(geo());
        node.publish(generated(&contents));
        let mut health = HealthStates::all_healthy();
        for check in down {
            health.set_check(format!("hc-{check}"), false);
            health.set_check(format!("hc-e{check}"), false);
        }
        node.set_health(health);
        let mut responder = node.udp_responder();
        let opts = opts();
        for (owner, qtype, seed, opt) in asked {
            let opt = opts[opt.index(opts.len())].as_deref();
            let packet = packet(&name(&owner), qtype, [1, 0], seed % 2 == 0, opt);
            let both = both(&mut responder, &packet, resolver(), seed);
            prop_assert!(both.agree(), "{} {} {:?} {:?}", owner, qtype, both.reply, both.full);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn generated_zones_are_limited_alike(
        contents in vec((labels(), data()), 0..12),
        asked in vec((labels(), select(&TYPES[..]), any::<u64>(), any::<Index>()), 100),
        slip in 0..4_u8,
    ) {
        let nodes = [limited_node(2, slip, &[]), limited_node(2, slip, &[])];
        for node in &nodes {
            node.publish(generated(&contents));
        }
        let mut limited = Limited::of(&nodes[0], &nodes[1]);
        let opts = opts();
        for (owner, qtype, seed, opt) in asked {
            let opt = opts[opt.index(opts.len())].as_deref();
            let packet = packet(&name(&owner), qtype, [1, 0], seed % 2 == 0, opt);
            limited.time += Duration::from_millis(seed % 50);
            let both = limited.both(&packet, sources()[(seed % 5) as usize], seed);
            prop_assert!(both.agree(), "{} {} {:?} {:?}", owner, qtype, both.reply, both.full);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mutilated_queries_are_answered_alike(
        at in any::<Index>(),
        qtype in select(&TYPES[..]),
        opt in any::<Index>(),
        flips in vec((any::<Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<Index>()),
        more in vec(any::<u8>(), 0..3),
        seed in any::<u64>(),
    ) {
        let opts = opts();
        let names = ["www.example.com", "static.example.com", "x.wild.example.com", "no.example.com"];
        let opt = opts[opt.index(opts.len())].as_deref();
        let mut packet = packet(&name(names[at.index(4)]), qtype, [1, 0], false, opt);
        for (index, octet) in flips {
            let at = index.index(packet.len());
            packet[at] = octet;
        }
        if let Some(cut) = cut {
            packet.truncate(cut.index(packet.len()));
        }
        packet.extend(more);
        let mut responder = NODE.with(Node::udp_responder);
        let both = both(&mut responder, &packet, resolver(), seed);
        prop_assert!(both.agree(), "{:?} {:?} {:?}", packet, both.reply, both.full);
    }

    #[test]
    fn names_of_any_length_are_answered_alike(
        lengths in vec(1..=70_u8, 0..8),
        octet in any::<u8>(),
        seed in any::<u64>(),
    ) {
        let mut packet = vec![1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for length in lengths {
            packet.push(length);
            packet.extend(vec![octet; length.into()]);
        }
        packet.extend(name("example.com").as_wire());
        packet.extend([0, 1, 0, 1]);
        let mut responder = NODE.with(Node::udp_responder);
        let both = both(&mut responder, &packet, resolver(), seed);
        prop_assert!(both.agree(), "{:?} {:?} {:?}", packet, both.reply, both.full);
    }

    #[test]
    fn random_packets_are_answered_alike(packet in vec(any::<u8>(), 0..100)) {
        let mut responder = NODE.with(Node::udp_responder);
        let both = both(&mut responder, &packet, resolver(), 0);
        prop_assert!(both.agree());
    }
}

thread_local! {
    static NODE: Node = node();
}

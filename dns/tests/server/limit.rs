//! Response rate limiting, from outside.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use tokio::net::{TcpSocket, TcpStream};
use watershed_dns::{Limited, Listener, Node, Path, Rcode, Transport};

use crate::common::*;
use crate::wire::{receive_tcp, send_tcp};

/// How long a reply may take that comes.
const PATIENCE: Duration = Duration::from_secs(10);
/// Queries of a flood: fewer than the replies that may wait at a socket.
const FLOOD: u16 = 200;
/// A name with data, and what it has.
const NAME: &str = "static.example.com.";
const RECORDS: usize = 2;

async fn listen(node: &Node) -> Listener {
    node.bind("0.0.0.0:0".parse().unwrap()).await.unwrap()
}

/// Where a listener is reached on the loopback.
fn server(listener: &Listener) -> SocketAddr {
    ([127, 0, 0, 1], listener.local_addr().port()).into()
}

/// A client with this address, to the server alone.
fn client(address: &str, listener: &Listener) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    socket.connect(server(listener)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn send(socket: &UdpSocket, name: &str, count: u16) {
    let mut query = query(name, A);
    for id in 0..count {
        query.metadata.id = id;
        socket.send(&query.to_vec().unwrap()).unwrap();
    }
}

fn receive(socket: &UdpSocket) -> Option<Message> {
    let mut buffer = [0; 4096];
    let len = socket.recv(&mut buffer).ok()?;
    Some(Message::from_vec(&buffer[..len]).unwrap())
}

/// What a client got.
#[derive(Debug, Default)]
struct Got {
    answers: u64,
    cut: u64,
}

/// Takes all that has come to a client.
fn got(socket: &UdpSocket) -> Got {
    let mut got = Got::default();
    socket.set_nonblocking(true).unwrap();
    while let Some(reply) = receive(socket) {
        assert_eq!(reply.queries.len(), 1);
        assert!(reply.edns.is_some(), "OPT is answered by OPT");
        assert_eq!(rcode(&reply), ResponseCode::NoError);
        if reply.metadata.truncation {
            assert!(reply.answers.is_empty() && reply.authorities.is_empty());
            got.cut += 1;
        } else {
            assert_eq!(reply.answers.len(), RECORDS);
            got.answers += 1;
        }
    }
    got
}

/// How many were slipped and dropped, and answered by UDP with NOERROR.
fn counted(node: &Node) -> (u64, u64, u64) {
    let counts = node.query_counts();
    let of = |which| {
        let mut found = counts.limited();
        found.find_map(|(limited, count)| (limited == which).then_some(count))
    };
    let answered = counts.all().find_map(|(transport, rcode, count)| {
        ((transport, rcode) == (Transport::Udp, Rcode::NoError)).then_some(count)
    });
    let (slipped, dropped) = (of(Limited::Slipped), of(Limited::Dropped));
    (slipped.unwrap(), dropped.unwrap(), answered.unwrap())
}

/// Floods a node from one address, and ends it, so that all is answered.
async fn flood(node: &Node) -> (Got, Duration) {
    let began = Instant::now();
    let listener = listen(node).await;
    let socket = client("127.0.1.1", &listener);
    send(&socket, NAME, FLOOD);
    listener.shutdown().await.unwrap();
    (got(&socket), began.elapsed())
}

#[tokio::test]
async fn what_is_over_the_limit_is_cut_or_dropped() {
    for slip in [0, 1, 3] {
        let node = limited_node(10, slip, &[]);
        let (got, took) = flood(&node).await;
        // Ten at once, and ten more with each second.
        let most = 10 + 10 * (took.as_secs() + 1);
        assert!((10..=most).contains(&got.answers), "{got:?} in {took:?}");
        let over = u64::from(FLOOD) - got.answers;
        let expected = match slip {
            0 => 0..=0,
            1 => over..=over,
            // A third, at random: six standard deviations are 39.
            _ => over / 3 - 40..=over / 3 + 40,
        };
        assert!(expected.contains(&got.cut), "{got:?} with slip {slip}");
        let (slipped, dropped, answered) = counted(&node);
        assert_eq!((slipped, dropped), (got.cut, over - got.cut));
        assert_eq!(
            answered,
            got.answers + got.cut,
            "what is dropped is no answer"
        );
    }
}

#[tokio::test]
async fn an_unlimited_node_answers_all() {
    let node = limited_node(0, 1, &[]);
    assert_eq!(flood(&node).await.0.answers, u64::from(FLOOD));
    assert_eq!(counted(&node), (0, 0, FLOOD.into()));
}

#[tokio::test]
async fn a_flood_costs_its_own_network_its_own_question_alone() {
    let node = limited_node(5, 0, &["127.0.3.0/24", "::1/128"]);
    let began = Instant::now();
    let listener = listen(&node).await;
    let flooding = client("127.0.1.1", &listener);
    send(&flooding, NAME, FLOOD);
    // The same network has other things to ask.
    send(&flooding, "www.example.com.", 3);
    // Another has its own share, and a third one no limit.
    let (other, exempt) = (
        client("127.0.2.1", &listener),
        client("127.0.3.1", &listener),
    );
    send(&other, NAME, 5);
    send(&exempt, NAME, FLOOD);
    let neighbour = client("127.0.1.200", &listener);
    send(&neighbour, NAME, FLOOD);
    let mut stream = connect("127.0.1.1", &listener).await;
    for _ in 0..20 {
        send_tcp(&mut stream, &query(NAME, A)).await;
        assert_eq!(receive_tcp(&mut stream).await.answers.len(), RECORDS);
    }
    drop(stream);
    listener.shutdown().await.unwrap();
    assert_eq!(got(&other).answers, 5);
    assert_eq!(got(&exempt).answers, u64::from(FLOOD));
    flooding.set_nonblocking(true).unwrap();
    let all: Vec<Message> = std::iter::from_fn(|| receive(&flooding)).collect();
    let about = |reply: &&Message| reply.queries[0].name().to_ascii() == NAME;
    let flooded = all.iter().filter(about).count();
    assert_eq!(all.len() - flooded, 3);
    // What both of one network got.
    let together = flooded as u64 + got(&neighbour).answers;
    let most = 5 + 5 * (began.elapsed().as_secs() + 1);
    assert!((5..=most).contains(&together), "{together}");
}

async fn connect(address: &str, listener: &Listener) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind((address.parse::<std::net::Ipv4Addr>().unwrap(), 0).into())
        .unwrap();
    socket.connect(server(listener)).await.unwrap()
}

/// Replies without a socket, at moments that the test chooses.
#[test]
fn errors_slip_as_they_are_and_names_that_are_not_there_are_cut() {
    let node = limited_node(1, 1, &[]);
    let mut responder = node.udp_responder();
    let mut reply = Vec::new();
    responder.set_time(Duration::from_secs(7));
    for (name, code) in [
        ("example.org.", ResponseCode::Refused),
        ("missing.example.com.", ResponseCode::NXDomain),
    ] {
        let packet = query(name, A).to_vec().unwrap();
        let mut ask = || {
            assert_eq!(
                responder.answer(&packet, resolver(), &mut reply),
                Path::Fast
            );
            Message::from_vec(&reply).unwrap()
        };
        let (first, second) = (ask(), ask());
        assert_eq!((rcode(&first), rcode(&second)), (code, code));
        assert!(!first.metadata.truncation && second.authorities.is_empty());
        let cut = code == ResponseCode::NXDomain;
        assert_eq!(second.metadata.truncation, cut);
        assert_eq!(first.metadata.authoritative, second.metadata.authoritative);
    }
    assert_eq!(counted(&node), (2, 0, 0));
}

#[test]
fn a_cname_is_one_answer_whatever_type_is_asked() {
    let node = limited_node(2, 0, &[]);
    let mut responder = node.udp_responder();
    responder.set_time(Duration::ZERO);
    for name in ["chain1.example.com.", "x.wildalias.example.com."] {
        let answered = (65_280..65_290).filter(|qtype| {
            let packet = query(name, *qtype).to_vec().unwrap();
            responder.answer(&packet, resolver(), &mut Vec::new()) != Path::Silent
        });
        assert_eq!(answered.count(), 2, "{name}");
    }
}

#[test]
fn packets_that_cannot_be_read_are_limited_too() {
    let node = limited_node(1, 0, &[]);
    let mut responder = node.udp_responder();
    responder.set_time(Duration::ZERO);
    let packet = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for path in [Path::Full, Path::Silent, Path::Silent] {
        let found = responder.answer(&packet, resolver(), &mut Vec::new());
        assert_eq!(found, path);
    }
    assert_eq!(counted(&node).1, 2);
    // By TCP, whoever asks has proven the address.
    let reply = node.handle_packet(&packet, resolver(), Transport::Tcp);
    assert!(reply.is_some());
}

#[test]
fn a_second_later_there_are_answers_again() {
    let node = limited_node(2, 0, &[]);
    let mut responder = node.udp_responder();
    let packet = query(NAME, A).to_vec().unwrap();
    for (millis, answered) in [(0, 2), (250, 0), (500, 1), (60_000, 2)] {
        responder.set_time(Duration::from_millis(millis));
        let asked = (0..10).map(|_| responder.answer(&packet, resolver(), &mut Vec::new()));
        let found = asked.filter(|path| *path == Path::Fast).count();
        assert_eq!(found, answered, "after {millis} ms");
    }
}

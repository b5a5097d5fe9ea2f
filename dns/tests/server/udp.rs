//! Worker threads on real sockets.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use watershed_dns::{Config, Listener, Node, Rcode, Transport, UdpOptions};

use crate::common::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn workers(count: usize) -> Node {
    let node = Node::new(Config {
        udp: UdpOptions {
            workers: NonZeroUsize::new(count),
            pin_cpus: true,
            ..UdpOptions::default()
        },
        ..Config::default()
    });
    node.publish(snapshot());
    node
}

async fn listen(node: &Node, address: &str) -> Listener {
    node.bind(address.parse().unwrap()).await.unwrap()
}

fn client(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn numbered(id: u16) -> Vec<u8> {
    let mut query = query_for("www.example.com.", A, "192.0.2.0/24");
    query.metadata.id = id;
    query.to_vec().unwrap()
}

/// A reply and where it came from.
fn receive(socket: &UdpSocket) -> (Message, SocketAddr) {
    let mut buffer = [0; 4096];
    let (len, source) = socket.recv_from(&mut buffer).unwrap();
    (Message::from_vec(&buffer[..len]).unwrap(), source)
}

fn ids(socket: &UdpSocket, count: usize) -> BTreeSet<u16> {
    let replies = (0..count).map(|_| receive(socket).0);
    replies
        .map(|reply| {
            assert_eq!(
                texts(&reply.answers),
                ["www.example.com. 30 IN A 203.0.113.10"]
            );
            reply.metadata.id
        })
        .collect()
}

#[tokio::test]
async fn several_workers_answer_many_clients() {
    let node = workers(4);
    let listener = listen(&node, "127.0.0.1:0").await;
    let clients: Vec<UdpSocket> = (0..32).map(|_| client("127.0.0.1:0")).collect();
    for socket in &clients {
        for id in 0..20 {
            let sent = socket.send_to(&numbered(id), listener.local_addr());
            sent.unwrap();
        }
    }
    for socket in &clients {
        assert_eq!(ids(socket, 20), (0..20).collect());
    }
    listener.shutdown().await.unwrap();
    let counted = node.query_counts();
    let answered = counted
        .all()
        .find(|(transport, rcode, _)| (*transport, *rcode) == (Transport::Udp, Rcode::NoError));
    assert_eq!(answered.map(|(_, _, count)| count), Some(32 * 20));
}

#[tokio::test]
async fn batches_larger_than_one_call_lose_nothing() {
    let node = workers(1);
    let listener = listen(&node, "127.0.0.1:0").await;
    let socket = client("127.0.0.1:0");
    for id in 0..150 {
        socket
            .send_to(&numbered(id), listener.local_addr())
            .unwrap();
    }
    assert_eq!(ids(&socket, 150), (0..150).collect());
    listener.shutdown().await.unwrap();
}

/// What a batch needs of a large zone is read for all its queries at once: each
/// gets its own answer all the same.
#[tokio::test]
async fn every_query_of_a_batch_gets_its_own_answer() {
    // More than those from which on names are read ahead.
    const NAMES: u32 = 6000;
    let node = workers(1);
    node.set_geo(geo());
    node.publish(large(NAMES));
    let listener = listen(&node, "127.0.0.1:0").await;
    let socket = client("127.0.0.1:0");
    let asked: Vec<u32> = (0..96).map(|turn| turn * 64 + turn % 7).collect();
    let subnets = ["198.51.100.0/25", "192.0.2.0/24", "2001:db8:64::/48"];
    let packets = (0..).zip(&asked).flat_map(|(id, number)| {
        let subnet = subnets[*number as usize / 3 % 3];
        let mut query = query_for(&format!("H{number}.Example.com."), A, subnet);
        query.metadata.id = id;
        // What is none of ordinary queries must not shift the others.
        let odd = [&b"?"[..], &[0xff; 40]][usize::from(id % 2)];
        [odd.to_vec(), query.to_vec().unwrap()]
    });
    // All are there before the first is sent, so that many come at once.
    for packet in packets.collect::<Vec<_>>() {
        socket.send_to(&packet, listener.local_addr()).unwrap();
    }
    let mut replies: Vec<Message> = asked.iter().map(|_| receive(&socket).0).collect();
    replies.sort_by_key(|reply| reply.metadata.id);
    for (number, reply) in asked.into_iter().zip(&replies) {
        let address = match (number % 3, number / 3 % 3) {
            _ if number >= NAMES => {
                assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
                continue;
            }
            (0, _) => Ipv4Addr::from((10 << 24) + number).to_string(),
            (1, 1) => "203.0.113.10".into(),
            (1, _) | (_, 1) => "203.0.113.20".into(),
            _ => "203.0.113.64".into(),
        };
        let texts = texts(&reply.answers);
        assert!(
            matches!(texts.as_slice(), [text] if text.ends_with(&format!(" {address}"))),
            "h{number}: {texts:?}"
        );
    }
    listener.shutdown().await.unwrap();
}

#[tokio::test]
async fn replies_leave_from_the_address_that_was_asked() {
    let node = workers(2);
    for (listen_at, asked) in [
        ("0.0.0.0:0", &["127.0.0.1", "127.0.0.2", "127.9.9.9"][..]),
        ("[::]:0", &["::1", "127.0.0.3"]),
    ] {
        let listener = listen(&node, listen_at).await;
        let port = listener.local_addr().port();
        for ip in asked {
            let server = SocketAddr::new(ip.parse().unwrap(), port);
            let socket = client(if server.is_ipv4() {
                "0.0.0.0:0"
            } else {
                "[::]:0"
            });
            socket.send_to(&numbered(7), server).unwrap();
            assert_eq!(receive(&socket).1, server);
        }
        listener.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn one_batch_may_have_asked_several_addresses() {
    let node = workers(1);
    let listener = listen(&node, "0.0.0.0:0").await;
    let port = listener.local_addr().port();
    let servers = [1, 2, 2, 3, 1, 1].map(|last| SocketAddr::from(([127, 0, 0, last], port)));
    let sockets: Vec<UdpSocket> = servers.iter().map(|_| client("0.0.0.0:0")).collect();
    for round in 0..20 {
        for (socket, server) in sockets.iter().zip(servers) {
            socket.send_to(&numbered(round), server).unwrap();
        }
    }
    for (socket, server) in sockets.iter().zip(servers) {
        for _ in 0..20 {
            assert_eq!(receive(socket).1, server);
        }
    }
    listener.shutdown().await.unwrap();
}

#[tokio::test]
async fn clients_of_the_other_family_are_known_by_their_address() {
    let node = workers(1);
    let listener = listen(&node, "[::1]:0").await;
    let socket = client("[::1]:0");
    let plain = query("country.example.com.", A).to_vec().unwrap();
    socket.send_to(&plain, listener.local_addr()).unwrap();
    let (reply, source) = receive(&socket);
    assert_eq!(source, listener.local_addr());
    assert_eq!(reply.answers.len(), 1);
    listener.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_had_come_before_the_end_is_answered() {
    for count in [1, 3] {
        let node = workers(count);
        let listener = listen(&node, "127.0.0.1:0").await;
        let address = listener.local_addr();
        let sockets: Vec<UdpSocket> = (0..8).map(|_| client("127.0.0.1:0")).collect();
        for socket in &sockets {
            for id in 0..100 {
                socket.send_to(&numbered(id), address).unwrap();
            }
        }
        listener.shutdown().await.unwrap();
        for socket in &sockets {
            assert_eq!(ids(socket, 100), (0..100).collect());
        }
        // And the address is free.
        let again = node.bind(address).await.unwrap();
        sockets[0].send_to(&numbered(5), address).unwrap();
        assert_eq!(ids(&sockets[0], 1), [5].into());
        again.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_dropped_listener_ends_its_workers() {
    let node = workers(2);
    for at in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
        let listener = listen(&node, at).await;
        let address = listener.local_addr();
        drop(listener);
        let deadline = std::time::Instant::now() + PATIENCE;
        while UdpSocket::bind(address).is_err() {
            assert!(std::time::Instant::now() < deadline, "{address} is in use");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn an_address_of_another_listener_is_taken() {
    let node = workers(2);
    for at in ["127.0.0.1:0", "0.0.0.0:0"] {
        let listener = listen(&node, at).await;
        let error = node.bind(listener.local_addr()).await.map(drop);
        let message = error.unwrap_err().to_string();
        assert!(message.contains("(UDP)"), "{message}");
        listener.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn hostile_packets_cost_themselves_alone() {
    let node = workers(1);
    let listener = listen(&node, "127.0.0.1:0").await;
    let server = listener.local_addr();
    let socket = client("127.0.0.1:0");
    let mut seed = 1_u64;
    let mut octet = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 56).to_le_bytes()[0]
    };
    let quiet = client("127.0.0.1:0");
    for size in (0..600).chain([4096, 4097, 9000, 65000]) {
        let packet: Vec<u8> = (0..size).map(|_| octet()).collect();
        quiet.send_to(&packet, server).unwrap();
        if size % 60 == 0 {
            socket.send_to(&numbered(size), server).unwrap();
            assert_eq!(ids(&socket, 1), [size].into());
        }
    }
    listener.shutdown().await.unwrap();
}

#[tokio::test]
async fn changes_of_snapshot_under_load_lose_nothing() {
    let node = workers(2);
    let listener = listen(&node, "127.0.0.1:0").await;
    let address = listener.local_addr();
    let asking = std::thread::spawn(move || {
        let socket = client("127.0.0.1:0");
        for round in 0..100 {
            for id in 0..32 {
                socket.send_to(&numbered(round * 32 + id), address).unwrap();
            }
            assert_eq!(ids(&socket, 32).len(), 32);
        }
    });
    while !asking.is_finished() {
        node.publish(snapshot());
    }
    asking.join().unwrap();
    listener.shutdown().await.unwrap();
}

#[test]
fn loopback_is_one_network() {
    // What the tests above take for granted.
    let all: Result<Vec<_>, _> = ["127.0.0.1", "127.0.0.2", "127.9.9.9"]
        .map(|ip| UdpSocket::bind((ip.parse::<IpAddr>().unwrap(), 0)))
        .into_iter()
        .collect();
    assert_eq!(all.unwrap().len(), 3);
}

//! Real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use crate::common::*;
use hickory_proto::op::Message;
use hickory_proto::op::ResponseCode::FormErr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use watershed_dns::{Config, Listener, Node, ServerError};

const PATIENCE: Duration = Duration::from_secs(10);

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

async fn listen(node: &Node) -> Listener {
    node.bind(loopback()).await.unwrap()
}

async fn exchange_udp(server: SocketAddr, packet: &[u8]) -> Message {
    let socket = UdpSocket::bind(loopback()).await.unwrap();
    socket.send_to(packet, server).await.unwrap();
    let mut buffer = [0; 4096];
    let received = timeout(PATIENCE, socket.recv(&mut buffer)).await;
    Message::from_vec(&buffer[..received.unwrap().unwrap()]).unwrap()
}

pub(crate) async fn send_tcp(stream: &mut TcpStream, query: &Message) {
    let packet = query.to_vec().unwrap();
    let len = u16::try_from(packet.len()).unwrap().to_be_bytes();
    stream
        .write_all(&[&len[..], &packet].concat())
        .await
        .unwrap();
}

pub(crate) async fn receive_tcp(stream: &mut TcpStream) -> Message {
    let len = timeout(PATIENCE, stream.read_u16()).await.unwrap().unwrap();
    let mut buffer = vec![0; usize::from(len)];
    stream.read_exact(&mut buffer).await.unwrap();
    Message::from_vec(&buffer).unwrap()
}

#[tokio::test]
async fn udp_answers_by_client_subnet() {
    let listener = listen(&node()).await;
    let query = query_for("www.example.com.", A, "192.0.2.0/24");
    let reply = exchange_udp(listener.local_addr(), &query.to_vec().unwrap()).await;
    assert_eq!(
        texts(&reply.answers),
        ["www.example.com. 30 IN A 203.0.113.10"]
    );
    assert_eq!(subnet_of(&reply).as_deref(), Some("192.0.2.0/24/24"));
    listener.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_truncated_answer_is_had_by_tcp_on_the_same_port() {
    let listener = listen(&node()).await;
    let query = query_for("big.example.com.", TXT, "192.0.2.0/24");
    let by_udp = exchange_udp(listener.local_addr(), &query.to_vec().unwrap()).await;
    assert!(by_udp.metadata.truncation && by_udp.answers.is_empty());
    assert_eq!(subnet_of(&by_udp).as_deref(), Some("192.0.2.0/24/0"));
    let mut stream = TcpStream::connect(listener.local_addr()).await.unwrap();
    send_tcp(&mut stream, &query).await;
    let by_tcp = receive_tcp(&mut stream).await;
    assert!(!by_tcp.metadata.truncation && by_tcp.answers.len() == 1);
    listener.shutdown().await.unwrap();
}

#[tokio::test]
async fn one_tcp_connection_serves_several_queries_in_order() {
    let listener = listen(&node()).await;
    let mut stream = TcpStream::connect(listener.local_addr()).await.unwrap();
    let names = [
        "static.example.com.",
        "www.example.com.",
        "missing.example.com.",
    ];
    for (id, qname) in (1..).zip(names) {
        let mut query = query(qname, A);
        query.metadata.id = id;
        send_tcp(&mut stream, &query).await;
    }
    for (id, qname) in (1..).zip(names) {
        let reply = receive_tcp(&mut stream).await;
        assert_eq!(reply.metadata.id, id);
        assert_eq!(reply.queries[0].name().to_ascii(), qname);
    }
    listener.shutdown().await.unwrap();
}

#[tokio::test]
async fn idle_tcp_connections_are_closed() {
    let config = Config {
        tcp_idle: Duration::from_millis(50),
        ..Config::default()
    };
    let listener = listen(&Node::new(config)).await;
    let mut stream = TcpStream::connect(listener.local_addr()).await.unwrap();
    let read = timeout(PATIENCE, stream.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    listener.shutdown().await.unwrap();
}

#[tokio::test]
async fn hostile_packets_do_not_stop_the_server() {
    let listener = listen(&node()).await;
    let server = listener.local_addr();
    let hostile = UdpSocket::bind(loopback()).await.unwrap();
    for packet in [
        &[][..],
        &[0; 11],
        &[0xff; 512],
        &[0; 4096],
        &[0, 1, 0x80, 0],
    ] {
        hostile.send_to(packet, server).await.unwrap();
    }
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(&[0xff; 64]).await.unwrap();
    drop(stream);
    let malformed = query_with_raw_subnet(&[0, 3, 0, 0]).to_vec().unwrap();
    assert_eq!(rcode(&exchange_udp(server, &malformed).await), FormErr);
    let reply = exchange_udp(server, &query("static.example.com.", A).to_vec().unwrap()).await;
    assert_eq!(reply.answers.len(), 2);
    listener.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_change_of_snapshot_loses_no_query() {
    let node = node();
    let listener = listen(&node).await;
    let server = listener.local_addr();
    let publisher = tokio::spawn(async move {
        for _ in 0..50 {
            node.publish(snapshot());
            tokio::task::yield_now().await;
        }
    });
    let packet = query("www.example.com.", A).to_vec().unwrap();
    for _ in 0..50 {
        let reply = exchange_udp(server, &packet).await;
        assert_eq!(
            texts(&reply.answers),
            ["www.example.com. 30 IN A 203.0.113.20"]
        );
    }
    publisher.await.unwrap();
    listener.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_stopped_listener_frees_its_address() {
    let node = node();
    let first = listen(&node).await;
    let address = first.local_addr();
    let taken = node.bind(address).await.map(drop).unwrap_err();
    assert!(
        matches!(
            taken,
            ServerError::Bind {
                protocol: "UDP",
                ..
            }
        ),
        "{taken}"
    );
    first.shutdown().await.unwrap();
    let second = node.bind(address).await.unwrap();
    assert_eq!(second.local_addr(), address);
    second.shutdown().await.unwrap();
}

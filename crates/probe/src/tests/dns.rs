use hickory_proto::op::{Message, MessageType, ResponseCode};
use tokio::net::UdpSocket;
use watershed_health::DnsProbe;

use super::*;

fn dns(port: u16) -> ProbeKind {
    ProbeKind::Dns(DnsProbe {
        port,
        query: "www.example.com".to_owned(),
        record_type: 1,
    })
}

/// A server over UDP that answers a question so many times as messages are
/// made of it.
async fn udp(answer: impl Fn(Message) -> Vec<Message> + Send + 'static) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut octets = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut octets).await {
            let query = Message::from_vec(&octets[..length]).unwrap();
            for message in answer(query) {
                let octets = message.to_vec().unwrap();
                socket.send_to(&octets, from).await.unwrap();
            }
        }
    });
    port
}

fn reply(mut query: Message, code: ResponseCode) -> Message {
    query.metadata.message_type = MessageType::Response;
    query.metadata.response_code = code;
    query
}

#[tokio::test]
async fn noerror_passes_and_others_fail() {
    let port = udp(|query| vec![reply(query, ResponseCode::NoError)]).await;
    assert_passes(&probe(dns(port)).await, "DNS: NOERROR");
    let port = udp(|query| vec![reply(query, ResponseCode::ServFail)]).await;
    assert_fails(&probe(dns(port)).await, "status", "DNS: SERVFAIL");
}

#[tokio::test]
async fn answers_to_other_questions_are_passed_over() {
    let port = udp(|query| {
        let mut guess = reply(query.clone(), ResponseCode::Refused);
        guess.metadata.id = guess.metadata.id.wrapping_add(1);
        let question = query.clone();
        vec![guess, question, reply(query, ResponseCode::NoError)]
    });
    assert_passes(&probe(dns(port.await)).await, "DNS: NOERROR");
}

#[tokio::test]
async fn a_lost_packet_is_no_failure() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let port = udp(move |query| {
        if asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
            return Vec::new();
        }
        vec![reply(query, ResponseCode::NoError)]
    });
    assert_passes(&probe(dns(port.await)).await, "DNS: NOERROR");
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_over_tcp() {
    let port = udp(|query| {
        let mut reply = reply(query, ResponseCode::NoError);
        reply.metadata.truncation = true;
        vec![reply]
    });
    let port = port.await;
    let result = probe(dns(port)).await;
    assert_fails(&result, "refused", "connection refused");

    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let length = stream.read_u16().await.unwrap();
        let mut octets = vec![0; usize::from(length)];
        stream.read_exact(&mut octets).await.unwrap();
        let query = Message::from_vec(&octets).unwrap();
        let octets = reply(query, ResponseCode::NXDomain).to_vec().unwrap();
        let length = u16::try_from(octets.len()).unwrap();
        stream.write_u16(length).await.unwrap();
        stream.write_all(&octets).await.unwrap();
    });
    assert_fails(&probe(dns(port)).await, "status", "DNS: NXDOMAIN");
}

#[tokio::test]
async fn silence_and_refusal_are_named() {
    let port = udp(|_| Vec::new()).await;
    let result = probe_silent(dns(port)).await;
    assert_fails(&result, "timeout", "no answer in 300 ms");
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    assert_fails(&probe(dns(port)).await, "refused", "connection refused");
}

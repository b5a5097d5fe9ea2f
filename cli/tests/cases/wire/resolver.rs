//! A resolver of one server, without a cache.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::served::Served;

const PATIENCE: Duration = Duration::from_secs(10);

/// What a reply says.
pub(super) struct Answer {
    /// Record data of the type asked, sorted by presentation form.
    pub(super) data: Vec<RData>,
    /// SCOPE PREFIX-LENGTH of the client subnet.
    pub(super) scope: Option<u8>,
}

pub(super) struct Resolver {
    socket: UdpSocket,
}

impl Resolver {
    pub(super) async fn of(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(server).await.unwrap();
        Self { socket }
    }

    /// Asks for a case's name and type, on behalf of its client.
    pub(super) async fn ask(&self, served: &Served) -> Answer {
        let query = query(served).to_vec().unwrap();
        self.socket.send(&query).await.unwrap();
        let mut buffer = [0; 4096];
        let received = timeout(PATIENCE, self.socket.recv(&mut buffer)).await;
        let reply = Message::from_vec(&buffer[..received.unwrap().unwrap()]).unwrap();
        assert_eq!(
            reply.metadata.response_code,
            ResponseCode::NoError,
            "{}",
            served.name
        );
        assert!(!reply.metadata.truncation, "{}", served.name);
        let mut data: Vec<RData> = reply.answers.into_iter().map(|r| r.data).collect();
        sort(&mut data);
        let scope = match reply.edns.as_ref().and_then(|e| e.option(EdnsCode::Subnet)) {
            Some(EdnsOption::Subnet(subnet)) => Some(subnet.scope_prefix()),
            _ => None,
        };
        Answer { data, scope }
    }
}

/// Sorted, so that lists compare as sets.
pub(super) fn sort(data: &mut [RData]) {
    data.sort_by_cached_key(ToString::to_string);
}

/// The question for a case's name and type, on behalf of its client.
pub(super) fn query(served: &Served) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    let name = Name::from_ascii(served.name.to_string()).unwrap();
    message.add_query(Query::query(name, RecordType::from(served.record_type)));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    let subnet = served.network.to_string().parse().unwrap();
    edns.options_mut().insert(EdnsOption::Subnet(subnet));
    message.edns = Some(edns);
    message
}

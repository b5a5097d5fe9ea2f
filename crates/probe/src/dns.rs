//! A DNS query.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};
use watershed_health::{Address, DnsProbe};

use crate::connect::{Network, in_turn};
use crate::failure::{Failed, Finding};
use crate::trace::{Stage, Trace};

/// How often a query is sent at most: a lost packet is no failure.
const SENT: u32 = 3;
/// Octets of an answer over UDP, at most; the query has no EDNS, so that 512
/// would do.
const ANSWER: usize = 4096;

/// Asks over UDP, and over TCP when the answer is truncated.
pub(crate) async fn probe(
    network: &Network,
    probe: &DnsProbe,
    address: &Address,
    trace: &mut Trace,
) -> Result<Finding, Failed> {
    let question = Question::new(probe)?;
    let addresses = network.addresses(address, probe.port, trace).await?;
    trace.stage = Stage::Answer;
    let deadline = trace.deadline;
    let question = &question;
    in_turn(&addresses, deadline, |address| async move {
        network.permit(address.ip())?;
        let answer = over_udp(question, address, deadline).await?;
        if !answer.metadata.truncation {
            return judge(&answer);
        }
        network.permit(address.ip())?;
        judge(&over_tcp(question, address).await?)
    })
    .await
}

fn judge(answer: &Message) -> Result<Finding, Failed> {
    match answer.metadata.response_code {
        ResponseCode::NoError => Ok(Finding::passed("DNS: NOERROR")),
        code => Err(Failed::new("status", format!("DNS: {}", mnemonic(code)))),
    }
}

/// The name in the registry of IANA.
fn mnemonic(code: ResponseCode) -> String {
    match code {
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        other => format!("RCODE {}", u16::from(other)),
    }
}

struct Question {
    query: Query,
    message: Message,
    octets: Vec<u8>,
}

impl Question {
    fn new(probe: &DnsProbe) -> Result<Self, Failed> {
        let mut name = Name::from_utf8(&probe.query)
            .map_err(|error| Failed::protocol(format!("{}: {error}", probe.query)))?;
        name.set_fqdn(true);
        let query = Query::query(name, RecordType::from(probe.record_type));
        let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(query.clone());
        let octets = message
            .to_vec()
            .map_err(|error| Failed::protocol(format!("{}: {error}", probe.query)))?;
        Ok(Self {
            query,
            message,
            octets,
        })
    }

    /// Whether the message answers this question. An error may come without
    /// the question.
    fn is_of(&self, answer: &Message) -> bool {
        let asked = match answer.queries.as_slice() {
            [] => answer.metadata.response_code != ResponseCode::NoError,
            [query] => *query == self.query,
            _ => false,
        };
        asked
            && answer.metadata.id == self.message.metadata.id
            && answer.metadata.message_type == MessageType::Response
            && answer.metadata.op_code == OpCode::Query
    }
}

async fn over_udp(
    question: &Question,
    address: SocketAddr,
    deadline: Instant,
) -> Result<Message, Failed> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // Connected: takes packets of this peer only, and learns of its refusal.
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    let left = deadline.saturating_duration_since(Instant::now());
    let pause = (left / SENT).max(Duration::from_millis(1));
    for _ in 1..SENT {
        socket.send(&question.octets).await?;
        if let Ok(answer) = timeout(pause, receive(question, &socket)).await {
            return answer;
        }
    }
    socket.send(&question.octets).await?;
    receive(question, &socket).await
}

/// The next answer to the question. What does not answer it is passed over: it
/// may be somebody's guess.
async fn receive(question: &Question, socket: &UdpSocket) -> Result<Message, Failed> {
    let mut buffer = [0; ANSWER];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let octets = buffer.get(..length).unwrap_or_default();
        if let Ok(answer) = Message::from_vec(octets)
            && question.is_of(&answer)
        {
            return Ok(answer);
        }
    }
}

async fn over_tcp(question: &Question, address: SocketAddr) -> Result<Message, Failed> {
    let mut stream = TcpStream::connect(address).await?;
    let length = u16::try_from(question.octets.len()).unwrap_or(u16::MAX);
    let mut request = length.to_be_bytes().to_vec();
    request.extend_from_slice(&question.octets);
    stream.write_all(&request).await?;
    let length = stream.read_u16().await?;
    let mut octets = vec![0; usize::from(length)];
    stream.read_exact(&mut octets).await?;
    let answer = Message::from_vec(&octets)
        .map_err(|error| Failed::protocol(format!("DNS: not an answer: {error}")))?;
    if question.is_of(&answer) {
        Ok(answer)
    } else {
        Err(Failed::protocol("DNS: the answer is to another question"))
    }
}

//! One question and its answer.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// What the largest UDP answer may measure; enough for any answer over loopback.
const PAYLOAD: u16 = 4096;

/// A name, a type and, if the client says so, the network it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    name: Name,
    record_type: RecordType,
    subnet: Option<ClientSubnet>,
}

impl Question {
    /// A question without client subnet: `Question::new("www.example.com", "A")`.
    ///
    /// # Errors
    /// When the name or the type does not exist.
    pub fn new(name: &str, record_type: &str) -> Result<Self> {
        let mut name: Name = name.parse().with_context(|| format!("name {name:?}"))?;
        name.set_fqdn(true);
        let record_type = record_type.parse();
        let record_type = record_type.map_err(|_| anyhow::anyhow!("no such record type"))?;
        Ok(Self {
            name,
            record_type,
            subnet: None,
        })
    }

    /// The question with a client subnet (RFC 7871), as in `192.0.2.0/24`.
    ///
    /// # Errors
    /// When it is not a network.
    pub fn from_subnet(mut self, subnet: &str) -> Result<Self> {
        let subnet: ClientSubnet = subnet
            .parse()
            .map_err(|_| anyhow::anyhow!("{subnet:?} is not a network"))?;
        self.subnet = Some(subnet);
        Ok(self)
    }

    pub(super) fn message(&self, id: u16) -> Result<Vec<u8>> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(self.name.clone(), self.record_type));
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD);
        if let Some(subnet) = self.subnet {
            edns.options_mut().insert(EdnsOption::Subnet(subnet));
        }
        message.set_edns(edns);
        Ok(message.to_vec()?)
    }

    /// Whether a message answers this question rather than another one.
    pub(super) fn is_of(&self, message: &Message) -> bool {
        let mut queries = message.queries.iter();
        message.metadata.message_type == MessageType::Response
            && queries.any(|query| query.name == self.name && query.query_type == self.record_type)
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.record_type)?;
        match self.subnet {
            Some(subnet) => write!(f, " from {}/{}", subnet.addr(), subnet.source_prefix()),
            None => Ok(()),
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// RCODE.
    pub code: ResponseCode,
    /// AA.
    pub authoritative: bool,
    /// TC.
    pub truncated: bool,
    /// The answer section, in its order.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authorities: Vec<Record>,
    /// The additional section, without EDNS.
    pub additionals: Vec<Record>,
    /// SCOPE PREFIX-LENGTH, when the answer has the client subnet option.
    pub scope: Option<u8>,
    /// From the question until the answer was read.
    pub took: Duration,
}

impl Reply {
    pub(super) fn new(message: Message, took: Duration) -> Self {
        let edns = message.edns.as_ref();
        let scope = match edns.and_then(|edns| edns.option(EdnsCode::Subnet)) {
            Some(EdnsOption::Subnet(subnet)) => Some(subnet.scope_prefix()),
            _ => None,
        };
        Self {
            code: message.metadata.response_code,
            authoritative: message.metadata.authoritative,
            truncated: message.metadata.truncation,
            answers: message.answers,
            authorities: message.authorities,
            additionals: message.additionals,
            scope,
            took,
        }
    }

    /// The data of the answer section, sorted, as in a zone file.
    pub fn values(&self) -> Vec<String> {
        let mut values: Vec<_> = self
            .answers
            .iter()
            .map(|record| record.data.to_string())
            .collect();
        values.sort();
        values
    }

    /// All in one line, without TTLs and the order of records: equal for equal
    /// answers, and fit for messages.
    pub fn summary(&self) -> String {
        let mut records: Vec<_> = self.answers.iter().map(describe).collect();
        records.sort();
        let code = format!("{:?}", self.code);
        match records.as_slice() {
            [] => code,
            records => format!("{code} {}", records.join(", ")),
        }
    }
}

fn describe(record: &Record) -> String {
    format!("{} {} {}", record.name, record.record_type(), record.data)
}

/// Asks over UDP.
///
/// # Errors
/// When there is no answer in time.
pub async fn ask(server: SocketAddr, question: &Question, within: Duration) -> Result<Reply> {
    let socket = UdpSocket::bind(any_port(server)).await?;
    ask_by(&socket, server, question, within).await
}

/// Asks over UDP, by a socket of one's own.
///
/// # Errors
/// When there is no answer in time.
pub async fn ask_by(
    socket: &UdpSocket,
    server: SocketAddr,
    question: &Question,
    within: Duration,
) -> Result<Reply> {
    let answer = timeout(within, ask_udp(socket, server, question)).await;
    answer
        .with_context(|| format!("{server} gave no answer in {within:?}"))
        .flatten()
        .with_context(|| format!("asking {server} for {question}"))
}

/// Asks over TCP.
///
/// # Errors
/// When there is no answer in time.
pub async fn ask_tcp(server: SocketAddr, question: &Question, within: Duration) -> Result<Reply> {
    let answer = timeout(within, async {
        ask_stream(TcpStream::connect(server).await?, question).await
    });
    let answer = answer.await;
    answer
        .with_context(|| format!("{server} gave no answer in {within:?}"))
        .flatten()
        .with_context(|| format!("asking {server} for {question} over TCP"))
}

async fn ask_udp(socket: &UdpSocket, server: SocketAddr, question: &Question) -> Result<Reply> {
    let start = Instant::now();
    socket.connect(server).await?;
    let id = random_id();
    socket.send(&question.message(id)?).await?;
    let mut buffer = vec![0; usize::from(PAYLOAD)];
    loop {
        let size = socket.recv(&mut buffer).await?;
        let message = Message::from_vec(&buffer[..size])?;
        if message.metadata.id == id {
            return reply(question, message, start);
        }
    }
}

/// Asks over a TCP connection of one's own.
///
/// # Errors
/// When it ends before the answer.
pub async fn ask_stream(mut stream: TcpStream, question: &Question) -> Result<Reply> {
    let start = Instant::now();
    let id = random_id();
    let message = question.message(id)?;
    stream.write_u16(u16::try_from(message.len())?).await?;
    stream.write_all(&message).await?;
    let size = stream.read_u16().await?;
    let mut buffer = vec![0; usize::from(size)];
    stream.read_exact(&mut buffer).await?;
    let message = Message::from_vec(&buffer)?;
    ensure!(message.metadata.id == id, "the answer has another id");
    reply(question, message, start)
}

fn reply(question: &Question, message: Message, start: Instant) -> Result<Reply> {
    if !question.is_of(&message) {
        bail!("the answer is to another question");
    }
    Ok(Reply::new(message, start.elapsed()))
}

pub(super) fn any_port(server: SocketAddr) -> SocketAddr {
    let address = match server {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    (address, 0).into()
}

/// The hasher's keys are random, which is all that is wanted.
fn random_id() -> u16 {
    let [first, second, ..] = RandomState::new().hash_one(0_u8).to_be_bytes();
    u16::from_be_bytes([first, second])
}

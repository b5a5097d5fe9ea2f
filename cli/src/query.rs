//! `watershed query`: asks a DNS server one question.

#![allow(clippy::doc_markdown, reason = "doc comments are what `--help` prints")]

use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, Record, RecordType};

use crate::console::Printed;

/// How large an answer by UDP may be: what passes any network in one piece
/// (DNS flag day 2020).
const PAYLOAD: u16 = 1232;
/// How long to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often to ask by UDP, where a question or its answer may be lost.
const ATTEMPTS: u32 = 3;

/// `watershed query`.
#[derive(Debug, Args)]
#[command(after_help = "\
Asks by UDP, three times at most, and again by TCP when the answer was cut short. Prints what `dig` \
prints of an answer, and the ECS scope. Where `dig` is not at hand, as in a cluster, this is.

Examples:
  watershed query www.example.com --server 192.0.2.53
  watershed query www.example.com AAAA --server watershed-dns.watershed-system.svc:53 --tcp
  watershed query www.example.com --server 127.0.0.1:5300 --subnet 130.149.0.0/16

Exit status: 0 when the server answered, whatever it answered; 1 when it did not.")]
pub struct QueryArgs {
    /// What to ask for
    #[arg(value_name = "NAME", value_parser = name)]
    pub name: Name,

    /// The type of its records
    #[arg(value_name = "TYPE", default_value = "A", value_parser = record_type)]
    pub record_type: RecordType,

    /// Whom to ask; the port is 53 where none is given
    #[arg(long, value_name = "HOST[:PORT]")]
    pub server: String,

    /// Ask by TCP only
    #[arg(long)]
    pub tcp: bool,

    /// Ask as if for a client of this network (EDNS Client Subnet)
    #[arg(long, value_name = "CIDR", value_parser = subnet)]
    pub subnet: Option<ClientSubnet>,
}

/// Asks, and prints the answer.
pub(crate) fn run(args: &QueryArgs) -> Printed {
    match args.ask() {
        Ok(answer) => Printed::result(answer.text()),
        Err(error) => Printed::failure(&error),
    }
}

impl QueryArgs {
    fn ask(&self) -> Result<Answer> {
        let question = self.message();
        let mut last = None;
        // Every address of the host, as a Service may have one of each family.
        for server in addresses(&self.server)? {
            match exchange(server, &question, self.tcp) {
                Ok(answer) => return Ok(answer),
                Err(error) => last = Some(error.context(format!("{server} gives no answer"))),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("{} has no address", self.server)))
    }

    fn message(&self) -> Message {
        let [first, second, ..] = RandomState::new().hash_one(0_u8).to_be_bytes();
        let id = u16::from_be_bytes([first, second]);
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(self.name.clone(), self.record_type));
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD);
        if let Some(subnet) = self.subnet {
            edns.options_mut().insert(EdnsOption::Subnet(subnet));
        }
        message.set_edns(edns);
        message
    }
}

/// An answer, from whom, and how.
struct Answer {
    message: Message,
    server: SocketAddr,
    transport: &'static str,
    took: Duration,
}

fn exchange(server: SocketAddr, question: &Message, tcp: bool) -> Result<Answer> {
    let start = Instant::now();
    let (mut transport, mut message) = ("TCP", None);
    if !tcp {
        message = Some(by_udp(server, question)?).filter(|answer| !answer.metadata.truncation);
        transport = message.as_ref().map_or("TCP", |_| "UDP");
    }
    let message = match message {
        Some(message) => message,
        None => by_tcp(server, question)?,
    };
    Ok(Answer {
        message,
        server,
        transport,
        took: start.elapsed(),
    })
}

fn by_udp(server: SocketAddr, question: &Message) -> Result<Message> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    let octets = question.to_vec()?;
    for _ in 0..ATTEMPTS {
        socket.send(&octets)?;
        if let Some(answer) = receive(&socket, question)? {
            return Ok(answer);
        }
    }
    bail!("nothing came by UDP, asked {ATTEMPTS} times within {PATIENCE:?} each")
}

/// The answer; none when it does not come in time.
fn receive(socket: &UdpSocket, question: &Message) -> Result<Option<Message>> {
    let end = Instant::now() + PATIENCE;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv(&mut buffer) {
            Ok(size) => {
                // What is no answer to this is from somebody else.
                let answer = Message::from_vec(&buffer[..size]).ok();
                if let Some(answer) = answer.filter(|answer| is_answer(answer, question)) {
                    return Ok(Some(answer));
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn by_tcp(server: SocketAddr, question: &Message) -> Result<Message> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).context("by TCP")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let octets = question.to_vec()?;
    let length = u16::try_from(octets.len())?;
    stream.write_all(&[&length.to_be_bytes()[..], &octets].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).context("by TCP")?;
    let mut buffer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut buffer).context("by TCP")?;
    let answer = Message::from_vec(&buffer)?;
    ensure!(
        is_answer(&answer, question),
        "what came is no answer to this"
    );
    Ok(answer)
}

fn is_answer(answer: &Message, question: &Message) -> bool {
    answer.metadata.message_type == MessageType::Response
        && answer.metadata.id == question.metadata.id
        && (answer.queries.is_empty() || answer.queries == question.queries)
}

impl Answer {
    fn text(&self) -> String {
        let mut text = String::new();
        let message = &self.message;
        for (title, records) in [
            ("answer", &message.answers),
            ("authority", &message.authorities),
        ] {
            if !records.is_empty() {
                // Writing to a String cannot fail.
                let _ = writeln!(text, ";; {title}");
                text.extend(records.iter().map(line));
            }
        }
        let authority = if message.metadata.authoritative {
            ", authoritative"
        } else {
            ""
        };
        let (server, transport) = (self.server, self.transport);
        let milliseconds = self.took.as_secs_f64() * 1000.0;
        let _ = writeln!(
            text,
            ";; {}{authority}, from {server} by {transport} in {milliseconds:.1} ms{}",
            message.metadata.response_code,
            self.scope(),
        );
        text
    }

    fn scope(&self) -> String {
        let edns = self.message.edns.as_ref();
        match edns.and_then(|edns| edns.option(EdnsCode::Subnet)) {
            Some(EdnsOption::Subnet(subnet)) => {
                format!(", for clients of the same /{}", subnet.scope_prefix())
            }
            _ => String::new(),
        }
    }
}

/// A record as in a zone file.
fn line(record: &Record) -> String {
    format!(
        "{} {} {} {} {}\n",
        record.name,
        record.ttl,
        record.dns_class,
        record.record_type(),
        record.data
    )
}

fn addresses(server: &str) -> Result<Vec<SocketAddr>> {
    if let Ok(address) = server.parse::<IpAddr>() {
        return Ok(vec![(address, 53).into()]);
    }
    let with_port = server
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let found = if with_port {
        server.to_socket_addrs()
    } else {
        (server, 53).to_socket_addrs()
    };
    let found = found.with_context(|| format!("{server} is not known"))?;
    Ok(found.collect())
}

fn name(text: &str) -> Result<Name, String> {
    let mut name: Name = text
        .parse()
        .map_err(|error| format!("not a domain name: {error}"))?;
    name.set_fqdn(true);
    Ok(name)
}

fn record_type(text: &str) -> Result<RecordType, String> {
    text.to_uppercase()
        .parse()
        .map_err(|_| "not a record type, such as A or AAAA".to_owned())
}

fn subnet(text: &str) -> Result<ClientSubnet, String> {
    text.parse()
        .map_err(|_| "not a network, such as 192.0.2.0/24".to_owned())
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn servers_are_hosts_with_or_without_a_port() {
        for (text, address) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5300", "192.0.2.1:5300"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]:5300", "[2001:db8::1]:5300"),
        ] {
            let address: SocketAddr = address.parse().expect(address);
            assert_eq!(addresses(text).expect(text), [address], "{text}");
        }
        assert!(addresses("no such host").is_err());
    }

    /// A server that answers by UDP once, as `change` makes it.
    fn server(change: impl FnOnce(&mut Message) + Send + 'static) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = socket.local_addr().expect("an address");
        thread::spawn(move || {
            let mut buffer = [0; 512];
            let (size, client) = socket.recv_from(&mut buffer).expect("a question");
            let mut message = Message::from_vec(&buffer[..size]).expect("a message");
            message.metadata.message_type = MessageType::Response;
            change(&mut message);
            let octets = message.to_vec().expect("a message");
            // Of somebody else first.
            socket.send_to(b"nonsense", client).expect("sent");
            socket.send_to(&octets, client).expect("sent");
        });
        address
    }

    fn args(server: SocketAddr) -> QueryArgs {
        QueryArgs {
            name: name("www.example.com").expect("a name"),
            record_type: record_type("aaaa").expect("a type"),
            server: server.to_string(),
            tcp: false,
            subnet: Some(subnet("192.0.2.0/24").expect("a network")),
        }
    }

    #[test]
    fn an_answer_is_printed_with_its_scope() {
        let server = server(|message| message.metadata.authoritative = true);
        let text = args(server).ask().expect("an answer").text();
        assert!(
            text.starts_with(&format!(
                ";; No Error, authoritative, from {server} by UDP in "
            )),
            "{text}"
        );
        assert!(text.ends_with(", for clients of the same /0\n"), "{text}");
    }

    #[test]
    fn what_was_cut_short_is_asked_for_by_tcp() {
        // Nobody listens there for TCP.
        let server = server(|message| message.metadata.truncation = true);
        let error = args(server).ask().err().expect("no answer");
        assert!(format!("{error:#}").contains("by TCP"), "{error:#}");
    }
}

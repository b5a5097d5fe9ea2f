//! The program `watershed-dns`, started for a test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::await_some;

/// A running node. It is killed when dropped.
pub(crate) struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    dns: SocketAddr,
    http: SocketAddr,
}

/// A response code with the data of the answer section, sorted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer(pub(crate) ResponseCode, pub(crate) Vec<String>);

impl Answer {
    pub(crate) fn of(data: &[&str]) -> Self {
        let data = data.iter().map(ToString::to_string);
        Self(ResponseCode::NoError, data.collect())
    }

    pub(crate) fn refused() -> Self {
        Self(ResponseCode::Refused, Vec::new())
    }
}

/// The arguments that nodes share: certificates, state, and operators.
pub(crate) fn arguments(tls: &Path, state: &Path, operators: &[&str]) -> Vec<String> {
    let mut arguments = vec![
        format!("--tls-dir={}", tls.display()),
        format!("--state={}", state.display()),
        "--drain-seconds=0".into(),
    ];
    arguments.extend(
        operators
            .iter()
            .map(|address| format!("--operator={address}")),
    );
    arguments
}

impl Process {
    pub(crate) fn start(arguments: &[String]) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_watershed-dns")), arguments)
    }

    /// Starts it in a shell after `setting`, such as a limit.
    pub(crate) fn start_after(setting: &str, arguments: &[String]) -> Self {
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(format!("{setting}; exec \"$0\" \"$@\""));
        shell.arg(env!("CARGO_BIN_EXE_watershed-dns"));
        Self::spawn(shell, arguments)
    }

    fn spawn(mut command: Command, arguments: &[String]) -> Self {
        let mut child = command
            .args(["--node=n1", "--region=r1"])
            .args(["--listen=127.0.0.1:0", "--http=127.0.0.1:0"])
            .args(arguments)
            .env_remove("RUST_LOG")
            .env_remove("WATERSHED_CA")
            .env_remove("WATERSHED_TOKEN")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut process = Self {
            child,
            log,
            dns: unknown,
            http: unknown,
        };
        process.dns = process.address_of("answering queries");
        process.http = process.address_of("serving HTTP");
        process
    }

    /// The address in the log line that says this.
    fn address_of(&mut self, message: &str) -> SocketAddr {
        let log = Arc::clone(&self.log);
        let child = &mut self.child;
        await_some(message, || {
            let lines = log.lock().unwrap();
            if let Some(status) = child.try_wait().unwrap() {
                panic!("ended with {status}: {lines:#?}");
            }
            let line = lines.iter().find(|line| line.contains(message))?;
            let (_, after) = line.split_once("\"address\":\"")?;
            after.split_once('"')?.0.parse().ok()
        })
    }

    /// Waits for a log line that has this text.
    pub(crate) fn await_log(&self, text: &str) -> String {
        await_some(text, || {
            let lines = self.log.lock().unwrap();
            lines.iter().find(|line| line.contains(text)).cloned()
        })
    }

    /// All that it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Asks for addresses by UDP.
    pub(crate) fn ask(&self, name: &str) -> Answer {
        let mut query = Message::new(4711, MessageType::Query, OpCode::Query);
        let qname = Name::from_ascii(format!("{name}.")).unwrap();
        query.add_query(Query::query(qname, RecordType::A));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        socket.connect(self.dns).unwrap();
        socket.send(&query.to_vec().unwrap()).unwrap();
        let mut reply = [0; 1232];
        let len = socket.recv(&mut reply).expect("no reply");
        let reply = Message::from_vec(&reply[..len]).unwrap();
        let data = reply.answers.iter().map(|record| record.data.to_string());
        let mut data: Vec<String> = data.collect();
        data.sort();
        Answer(reply.metadata.response_code, data)
    }

    /// Status and body of a page.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.http).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    /// The value of a metric, by its name with labels.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line?.parse().ok()
    }

    pub(crate) fn await_metric(&self, name: &str, value: f64) {
        await_some(&format!("{name} {value}"), || {
            self.metric(name)
                .filter(|found| (found - value).abs() < f64::EPSILON)
        });
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let child = &mut self.child;
        await_some("the end of the node", || child.try_wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the node's log: {:#?}", self.log.lock());
        }
    }
}

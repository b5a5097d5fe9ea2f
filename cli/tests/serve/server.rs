//! A running server over a directory of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsOption};
use hickory_proto::rr::{Name, RecordType};
use tempfile::TempDir;

/// How long a condition may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A zone example.com in the namespace shop, with a name server.
pub(crate) const ZONE: &str = "
apiVersion: watershed.dev/v1alpha1
kind: HostedZone
metadata: {name: example-com, namespace: shop}
spec:
  domain: example.com
  nameservers: {names: [ns1.example.net.], glue: None}
";

/// The policy `web`: version `number` answers with 192.0.2.`number`.
pub(crate) fn policy(number: u8) -> String {
    policy_of(Some(number), &format!("192.0.2.{number}"))
}

/// The policy `web` with one endpoint.
pub(crate) fn policy_of(version: Option<u8>, address: &str) -> String {
    let version = version.map_or(String::new(), |number| format!("version: {number}"));
    format!(
        "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {{name: web, namespace: shop}}
spec:
  {version}
  document:
    recordTypes: [A]
    startEndpoint: only
    endpoints: {{only: {{addresses: [{address}]}}}}
"
    )
}

/// A record `name` that serves what `serves` says, such as `version: 1`.
pub(crate) fn record(name: &str, serves: &str) -> String {
    format!(
        "
apiVersion: watershed.dev/v1alpha1
kind: PolicyRecord
metadata: {{name: {name}, namespace: shop}}
spec:
  hostedZoneRef: {{name: example-com}}
  name: {name}
  policyRef: {{name: web}}
  {serves}
"
    )
}

/// A directory of manifests, a state directory, and maybe a server.
pub(crate) struct Site {
    pub(crate) manifests: TempDir,
    pub(crate) state: TempDir,
}

impl Site {
    /// With the zone in `zone.yaml`.
    pub(crate) fn new() -> Self {
        let site = Self {
            manifests: tempfile::tempdir().unwrap(),
            state: tempfile::tempdir().unwrap(),
        };
        site.write("zone.yaml", ZONE);
        site
    }

    /// Replaces a file as editors do: whole, by a rename.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let aside = self.state.path().join("aside");
        fs::write(&aside, text).unwrap();
        fs::rename(&aside, self.manifests.path().join(name)).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.manifests.path().join(name)).unwrap();
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.state.path().join("kept")
    }

    /// A command that serves this site at an address.
    pub(crate) fn command(&self, listen: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watershed"));
        command.arg("serve").arg(self.manifests.path());
        command
            .args(["--listen", listen, "--state"])
            .arg(self.state_dir());
        command
    }

    pub(crate) fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    pub(crate) fn serve_with(&self, options: &[(&str, &Path)]) -> Server {
        let mut command = self.command("127.0.0.1:0");
        for (option, path) in options {
            command.arg(option).arg(path);
        }
        self.start(command)
    }

    pub(crate) fn start(&self, mut command: Command) -> Server {
        let log = self.state.path().join("log");
        let log_file = fs::File::create(&log).unwrap();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut welcome = String::new();
        while !welcome.contains("127.0.0.1:") {
            let read = out.read_line(&mut welcome).unwrap();
            assert!(
                read > 0,
                "no address in: {welcome}\n{}",
                fs::read_to_string(&log).unwrap()
            );
        }
        let from = welcome.find("127.0.0.1:").unwrap();
        let address = welcome[from..].split_whitespace().next().unwrap();
        Server {
            address: address.trim_end_matches(['.', ',']).parse().unwrap(),
            child,
            log,
        }
    }
}

/// A running server; it is stopped when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
    log: PathBuf,
}

/// What a query got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) code: ResponseCode,
    pub(crate) values: Vec<String>,
}

impl Answer {
    pub(crate) fn of(values: &[&str]) -> Self {
        Self {
            code: ResponseCode::NoError,
            values: values.iter().map(ToString::to_string).collect(),
        }
    }

    pub(crate) fn none(code: ResponseCode) -> Self {
        Self {
            code,
            values: Vec::new(),
        }
    }
}

impl Server {
    /// Asks for the A records of `name`.
    pub(crate) fn ask(&self, name: &str) -> Answer {
        self.ask_from(name, None)
    }

    /// Asks as a resolver that tells its client's network.
    pub(crate) fn ask_from(&self, name: &str, subnet: Option<&str>) -> Answer {
        let mut query = Message::new(1, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
        if let Some(subnet) = subnet {
            let mut edns = Edns::new();
            let subnet: ClientSubnet = subnet.parse().unwrap();
            edns.options_mut().insert(EdnsOption::Subnet(subnet));
            query.edns = Some(edns);
        }
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
            .send_to(&query.to_vec().unwrap(), self.address)
            .unwrap();
        let mut reply = [0; 4096];
        let length = socket.recv(&mut reply).unwrap();
        let reply = Message::from_vec(&reply[..length]).unwrap();
        let mut values: Vec<_> = reply.answers.iter().map(|r| r.data.to_string()).collect();
        values.sort();
        Answer {
            code: reply.metadata.response_code,
            values,
        }
    }

    /// Asks until the answer is as expected.
    #[track_caller]
    pub(crate) fn await_answer(&self, name: &str, expected: &Answer) {
        await_condition(
            || self.ask(name) == *expected,
            || {
                format!(
                    "{name}: {:?}, not {expected:?}\n{}",
                    self.ask(name),
                    self.log()
                )
            },
        );
    }

    /// Waits until the log has a text.
    #[track_caller]
    pub(crate) fn await_log(&self, text: &str) {
        await_condition(
            || self.log().contains(text),
            || format!("no `{text}` in:\n{}", self.log()),
        );
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Sends a signal by name and waits for the end; the exit status.
    pub(crate) fn stop(&mut self, signal: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", signal, &id])
            .status()
            .unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been stopped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn await_condition(mut holds: impl FnMut() -> bool, explain: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{}", explain());
        std::thread::sleep(Duration::from_millis(20));
    }
}

//! The program itself, as far as it goes without a cluster.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// Nobody listens at port 1.
const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: 'https://127.0.0.1:1'}}]
users: [{name: nobody, user: {token: none}}]
contexts: [{name: none, context: {cluster: none, user: nobody}}]
current-context: none
";

const PATIENCE: Duration = Duration::from_secs(30);

/// The program with a cluster that does not answer.
struct Program {
    directory: TempDir,
    child: Option<Child>,
}

impl Program {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("kubeconfig"), KUBECONFIG).expect("written");
        Self {
            directory,
            child: None,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watershed-operator"));
        command
            .args(arguments)
            .env("KUBECONFIG", self.directory.path().join("kubeconfig"))
            .env_remove("POD_NAME")
            .env_remove("WATERSHED_ENROL")
            .env_remove("POD_NAMESPACE")
            .env("RUST_LOG", "info,watershed_operator=debug,kube_client=off")
            .stdin(Stdio::null());
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("it starts")
    }

    fn start(arguments: &[&str]) -> Self {
        let mut program = Self::new();
        let log = fs::File::create(program.log()).expect("a log");
        let anywhere = ["--fleet-listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        let all: Vec<&str> = ["run"].into_iter().chain(anywhere).collect();
        let all: Vec<&str> = all.into_iter().chain(arguments.iter().copied()).collect();
        let child = program.command(&all).stderr(log).spawn();
        program.child = Some(child.expect("it starts"));
        program
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// What it has logged with this message.
    fn said(&self, message: &str) -> Vec<Value> {
        let log = fs::read_to_string(self.log()).expect("a log");
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let fields = lines.map(|mut line: Value| line["fields"].take());
        fields
            .filter(|fields| fields["message"] == message)
            .collect()
    }

    fn until_said(&self, message: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(fields) = self.said(message).into_iter().next() {
                return fields;
            }
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            assert!(Instant::now() < deadline, "{message}: not in\n{log}");
            sleep(Duration::from_millis(20));
        }
    }

    /// Status line and body of a page.
    fn get(&self, path: &str) -> (String, String) {
        let address = self.until_said("starting")["http"].take();
        let mut stream = TcpStream::connect(address.as_str().expect("an address")).expect("HTTP");
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.lines().next().expect("a status");
        (status.to_owned(), body.to_owned())
    }

    /// Sends a signal; gives how it ended and how long that took.
    fn end(&mut self, signal: Signal) -> (Option<i32>, Duration) {
        let child = self.child.as_mut().expect("it was started");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        kill(pid, signal).expect("it runs");
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = child.try_wait().expect("a child") {
                return (status.code(), began.elapsed());
            }
            sleep(Duration::from_millis(5));
        }
        panic!("it did not end");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[test]
fn without_api_server_it_waits_says_so_once_and_ends_when_told() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut program = Program::start(&["--pod-name", "a"]);
        let away = "cannot reach the API server; trying until it answers";
        let error = program.until_said(away)["error"].take();
        let error = error.as_str().expect("text").to_lowercase();
        assert!(error.contains("connection refused"), "{error}");

        assert_eq!(program.get("/healthz").0, "HTTP/1.1 200 OK");
        let (status, body) = program.get("/readyz");
        assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
        assert_eq!(body, "the cluster is not known yet\n");

        program.until_said("the API server is still away");
        program.until_said("a request for the lease failed");
        let (code, took) = program.end(signal);
        assert_eq!(code, Some(0));
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert_eq!(program.said(away).len(), 1);
        assert_eq!(program.said("cannot reach the lease").len(), 1);
        assert_eq!(program.until_said("stopping")["signal"], signal.as_str());
        program.until_said("stopped");
    }
}

#[test]
fn the_page_names_every_metric() {
    let page = include_str!("../../docs/metrics.md");
    let program = Program::start(&[]);
    let (_, text) = program.get("/metrics");
    let names: Vec<&str> = (text.lines())
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    assert!(names.len() > 8, "{text}");
    for name in names {
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
}

#[test]
fn what_no_wait_would_mend_ends_it_with_the_reason() {
    let program = Program::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken
        .local_addr()
        .map(|address| (taken, address.to_string()));
    let (_listener, address) = taken.expect("an address");
    let nowhere = program.directory.path().join("tls");
    let nowhere = nowhere.to_str().expect("text");
    let free = [
        "run",
        "--log-format",
        "text",
        "--fleet-listen",
        "127.0.0.1:0",
    ];
    let cases: [(&[&str], &str); 2] = [
        (&["--http", &address], &address),
        (&["--http", "127.0.0.1:0", "--tls-dir", nowhere], "ca.crt"),
    ];
    for (flags, reason) in cases {
        let flags: Vec<&str> = free.iter().chain(flags).copied().collect();
        let output = program.output(&flags);
        assert_eq!(output.status.code(), Some(1));
        let log = stderr(&output);
        let last = log.lines().last().unwrap_or_default();
        assert!(last.contains("the operator cannot go on"), "{log}");
        assert!(log.contains(reason), "{log}");
    }
}

#[test]
fn errors_at_a_terminal_are_one_line() {
    let program = Program::new();
    let commands: [&[&str]; 2] = [
        &["run", "--dry-run"],
        &["certificate", "--node", "dns-1", "--out", "certificates"],
    ];
    for command in commands {
        let output = program.output(command);
        assert_eq!(output.status.code(), Some(1));
        let said = stderr(&output);
        assert!(
            said.starts_with("error: ") && said.lines().count() == 1,
            "{said}"
        );
        assert!(said.to_lowercase().contains("connection refused"), "{said}");
    }
}

#[test]
fn a_command_line_that_is_wrong_has_another_status() {
    let program = Program::new();
    for command in [
        &["run", "--lease-seconds", "1"][..],
        &["run", "--advertise", "2001:db8::1"],
        &["run", "--tls-dir", "tls", "--dns-name", "a.example.com"],
        &["run", "--tls-dir", "tls", "--enrol", "a/b=c"],
        &["run", "--enrol", "a/b"],
        &["certificate", "--node", "dns-1"],
    ] {
        let output = program.output(command);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    }
}

//! Probes of real servers on the loopback interface.

mod dns;
mod grpc;
mod http;
mod prober;
mod prometheus;
mod tcp;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use watershed_health::{Address, Check, CheckerChoice, HttpProbe, Outcome, ProbeKind, Target};

use crate::client::Client;
use crate::{Allowed, Config, Result as ProbeResult};

/// Loopback addresses may be probed.
fn config() -> Config {
    Config {
        allowed: Allowed::new(vec![
            "127.0.0.0/8".parse().unwrap(),
            "::1/128".parse().unwrap(),
        ]),
        ..Config::default()
    }
}

fn check(kind: ProbeKind) -> Check {
    Check {
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(5),
        checkers: CheckerChoice {
            per_target: 1,
            min_locations: 1,
            ..CheckerChoice::default()
        },
        stale_after: Duration::from_secs(30),
        ..Check::new(kind)
    }
}

fn target(address: &str) -> Target {
    Target {
        check: "shop/web".to_owned(),
        address: Some(Address::parse(address)),
    }
}

/// Probes once.
async fn probe(kind: ProbeKind) -> ProbeResult {
    probe_with(config(), &check(kind), "127.0.0.1").await
}

/// Probes once what should be silent.
async fn probe_silent(kind: ProbeKind) -> ProbeResult {
    let check = Check {
        timeout: Duration::from_millis(300),
        ..check(kind)
    };
    probe_with(config(), &check, "127.0.0.1").await
}

async fn probe_with(config: Config, check: &Check, address: &str) -> ProbeResult {
    let client = Client::new(config).unwrap();
    client.probe(&target(address), check).await
}

#[track_caller]
fn assert_passes(result: &ProbeResult, message: &str) {
    assert_eq!(result.outcome, Outcome::Success(message.to_owned()));
    assert_eq!(result.kind, "ok");
}

#[track_caller]
fn assert_fails(result: &ProbeResult, kind: &str, message: &str) {
    assert_eq!(result.outcome, Outcome::Failure(message.to_owned()));
    assert_eq!(result.kind, kind);
}

fn http(port: u16) -> HttpProbe {
    HttpProbe {
        tls: None,
        port,
        path: "/health".to_owned(),
        host: None,
        headers: Vec::new(),
        expected_statuses: vec![(200, 399)],
        search_string: None,
    }
}

/// A server that does the same with every connection.
async fn serve<F>(with: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(with(stream));
        }
    });
    address
}

/// A server that answers every request with these octets and closes.
async fn answering(answer: impl Into<Vec<u8>>) -> u16 {
    let answer: Arc<Vec<u8>> = Arc::new(answer.into());
    let address = serve(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            read_request(&mut stream).await;
            // The probe may have seen enough.
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        }
    });
    address.await.port()
}

/// Reads up to the empty line.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(octet) => request.push(octet),
            Err(_) => break,
        }
    }
    String::from_utf8(request).unwrap()
}

/// A port at which nobody listens.
async fn unused_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

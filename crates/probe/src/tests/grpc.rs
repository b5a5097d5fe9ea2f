use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use watershed_health::GrpcProbe;

use super::*;

fn grpc(port: u16, service: &str) -> ProbeKind {
    ProbeKind::Grpc(GrpcProbe {
        port,
        service: service.to_owned(),
        tls: None,
    })
}

async fn server() -> u16 {
    let (reporter, service) = tonic_health::server::health_reporter();
    let states = [
        ("shop", ServingStatus::Serving),
        ("cart", ServingStatus::NotServing),
    ];
    for (name, state) in states {
        reporter.set_service_status(name, state).await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(async move {
        // The states are the reporter's.
        let _reporter = reporter;
        Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming)
            .await
    });
    port
}

#[tokio::test]
async fn what_the_server_says_counts() {
    let port = server().await;
    assert_passes(&probe(grpc(port, "")).await, "gRPC SERVING");
    assert_passes(&probe(grpc(port, "shop")).await, "gRPC SERVING");
    let result = probe(grpc(port, "cart")).await;
    assert_fails(&result, "status", "gRPC NOT_SERVING");
    let result = probe(grpc(port, "fish")).await;
    assert_fails(&result, "status", "gRPC: unknown service \"fish\"");
}

#[tokio::test]
async fn what_is_not_grpc_fails() {
    let port = answering("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let result = probe(grpc(port, "")).await;
    assert!(matches!(result.kind, "protocol" | "reset"), "{result:?}");
    assert!(matches!(result.outcome, Outcome::Failure(_)));
    let result = probe(grpc(unused_port().await, "")).await;
    assert_fails(&result, "refused", "connection refused");
}

#[tokio::test]
async fn silence_ends_with_the_timeout() {
    let address = serve(|mut stream| async move {
        let mut octets = [0; 100];
        while stream.read(&mut octets).await.is_ok_and(|read| read > 0) {}
    });
    let result = probe_silent(grpc(address.await.port(), "")).await;
    assert_fails(&result, "timeout", "no answer in 300 ms");
}

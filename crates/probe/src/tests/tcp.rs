use watershed_health::TcpProbe;

use super::*;

fn tcp(port: u16) -> ProbeKind {
    ProbeKind::Tcp(TcpProbe { port })
}

#[tokio::test]
async fn a_connection_is_enough() {
    let address = serve(|_| async {}).await;
    assert_passes(&probe(tcp(address.port())).await, "connected");
}

#[tokio::test]
async fn a_refusal_is_named() {
    let port = unused_port().await;
    assert_fails(&probe(tcp(port)).await, "refused", "connection refused");
}

#[tokio::test]
async fn names_are_looked_up() {
    let address = serve(|_| async {}).await;
    let kind = check(tcp(address.port()));
    let result = probe_with(config(), &kind, "localhost").await;
    assert_passes(&result, "connected");
    let result = probe_with(config(), &kind, "not a name..").await;
    assert_eq!(result.kind, "dns", "{result:?}");
}

#[tokio::test]
async fn forbidden_addresses_are_sent_nothing() {
    let (sender, mut connections) = tokio::sync::mpsc::unbounded_channel();
    let address = serve(move |_| {
        sender.send(()).unwrap();
        async {}
    });
    let kind = check(tcp(address.await.port()));
    for address in [
        "127.0.0.1",
        "::ffff:127.0.0.1",
        "::1",
        "localhost",
        "0.0.0.0",
    ] {
        let result = probe_with(Config::default(), &kind, address).await;
        assert_eq!(result.kind, "forbidden", "{address}");
        let Outcome::Nothing(message) = &result.outcome else {
            panic!("{result:?}");
        };
        assert!(message.contains("--probe-allow"), "{message}");
    }
    assert!(connections.try_recv().is_err());
}

use tokio::sync::mpsc;
use watershed_health::TcpProbe;

use super::*;
use crate::{Assignment, Prober};

#[tokio::test]
async fn assigned_targets_are_probed_until_they_no_longer_are() {
    let open = serve(|_| async {}).await.port();
    let (sender, mut results) = mpsc::channel(10);
    let prober = Prober::start(config(), sender).unwrap();
    let assignment = |port| Assignment {
        target: target("127.0.0.1"),
        check: Arc::new(check(ProbeKind::Tcp(TcpProbe { port }))),
        rank: 0,
        of: 1,
        own_account: false,
    };
    prober.assign(vec![assignment(open)]);
    assert_passes(&results.recv().await.unwrap(), "connected");
    assert_passes(&results.recv().await.unwrap(), "connected");

    prober.assign(vec![assignment(unused_port().await)]);
    // A result that was sent before may still come.
    let mut result = results.recv().await.unwrap();
    if result.kind == "ok" {
        result = results.recv().await.unwrap();
    }
    assert_fails(&result, "refused", "connection refused");

    drop(prober);
    // The channel ends when probing has.
    while results.recv().await.is_some() {}
}

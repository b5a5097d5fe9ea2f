//! Nodes that get their certificates for tokens of their pods, by the word of a
//! real API server.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::DeleteParams;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic::{Code, Request};
use tonic_prost::ProstCodec;
use watershed_e2e::enrol::{AUDIENCE, Token, make_account, make_pod, published_ca};
use watershed_e2e::fleet::Node;
use watershed_e2e::ports::free_address;
use watershed_e2e::{Launch, Process, binaries, eventually};

use crate::measure::Metrics;
use crate::shop::Shop;
use crate::support::{Fleet, HOME, SOON, Setup};

/// The account of the nodes.
const ACCOUNT: &str = "watershed-dns";

fn of_pod(pod: &str) -> Token<'_> {
    Token {
        namespace: HOME,
        account: ACCOUNT,
        pod: Some(pod),
        audience: AUDIENCE,
    }
}

/// Operators that enrol nodes, and no nodes.
async fn start(name: &str, operators: usize) -> Result<Fleet> {
    let permit = format!("{HOME}/{ACCOUNT}=default");
    let fleet = Fleet::start(Setup {
        nodes: 0,
        operators,
        managed_certificates: true,
        operator_args: ["--enrol", &permit, "--lease-seconds", "3"]
            .map(str::to_owned)
            .to_vec(),
        ..Setup::named(name)
    })
    .await?;
    for account in [ACCOUNT, "other"] {
        make_account(&fleet.cluster, HOME, account).await?;
    }
    Ok(fleet)
}

/// A node process with a token, and the operator that it knows.
async fn node(
    fleet: &Fleet,
    name: &str,
    token: &str,
    operator: SocketAddr,
    args: &[&str],
) -> Result<Node> {
    let dir = fleet.cluster.dir().join(name);
    fs::create_dir_all(&dir)?;
    let file = |name: &str, text: &str| -> Result<PathBuf> {
        let path = dir.join(name);
        fs::write(&path, text)?;
        Ok(path)
    };
    let (dns, http) = (free_address()?, free_address()?);
    let launch = Launch::new(name, binaries::dns()?, dir.join("node.log"))
        .args(["--listen", &dns.to_string(), "--http", &http.to_string()])
        .args(["--drain-seconds", "0", "--node", name])
        .args(["--operator", &operator.to_string()])
        .arg("--ca")
        .arg(file(
            "ca.crt",
            &published_ca(&fleet.cluster, HOME, None).await?,
        )?)
        .arg("--token")
        .arg(file("token", token)?)
        .args(args);
    Ok(Node {
        process: Process::start(launch)?,
        dns,
        http,
        name: name.to_owned(),
    })
}

/// Waits until a node has logged this.
async fn says(process: &Process, reason: &str) -> Result<()> {
    let what = format!("it says `{reason}`");
    let said = async || {
        let log = fs::read_to_string(process.log())?;
        ensure!(log.contains(reason), "not yet");
        Ok(())
    };
    process.eventually(&what, SOON, said).await
}

#[tokio::test]
async fn nodes_enrol_at_any_replica_with_the_tokens_of_their_pods() -> Result<()> {
    let mut fleet = start("enrol", 2).await?;
    let known: Vec<SocketAddr> = fleet.operators.iter().map(|one| one.fleet).collect();
    // One of the replicas follows, and sends its node to the other when that
    // has its certificate.
    for (number, operator) in known.into_iter().enumerate() {
        let name = format!("dns-{number}");
        make_pod(&fleet.cluster, HOME, &name, ACCOUNT).await?;
        let token = of_pod(&name).make(&fleet.cluster).await?;
        let node = node(&fleet, &name, &token, operator, &[]).await?;
        fleet.nodes.push(node);
    }
    let shop = Shop::open_in(fleet).await?;
    shop.serve(2).await?;
    shop.serves_everywhere(2).await?;
    for operator in &shop.fleet.operators {
        let metrics = Metrics::of(operator.http).await?;
        let issued = metrics.sum("watershed_fleet_enrolments_total", &["outcome=\"issued\""]);
        ensure!((issued - 1.0).abs() < f64::EPSILON, "{issued} issued");
    }
    for node in &shop.fleet.nodes {
        let log = fs::read_to_string(node.process.log())?;
        let token = fs::read_to_string(shop.fleet.cluster.dir().join(&node.name).join("token"))?;
        ensure!(!log.contains(&token), "the token is in the log");
    }
    Ok(())
}

#[tokio::test]
async fn who_may_not_enrol_is_told_why() -> Result<()> {
    let fleet = start("no-enrol", 1).await?;
    let operator = fleet.operators.first().context("no operator")?.fleet;
    for (pod, account) in [("dns-0", ACCOUNT), ("gone", ACCOUNT), ("other-0", "other")] {
        make_pod(&fleet.cluster, HOME, pod, account).await?;
    }
    let good = of_pod("dns-0").make(&fleet.cluster).await?;
    let other = Token {
        account: "other",
        ..of_pod("other-0")
    };
    let vault = Token {
        audience: "vault",
        ..of_pod("dns-0")
    };
    let unbound = Token {
        pod: None,
        ..of_pod("dns-0")
    };
    let gone = of_pod("gone").make(&fleet.cluster).await?;
    let pods: Api<Pod> = Api::namespaced(fleet.cluster.client(), HOME);
    pods.delete("gone", &DeleteParams::default()).await?;
    let not_accepted = "the API server does not accept the token";
    let cases = [
        ("garbage", "nonsense".to_owned(), not_accepted),
        ("gone", gone, not_accepted),
        ("vault", vault.make(&fleet.cluster).await?, not_accepted),
        (
            "other-0",
            other.make(&fleet.cluster).await?,
            "start the operator with --enrol watershed-system/other=default",
        ),
        (
            "unbound",
            unbound.make(&fleet.cluster).await?,
            "is not bound to a pod",
        ),
        ("dns-9", good.clone(), "start it with --node dns-0"),
    ];
    for (name, token, reason) in cases {
        let node = node(&fleet, name, &token, operator, &[]).await?;
        says(&node.process, reason).await?;
    }
    let edge = node(&fleet, "dns-0", &good, operator, &["--fleet", "edge"]).await?;
    says(&edge.process, "of fleet edge, only of default").await?;
    Ok(())
}

#[tokio::test]
async fn a_stream_is_for_those_whose_certificate_names_the_fleet() -> Result<()> {
    let fleet = start("certified", 1).await?;
    let operator = fleet.operators.first().context("no operator")?;
    let address = operator.fleet;
    let ca = published_ca(&fleet.cluster, HOME, None).await?;
    let status = sync_without_certificate(address, &ca).await?;
    ensure!(status.code() == Code::PermissionDenied, "{status}");
    ensure!(
        status.message().contains("has shown no certificate"),
        "{status}"
    );

    // A certificate of another fleet, by the operator's own command.
    let dir = fleet.cluster.dir().join("edge");
    let certificate = Launch::new(
        "certificate",
        binaries::operator()?,
        fleet.cluster.dir().join("certificate.log"),
    )
    .args(["certificate", "--namespace", HOME, "--fleet", "edge"])
    .args(["--node", "dns-0", "--out"])
    .arg(&dir)
    .env("KUBECONFIG", fleet.cluster.kubeconfig());
    let certificate = Process::start(certificate)?;
    eventually("the certificate is written", SOON, async || {
        let status = certificate.exited().context("it runs")?;
        ensure!(status.success(), "{}", certificate.last_words());
        Ok(())
    })
    .await?;
    let (dns, http) = (free_address()?.to_string(), free_address()?.to_string());
    let stranger = Launch::new("edge", binaries::dns()?, dir.join("node.log"))
        .args(["--listen", &dns, "--http", &http, "--node", "dns-0"])
        .args(["--operator", &address.to_string(), "--fleet", "default"])
        .arg("--tls-dir")
        .arg(&dir);
    let stranger = Process::start(stranger)?;
    says(
        &stranger,
        "the node says that it is of fleet default, its certificate says edge",
    )
    .await
}

/// Opens a stream without a certificate; how that is refused.
async fn sync_without_certificate(address: SocketAddr, ca: &str) -> Result<tonic::Status> {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
    let endpoint = Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls)?;
    let mut client = Grpc::new(endpoint.connect().await?);
    client.ready().await?;
    let path = PathAndQuery::from_static("/watershed.fleet.v1.Fleet/Sync");
    // It is refused whatever it says, and before it has said anything.
    let messages = Request::new(tokio_stream::pending::<()>());
    let answer = client
        .streaming(messages, path, ProstCodec::<(), ()>::default())
        .await;
    answer.err().context("it was let in")
}

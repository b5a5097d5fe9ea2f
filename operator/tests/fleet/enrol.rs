//! Nodes that enrol, over real TLS on the loopback. Only the API server's word
//! on tokens is the test's.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use futures::future::BoxFuture;
use k8s_openapi::api::authentication::v1::{TokenReviewStatus, UserInfo};
use prometheus::{Registry, TextEncoder};
use rcgen::{CertificateParams, KeyPair};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity as Pair};
use tonic::{Code, Status};
use watershed_dns::Node;
use watershed_dns::fleet::{
    Credentials, EnrolFiles, Identity as NodeIdentity, Membership, Operators, Running,
};
use watershed_dns::health::HealthOptions;
use watershed_operator::enrol::{Enroller, Permit, ReviewError, TokenReviewer};
use watershed_operator::fleet::server::serve;
use watershed_operator::fleet::{Config, FleetName, Hub, HubConfig, Metrics};
use watershed_operator::health;
use watershed_operator::tls::{self, Managed, MemorySecrets, ServerTls};
use watershed_proto::fleet_v1::enrolment_client::EnrolmentClient;
use watershed_proto::fleet_v1::fleet_client::FleetClient;
use watershed_proto::fleet_v1::{EnrolRequest, FromNode};
use watershed_proto::{ENROL_AUDIENCE, ENROL_LIMIT, Hello, Location, NodeMessage};
use watershed_snapshot::Term;

use crate::history::Recorder;

const HOST: &str = "operator.example.com";
const PATIENCE: Duration = Duration::from_secs(30);

/// Tokens that are good, and what they say.
#[derive(Default)]
struct Tokens {
    good: HashMap<String, TokenReviewStatus>,
    reviews: AtomicUsize,
}

impl TokenReviewer for Tokens {
    fn review(&self, token: String) -> BoxFuture<'_, Result<TokenReviewStatus, ReviewError>> {
        Box::pin(async move {
            self.reviews.fetch_add(1, Ordering::Relaxed);
            if token == "away" {
                return Err(ReviewError("no answer".to_owned()));
            }
            let unknown = || TokenReviewStatus {
                error: Some("invalid bearer token".to_owned()),
                ..TokenReviewStatus::default()
            };
            Ok(self.good.get(&token).cloned().unwrap_or_else(unknown))
        })
    }
}

/// What the API server says of the token of a pod.
fn of_pod(account: &str, pod: &str) -> TokenReviewStatus {
    let name = "authentication.kubernetes.io/pod-name".to_owned();
    TokenReviewStatus {
        authenticated: Some(true),
        audiences: Some(vec![ENROL_AUDIENCE.to_owned()]),
        user: Some(UserInfo {
            username: Some(format!("system:serviceaccount:{account}")),
            extra: Some([(name, vec![pod.to_owned()])].into()),
            ..UserInfo::default()
        }),
        error: None,
    }
}

/// A replica of the operator.
struct Site {
    hub: Hub,
    registry: Registry,
    ca: String,
    address: SocketAddr,
    tokens: Arc<Tokens>,
}

impl Site {
    /// One that enrols `home:dns` into the fleet `default`.
    async fn open() -> Self {
        Self::start(|tokens, managed| {
            let permit: Permit = "home/dns=default".parse().expect("a permit");
            Enroller::new([permit].into_iter().collect(), tokens, managed)
        })
        .await
    }

    async fn start(enroller: impl FnOnce(Arc<Tokens>, Managed) -> Enroller) -> Self {
        let good = [
            ("dns-0", of_pod("home:dns", "dns-0")),
            ("shop", of_pod("shop:web", "dns-0")),
        ];
        let good = good
            .into_iter()
            .map(|(token, review)| (token.to_owned(), review));
        let tokens = Arc::new(Tokens {
            good: good.collect(),
            ..Tokens::default()
        });
        let store = Arc::new(MemorySecrets::default());
        let managed = Managed::new(store, vec![HOST.to_owned()]);
        let bundle = managed.ensure(now()).await.expect("certificates");
        let tls = ServerTls::new(&bundle).expect("a server");
        let enroller = Arc::new(enroller(Arc::clone(&tokens), managed));
        let registry = Registry::new();
        let hub = hub(&registry);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(serve(
            hub.clone(),
            listener,
            tls,
            enroller,
            CancellationToken::new(),
        ));
        Self {
            hub,
            registry,
            ca: bundle.ca,
            address,
            tokens,
        }
    }

    /// Believes the operator, and shows no certificate.
    fn anonymous(&self) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.ca))
            .domain_name(HOST)
    }

    async fn connect(&self, tls: ClientTlsConfig) -> Channel {
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address));
        let endpoint = endpoint.expect("a URI").tls_config(tls).expect("TLS");
        endpoint.connect().await.expect("a connection")
    }

    /// Asks for a certificate; gives it with its key.
    async fn enrol(
        &self,
        token: &str,
        fleet: &str,
        node: &str,
    ) -> Result<(String, String), Status> {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::default();
        let request = params.serialize_request(&key).expect("a request");
        let request = EnrolRequest {
            token: token.to_owned(),
            certificate_request: request.der().to_vec(),
            fleet: fleet.to_owned(),
            node: node.to_owned(),
        };
        let chain = self.ask(request).await?;
        Ok((chain, key.serialize_pem()))
    }

    async fn ask(&self, request: EnrolRequest) -> Result<String, Status> {
        let mut client = EnrolmentClient::new(self.connect(self.anonymous()).await);
        let answer = client.enrol(request).await?;
        Ok(answer.into_inner().certificate_chain)
    }

    /// Says hello on a new stream; gives why it is refused, if it is.
    async fn hello(&self, tls: ClientTlsConfig, fleet: &str, node: &str) -> Result<(), Status> {
        let mut client = FleetClient::new(self.connect(tls).await);
        let first = FromNode::from(NodeMessage::Hello(hello(fleet, node)));
        let stream =
            tokio_stream::StreamExt::chain(tokio_stream::once(first), tokio_stream::pending());
        let mut answers = client.sync(stream).await?.into_inner();
        answers.message().await.map(|_| ())
    }

    fn enrolments(&self, outcome: &str) -> bool {
        let text = TextEncoder::new().encode_to_string(&self.registry.gather());
        let series = format!("watershed_fleet_enrolments_total{{outcome=\"{outcome}\"}} 1");
        text.expect("metrics").lines().any(|line| line == series)
    }
}

fn hub(registry: &Registry) -> Hub {
    let config = HubConfig {
        publisher: Config::default(),
        trust_domain: tls::TRUST_DOMAIN.to_owned(),
    };
    let metrics = Metrics::register(registry).expect("new names");
    let health = health::Metrics::register(registry).expect("new names");
    let (hub, mut events) = Hub::new(config, Arc::new(Recorder::default()), metrics, health);
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    hub
}

fn hello(fleet: &str, node: &str) -> Hello {
    Hello {
        fleet: fleet.to_owned(),
        node: node.to_owned(),
        location: Location::default(),
        software: "test".to_owned(),
        formats: 1..=2,
        held: None,
        bucket_digests: None,
        term: Term(0),
        boot: 1,
        health: false,
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("a clock").as_secs()
}

/// A node with the token of the pod `dns-0`.
fn node(site: &Site, directory: &Path, name: &str) -> Running {
    let (ca, token) = (directory.join("ca.crt"), directory.join("token"));
    std::fs::write(&ca, &site.ca).expect("written");
    std::fs::write(&token, "dns-0\n").expect("written");
    let membership = Membership {
        identity: NodeIdentity {
            fleet: "default".to_owned(),
            node: name.to_owned(),
            location: Location::default(),
            formats: 1..=2,
            boot: 1,
            version: "0".to_owned(),
        },
        operators: Operators {
            addresses: vec![site.address.to_string()],
            credentials: Credentials::Enrolment(EnrolFiles { ca, token }),
            name: Some(HOST.to_owned()),
        },
        state: None,
        refused: Vec::new(),
        health: HealthOptions::default(),
    };
    let node = Node::new(watershed_dns::Config::default());
    membership.start(&node).expect("a member")
}

async fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_a_token_enrols_and_has_its_stream() {
    let site = Site::open().await;
    site.hub.lead(Term(1));
    site.hub.publish(Vec::new(), [].into());
    let directory = tempfile::tempdir().expect("a directory");
    let running = node(&site, directory.path(), "dns-0");
    until("the node is connected", || {
        let view = site.hub.view(&FleetName::new("default"));
        let nodes = view.map(|view| view.nodes).unwrap_or_default();
        nodes
            .iter()
            .any(|node| node.connected && node.name.as_str() == "dns-0")
    })
    .await;
    assert!(site.enrolments("issued"));
    let text = running.metrics.text().expect("metrics");
    let expiry = "watershed_dns_certificate_expiry_timestamp_seconds ";
    let expiry = text.lines().find_map(|line| line.strip_prefix(expiry));
    let expiry: u64 = expiry.expect("a metric").parse().expect("a time");
    let left = expiry.saturating_sub(now());
    assert!((86_000..=86_400).contains(&left), "{left} s");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_the_token_of_another_pod_has_none() {
    let site = Site::open().await;
    let directory = tempfile::tempdir().expect("a directory");
    let running = node(&site, directory.path(), "dns-1");
    let refused = "watershed_dns_enrolments_total{result=\"refused\"}";
    until("the node is refused", || {
        let text = running.metrics.text().expect("metrics");
        text.contains(refused)
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn a_replica_that_follows_enrols_too() {
    let site = Site::open().await;
    let (chain, key) = site
        .enrol("dns-0", "default", "dns-0")
        .await
        .expect("issued");
    assert!(site.enrolments("issued"));
    // What it has issued is good for a stream, which is elsewhere.
    let own = site.anonymous().identity(Pair::from_pem(&chain, &key));
    site.hello(own, "default", "dns-0")
        .await
        .expect("redirected");
}

#[tokio::test]
async fn who_may_not_enrol_is_told_why() {
    for (token, fleet, node, reason) in [
        ("garbage", "default", "dns-0", "invalid bearer token"),
        ("shop", "default", "dns-0", "--enrol shop/web=default"),
        ("dns-0", "edge", "dns-0", "only of default"),
        ("dns-0", "default", "dns-1", "start it with --node dns-0"),
    ] {
        let site = Site::open().await;
        let status = site.enrol(token, fleet, node).await.expect_err(reason);
        assert_eq!(status.code(), Code::PermissionDenied, "{status}");
        assert!(status.message().contains(reason), "{status}");
        assert!(site.enrolments("refused"));
    }
    let site = Site::open().await;
    let status = site.enrol("away", "default", "dns-0").await;
    let status = status.expect_err("the API server is away");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(site.enrolments("failed"));
}

#[tokio::test]
async fn an_operator_that_enrols_nobody_says_why() {
    let without = Site::start(|_, _| Enroller::without_authority()).await;
    let nobody =
        Site::start(|tokens, managed| Enroller::new(std::iter::empty().collect(), tokens, managed))
            .await;
    for (site, reason) in [(without, "--tls-dir"), (nobody, "--enrol")] {
        let status = site.enrol("dns-0", "default", "dns-0").await;
        let status = status.expect_err(reason);
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        assert!(status.message().contains(reason), "{status}");
        assert_eq!(site.tokens.reviews.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test]
async fn what_is_no_proper_request_troubles_nobody() {
    let site = Site::open().await;
    let good = EnrolRequest {
        token: "dns-0".to_owned(),
        certificate_request: b"nonsense".to_vec(),
        fleet: "default".to_owned(),
        node: "dns-0".to_owned(),
    };
    for request in [
        good.clone(),
        EnrolRequest {
            token: String::new(),
            ..good.clone()
        },
        EnrolRequest {
            node: "n".repeat(254),
            ..good.clone()
        },
    ] {
        let status = site.ask(request).await.expect_err("no proper request");
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
    let large = EnrolRequest {
        certificate_request: vec![0; ENROL_LIMIT],
        ..good
    };
    let status = site.ask(large).await.expect_err("too large");
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    assert_eq!(site.tokens.reviews.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_stream_needs_a_certificate_of_its_fleet_and_node() {
    let site = Site::open().await;
    let status = site.hello(site.anonymous(), "default", "dns-0").await;
    let status = status.expect_err("it has shown none");
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    assert!(status.message().contains("--ca and --token"), "{status}");
    let (chain, key) = site
        .enrol("dns-0", "default", "dns-0")
        .await
        .expect("issued");
    for (fleet, node) in [("edge", "dns-0"), ("default", "dns-1")] {
        let own = site.anonymous().identity(Pair::from_pem(&chain, &key));
        let status = site.hello(own, fleet, node).await.expect_err(node);
        assert_eq!(status.code(), Code::PermissionDenied, "{status}");
        assert!(
            status.message().contains("its certificate says"),
            "{status}"
        );
    }
}

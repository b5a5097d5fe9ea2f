//! An operator that does what a test says: a real server behind real TLS.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};
use watershed_health::fleet::Report;
use watershed_proto::fleet_v1::enrolment_server::{Enrolment, EnrolmentServer};
use watershed_proto::fleet_v1::fleet_server::{Fleet, FleetServer};
use watershed_proto::fleet_v1::{EnrolRequest, EnrolResponse, FromNode, ToNode};
use watershed_proto::{Hello, NodeMessage, OperatorMessage};
use watershed_snapshot::{Held, ResourceSet, Term};

use super::PATIENCE;
use super::content::parts;

/// An operator on a port of the loopback. Ends when dropped.
pub(crate) struct Operator {
    runtime: Option<Runtime>,
    address: SocketAddr,
    streams: Mutex<mpsc::Receiver<Stream>>,
    applicants: Mutex<mpsc::Receiver<Applicant>>,
}

/// A node that asks for a certificate.
pub(crate) struct Applicant {
    pub(crate) request: EnrolRequest,
    answer: oneshot::Sender<Result<String, Status>>,
}

impl Applicant {
    /// Gives it what it asks for.
    pub(crate) fn give(self, certificate_chain: String) {
        assert!(self.answer.send(Ok(certificate_chain)).is_ok(), "it waits");
    }

    pub(crate) fn refuse(self, why: Status) {
        assert!(self.answer.send(Err(why)).is_ok(), "it waits");
    }
}

/// The stream of a node.
pub(crate) struct Stream {
    /// What the node said first.
    pub(crate) hello: Hello,
    from_node: Streaming<FromNode>,
    to_node: mpsc::Sender<Result<ToNode, Status>>,
    runtime: tokio::runtime::Handle,
    beating: Option<AbortHandle>,
}

struct Service {
    streams: mpsc::Sender<Stream>,
}

struct Office {
    applicants: mpsc::Sender<Applicant>,
}

#[tonic::async_trait]
impl Enrolment for Office {
    async fn enrol(
        &self,
        request: Request<EnrolRequest>,
    ) -> Result<Response<EnrolResponse>, Status> {
        let gone = || Status::unavailable("the test has ended");
        let (answer, answered) = oneshot::channel();
        let request = request.into_inner();
        let applicant = Applicant { request, answer };
        let sent = self.applicants.send(applicant).await;
        sent.map_err(|_| gone())?;
        let certificate_chain = answered.await.map_err(|_| gone())??;
        Ok(Response::new(EnrolResponse { certificate_chain }))
    }
}

type Outgoing = Pin<Box<dyn tokio_stream::Stream<Item = Result<ToNode, Status>> + Send>>;

#[tonic::async_trait]
impl Fleet for Service {
    type SyncStream = Outgoing;

    async fn sync(
        &self,
        request: Request<Streaming<FromNode>>,
    ) -> Result<Response<Outgoing>, Status> {
        let mut from_node = request.into_inner();
        let first = from_node.message().await?;
        let first = first.and_then(|message| NodeMessage::try_from(message).ok());
        let Some(NodeMessage::Hello(hello)) = first else {
            return Err(Status::invalid_argument("the first message is Hello"));
        };
        let (to_node, outgoing) = mpsc::channel(64);
        let stream = Stream {
            hello,
            from_node,
            to_node,
            runtime: tokio::runtime::Handle::current(),
            beating: None,
        };
        let gone = |_| Status::unavailable("the test has ended");
        self.streams.send(stream).await.map_err(gone)?;
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }
}

impl Operator {
    /// Starts one; `tls` is its certificate and whom it trusts.
    pub(crate) fn start(tls: ServerTlsConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, streams) = mpsc::channel(16);
        let service = FleetServer::new(Service { streams: sender });
        let (sender, applicants) = mpsc::channel(16);
        let office = EnrolmentServer::new(Office { applicants: sender });
        runtime.spawn(async move {
            let mut server = Server::builder().tls_config(tls).unwrap();
            let incoming = TcpListenerStream::new(listener);
            server
                .add_service(service)
                .add_service(office)
                .serve_with_incoming(incoming)
                .await
        });
        Self {
            runtime: Some(runtime),
            address,
            streams: Mutex::new(streams),
            applicants: Mutex::new(applicants),
        }
    }

    /// Waits for the next node that asks for a certificate.
    pub(crate) fn applicant(&self) -> Applicant {
        let runtime = self.runtime.as_ref().unwrap();
        let mut applicants = self.applicants.lock().unwrap();
        let next = async { timeout(PATIENCE, applicants.recv()).await };
        let next = runtime.block_on(next).ok().flatten();
        next.expect("no node asked for a certificate")
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Waits for the next node.
    pub(crate) fn accept(&self) -> Stream {
        self.accept_within(PATIENCE).expect("no node came")
    }

    /// The next node, if one comes in this time.
    pub(crate) fn accept_within(&self, patience: Duration) -> Option<Stream> {
        let runtime = self.runtime.as_ref().unwrap();
        let mut streams = self.streams.lock().unwrap();
        let next = async { timeout(patience, streams.recv()).await };
        runtime.block_on(next).ok().flatten()
    }

    /// Waits for the next node and welcomes it.
    pub(crate) fn welcome(&self, term: u64) -> Stream {
        let mut stream = self.accept();
        stream.send(welcome(term));
        stream
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn welcome(term: u64) -> OperatorMessage {
    OperatorMessage::Welcome {
        operator: "operator-0".into(),
        term: Term(term),
        format: watershed_proto::OLDEST_FORMAT,
        heartbeat_ms: 200,
        health: false,
    }
}

/// Of an operator that speaks of health.
pub(crate) fn welcome_with_health(term: u64) -> OperatorMessage {
    match welcome(term) {
        OperatorMessage::Welcome {
            operator,
            term,
            format,
            heartbeat_ms,
            ..
        } => OperatorMessage::Welcome {
            operator,
            term,
            format,
            heartbeat_ms,
            health: true,
        },
        other => other,
    }
}

impl Stream {
    /// Sends a message; a welcome is followed by heartbeats.
    pub(crate) fn send(&mut self, message: OperatorMessage) {
        if matches!(message, OperatorMessage::Welcome { .. }) {
            self.beat();
        }
        let sent = self.to_node.blocking_send(Ok(message.into()));
        assert!(sent.is_ok(), "the stream has ended");
    }

    fn beat(&mut self) {
        let to_node = self.to_node.downgrade();
        let beat = async move {
            // Until the stream is dropped.
            while let Some(to_node) = to_node.upgrade() {
                let _ = to_node.send(Ok(OperatorMessage::Heartbeat.into())).await;
                drop(to_node);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        self.beating = Some(self.runtime.spawn(beat).abort_handle());
    }

    /// Sends no more heartbeats.
    pub(crate) fn fall_silent(&mut self) {
        if let Some(beating) = self.beating.take() {
            beating.abort();
        }
    }

    /// The next message but heartbeats and those about health; `None` when the
    /// node ended the stream.
    pub(crate) fn next(&mut self) -> Option<NodeMessage> {
        loop {
            match self.next_of_all()? {
                NodeMessage::Heartbeat
                | NodeMessage::HealthReport { .. }
                | NodeMessage::HealthBeat { .. }
                | NodeMessage::OwnHolds(_) => {}
                message => return Some(message),
            }
        }
    }

    /// What the next report says, and whether it is a whole one.
    pub(crate) fn report(&mut self) -> (Vec<Report>, bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "the node reports nothing");
            match self.next_of_all().expect("the node ended the stream") {
                NodeMessage::HealthReport { reports, whole } => return (reports, whole),
                NodeMessage::Heartbeat
                | NodeMessage::HealthBeat { .. }
                | NodeMessage::OwnHolds(_) => {}
                other => panic!("{other:?} is no report"),
            }
        }
    }

    /// The next message; `None` when the node ended the stream.
    pub(crate) fn next_of_all(&mut self) -> Option<NodeMessage> {
        let next = async { timeout(PATIENCE, self.from_node.message()).await };
        let next = self.runtime.block_on(next);
        let message = next.expect("the node says nothing").ok().flatten()?;
        Some(NodeMessage::try_from(message).unwrap())
    }

    /// Whether the stream ends as streams should, and does not break off.
    pub(crate) fn ends_in_order(&mut self) -> bool {
        let runtime = self.runtime.clone();
        loop {
            let next = async { timeout(PATIENCE, self.from_node.message()).await };
            match runtime.block_on(next).expect("the stream goes on") {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Ends the stream for this reason.
    pub(crate) fn end(&mut self, why: Status) {
        let sent = self.to_node.blocking_send(Err(why));
        assert!(sent.is_ok(), "the stream has ended");
    }

    /// Offers a state and waits for the answer.
    pub(crate) fn offer(
        &mut self,
        offer: Held,
        term: u64,
        base: Option<&ResourceSet>,
        to: &ResourceSet,
    ) -> NodeMessage {
        for part in parts(offer, Term(term), base, to) {
            self.send(OperatorMessage::Stage(part));
        }
        self.next().expect("the node ended the stream")
    }

    /// Activates a state and waits for the answer.
    pub(crate) fn activate(&mut self, offer: Held, term: u64) -> NodeMessage {
        let (id, term) = (offer.id, Term(term));
        self.send(OperatorMessage::Activate { id, term });
        self.next().expect("the node ended the stream")
    }

    /// Makes the node serve a state.
    pub(crate) fn publish(
        &mut self,
        offer: Held,
        term: u64,
        base: Option<&ResourceSet>,
        to: &ResourceSet,
    ) {
        let staged = self.offer(offer, term, base, to);
        assert_eq!(staged, NodeMessage::Staged(offer));
        let applied = self.activate(offer, term);
        assert!(
            matches!(&applied, NodeMessage::Applied { held, .. } if *held == offer),
            "{applied:?}"
        );
    }
}

//! The gRPC service that nodes connect to.

mod accept;
mod enrolment;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use watershed_proto::fleet_v1::enrolment_server::EnrolmentServer;
use watershed_proto::fleet_v1::fleet_server::{Fleet, FleetServer};
use watershed_proto::fleet_v1::{FromNode, ToNode};
use watershed_proto::{ENROL_LIMIT, Hello, MESSAGE_LIMIT, NodeMessage, OperatorMessage};

pub use self::accept::{Listener, Peer, PeerStream};
use self::enrolment::EnrolmentService;
use crate::enrol::Enroller;
use crate::fleet::hub::{Hub, Reception};
use crate::fleet::{FleetName, IdentityError};
use crate::tls::ServerTls;

/// A node that has not said hello by then is not let in.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that is silent for so long is asked whether it lives, and
/// closed when it has not answered after the same time again.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
#[error("the fleet service ended: {0}")]
pub struct ServeError(#[from] tonic::transport::Error);

/// Serves nodes over TLS until `shutdown`. Those with a certificate have their
/// stream; the others can do no more than ask `enroller` for one.
///
/// # Errors
/// When the service cannot go on.
pub async fn serve(
    hub: Hub,
    listener: impl Listener,
    tls: ServerTls,
    enroller: Arc<Enroller>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let incoming = accept::accept(listener, tls, shutdown.clone());
    serve_on(hub, incoming, enroller, shutdown).await
}

/// Serves nodes on connections whose peers are known already.
///
/// # Errors
/// When the service cannot go on.
pub async fn serve_on<Io, Incoming>(
    hub: Hub,
    incoming: Incoming,
    enroller: Arc<Enroller>,
    shutdown: CancellationToken,
) -> Result<(), ServeError>
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    Incoming: Stream<Item = std::io::Result<PeerStream<Io>>>,
{
    let ended = shutdown.clone();
    let enrolment = EnrolmentService::new(enroller, hub.metrics().clone());
    let enrolment = EnrolmentServer::new(enrolment)
        .max_decoding_message_size(ENROL_LIMIT)
        .max_encoding_message_size(ENROL_LIMIT);
    let service = FleetServer::new(Service {
        hub,
        parts: stream::Parts::default(),
        shutdown,
    })
    .max_decoding_message_size(MESSAGE_LIMIT)
    .max_encoding_message_size(MESSAGE_LIMIT);
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        // A node has one stream.
        .max_concurrent_streams(Some(4))
        .add_service(service)
        .add_service(enrolment)
        .serve_with_incoming_shutdown(incoming, ended.cancelled_owned())
        .await?;
    Ok(())
}

struct Service {
    hub: Hub,
    parts: stream::Parts,
    shutdown: CancellationToken,
}

#[tonic::async_trait]
impl Fleet for Service {
    type SyncStream = BoxStream<'static, Result<ToNode, Status>>;

    async fn sync(
        &self,
        request: Request<Streaming<FromNode>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        let peer = request.extensions().get::<Peer>().cloned();
        self.certified(peer.as_ref())?;
        let mut inbound = request.into_inner();
        let hello = tokio::time::timeout(HELLO_TIMEOUT, first(&mut inbound))
            .await
            .map_err(|_| Status::deadline_exceeded("no Hello came; it is the first message"))??;
        let fleet = self.admit(peer.as_ref(), &hello)?;
        let node = hello.node.clone();
        match self.hub.connect(&fleet, hello) {
            Reception::Elsewhere(leader) => {
                tracing::debug!(%fleet, node, leader, "sent a node to the leader");
                Ok(Response::new(stream::redirect(&self.hub, leader)))
            }
            Reception::Welcome(id, end) => {
                tracing::info!(%fleet, node, stream = %id, "a node connected");
                let closed = end.closed.clone();
                let hub = self.hub.clone();
                let shutdown = self.shutdown.clone();
                tokio::spawn(stream::read(hub, id, inbound, closed, shutdown));
                Ok(Response::new(stream::write(
                    &self.hub,
                    end,
                    self.parts.clone(),
                )))
            }
        }
    }
}

impl Service {
    /// Nothing is read from who has shown no certificate.
    fn certified(&self, peer: Option<&Peer>) -> Result<(), Status> {
        let without = IdentityError::NoCertificate;
        let certified = peer.is_some_and(|peer| peer.identity.as_ref() != Err(&without));
        if certified {
            return Ok(());
        }
        self.hub.metrics().refused();
        tracing::debug!("refused a stream without a certificate");
        Err(Status::permission_denied(without.to_string()))
    }

    /// The fleet that a node may join: the one of its certificate, if it says
    /// the same.
    fn admit(&self, peer: Option<&Peer>, hello: &Hello) -> Result<FleetName, Status> {
        let result = match peer {
            Some(Peer {
                identity: Ok(identity),
            }) => identity
                .check(&self.hub.config().trust_domain, &hello.fleet, &hello.node)
                .map(|()| identity.fleet.clone()),
            Some(Peer {
                identity: Err(error),
            }) => Err(error.clone()),
            None => Err(IdentityError::NoCertificate),
        };
        let fleet = result.map_err(|error| {
            self.hub.metrics().refused();
            tracing::warn!(fleet = hello.fleet, node = hello.node, %error, "refused a node");
            Status::permission_denied(error.to_string())
        })?;
        if hello.node.is_empty() {
            return Err(Status::invalid_argument("Hello names no node"));
        }
        Ok(fleet)
    }
}

/// The first message, which must be Hello.
async fn first(inbound: &mut Streaming<FromNode>) -> Result<Hello, Status> {
    let Some(message) = inbound.message().await? else {
        return Err(Status::invalid_argument("the stream ended before Hello"));
    };
    match stream::decode(message)? {
        NodeMessage::Hello(hello) => Ok(hello),
        _ => Err(Status::invalid_argument("the first message must be Hello")),
    }
}

/// What a replica says that does not lead.
fn elsewhere(leader: Option<String>) -> OperatorMessage {
    let reason = match &leader {
        Some(_) => "this replica does not lead",
        None => "this replica does not lead, and does not know who does",
    };
    OperatorMessage::Redirect {
        leader,
        reason: reason.to_owned(),
    }
}

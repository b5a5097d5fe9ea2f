//! Connections: TCP, TLS, and who is at the other end.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use crate::fleet::{Identity, IdentityError};
use crate::tls::ServerTls;

/// A handshake takes two round trips; whoever needs longer is not a node.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Handshakes at a time. A thousand nodes that connect at once are through in
/// a second; the rest wait in the listener's backlog.
const HANDSHAKES: usize = 64;

/// After an error of the listener, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// By its certificate.
    pub identity: Result<Identity, IdentityError>,
}

/// A connection whose peer is known.
pub struct PeerStream<Io> {
    io: Io,
    peer: Peer,
}

impl<Io> PeerStream<Io> {
    /// The connection `io` to `peer`.
    pub fn new(io: Io, peer: Peer) -> Self {
        Self { io, peer }
    }
}

impl<Io> Connected for PeerStream<Io> {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for PeerStream<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for PeerStream<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// Where connections come from.
pub trait Listener: Send + Sync + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and from whom.
    ///
    /// # Errors
    /// When there is none that could be had, for now.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Io, SocketAddr)>> + Send;
}

impl Listener for TcpListener {
    type Io = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, address) = Self::accept(self).await?;
        // Without it small messages wait for others, which does no harm.
        let _ = socket.set_nodelay(true);
        Ok((socket, address))
    }
}

type Accepted<Io> = io::Result<PeerStream<TlsStream<Io>>>;

/// Connections that have come through the handshake. Each handshake goes by
/// the certificates of its moment.
pub(super) fn accept<L: Listener>(
    listener: L,
    tls: ServerTls,
    shutdown: CancellationToken,
) -> impl Stream<Item = Accepted<L::Io>> {
    let (sender, receiver) = mpsc::channel(HANDSHAKES);
    tokio::spawn(async move {
        tokio::select! {
            () = accept_all(&listener, &tls, &sender) => {}
            () = shutdown.cancelled() => {}
        }
    });
    ReceiverStream::new(receiver)
}

async fn accept_all<L: Listener>(
    listener: &L,
    tls: &ServerTls,
    sender: &mpsc::Sender<Accepted<L::Io>>,
) {
    let room = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((socket, address)) => {
                let acceptor = TlsAcceptor::from(tls.current());
                let sender = sender.clone();
                tokio::spawn(async move {
                    match handshake(&acceptor, socket).await {
                        Ok(stream) => drop(sender.send(Ok(stream)).await),
                        Err(error) => {
                            tracing::info!(%address, %error, "a TLS handshake failed");
                        }
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn handshake<Io: AsyncRead + AsyncWrite + Unpin>(
    acceptor: &TlsAcceptor,
    socket: Io,
) -> Accepted<Io> {
    let handshake = acceptor.accept(socket);
    let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it took too long"))??;
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    let identity = match certificate {
        Some(certificate) => Identity::of_certificate(certificate),
        None => Err(IdentityError::Absent),
    };
    Ok(PeerStream::new(stream, Peer { identity }))
}

//! Connections: TCP, TLS, and who is at the other end.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Sleep;
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

/// Connections without a certificate at a time. Each is for one call, Enrol;
/// who finds no room tries again.
const GUESTS: usize = 256;

/// How long such a connection may last, the handshake not counted: longer than
/// that call does.
const STAY: Duration = Duration::from_secs(20);

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
    guest: Option<Guest>,
}

/// A peer without a certificate, which takes a place for some time.
struct Guest {
    leaves: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl<Io> PeerStream<Io> {
    /// The connection `io` to `peer`.
    pub fn new(io: Io, peer: Peer) -> Self {
        let guest = None;
        Self { io, peer, guest }
    }

    /// The same to a peer that has this place until it is time to leave.
    fn with_place(self, place: OwnedSemaphorePermit) -> Self {
        let guest = Some(Guest {
            leaves: Box::pin(tokio::time::sleep(STAY)),
            _place: place,
        });
        Self { guest, ..self }
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
        // Whoever serves a connection always waits to read from it.
        if let Some(guest) = &mut self.guest
            && guest.leaves.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
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
    let guests = Arc::new(Semaphore::new(GUESTS));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((socket, address)) => {
                let acceptor = TlsAcceptor::from(tls.current());
                let sender = sender.clone();
                let guests = Arc::clone(&guests);
                tokio::spawn(async move {
                    match handshake(&acceptor, socket, guests).await {
                        Ok(stream) => drop(sender.send(Ok(stream)).await),
                        Err(error) => {
                            tracing::info!(%address, %error, "a connection was not let in");
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
    guests: Arc<Semaphore>,
) -> Accepted<Io> {
    let handshake = acceptor.accept(socket);
    let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it took too long"))??;
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    if let Some(certificate) = certificate {
        let identity = Identity::of_certificate(certificate);
        return Ok(PeerStream::new(stream, Peer { identity }));
    }
    let place = guests.try_acquire_owned();
    let place = place.map_err(|_| io::Error::other("too many without a certificate"))?;
    let identity = Err(IdentityError::NoCertificate);
    Ok(PeerStream::new(stream, Peer { identity }).with_place(place))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_guest_leaves_in_time_and_makes_room() {
        let room = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&room).try_acquire_owned().expect("room");
        let (near, _far) = tokio::io::duplex(64);
        let identity = Err(IdentityError::NoCertificate);
        let mut guest = PeerStream::new(near, Peer { identity }).with_place(place);
        assert_eq!(room.available_permits(), 0);
        let begun = tokio::time::Instant::now();
        let error = guest.read_u8().await.expect_err("nothing was sent");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= STAY, "{:?}", begun.elapsed());
        drop(guest);
        assert_eq!(room.available_permits(), 1);
    }
}

//! Listeners for UDP and TCP.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::net::NetError;
use thiserror::Error;
use tokio::net::{TcpListener, UdpSocket};

use crate::handler::Handler;

/// How often a free port is looked for when the system may choose it: the
/// one that UDP gets may be taken for TCP.
const PORT_ATTEMPTS: u32 = 16;
/// Replies that may wait for a slow TCP client before its connection blocks.
/// hickory reads the next query only when the last is answered, so more than
/// a few never wait.
const TCP_PENDING_REPLIES: usize = 8;

/// Why serving failed.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The address cannot be bound.
    #[error(
        "cannot listen on {address} ({protocol}): {source}; \
             choose another address, or stop what listens there"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        protocol: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A listener ended before it was stopped.
    #[error("a DNS listener failed: {0}")]
    Listener(#[from] NetError),
}

/// UDP and TCP on one address, until stopped or dropped.
pub struct Listener {
    address: SocketAddr,
    server: Server<Handler>,
}

impl Listener {
    pub(crate) async fn bind(
        address: SocketAddr,
        handler: Handler,
        tcp_idle: Duration,
    ) -> Result<Self, ServerError> {
        let (udp, tcp) = bind_both(address).await?;
        let address = udp.local_addr().map_err(bind_error(address, "UDP"))?;
        let mut server = Server::new(handler);
        server.register_socket(udp);
        server.register_listener(tcp, tcp_idle, TCP_PENDING_REPLIES);
        Ok(Self { address, server })
    }

    /// The address, with the port that was chosen when 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops taking queries and waits until the listeners have ended.
    ///
    /// # Errors
    /// When a listener had failed before.
    pub async fn shutdown(mut self) -> Result<(), ServerError> {
        Ok(self.server.shutdown_gracefully().await?)
    }

    /// Waits until a listener fails, which none does by itself.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn failed(&mut self) -> Result<(), ServerError> {
        Ok(self.server.block_until_done().await?)
    }
}

/// UDP and TCP sockets on the same port.
async fn bind_both(address: SocketAddr) -> Result<(UdpSocket, TcpListener), ServerError> {
    let mut attempts = if address.port() == 0 {
        PORT_ATTEMPTS
    } else {
        1
    };
    loop {
        attempts -= 1;
        let udp = UdpSocket::bind(address).await;
        let udp = udp.map_err(bind_error(address, "UDP"))?;
        let chosen = udp.local_addr().map_err(bind_error(address, "UDP"))?;
        match TcpListener::bind(chosen).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if attempts == 0 => return Err(bind_error(chosen, "TCP")(error)),
            Err(_) => {}
        }
    }
}

fn bind_error(address: SocketAddr, protocol: &'static str) -> impl Fn(io::Error) -> ServerError {
    move |source| ServerError::Bind {
        address,
        protocol,
        source,
    }
}

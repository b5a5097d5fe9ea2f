//! Listeners for UDP and TCP.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::net::NetError;
use thiserror::Error;
use tokio::net::TcpListener;

use crate::handler::Handler;
use crate::udp::{UdpOptions, UdpServer, UdpSockets};

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
    /// A thread that answers by UDP ended before it was stopped.
    #[error("a UDP worker failed: {0}")]
    UdpWorker(io::Error),
}

/// UDP and TCP on one address, until stopped or dropped.
pub struct Listener {
    address: SocketAddr,
    udp: UdpServer,
    tcp: Server<Handler>,
}

impl Listener {
    pub(crate) async fn bind(
        address: SocketAddr,
        handler: Handler,
        udp: UdpOptions,
        tcp_idle: Duration,
    ) -> Result<Self, ServerError> {
        let (udp, tcp) = bind_both(address, udp).await?;
        let address = udp.local_addr();
        let udp = udp.serve(&handler).map_err(bind_error(address, "UDP"))?;
        let mut server = Server::new(handler);
        server.register_listener(tcp, tcp_idle, TCP_PENDING_REPLIES);
        Ok(Self {
            address,
            udp,
            tcp: server,
        })
    }

    /// The address, with the port that was chosen when 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops taking queries, and waits until those that have come are answered
    /// and the listeners have ended.
    ///
    /// # Errors
    /// When a listener had failed before.
    pub async fn shutdown(mut self) -> Result<(), ServerError> {
        let udp = tokio::task::spawn_blocking(move || self.udp.shutdown());
        let tcp = self.tcp.shutdown_gracefully().await;
        if udp.await.is_err() {
            tracing::error!("waiting for UDP workers failed");
        }
        Ok(tcp?)
    }

    /// Waits until a listener fails, which none does by itself.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn failed(&mut self) -> Result<(), ServerError> {
        tokio::select! {
            error = self.udp.failed() => Err(ServerError::UdpWorker(error.into())),
            ended = self.tcp.block_until_done() => Ok(ended?),
        }
    }
}

/// UDP and TCP sockets on the same port.
async fn bind_both(
    address: SocketAddr,
    options: UdpOptions,
) -> Result<(UdpSockets, TcpListener), ServerError> {
    let mut attempts = if address.port() == 0 {
        PORT_ATTEMPTS
    } else {
        1
    };
    loop {
        attempts -= 1;
        let udp = UdpSockets::bind(address, options).map_err(bind_error(address, "UDP"))?;
        let chosen = udp.local_addr();
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

//! The threads of one address, and how they stop.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use nix::errno::Errno;
use nix::sys::socket::{SockaddrIn, SockaddrIn6};
use tokio::sync::mpsc;

use super::options::UdpOptions;
use super::responder::UdpResponder;
use super::worker::Worker;
use super::{affinity, socket};
use crate::handler::Handler;

/// Sockets that are bound, before anybody answers.
pub(crate) struct UdpSockets {
    sockets: Vec<UdpSocket>,
    address: SocketAddr,
    options: UdpOptions,
}

/// Threads that answer at one address until stopped or dropped.
pub(crate) struct UdpServer {
    /// Clones of those of the threads.
    sockets: Vec<UdpSocket>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    failures: mpsc::UnboundedReceiver<Errno>,
}

impl UdpSockets {
    /// Takes an address; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub(crate) fn bind(address: SocketAddr, options: UdpOptions) -> io::Result<Self> {
        let sockets = socket::bind(address, options.worker_count(), options.receive_buffer)?;
        let bound = sockets.first().map_or(Ok(address), UdpSocket::local_addr)?;
        Ok(Self {
            sockets,
            address: bound,
            options,
        })
    }

    /// The address, with the port that was chosen when 0 was asked for.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Starts a thread for each socket.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub(crate) fn serve(self, handler: &Handler) -> io::Result<UdpServer> {
        let (failed, failures) = mpsc::unbounded_channel();
        let mut server = UdpServer {
            sockets: Vec::new(),
            threads: Vec::new(),
            stop: Arc::default(),
            failures,
        };
        for (number, socket) in self.sockets.into_iter().enumerate() {
            server.sockets.push(socket.try_clone()?);
            let worker = Worker {
                socket,
                several: socket::is_wildcard(&self.address),
                responder: UdpResponder::new(handler.clone()),
                stop: Arc::clone(&server.stop),
            };
            let (failed, options, ipv6) = (failed.clone(), self.options, self.address.is_ipv6());
            let thread = Builder::new().name(format!("dns-udp-{number}"));
            let run = move || {
                pin(number, options);
                let ended = if ipv6 {
                    worker.run::<SockaddrIn6>()
                } else {
                    worker.run::<SockaddrIn>()
                };
                if let Err(error) = ended {
                    // Nobody listens when the server is dropped already.
                    let _ = failed.send(error);
                }
            };
            server.threads.push(thread.spawn(run)?);
        }
        Ok(server)
    }
}

fn pin(number: usize, options: UdpOptions) {
    if options.pin_cpus
        && let Err(error) = affinity::pin(number)
    {
        tracing::warn!(%error, number, "cannot keep a UDP worker on one core");
    }
}

impl UdpServer {
    /// Takes nothing new, answers what has come, and gives the address free.
    pub(crate) fn shutdown(mut self) {
        self.tell_to_stop();
        self.sockets.clear();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a UDP worker panicked");
            }
        }
    }

    /// Waits until a thread fails, which none does by itself.
    pub(crate) async fn failed(&mut self) -> Errno {
        // The channel ends when all threads have: they panicked.
        self.failures.recv().await.unwrap_or(Errno::ECANCELED)
    }

    fn tell_to_stop(&self) {
        self.stop.store(true, Ordering::Release);
        for socket in &self.sockets {
            if let Err(error) = socket::close_to_newcomers(socket) {
                tracing::warn!(%error, "a UDP socket may take newcomers until its thread ends");
            }
        }
    }
}

impl Drop for UdpServer {
    fn drop(&mut self) {
        self.tell_to_stop();
    }
}

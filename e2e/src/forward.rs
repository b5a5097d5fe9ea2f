//! A port on this machine's loopback address that leads into a network of its
//! own.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::oneshot;

use crate::netns::Namespace;

/// The port; it is closed when this value is dropped. It has a thread of its own,
/// so that it goes on while a test's own runtime is held up.
pub(crate) struct Forward {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Forward {
    /// Opens a port of 127.0.0.1 and leads its connections to an address as seen
    /// from the namespace.
    pub(crate) fn start(namespace: &Namespace, to: SocketAddr) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (end, ended) = oneshot::channel();
        let namespace = namespace.clone();
        let thread = thread::Builder::new()
            .name("forward".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        outcome = serve(listener, namespace, to) => {
                            if let Err(error) = outcome {
                                eprintln!("the port {address}: {error:#}");
                            }
                        }
                        _ = ended => {}
                    }
                });
            })?;
        Ok(Self {
            address,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// Where it is on this machine.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It only panics when the runtime does, and has said so then.
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: std::net::TcpListener,
    namespace: Namespace,
    to: SocketAddr,
) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (mut outside, _) = listener.accept().await.context("accepting")?;
        let namespace = namespace.clone();
        tokio::spawn(async move {
            // Refused here is refused there: the connection just ends.
            if let Ok(mut inside) = namespace.connect(to).await {
                let _ = relay(&mut outside, &mut inside).await;
            }
        });
    }
}

async fn relay(outside: &mut TcpStream, inside: &mut TcpStream) -> Result<()> {
    outside.set_nodelay(true)?;
    inside.set_nodelay(true)?;
    copy_bidirectional(outside, inside).await?;
    Ok(())
}

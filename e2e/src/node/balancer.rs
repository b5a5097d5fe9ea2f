//! A load balancer beside the nodes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

use super::lan::Lan;

/// How often each node is asked. Those of clouds take several seconds.
const PERIOD: Duration = Duration::from_secs(1);

/// How long a node may take to answer.
const ANSWER: Duration = Duration::from_millis(500);

/// It leads an address of a Service to the nodes that say, on the Service's
/// health check port, that they have a pod of it. Nothing of a packet is
/// changed. It stops when this value is dropped.
pub struct Balancer {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Balancer {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        lan: &Lan,
        nodes: Vec<Ipv4Addr>,
        address: Ipv4Addr,
        health_port: u16,
    ) -> Result<Self> {
        let (end, ended) = mpsc::channel();
        let lan = lan.clone();
        let thread = thread::Builder::new()
            .name("balancer".to_owned())
            .spawn(move || {
                let mut former = Vec::new();
                loop {
                    let healthy = healthy(&lan, &nodes, health_port);
                    // With no healthy node there is nothing better than before.
                    if healthy != former && !healthy.is_empty() {
                        match lan.route(address, healthy.iter().copied()) {
                            Ok(()) => former = healthy,
                            Err(error) => eprintln!("load balancer: {error:#}"),
                        }
                    }
                    match ended.recv_timeout(PERIOD) {
                        Err(RecvTimeoutError::Timeout) => {}
                        _ => return,
                    }
                }
            })?;
        Ok(Self {
            end: Some(end),
            thread: Some(thread),
        })
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic has been printed then.
            let _ = thread.join();
        }
    }
}

fn healthy(lan: &Lan, nodes: &[Ipv4Addr], port: u16) -> Vec<Ipv4Addr> {
    let asked = lan.namespace().within(|| {
        let has_pod = |node: &&Ipv4Addr| has_pod((**node, port).into()).unwrap_or(false);
        Ok(nodes.iter().filter(has_pod).copied().collect())
    });
    asked.unwrap_or_default()
}

/// kube-proxy answers 200 while a pod on its node is ready, and 503 otherwise.
fn has_pod(node: SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect_timeout(&node, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    let answer = std::str::from_utf8(&answer)?;
    let code = answer.rsplit(' ').next().context("no code")?;
    Ok(code == "200")
}

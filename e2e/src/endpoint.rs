//! An endpoint that answers health checks, and can fail in every way.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::header::USER_AGENT;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::certs::{Authority, Issued, Subject};
use crate::wait::until;

/// What a healthy endpoint says.
pub const WELL: &str = "all is well";

/// How an endpoint behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// 200, [`WELL`], a good certificate.
    #[default]
    Well,
    /// Nobody listens.
    Stopped,
    /// Connections stand, and nothing is ever said.
    Hanging,
    /// 500.
    Failing,
    /// 200, with another text.
    Mistaken,
    /// The certificate is over.
    Expired,
    /// Connections are reset.
    Resetting,
}

/// An HTTPS server on the loopback interface. It ends when this is dropped.
pub struct Endpoint {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    address: SocketAddr,
    behaviour: watch::Sender<Behaviour>,
    is_listening: watch::Sender<bool>,
    /// Nodes whose requests get no answer.
    deaf_to: Mutex<BTreeSet<String>>,
    requests: AtomicU64,
    good: TlsAcceptor,
    expired: TlsAcceptor,
}

impl Endpoint {
    /// Starts one that is well, with certificates of this authority for the
    /// name `app.example.com`.
    ///
    /// # Errors
    /// When the address is not free.
    pub async fn start(address: SocketAddr, authority: &Authority) -> Result<Self> {
        let certificate = |expired| {
            let issued = authority.issue(&Subject {
                names: vec!["app.example.com".to_owned()],
                expired,
                ..Subject::default()
            });
            acceptor(&issued?)
        };
        let shared = Arc::new(Shared {
            address,
            behaviour: watch::Sender::default(),
            is_listening: watch::Sender::default(),
            deaf_to: Mutex::default(),
            requests: AtomicU64::new(0),
            good: certificate(false)?,
            expired: certificate(true)?,
        });
        let task = tokio::spawn(Arc::clone(&shared).run());
        let endpoint = Self { shared, task };
        endpoint.is_listening(true).await?;
        Ok(endpoint)
    }

    /// Behaves otherwise from now on.
    ///
    /// # Errors
    /// When it cannot listen again.
    pub async fn behave(&self, behaviour: Behaviour) -> Result<()> {
        self.shared.behaviour.send_replace(behaviour);
        self.is_listening(behaviour != Behaviour::Stopped).await
    }

    /// Gives no answer to these nodes from now on, and to all others.
    pub fn deaf_to(&self, nodes: &[&str]) {
        let mut deaf_to = self.shared.deaf_to();
        *deaf_to = nodes.iter().map(|node| (*node).to_owned()).collect();
    }

    /// Requests that were read so far.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    async fn is_listening(&self, wanted: bool) -> Result<()> {
        let address = self.shared.address;
        let what = format!("{address} listens: {wanted}");
        until(&what, Duration::from_secs(10), async || {
            ensure!(!self.task.is_finished(), "it has ended");
            Ok(*self.shared.is_listening.borrow() == wanted)
        })
        .await
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn run(self: Arc<Self>) {
        let mut behaviour = self.behaviour.subscribe();
        loop {
            if *behaviour.borrow_and_update() == Behaviour::Stopped {
                self.is_listening.send_replace(false);
                if behaviour.changed().await.is_err() {
                    return;
                }
                continue;
            }
            // The former listener may not be quite gone.
            let Ok(listener) = TcpListener::bind(self.address).await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            self.is_listening.send_replace(true);
            self.accept(&listener, &mut behaviour).await;
        }
    }

    /// Until nobody is to listen.
    async fn accept(
        self: &Arc<Self>,
        listener: &TcpListener,
        behaviour: &mut watch::Receiver<Behaviour>,
    ) {
        loop {
            tokio::select! {
                changed = behaviour.changed() => {
                    if changed.is_err() || *behaviour.borrow() == Behaviour::Stopped {
                        return;
                    }
                }
                accepted = listener.accept() => {
                    if let Ok((connection, _)) = accepted {
                        tokio::spawn(Arc::clone(self).serve(connection));
                    }
                }
            }
        }
    }

    async fn serve(self: Arc<Self>, connection: TcpStream) {
        let acceptor = match *self.behaviour.borrow() {
            Behaviour::Resetting => {
                // Without a time to linger the end of a connection is a reset.
                let _ = connection.set_zero_linger();
                return;
            }
            Behaviour::Hanging => None,
            Behaviour::Expired => Some(&self.expired),
            _ => Some(&self.good),
        };
        let Some(acceptor) = acceptor else {
            let _open = connection;
            return std::future::pending().await;
        };
        if let Ok(stream) = acceptor.accept(connection).await {
            let service = service_fn(|request| self.answer(request));
            let http = hyper::server::conn::http1::Builder::new();
            // A peer that goes away is no matter.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if self.is_deaf(&request) {
            return std::future::pending().await;
        }
        let behaviour = *self.behaviour.borrow();
        let text = match behaviour {
            Behaviour::Mistaken => "something else",
            _ => WELL,
        };
        let mut response = Response::new(Full::from(text));
        if behaviour == Behaviour::Failing {
            *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        }
        Ok(response)
    }

    /// A probe says in its User-Agent which node makes it.
    fn is_deaf(&self, request: &Request<Incoming>) -> bool {
        let agent = request.headers().get(USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok()).unwrap_or("");
        let deaf_to = self.deaf_to();
        deaf_to
            .iter()
            .any(|node| agent.contains(&format!("(checker {node})")))
    }

    fn deaf_to(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.deaf_to.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn acceptor(issued: &Issued) -> Result<TlsAcceptor> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(issued.certificate.as_bytes()).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the endpoint's certificate")?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

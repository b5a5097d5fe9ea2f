//! Finds the operator that leads, and comes back to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::Code;

use super::backoff::{Backoff, SHORTEST};
use super::connect::{Connect, Dialer};
use super::member::Input;
use super::metrics::Metrics;
use super::session::{self, End};
use super::subscriber::Identity;
use super::tls::{Certificates, Credentials, TlsFileError};
use crate::health::HealthHandle;

/// A stream that lasted so long was of use.
const OF_USE: Duration = Duration::from_secs(10);

/// Where operators are, and how they are spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operators {
    /// `host:port`, tried in turn.
    pub addresses: Vec<String>,
    /// How the node shows who it is.
    pub credentials: Credentials,
    /// The name in operators' certificates, where it is not the host of the
    /// address.
    pub name: Option<String>,
}

/// Why there is no stream.
#[derive(Debug, Error)]
pub(super) enum ClientError {
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    #[error("{} is no host:port: {source}", address)]
    Address {
        address: String,
        source: tonic::transport::Error,
    },
    #[error("cannot connect: {}", chain(.0))]
    Connect(tonic::transport::Error),
    #[error("{}: {}", .0.code(), .0.message())]
    Status(#[from] tonic::Status),
    #[error("it issues no certificate: {}", .0.message())]
    Enrol(tonic::Status),
    #[error("cannot make a key: {0}")]
    Key(#[from] rcgen::Error),
    #[error("nothing was heard for {0:?}")]
    Silent(Duration),
    #[error("a message of the operator makes no sense: {0}")]
    Message(String),
}

/// The whole chain of causes: tonic's own message says "transport error" only.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    let mut causes: Vec<String> = causes.map(ToString::to_string).collect();
    // Layers repeat each other.
    causes.dedup();
    if causes.is_empty() {
        error.to_string()
    } else {
        causes.join(": ")
    }
}

/// Those in the node who listen to operators.
pub(super) struct MemberSide {
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) health: HealthHandle,
}

/// Speaks to operators for as long as the node lives.
pub(super) struct Client<C> {
    addresses: Vec<String>,
    dialer: Dialer<C>,
    certificates: Certificates,
    member: MemberSide,
    metrics: Arc<Metrics>,
    backoff: Backoff,
    /// The last trouble with each address, so that it is said once.
    troubles: HashMap<String, String>,
}

impl<C: Connect> Client<C> {
    pub(super) fn new(
        operators: Operators,
        identity: &Identity,
        network: C,
        member: MemberSide,
        metrics: Arc<Metrics>,
    ) -> Self {
        let Operators {
            addresses,
            credentials,
            name,
        } = operators;
        Self {
            addresses,
            dialer: Dialer { network, name },
            certificates: Certificates::new(credentials, identity, Arc::clone(&metrics)),
            member,
            metrics,
            backoff: Backoff::default(),
            troubles: HashMap::new(),
        }
    }

    /// Goes through the operators, again and again, until the member stops.
    pub(super) async fn run(mut self) {
        let addresses = self.addresses.clone();
        loop {
            for (number, address) in addresses.iter().enumerate() {
                if number > 0 {
                    let pause = SHORTEST.mul_f64(rand::rng().random());
                    tokio::time::sleep(pause).await;
                }
                if let Some(leader) = self.visit(address).await {
                    // That one knows better, or has been deposed as well.
                    self.visit(&leader).await;
                }
                if self.member.inputs.is_closed() {
                    return;
                }
            }
            // Only when nobody would have it: one replica that is gone is no
            // reason to keep the others waiting.
            let wait = self.backoff.wait(rand::rng().random());
            tokio::time::sleep(wait).await;
        }
    }

    /// One stream, from its beginning to its end. Gives the address of the
    /// leader when another one leads.
    async fn visit(&mut self, address: &str) -> Option<String> {
        let begun = Instant::now();
        let end = self.stream(address).await;
        self.metrics.connected(false);
        self.member.health.disconnected();
        if begun.elapsed() > OF_USE {
            self.backoff.reset();
        }
        match end {
            Ok(End::Redirected(leader)) => {
                self.metrics.attempted("redirected");
                if leader.is_none() {
                    self.complain(address, "nobody leads".to_owned());
                }
                leader
            }
            Ok(End::Closed(reason)) => {
                self.metrics.attempted("closed");
                tracing::info!(operator = address, reason, "disconnected from the operator");
                self.troubles.clear();
                None
            }
            Err(error) => {
                self.metrics.attempted("failed");
                self.complain(address, error.to_string());
                None
            }
        }
    }

    async fn stream(&mut self, address: &str) -> Result<End, ClientError> {
        let Self {
            dialer,
            certificates,
            member,
            metrics,
            ..
        } = self;
        let tls = certificates.current(dialer, address).await?;
        let channel = dialer.dial(address, tls).await?;
        let end = tokio::select! {
            end = session::run(channel, member, metrics, address) => end,
            never = certificates.keep(dialer, address) => match never {},
        };
        if let Err(ClientError::Status(status)) = &end
            && status.code() == Code::PermissionDenied
        {
            certificates.denied();
        }
        end
    }

    /// Says the same trouble once.
    fn complain(&mut self, address: &str, trouble: String) {
        let last = self.troubles.entry(address.to_owned()).or_default();
        if *last != trouble {
            tracing::warn!(
                operator = address,
                error = trouble,
                "no operator; serving goes on"
            );
            *last = trouble;
        }
    }
}

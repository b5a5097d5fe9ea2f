//! The way to an operator.

use std::time::Duration;

use tonic::transport::{Channel, ClientTlsConfig, Endpoint, Error};

use super::client::ClientError;

/// An operator that does not take a connection in this time is passed over.
const CONNECT: Duration = Duration::from_secs(5);
/// HTTP/2 pings find out that a connection is dead before heartbeats do.
const PING: Duration = Duration::from_secs(10);

/// How connections to operators are made. An endpoint says to whom, with which
/// certificates and how long to wait; this says over what.
pub trait Connect: Send + Sync + 'static {
    /// Connects to `endpoint`.
    ///
    /// # Errors
    /// When nobody is there, or it is somebody else.
    fn connect(&self, endpoint: Endpoint) -> impl Future<Output = Result<Channel, Error>> + Send;
}

/// Over TCP, by the names and routes of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Connect for Tcp {
    async fn connect(&self, endpoint: Endpoint) -> Result<Channel, Error> {
        endpoint.connect().await
    }
}

/// Makes connections to operators, and checks that they are.
pub(super) struct Dialer<C> {
    pub(super) network: C,
    /// The name in operators' certificates; `None`: the host.
    pub(super) name: Option<String>,
}

impl<C: Connect> Dialer<C> {
    /// Connects to `address`, a `host:port`.
    pub(super) async fn dial(
        &self,
        address: &str,
        tls: ClientTlsConfig,
    ) -> Result<Channel, ClientError> {
        let tls = match &self.name {
            Some(name) => tls.domain_name(name),
            None => tls,
        };
        let unusable = |source| ClientError::Address {
            address: address.to_owned(),
            source,
        };
        let endpoint = Endpoint::from_shared(format!("https://{address}")).map_err(unusable)?;
        let endpoint = endpoint.tls_config(tls).map_err(ClientError::Connect)?;
        let endpoint = endpoint
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(CONNECT)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true);
        let connection = self.network.connect(endpoint).await;
        connection.map_err(ClientError::Connect)
    }
}

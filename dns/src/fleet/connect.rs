//! The way to an operator.

use tonic::transport::{Channel, Endpoint, Error};

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

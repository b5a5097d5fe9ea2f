//! Who asks, as policies see him.

use std::cell::OnceCell;

use watershed_policy::Client;

use crate::query::ClientNetwork;
use crate::state::State;

/// The client of a query. The location is looked up only when a policy needs
/// it, and once.
pub(crate) struct QueryClient<'s> {
    state: &'s State,
    network: ClientNetwork,
    client: OnceCell<Client>,
}

impl<'s> QueryClient<'s> {
    pub(crate) fn new(state: &'s State, network: ClientNetwork) -> Self {
        Self {
            state,
            network,
            client: OnceCell::new(),
        }
    }

    /// The client with its location. One that withholds its network is like
    /// one that no database knows (RFC 7871 section 7.1.2 forbids to go by
    /// more than it gives).
    pub(crate) fn get(&self) -> &Client {
        self.client.get_or_init(|| match self.network {
            ClientNetwork::Withheld => Client::default(),
            ClientNetwork::Known(network) => Client {
                location: self.state.locate(network.network()),
                network: Some(network),
            },
        })
    }
}

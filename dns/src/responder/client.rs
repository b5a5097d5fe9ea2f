//! Who asks, as policies see him.

use std::cell::OnceCell;

use watershed_policy::{Client, Policy};

use crate::query::ClientNetwork;
use crate::state::State;

/// The client of a query. The location is looked up only when a policy needs
/// it, and once.
pub(crate) struct QueryClient<'s> {
    state: &'s State,
    anywhere: Client,
    located: OnceCell<Client>,
}

impl<'s> QueryClient<'s> {
    pub(crate) fn new(state: &'s State, network: ClientNetwork) -> Self {
        let network = match network {
            ClientNetwork::Withheld => None,
            ClientNetwork::Known(network) => Some(network),
        };
        Self {
            state,
            anywhere: Client {
                network,
                ..Client::default()
            },
            located: OnceCell::new(),
        }
    }

    /// The client, with its location if the policy looks at that. One that
    /// withholds its network is like one that no database knows (RFC 7871
    /// section 7.1.2 forbids to go by more than it gives).
    pub(crate) fn get(&self, policy: &Policy) -> &Client {
        let Some(network) = self.anywhere.network.filter(|_| policy.looks_at_location()) else {
            return &self.anywhere;
        };
        self.located.get_or_init(|| Client {
            location: self.state.locate(network.network()),
            network: Some(network),
        })
    }
}

//! What a publisher is told, and what it asks for.

use std::collections::BTreeSet;
use std::sync::Arc;

use watershed_proto::{Hello, NodeMessage, OperatorMessage};
use watershed_snapshot::{Resource, ResourceName};

use crate::fleet::StreamId;
use crate::generation::{ClaimError, Record, StoreError};
use crate::health::News;

/// The encoded content of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// As `watershed_proto::encode` gives it.
    pub bytes: Arc<[u8]>,
    /// As `watershed_proto::format_needed` gives it.
    pub format: u32,
}

impl Content {
    /// The content of `resource`.
    pub fn of(resource: &Resource) -> Self {
        Self {
            bytes: watershed_proto::encode(resource).into(),
            format: watershed_proto::format_needed(resource),
        }
    }
}

/// What a publisher is told.
#[derive(Clone, Debug)]
pub enum Event {
    /// The desired state differs from before by these resources; `None`
    /// removes one. Nothing is published before the first of these, which
    /// must hold the whole desired state.
    Desired {
        /// What differs.
        changes: Vec<(ResourceName, Option<Content>)>,
        /// Resources whose last form is to be known, for they cannot be compiled
        /// as they are asked for, or heads of zones with serial numbers to
        /// exceed: where nodes have them otherwise than desired, they are asked
        /// back before the first publication. Replaces the former set.
        wanted: BTreeSet<ResourceName>,
    },
    /// The answer to [`Action::Read`].
    Read(Result<Option<Record>, StoreError>),
    /// The answer to [`Action::Claim`].
    Claimed(Result<(), ClaimError>),
    /// A node opened a stream and said this.
    Connected(StreamId, Hello),
    /// A node said this.
    Message(StreamId, NodeMessage),
    /// A stream ended.
    Disconnected(StreamId, Ending),
    /// Time passed: some times a second, for deadlines are kept no better.
    Tick,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The node closed it in good order.
    Closed,
    /// It broke.
    Lost,
}

/// What a publisher asks for. Actions are carried out in order.
#[derive(Clone, Debug)]
pub enum Action {
    /// Send these to the node.
    Send(StreamId, Vec<OperatorMessage>),
    /// End the stream; the text says why and what to do.
    Close(StreamId, String),
    /// Read the generation record.
    Read,
    /// Put `next` in the place of `expected`, if that is what is recorded.
    Claim {
        /// What must be recorded now; `None`: nothing.
        expected: Option<Record>,
        /// What to record.
        next: Record,
    },
    /// Nodes held these, which were wanted, with the versions that they bind.
    /// The next [`Event::Desired`] should contain them.
    Recalled(Vec<(ResourceName, Resource)>),
    /// Somebody else leads: this publisher is of no more use.
    Deposed(String),
    /// Answers of `view` or `progress` have changed.
    Changed,
    /// The health of what the fleet serves has this to tell.
    Health(Vec<News>),
}

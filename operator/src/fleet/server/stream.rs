//! The two directions of a node's stream.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use watershed_proto::fleet_v1::{FromNode, ToNode};
use watershed_proto::{NodeMessage, OperatorMessage};

use crate::fleet::hub::{Hub, LineEnd, Outgoing};
use crate::fleet::{Ending, StreamId};

/// A node that was silent for so many heartbeats is gone.
const MISSED_HEARTBEATS: u32 = 3;

/// Parts of states that are on their way to nodes at a time. Each is turned
/// into octets just before it is sent, and a part takes some MiB then: a
/// thousand nodes that come with nothing are filled some dozens at a time.
const PARTS_AT_ONCE: usize = 64;

/// A part waits no longer than this for others: nodes that do not read hold up
/// nobody.
const PATIENCE: Duration = Duration::from_secs(2);

/// The parts of states on their way to all nodes.
#[derive(Clone)]
pub(super) struct Parts(Arc<Semaphore>);

impl Default for Parts {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PARTS_AT_ONCE)))
    }
}

impl Parts {
    /// The turn of one part, which ends when the turn is dropped; `None` when
    /// it goes without one.
    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let turn = Arc::clone(&self.0).acquire_owned();
        tokio::time::timeout(PATIENCE, turn).await.ok()?.ok()
    }
}

/// A message of a node, checked.
pub(super) fn decode(message: FromNode) -> Result<NodeMessage, Status> {
    NodeMessage::try_from(message).map_err(|error| Status::invalid_argument(error.to_string()))
}

/// Hands what a node says to the hub, until the stream ends.
pub(super) async fn read(
    hub: Hub,
    stream: StreamId,
    mut inbound: Streaming<FromNode>,
    closed: CancellationToken,
    shutdown: CancellationToken,
) {
    let silence = hub.config().publisher.heartbeat * MISSED_HEARTBEATS;
    let ending = loop {
        let message = tokio::select! {
            message = next(&mut inbound, silence) => message,
            () = closed.cancelled() => return,
            () = shutdown.cancelled() => break Ending::Lost,
        };
        match message {
            Ok(Some(message)) => hub.hear(stream, message),
            Ok(None) => break Ending::Closed,
            Err(status) => {
                tracing::info!(%stream, status = status.message(), "a stream broke");
                break Ending::Lost;
            }
        }
    };
    hub.disconnect(stream, ending);
}

async fn next(
    inbound: &mut Streaming<FromNode>,
    silence: Duration,
) -> Result<Option<NodeMessage>, Status> {
    let message = tokio::time::timeout(silence, inbound.message())
        .await
        .map_err(|_| Status::deadline_exceeded("the node was silent"))??;
    message.map(decode).transpose()
}

/// What goes to a node: what the hub queues, and heartbeats between.
struct Writer {
    hub: Hub,
    end: LineEnd,
    pending: VecDeque<OperatorMessage>,
    heartbeats: Interval,
    parts: Parts,
    /// Of the part that was sent last, until the node has read it but for
    /// what the connection holds.
    turn: Option<OwnedSemaphorePermit>,
    ended: bool,
}

/// The stream to a node that the hub has taken in.
pub(super) fn write(
    hub: &Hub,
    end: LineEnd,
    parts: Parts,
) -> BoxStream<'static, Result<ToNode, Status>> {
    let mut heartbeats = tokio::time::interval(hub.config().publisher.heartbeat);
    heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeats.reset();
    let writer = Writer {
        hub: hub.clone(),
        end,
        pending: VecDeque::new(),
        heartbeats,
        parts,
        turn: None,
        ended: false,
    };
    stream::unfold(writer, |mut writer| async move {
        let item = writer.next().await?;
        Some((item.map(ToNode::from), writer))
    })
    .boxed()
}

impl Writer {
    async fn next(&mut self) -> Option<Result<OperatorMessage, Status>> {
        self.turn = None;
        loop {
            if let Some(message) = self.pending.pop_front() {
                if matches!(message, OperatorMessage::Stage(_)) {
                    self.turn = self.parts.turn().await;
                }
                self.heartbeats.reset();
                return Some(Ok(message));
            }
            if self.ended {
                return None;
            }
            tokio::select! {
                outgoing = self.end.queue.recv() => match outgoing? {
                    Outgoing::Messages(messages) => self.pending.extend(messages),
                    Outgoing::End(why) => {
                        self.ended = true;
                        return Some(Err(Status::aborted(why)));
                    }
                },
                _ = self.heartbeats.tick() => {
                    self.hub.metrics().sent(&OperatorMessage::Heartbeat);
                    return Some(Ok(OperatorMessage::Heartbeat));
                }
            }
        }
    }
}

/// The stream to a node that must go to the leader.
pub(super) fn redirect(
    hub: &Hub,
    leader: Option<String>,
) -> BoxStream<'static, Result<ToNode, Status>> {
    let message = super::elsewhere(leader);
    hub.metrics().sent(&message);
    stream::iter([Ok(ToNode::from(message))]).boxed()
}

//! The two directions of a node's stream.

use std::collections::VecDeque;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use watershed_proto::fleet_v1::{FromNode, ToNode};
use watershed_proto::{NodeMessage, OperatorMessage};

use crate::fleet::hub::{Hub, LineEnd, Outgoing};
use crate::fleet::{Ending, StreamId};

/// A node that was silent for so many heartbeats is gone.
const MISSED_HEARTBEATS: u32 = 3;

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
    ended: bool,
}

/// The stream to a node that the hub has taken in.
pub(super) fn write(hub: &Hub, end: LineEnd) -> BoxStream<'static, Result<ToNode, Status>> {
    let mut heartbeats = tokio::time::interval(hub.config().publisher.heartbeat);
    heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeats.reset();
    let writer = Writer {
        hub: hub.clone(),
        end,
        pending: VecDeque::new(),
        heartbeats,
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
        loop {
            if let Some(message) = self.pending.pop_front() {
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

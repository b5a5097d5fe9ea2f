//! One stream to one operator.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;
use watershed_proto::fleet_v1::fleet_client::FleetClient;
use watershed_proto::fleet_v1::{FromNode, ToNode};
use watershed_proto::{MESSAGE_LIMIT, NodeMessage, OperatorMessage};

use super::client::{ClientError, MemberSide};
use super::member::{Input, Output};
use super::metrics::Metrics;

/// The rhythm until `Welcome` says another.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// The shortest rhythm that is followed.
const FASTEST: Duration = Duration::from_millis(50);
/// A stream on which nothing came for so many heartbeats is dead.
const MISSED: u32 = 3;
/// How long an operator has to read the reason why a stream ends.
const FAREWELL: Duration = Duration::from_secs(1);
/// Messages on their way to the operator.
const QUEUE: usize = 16;

/// How a stream ended.
#[derive(Debug)]
pub(super) enum End {
    /// Another one leads: there, if that is known.
    Redirected(Option<String>),
    /// By one of both sides.
    Closed(&'static str),
}

/// Opens a stream and stays on it until it ends.
pub(super) async fn run(
    channel: Channel,
    member: &MemberSide,
    metrics: &Metrics,
    address: &str,
) -> Result<End, ClientError> {
    let (outputs, from_member) = mpsc::channel(QUEUE);
    let (to_wire, wire) = mpsc::channel(QUEUE);
    let (rhythm, beats) = watch::channel(HEARTBEAT);
    let session = Session {
        member,
        // Who ends the stream is the member.
        outputs: outputs.downgrade(),
        metrics,
        address,
        rhythm,
    };
    // A member that is gone drops the message, which ends the stream.
    let _ = member.inputs.send(Input::Connected(outputs)).await;
    let mut receiving = pin!(session.receive(channel, ReceiverStream::new(wire)));
    let reason = tokio::select! {
        end = &mut receiving => return end,
        reason = send(from_member, to_wire, beats) => reason,
    };
    // The other side ends the stream when it has read what was sent last.
    match timeout(FAREWELL, receiving).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) | Err(_) => Ok(End::Closed(reason)),
    }
}

/// Sends what the member says, and a heartbeat in every interval, until the
/// member ends the stream.
async fn send(
    mut outputs: mpsc::Receiver<Output>,
    wire: mpsc::Sender<FromNode>,
    mut rhythm: watch::Receiver<Duration>,
) -> &'static str {
    loop {
        let beat = *rhythm.borrow_and_update();
        let message = tokio::select! {
            output = outputs.recv() => match output {
                Some(Output::Message(message)) => *message,
                Some(Output::Close(reason)) => return reason,
                None => return "the node stops",
            },
            () = tokio::time::sleep(beat) => NodeMessage::Heartbeat,
            _ = rhythm.changed() => continue,
        };
        if wire.send(message.into()).await.is_err() {
            // The receiving side knows why.
            std::future::pending::<()>().await;
        }
    }
}

struct Session<'a> {
    member: &'a MemberSide,
    outputs: mpsc::WeakSender<Output>,
    metrics: &'a Metrics,
    address: &'a str,
    rhythm: watch::Sender<Duration>,
}

impl Session<'_> {
    async fn receive(
        &self,
        channel: Channel,
        wire: ReceiverStream<FromNode>,
    ) -> Result<End, ClientError> {
        let mut client = FleetClient::new(channel)
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT);
        let response = self.within(client.sync(wire)).await??;
        let mut messages = response.into_inner();
        while let Some(message) = self.next(&mut messages).await? {
            match message {
                OperatorMessage::Redirect { leader, .. } => return Ok(End::Redirected(leader)),
                OperatorMessage::Welcome { .. } => self.welcomed(message).await,
                // They do not wait until a state is built.
                OperatorMessage::Checkers(_)
                | OperatorMessage::Verdicts { .. }
                | OperatorMessage::HealthInquire => self.member.health.hear(message),
                // Members have nothing to do with it.
                OperatorMessage::Heartbeat => {}
                // While the member is busy the stream waits, and so in the end
                // does the operator.
                _ => {
                    let input = Input::Message(message, Instant::now());
                    let _ = self.member.inputs.send(input).await;
                }
            }
        }
        Ok(End::Closed("the operator ended the stream"))
    }

    /// Takes up the rhythm of the operator. If the member heeds it, health is
    /// spoken of from now on.
    async fn welcomed(&self, message: OperatorMessage) {
        let OperatorMessage::Welcome {
            operator,
            heartbeat_ms,
            health,
            ..
        } = &message
        else {
            return;
        };
        let heartbeat = Duration::from_millis((*heartbeat_ms).into()).max(FASTEST);
        self.rhythm.send_replace(heartbeat);
        self.metrics.attempted("connected");
        self.metrics.connected(true);
        let address = self.address;
        tracing::info!(operator, address, "connected to the operator");
        let speaks_of_health = *health;
        let (heeded, heeds) = oneshot::channel();
        let input = Input::Welcome(message, Instant::now(), heeded);
        let _ = self.member.inputs.send(input).await;
        if speaks_of_health && heeds.await == Ok(true) {
            let outputs = self.outputs.clone();
            self.member.health.connected(move |message| {
                let output = Output::Message(Box::new(message));
                outputs
                    .upgrade()
                    .is_some_and(|outputs| outputs.try_send(output).is_ok())
            });
        }
    }

    async fn next(
        &self,
        messages: &mut Streaming<ToNode>,
    ) -> Result<Option<OperatorMessage>, ClientError> {
        let message = self.within(messages.message()).await??;
        let message = message.map(OperatorMessage::try_from).transpose();
        message.map_err(|error| ClientError::Message(error.to_string()))
    }

    /// What comes before the stream counts as dead.
    async fn within<T>(&self, coming: impl Future<Output = T>) -> Result<T, ClientError> {
        let patience = *self.rhythm.borrow() * MISSED;
        let came = timeout(patience, coming).await;
        came.map_err(|_| ClientError::Silent(patience))
    }
}

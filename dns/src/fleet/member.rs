//! A node's part in the fleet: it decodes and builds states while others
//! answer queries.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use watershed_proto::{NodeMessage, OperatorMessage};

use super::keeper::Keeper;
use super::metrics::Metrics;
use super::status::Status;
use super::subscriber::{Effect, Subscriber};
use crate::health::HealthHandle;
use crate::hostnames::Hostnames;
use crate::node::Node;

/// Messages of an operator that may wait for the one that is being worked on.
/// Parts have about 1 MiB; more would only lie in memory.
const WAITING: usize = 8;

/// What happens to a member.
pub(super) enum Input {
    /// A stream begins; the answers go there.
    Connected(mpsc::Sender<Output>),
    /// The operator said this, at this moment.
    Message(OperatorMessage, Instant),
    /// The operator welcomes the node, at this moment. The answer is whether
    /// it is one to listen to.
    Welcome(OperatorMessage, Instant, oneshot::Sender<bool>),
    /// The node stops.
    Stop,
}

/// What goes to the operator.
#[derive(Debug)]
pub(super) enum Output {
    /// A message.
    Message(Box<NodeMessage>),
    /// Nothing more: the stream ends for this reason.
    Close(&'static str),
}

/// What is changed when the served state changes.
pub(super) struct Surroundings {
    pub(super) node: Node,
    pub(super) hostnames: Hostnames,
    pub(super) health: HealthHandle,
    pub(super) status: Arc<Status>,
    pub(super) metrics: Arc<Metrics>,
    /// `None`: nothing is kept.
    pub(super) keeper: Option<Keeper>,
}

/// Where the part is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a thread of its own: building a large state takes a while, in which
    /// the runtime has streams and queries to serve.
    Thread,
    /// Among the tasks of the runtime, for one that stops and turns the clock:
    /// what a thread does beside it takes no time there.
    Runtime,
}

/// A part that is being played.
pub(super) enum Playing {
    Thread(std::thread::JoinHandle<()>),
    Task(tokio::task::JoinHandle<()>),
}

/// Begins; it ends when it is told to, or all senders are gone. It needs a
/// tokio runtime.
pub(super) fn start(
    place: Place,
    subscriber: Subscriber,
    surroundings: Surroundings,
) -> (mpsc::Sender<Input>, Playing) {
    let (sender, inputs) = mpsc::channel(WAITING);
    let member = Member {
        subscriber,
        surroundings,
        outputs: None,
    };
    let running = member.run(inputs);
    let playing = match place {
        Place::Thread => {
            let runtime = Handle::current();
            Playing::Thread(std::thread::spawn(move || runtime.block_on(running)))
        }
        Place::Runtime => Playing::Task(tokio::spawn(running)),
    };
    (sender, playing)
}

impl Playing {
    /// Waits for the end; false: it was a panic.
    pub(super) async fn end(self) -> bool {
        match self {
            Self::Thread(thread) => {
                let ended = tokio::task::spawn_blocking(|| thread.join()).await;
                matches!(ended, Ok(Ok(())))
            }
            Self::Task(task) => task.await.is_ok(),
        }
    }
}

struct Member {
    subscriber: Subscriber,
    surroundings: Surroundings,
    /// To the stream that began last.
    outputs: Option<mpsc::Sender<Output>>,
}

impl Member {
    async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        while let Some(input) = inputs.recv().await {
            match input {
                Input::Connected(outputs) => {
                    self.outputs = Some(outputs);
                    let hello = self.subscriber.connect();
                    self.say(NodeMessage::Hello(hello)).await;
                }
                Input::Message(message, received) => {
                    self.take(message, received).await;
                }
                Input::Welcome(message, received, heeded) => {
                    let heeds = self.take(message, received).await;
                    // A stream that is gone does not want to know.
                    let _ = heeded.send(heeds);
                }
                Input::Stop => break,
            }
        }
        // Without them the stream ends, in good order.
        self.outputs = None;
        if let Some(keeper) = self.surroundings.keeper.take() {
            keeper.finish();
        }
    }

    /// Whether the stream goes on.
    async fn take(&mut self, message: OperatorMessage, received: Instant) -> bool {
        let effects = self.subscriber.handle(message);
        let ends = effects
            .iter()
            .any(|effect| matches!(effect, Effect::Close(_)));
        let swaps = effects
            .iter()
            .any(|effect| matches!(effect, Effect::Swap(_)));
        for effect in effects {
            self.perform(effect, received).await;
        }
        if swaps {
            // After the operator knows: it may take a while.
            self.surroundings.show(&self.subscriber);
        }
        !ends
    }

    async fn perform(&self, effect: Effect, received: Instant) {
        match effect {
            Effect::Send(message) => {
                self.surroundings.note(&message);
                self.say(message).await;
            }
            Effect::Swap(snapshot) => {
                self.surroundings.node.publish(snapshot);
                // Before the operator knows, who may tell others.
                self.surroundings.status.fill();
                self.surroundings.metrics.applied(received.elapsed());
            }
            Effect::ReportApplied(held) => {
                let apply_us = received.elapsed().as_micros();
                let apply_us = u32::try_from(apply_us).unwrap_or(u32::MAX);
                self.say(NodeMessage::Applied { held, apply_us }).await;
            }
            Effect::Keep(kept) => {
                self.surroundings.metrics.term(kept.term);
                if let Some(keeper) = &self.surroundings.keeper {
                    keeper.keep(kept);
                }
            }
            Effect::Close(reason) => self.output(Output::Close(reason)).await,
        }
    }

    async fn say(&self, message: NodeMessage) {
        self.output(Output::Message(Box::new(message))).await;
    }

    /// A stream that is gone needs nothing more. One that is stuck is waited
    /// for here, until the client finds it silent and drops it.
    async fn output(&self, output: Output) {
        if let Some(outputs) = &self.outputs {
            let _ = outputs.send(output).await;
        }
    }
}

impl Surroundings {
    /// Says what is served, wherever it is said.
    pub(super) fn show(&self, subscriber: &Subscriber) {
        self.metrics.term(subscriber.term());
        let Some(built) = subscriber.served() else {
            return;
        };
        let snapshot = built.snapshot();
        self.hostnames.follow(&snapshot);
        self.health.follow(&snapshot);
        self.metrics.serving(built);
        let (zones, resources) = (snapshot.zones.len(), built.resources().len());
        tracing::info!(id = %built.held().id, zones, resources, "serving");
    }

    fn note(&self, message: &NodeMessage) {
        match message {
            NodeMessage::Staged(held) => tracing::debug!(id = %held.id, "staged"),
            NodeMessage::Nack(nack) => {
                self.metrics.nacked(nack.reason);
                let reason = nack.reason.as_str();
                tracing::warn!(id = %nack.id, reason, message = nack.message, "refused");
                for fault in &nack.faults {
                    tracing::warn!(resource = %fault.resource, fault = fault.message, "refused");
                }
            }
            _ => {}
        }
    }
}

//! One pod.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use prost::Message;
use rand::Rng;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use watershed_health::State;
use watershed_health::fleet::{Report, digest};
use watershed_proto::fleet_v1::FromNode;
use watershed_proto::fleet_v1::fleet_client::FleetClient;
use watershed_proto::{
    Hello, Location, MESSAGE_LIMIT, NEWEST_FORMAT, NodeMessage, OLDEST_FORMAT, OperatorMessage,
};
use watershed_snapshot::{Held, Term};

use super::board::Board;
use crate::content::target;
use crate::crowd::{Milestone, Turn};

/// Regions that pods are in, in turns.
const REGIONS: usize = 10;
/// The rhythm of heartbeats, which the operator asks for too.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Waits between two streams, as those of real nodes.
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(4);
/// Messages on their way to the operator.
const QUEUE: usize = 16;

/// A pod.
pub(crate) struct Pod {
    name: String,
    region: String,
    endpoint: Endpoint,
    board: Arc<Board>,
    held: Option<Held>,
    staged: Option<Held>,
    term: Term,
    /// Targets that it probes, and what it finds.
    own: BTreeMap<usize, State>,
    /// What it was told of each target.
    verdicts: BTreeMap<usize, bool>,
    has_reported: bool,
}

impl Pod {
    /// One that serves nothing yet.
    pub(crate) fn new(number: usize, endpoint: Endpoint, board: Arc<Board>) -> Self {
        Self {
            name: format!("pod-{number:04}"),
            region: format!("region-{}", number % REGIONS),
            endpoint,
            board,
            held: None,
            staged: None,
            term: Term(0),
            own: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            has_reported: false,
        }
    }

    /// Connects, again and again.
    pub(crate) async fn run(mut self, mut turns: broadcast::Receiver<Turn>) {
        let mut limit = SHORTEST * 2;
        loop {
            let before = self.term;
            if let Err(error) = self.stream(&mut turns).await {
                // The others see the same.
                if self.name == "pod-0000" {
                    eprintln!("{}: {error:#}", self.name);
                }
            }
            if self.term != before {
                limit = SHORTEST * 2;
            }
            let wait = rand::rng().random_range(SHORTEST..=limit);
            limit = (limit * 2).min(LONGEST);
            tokio::time::sleep(wait).await;
        }
    }

    async fn stream(&mut self, turns: &mut broadcast::Receiver<Turn>) -> Result<()> {
        let channel = self.endpoint.connect().await?;
        let mut client = FleetClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT);
        let (wire, messages) = mpsc::channel(QUEUE);
        say(&wire, NodeMessage::Hello(self.hello())).await?;
        let mut stream = client
            .sync(ReceiverStream::new(messages))
            .await?
            .into_inner();
        let mut beats = interval(HEARTBEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = stream.message() => {
                    let message = message?.context("the stream has ended")?;
                    self.board.received(message.encoded_len());
                    self.hear(OperatorMessage::try_from(message)?, &wire).await?;
                }
                turn = turns.recv() => self.turn(turn?, &wire).await?,
                _ = beats.tick() => {
                    let own = self.targets();
                    let own = own.iter().map(|(target, state)| (target, *state, false));
                    say(&wire, NodeMessage::HealthBeat { digest: digest(own) }).await?;
                }
            }
        }
    }

    fn hello(&self) -> Hello {
        Hello {
            fleet: "default".to_owned(),
            node: self.name.clone(),
            location: Location {
                region: self.region.clone(),
                ..Location::default()
            },
            software: "bench-propagation".to_owned(),
            formats: OLDEST_FORMAT..=NEWEST_FORMAT,
            held: self.held,
            bucket_digests: None,
            term: self.term,
            boot: 1,
            health: true,
        }
    }

    async fn hear(
        &mut self,
        message: OperatorMessage,
        wire: &mpsc::Sender<FromNode>,
    ) -> Result<()> {
        match message {
            OperatorMessage::Welcome { term, .. } => {
                self.term = term;
                self.board.reach(Milestone::Welcomed(term.0))?;
                self.report(wire).await?;
            }
            OperatorMessage::Stage(part) if part.part + 1 == part.parts => {
                self.staged = Some(part.offer);
                say(wire, NodeMessage::Staged(part.offer)).await?;
            }
            OperatorMessage::Activate { id, .. } => {
                if let Some(held) = self.staged.take_if(|held| held.id == id) {
                    self.held = Some(held);
                    self.board.reach(Milestone::Applied(id.generation))?;
                    say(wire, NodeMessage::Applied { held, apply_us: 0 }).await?;
                }
            }
            OperatorMessage::Checkers(list) => {
                let assignment = self.board.assignment(&list);
                let probed = assignment.of_node(&self.name).into_iter();
                let before = std::mem::take(&mut self.own);
                let known = |number| before.get(&number).copied();
                self.own = probed
                    .map(|number| (number, known(number).unwrap_or(State::Healthy)))
                    .collect();
                self.report(wire).await?;
                if assignment.is_complete(self.board.pods()) && !self.has_reported {
                    self.has_reported = true;
                    self.board.reach(Milestone::Reported)?;
                }
            }
            OperatorMessage::HealthInquire => self.report(wire).await?,
            OperatorMessage::Verdicts { verdicts, .. } => self.told(&verdicts)?,
            _ => {}
        }
        Ok(())
    }

    fn told(&mut self, verdicts: &[(watershed_health::Target, bool, bool)]) -> Result<()> {
        for (about, healthy, _) in verdicts {
            let number = about.address.as_ref().and_then(number_of);
            let Some(number) = number.filter(|number| target(*number) == *about) else {
                continue;
            };
            // What it was never told of counts as healthy.
            let before = self.verdicts.insert(number, *healthy).unwrap_or(true);
            if before != *healthy {
                self.board.reach(Milestone::Told(number, *healthy))?;
            }
        }
        Ok(())
    }

    /// What probes find is another thing from now on.
    async fn turn(&mut self, turn: Turn, wire: &mpsc::Sender<FromNode>) -> Result<()> {
        let Turn { target, healthy } = turn;
        let state = if healthy {
            State::Healthy
        } else {
            State::Unhealthy
        };
        let Some(known) = self.own.get_mut(&target) else {
            return Ok(());
        };
        *known = state;
        let reports = vec![self.found(target, state)];
        let whole = false;
        say(wire, NodeMessage::HealthReport { reports, whole }).await
    }

    async fn report(&self, wire: &mpsc::Sender<FromNode>) -> Result<()> {
        let own = self.own.iter();
        let reports = own.map(|(number, state)| self.found(*number, *state));
        let reports = reports.collect();
        let whole = true;
        say(wire, NodeMessage::HealthReport { reports, whole }).await
    }

    fn found(&self, number: usize, state: State) -> Report {
        Report {
            target: target(number),
            state,
            changing: false,
            age_ms: 0,
            message: "connected".to_owned(),
            certificate_expires: None,
            served: self.verdicts.get(&number).copied(),
        }
    }

    fn targets(&self) -> Vec<(watershed_health::Target, State)> {
        let own = self.own.iter();
        own.map(|(number, state)| (target(*number), *state))
            .collect()
    }
}

/// The number of the policy whose endpoint has this address.
fn number_of(address: &watershed_health::Address) -> Option<usize> {
    match address {
        watershed_health::Address::Ip(std::net::IpAddr::V4(address)) => {
            Some(usize::from(u16::from_be_bytes([
                address.octets()[2],
                address.octets()[3],
            ])))
        }
        _ => None,
    }
}

async fn say(wire: &mpsc::Sender<FromNode>, message: NodeMessage) -> Result<()> {
    let sent = wire.send(message.into()).await;
    sent.ok().context("the stream has ended")
}

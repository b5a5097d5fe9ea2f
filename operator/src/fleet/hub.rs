//! Carries out what publishers ask for: between them, the streams of nodes and
//! the generation record.

mod line;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, watch};
use watershed_health::{State as TargetState, Target};
use watershed_proto::{Hello, NodeMessage, OperatorMessage};
use watershed_snapshot::{Resource, ResourceName, Term};

pub(crate) use self::line::{Line, LineEnd, Outgoing};
use crate::fleet::fleets::FleetAction;
use crate::fleet::{
    Action, Config, Ending, Event, FleetName, FleetView, Fleets, Metrics, Progress, Publisher,
    StreamId, Tagged,
};
use crate::generation::{ClaimError, GenerationStore, Record};
use crate::health::{self, FailoverView, Monitor, News, TargetView};

/// How often time passes for publishers: their shortest deadlines are seconds.
const TICK: Duration = Duration::from_millis(100);

/// How many ticks lie between two looks at the fleet for metrics.
const TICKS_PER_LOOK: u32 = 10;

/// What a hub needs to know.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// How publishers behave; `term` and `unix_seconds` are set by the hub.
    pub publisher: Config,
    /// Trust domain of the identities in certificates.
    pub trust_domain: String,
}

/// What a hub has to tell.
#[derive(Clone, Debug)]
pub enum HubEvent {
    /// Nodes of this fleet held these, which were wanted.
    Recalled(FleetName, Vec<(ResourceName, Resource)>),
    /// The record says that another replica leads. This one must give up its
    /// Lease, and may win it again.
    Deposed(FleetName, String),
    /// The health of what a fleet serves.
    Health(FleetName, Vec<News>),
}

/// The streams of all nodes and, while this replica leads, the publishers.
/// Clones share them. Everything happens under one lock, which is never held
/// across a wait.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

struct Shared {
    config: HubConfig,
    store: Arc<dyn GenerationStore>,
    metrics: Metrics,
    health: health::Metrics,
    changes: watch::Sender<u64>,
    events: mpsc::UnboundedSender<HubEvent>,
    state: Mutex<State>,
}

struct State {
    role: Role,
    /// Grows with every change of role: answers to what a former role asked
    /// for are not taken.
    session: u64,
    lines: HashMap<StreamId, (FleetName, Line)>,
    next_stream: u64,
    stale_after: HashMap<FleetName, Duration>,
}

enum Role {
    /// Somebody else leads, at this address if that is known.
    Following(Option<String>),
    Leading(Box<Fleets>),
}

/// What becomes of a node that says hello.
pub(crate) enum Reception {
    /// It has a stream.
    Welcome(StreamId, LineEnd),
    /// It must go to the leader, if there is one.
    Elsewhere(Option<String>),
}

impl Hub {
    /// A hub that follows, and what it will have to tell.
    pub fn new(
        config: HubConfig,
        store: Arc<dyn GenerationStore>,
        metrics: Metrics,
        health: health::Metrics,
    ) -> (Self, mpsc::UnboundedReceiver<HubEvent>) {
        let (events, told) = mpsc::unbounded_channel();
        let state = State {
            role: Role::Following(None),
            session: 0,
            lines: HashMap::new(),
            next_stream: 0,
            stale_after: HashMap::new(),
        };
        let shared = Shared {
            config,
            store,
            metrics,
            health,
            changes: watch::Sender::new(0),
            events,
            state: Mutex::new(state),
        };
        let shared = Arc::new(shared);
        (Self { shared }, told)
    }

    /// This replica leads from now on, in this term. Must be called within a
    /// Tokio runtime.
    pub fn lead(&self, term: Term) {
        let mut config = self.shared.config.publisher.clone();
        config.term = term;
        config.unix_seconds = unix_seconds();
        let now = clock();
        let mut state = self.shared.lock();
        state.begin(
            Role::Leading(Box::new(Fleets::new(config))),
            "a new term begins",
        );
        let known: Vec<_> = state.stale_after.clone().into_iter().collect();
        for (fleet, stale_after) in known {
            let actions = state.fleets(|fleets| fleets.set_fleet(now, &fleet, stale_after));
            self.shared.carry_out(&mut state, now, actions);
        }
        tokio::spawn(tick(Arc::downgrade(&self.shared), state.session));
    }

    /// This replica does not lead from now on. Nodes are sent to `leader`, its
    /// host and port, if that is known.
    pub fn follow(&self, leader: Option<String>) {
        let mut state = self.shared.lock();
        match &mut state.role {
            Role::Following(known) => *known = leader,
            Role::Leading(_) => {
                state.begin(Role::Following(leader), "this replica no longer leads");
                self.shared.health.forget();
            }
        }
        self.shared.changed();
    }

    /// There is a fleet of this name; its silent nodes stop counting after
    /// `stale_after`.
    pub fn set_fleet(&self, fleet: FleetName, stale_after: Duration) {
        let now = clock();
        let mut state = self.shared.lock();
        let actions = state.fleets(|fleets| fleets.set_fleet(now, &fleet, stale_after));
        state.stale_after.insert(fleet, stale_after);
        self.shared.carry_out(&mut state, now, actions);
    }

    /// So many nodes of a fleet were live under the former leader; see
    /// [`Publisher::expect`]. Without effect while this replica follows.
    pub fn expect(&self, fleet: &FleetName, nodes: usize) {
        let now = clock();
        let mut state = self.shared.lock();
        let actions = state.fleets(|fleets| fleets.expect(now, fleet, nodes));
        self.shared.carry_out(&mut state, now, actions);
    }

    /// The desired state differs from before by `changes`; see
    /// [`Event::Desired`]. The first call after `lead` holds all of it. Without
    /// effect while this replica follows.
    pub fn publish(&self, changes: Vec<Tagged>, wanted: BTreeSet<ResourceName>) {
        let now = clock();
        let mut state = self.shared.lock();
        let actions = state.fleets(|fleets| fleets.publish(now, changes, wanted));
        self.shared.carry_out(&mut state, now, actions);
    }

    /// What health concerns of what fleets serve; nothing of those that are
    /// not in here. Without effect while this replica follows.
    pub fn watch_health(&self, contents: BTreeMap<FleetName, health::Content>) {
        let now = clock();
        let mut state = self.shared.lock();
        let actions = state.fleets(|fleets| fleets.watch(now, contents));
        self.shared.carry_out(&mut state, now, actions);
    }

    /// What the operator knows by itself of targets that nobody probes.
    /// Without effect while this replica follows.
    pub fn set_states(&self, states: &BTreeMap<Target, (TargetState, String)>) {
        let now = clock();
        let mut state = self.shared.lock();
        let actions = state.fleets(|fleets| fleets.states(now, states));
        self.shared.carry_out(&mut state, now, actions);
    }

    /// Whether verdicts of a fleet are formed.
    pub fn health_settled(&self, fleet: &FleetName) -> bool {
        let settled = self.ask_health(fleet, |_, monitor| monitor.is_settled());
        settled.unwrap_or(false)
    }

    /// A target of a fleet; `None` when it is not watched.
    pub fn verdict(&self, fleet: &FleetName, target: &Target) -> Option<TargetView> {
        self.ask_health(fleet, |now, monitor| monitor.verdict(now, target))?
    }

    /// The targets that a check, `namespace/name`, has in a fleet.
    pub fn targets_of(&self, fleet: &FleetName, check: &str) -> Vec<(Target, TargetView)> {
        let targets = self.ask_health(fleet, |now, monitor| monitor.targets_of(now, check));
        targets.unwrap_or_default()
    }

    /// The failover of a record, `namespace/name`; see [`Monitor::failover`].
    pub fn failover(&self, fleet: &FleetName, record: &str) -> Option<FailoverView> {
        self.ask_health(fleet, |now, monitor| monitor.failover(now, record))?
    }

    fn ask_health<T>(
        &self,
        fleet: &FleetName,
        question: impl FnOnce(Instant, &Monitor) -> T,
    ) -> Option<T> {
        let now = clock();
        match &self.shared.lock().role {
            Role::Following(_) => None,
            Role::Leading(fleets) => fleets.monitor(fleet).map(|it| question(now, it)),
        }
    }

    /// Changes whenever answers of `view` and `progress` may have.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// The fleets that this replica publishes to.
    pub fn fleets(&self) -> Vec<FleetName> {
        match &self.shared.lock().role {
            Role::Following(_) => Vec::new(),
            Role::Leading(fleets) => fleets.iter().map(|(name, _)| name.clone()).collect(),
        }
    }

    /// A fleet as a whole; `None` while this replica follows.
    pub fn view(&self, fleet: &FleetName) -> Option<FleetView> {
        self.ask(fleet, Publisher::view)
    }

    /// How far the desired content of a resource has come; `None` while this
    /// replica follows.
    pub fn progress(&self, fleet: &FleetName, name: &ResourceName) -> Option<Progress> {
        self.ask(fleet, |publisher| publisher.progress(name))
    }

    /// Whether the counts of nodes mean something yet; see
    /// [`Publisher::settled`].
    pub fn settled(&self, fleet: &FleetName) -> bool {
        let now = clock();
        let settled = self.ask(fleet, |publisher| publisher.settled(now));
        settled.unwrap_or(false)
    }

    fn ask<T>(&self, fleet: &FleetName, question: impl FnOnce(&Publisher) -> T) -> Option<T> {
        match &self.shared.lock().role {
            Role::Following(_) => None,
            Role::Leading(fleets) => fleets.get(fleet).map(question),
        }
    }

    pub(crate) fn config(&self) -> &HubConfig {
        &self.shared.config
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// A node said hello.
    pub(crate) fn connect(&self, fleet: &FleetName, hello: Hello) -> Reception {
        let now = clock();
        let mut state = self.shared.lock();
        if let Role::Following(leader) = &state.role {
            return Reception::Elsewhere(leader.clone());
        }
        let stream = StreamId(state.next_stream);
        state.next_stream += 1;
        let (line, end) = Line::new();
        state.lines.insert(stream, (fleet.clone(), line));
        let event = Event::Connected(stream, hello);
        let actions = state.fleets(|fleets| fleets.handle(now, fleet, event));
        self.shared.carry_out(&mut state, now, actions);
        Reception::Welcome(stream, end)
    }

    /// A node said something.
    pub(crate) fn hear(&self, stream: StreamId, message: NodeMessage) {
        self.shared.metrics.heard(&message);
        self.tell(stream, Event::Message(stream, message));
    }

    /// A stream ended.
    pub(crate) fn disconnect(&self, stream: StreamId, ending: Ending) {
        self.tell(stream, Event::Disconnected(stream, ending));
        self.shared.lock().lines.remove(&stream);
    }

    fn tell(&self, stream: StreamId, event: Event) {
        let now = clock();
        let mut state = self.shared.lock();
        let Some((fleet, _)) = state.lines.get(&stream) else {
            return;
        };
        let fleet = fleet.clone();
        if let Event::Message(_, message) = &event {
            self.shared.health.heard(&fleet, message);
        }
        let actions = state.fleets(|fleets| fleets.handle(now, &fleet, event));
        self.shared.carry_out(&mut state, now, actions);
    }
}

impl State {
    /// Begins a role. Streams of the former one end.
    fn begin(&mut self, role: Role, why: &str) {
        self.session += 1;
        self.role = role;
        for (_, (_, line)) in self.lines.drain() {
            line.close(why);
        }
    }

    fn fleets(&mut self, act: impl FnOnce(&mut Fleets) -> Vec<FleetAction>) -> Vec<FleetAction> {
        match &mut self.role {
            Role::Following(_) => Vec::new(),
            Role::Leading(fleets) => act(fleets),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Whatever panicked under the lock left a state that the next event
        // can go on from: nothing is changed in two steps.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    fn carry_out(self: &Arc<Self>, state: &mut State, now: Instant, actions: Vec<FleetAction>) {
        let mut actions = std::collections::VecDeque::from(actions);
        while let Some((fleet, action)) = actions.pop_front() {
            if let Some(event) = self.act(state, &fleet, action) {
                let more = state.fleets(|fleets| fleets.handle(now, &fleet, event));
                actions.extend(more);
            }
        }
    }

    /// Carries out one action. What comes of it at once is told to the
    /// publisher.
    fn act(
        self: &Arc<Self>,
        state: &mut State,
        fleet: &FleetName,
        action: Action,
    ) -> Option<Event> {
        match action {
            Action::Send(stream, messages) => return self.send(state, stream, messages),
            Action::Close(stream, why) => {
                if let Some((_, line)) = state.lines.remove(&stream) {
                    tracing::info!(%fleet, %stream, why, "ended the stream of a node");
                    self.metrics.dropped("closed");
                    line.close(&why);
                }
            }
            Action::Read => self.spawn_read(state.session, fleet.clone()),
            Action::Claim { expected, next } => {
                self.spawn_claim(state.session, fleet.clone(), expected, next);
            }
            Action::Recalled(resources) => {
                let count = resources.len();
                tracing::info!(%fleet, count, "nodes gave back what is wanted");
                self.tell(HubEvent::Recalled(fleet.clone(), resources));
            }
            Action::Deposed(why) => {
                tracing::warn!(%fleet, why, "another replica leads");
                state.begin(Role::Following(None), "this replica no longer leads");
                self.health.forget();
                self.tell(HubEvent::Deposed(fleet.clone(), why));
            }
            Action::Changed => self.changed(),
            Action::Health(news) => {
                self.health.told(fleet, &news);
                self.tell(HubEvent::Health(fleet.clone(), news));
            }
        }
        None
    }

    fn tell(&self, event: HubEvent) {
        // Nobody listens any more when the program is about to end.
        let _ = self.events.send(event);
    }

    fn send(
        &self,
        state: &mut State,
        stream: StreamId,
        messages: Vec<OperatorMessage>,
    ) -> Option<Event> {
        let (fleet, line) = state.lines.get(&stream)?;
        for message in &messages {
            self.metrics.sent(message);
            self.health.sent(fleet, message);
        }
        if line.send(messages) {
            return None;
        }
        // A node that does not read is not waited for. It finds out when it
        // reads, and begins anew from what it holds.
        tracing::warn!(%fleet, %stream, "a node does not read its stream");
        self.metrics.dropped("full");
        state.lines.remove(&stream);
        Some(Event::Disconnected(stream, Ending::Lost))
    }

    fn spawn_read(self: &Arc<Self>, session: u64, fleet: FleetName) {
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let read = shared.store.read(&fleet).await;
            if let Err(error) = &read {
                tracing::error!(%fleet, %error, "cannot read the generation record");
            }
            shared.answer(session, &fleet, Event::Read(read));
        });
    }

    fn spawn_claim(
        self: &Arc<Self>,
        session: u64,
        fleet: FleetName,
        expected: Option<Record>,
        next: Record,
    ) {
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let claimed = shared.store.claim(&fleet, expected.as_ref(), &next).await;
            shared.metrics.claimed(match &claimed {
                Ok(()) => "recorded",
                Err(ClaimError::Lost(_)) => "lost",
                Err(ClaimError::Store(_)) => "failed",
            });
            if let Err(error) = &claimed {
                tracing::warn!(%fleet, next = %next, %error, "cannot claim a generation");
            }
            shared.answer(session, &fleet, Event::Claimed(claimed));
        });
    }

    /// Tells a publisher what it asked for, if it still leads.
    fn answer(self: &Arc<Self>, session: u64, fleet: &FleetName, event: Event) {
        let now = clock();
        let mut state = self.lock();
        if state.session == session {
            let actions = state.fleets(|fleets| fleets.handle(now, fleet, event));
            self.carry_out(&mut state, now, actions);
        }
    }
}

/// Lets time pass for the publishers of one session.
async fn tick(shared: Weak<Shared>, session: u64) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for count in 0_u32.. {
        ticks.tick().await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let now = clock();
        let unix = i64::try_from(unix_seconds()).unwrap_or(i64::MAX);
        let mut state = shared.lock();
        if state.session != session {
            return;
        }
        let actions = state.fleets(|fleets| fleets.tick(now, unix));
        shared.carry_out(&mut state, now, actions);
        if let (Role::Leading(fleets), 0) = (&state.role, count % TICKS_PER_LOOK) {
            for (fleet, publisher) in fleets.iter() {
                shared.metrics.observe(fleet, &publisher.view());
            }
        }
    }
}

fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// The runtime's clock, which simulations stop and turn.
fn clock() -> Instant {
    tokio::time::Instant::now().into_std()
}

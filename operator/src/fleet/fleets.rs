//! One publisher and one monitor of health for each fleet, and which resource
//! goes to which.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use watershed_health::{State, Target};
use watershed_proto::OperatorMessage;
use watershed_snapshot::ResourceName;

use crate::fleet::config::Config;
use crate::fleet::event::{Action, Content, Event};
use crate::fleet::{FleetName, Publisher, StreamId};
use crate::health::{Content as HealthContent, Monitor};

/// A resource, and the fleets that serve it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// Its name.
    pub name: ResourceName,
    /// The fleets that serve it: of a version, all in which it is bound. It is
    /// taken away from fleets that served it before and are not in here.
    pub fleets: BTreeSet<FleetName>,
    /// Its content; `None`: it is no longer served at all.
    pub content: Option<Content>,
}

/// The publishers and monitors of all fleets, while this replica leads.
pub struct Fleets {
    config: Config,
    stale_after: BTreeMap<FleetName, Duration>,
    publishers: BTreeMap<FleetName, Publisher>,
    monitors: BTreeMap<FleetName, Monitor>,
    /// The wall clock of the last tick, in Unix seconds.
    unix: i64,
    /// Which fleets serve a resource.
    homes: HashMap<ResourceName, BTreeSet<FleetName>>,
    wanted: BTreeSet<ResourceName>,
    /// Whether the desired state is known at all.
    known: bool,
}

/// What a publisher asks for, and which one.
pub(crate) type FleetAction = (FleetName, Action);

impl Fleets {
    /// No fleet yet. Publishers begin with this configuration.
    pub fn new(config: Config) -> Self {
        Self {
            unix: i64::try_from(config.unix_seconds).unwrap_or(i64::MAX),
            config,
            stale_after: BTreeMap::new(),
            publishers: BTreeMap::new(),
            monitors: BTreeMap::new(),
            homes: HashMap::new(),
            wanted: BTreeSet::new(),
            known: false,
        }
    }

    /// There is a fleet of this name, and its silent nodes stop counting after
    /// `stale_after`.
    pub fn set_fleet(
        &mut self,
        now: Instant,
        fleet: &FleetName,
        stale_after: Duration,
    ) -> Vec<FleetAction> {
        self.stale_after.insert(fleet.clone(), stale_after);
        match self.publishers.get_mut(fleet) {
            Some(publisher) => {
                publisher.set_stale_after(stale_after);
                self.handle(now, fleet, Event::Tick)
            }
            None => self.begin(now, fleet),
        }
    }

    /// So many nodes of `fleet` were live under the former leader.
    pub fn expect(&mut self, now: Instant, fleet: &FleetName, nodes: usize) -> Vec<FleetAction> {
        let Some(publisher) = self.publishers.get_mut(fleet) else {
            return Vec::new();
        };
        publisher.expect(nodes);
        self.handle(now, fleet, Event::Tick)
    }

    /// The desired state differs from before by `changes`. The first call
    /// holds all of it.
    pub fn publish(
        &mut self,
        now: Instant,
        changes: Vec<Tagged>,
        wanted: BTreeSet<ResourceName>,
    ) -> Vec<FleetAction> {
        let mut split = self.split(changes);
        if !self.known || self.wanted != wanted {
            for fleet in self.publishers.keys() {
                split.entry(fleet.clone()).or_default();
            }
        }
        self.known = true;
        self.wanted = wanted;
        let mut actions = Vec::new();
        for (fleet, changes) in split {
            if !self.publishers.contains_key(&fleet) {
                actions.extend(self.begin(now, &fleet));
            }
            let wanted = self.wanted.clone();
            actions.extend(self.handle(now, &fleet, Event::Desired { changes, wanted }));
        }
        actions
    }

    fn split(
        &mut self,
        changes: Vec<Tagged>,
    ) -> BTreeMap<FleetName, Vec<(ResourceName, Option<Content>)>> {
        let mut split: BTreeMap<FleetName, Vec<(ResourceName, Option<Content>)>> = BTreeMap::new();
        for Tagged {
            name,
            fleets,
            content,
        } in changes
        {
            let fleets = if content.is_some() {
                fleets
            } else {
                BTreeSet::new()
            };
            let former = self.homes.remove(&name).unwrap_or_default();
            for fleet in former.difference(&fleets) {
                split
                    .entry(fleet.clone())
                    .or_default()
                    .push((name.clone(), None));
            }
            for fleet in &fleets {
                let change = (name.clone(), content.clone());
                split.entry(fleet.clone()).or_default().push(change);
            }
            if !fleets.is_empty() {
                self.homes.insert(name, fleets);
            }
        }
        split
    }

    /// Begins to publish for `fleet`.
    fn begin(&mut self, now: Instant, fleet: &FleetName) -> Vec<FleetAction> {
        let mut config = self.config.clone();
        if let Some(stale_after) = self.stale_after.get(fleet) {
            config.stale_after = *stale_after;
        }
        let publisher = Publisher::new(config, now);
        self.publishers.insert(fleet.clone(), publisher);
        let monitor = Monitor::new(now, self.unix);
        self.monitors.insert(fleet.clone(), monitor);
        let event = if self.known {
            Event::Desired {
                changes: Vec::new(),
                wanted: self.wanted.clone(),
            }
        } else {
            Event::Tick
        };
        self.handle(now, fleet, event)
    }

    /// Tells the publisher of `fleet`, which is made when there is none, and
    /// the monitor of its health.
    pub fn handle(&mut self, now: Instant, fleet: &FleetName, event: Event) -> Vec<FleetAction> {
        let mut actions = Vec::new();
        if !self.publishers.contains_key(fleet) {
            actions.extend(self.begin(now, fleet));
        }
        let both = (self.publishers.get_mut(fleet), self.monitors.get_mut(fleet));
        if let (Some(publisher), Some(monitor)) = both {
            let asked = handle_both(now, (publisher, monitor), event);
            actions.extend(asked.into_iter().map(|action| (fleet.clone(), action)));
        }
        actions
    }

    /// Tells all that time passed, and how many Unix seconds it is.
    pub fn tick(&mut self, now: Instant, unix: i64) -> Vec<FleetAction> {
        self.unix = unix;
        let names: Vec<FleetName> = self.publishers.keys().cloned().collect();
        let mut actions = Vec::new();
        for fleet in &names {
            actions.extend(self.handle(now, fleet, Event::Tick));
        }
        actions.extend(self.each_monitor(|_, monitor| monitor.tick(now, unix)));
        actions
    }

    /// What health concerns of what fleets serve; nothing of those that are
    /// not in here.
    pub fn watch(
        &mut self,
        now: Instant,
        mut contents: BTreeMap<FleetName, HealthContent>,
    ) -> Vec<FleetAction> {
        let mut actions = Vec::new();
        for fleet in contents.keys() {
            if !self.publishers.contains_key(fleet) {
                actions.extend(self.begin(now, fleet));
            }
        }
        actions.extend(self.each_monitor(|fleet, monitor| {
            let content = contents.remove(fleet).unwrap_or_default();
            monitor.watch(now, content)
        }));
        actions
    }

    /// What the operator knows by itself of targets that nobody probes.
    pub fn states(
        &mut self,
        now: Instant,
        states: &BTreeMap<Target, (State, String)>,
    ) -> Vec<FleetAction> {
        self.each_monitor(|_, monitor| monitor.states(now, states))
    }

    fn each_monitor(
        &mut self,
        mut tell: impl FnMut(&FleetName, &mut Monitor) -> Vec<Action>,
    ) -> Vec<FleetAction> {
        let mut actions = Vec::new();
        for (fleet, monitor) in &mut self.monitors {
            let asked = tell(fleet, monitor).into_iter();
            actions.extend(asked.map(|action| (fleet.clone(), action)));
        }
        actions
    }

    /// The monitor of the health of `fleet`.
    pub fn monitor(&self, fleet: &FleetName) -> Option<&Monitor> {
        self.monitors.get(fleet)
    }

    /// The publisher of `fleet`.
    pub fn get(&self, fleet: &FleetName) -> Option<&Publisher> {
        self.publishers.get(fleet)
    }

    /// All of them, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&FleetName, &Publisher)> {
        self.publishers.iter()
    }
}

/// Tells an event to the publisher of a fleet, and what it and the answer mean
/// for health to the monitor. A node hears of health once it was welcomed.
fn handle_both(
    now: Instant,
    (publisher, monitor): (&mut Publisher, &mut Monitor),
    event: Event,
) -> Vec<Action> {
    let may_move = matches!(
        event,
        Event::Connected(..) | Event::Disconnected(..) | Event::Tick
    );
    let is_tick = matches!(event, Event::Tick);
    let mut more = Vec::new();
    match &event {
        Event::Connected(stream, hello) => monitor.connect(*stream, hello),
        Event::Disconnected(stream, _) => monitor.disconnect(*stream),
        Event::Message(stream, message) => {
            more = monitor.hear(now, *stream, message);
        }
        _ => {}
    }
    let mut actions = publisher.handle(now, event);
    let (welcomed, closed) = streams(&actions);
    for stream in closed {
        monitor.disconnect(stream);
    }
    let changed = actions.iter().any(|a| matches!(a, Action::Changed));
    if may_move && changed {
        monitor.nodes_moved();
    }
    let settles = publisher.settled(now) && monitor.may_settle(now);
    if settles || (is_tick && monitor.wants_checkers(now)) {
        more.extend(monitor.checkers(now, publisher.checkers()));
    }
    if settles {
        more.extend(monitor.settle(now));
    }
    for stream in welcomed {
        more.extend(monitor.welcome(now, stream));
    }
    actions.extend(more);
    actions
}

/// The streams that are welcomed, and those that are closed.
fn streams(actions: &[Action]) -> (Vec<StreamId>, Vec<StreamId>) {
    let (mut welcomed, mut closed) = (Vec::new(), Vec::new());
    for action in actions {
        match action {
            Action::Send(stream, messages)
                if messages
                    .iter()
                    .any(|message| matches!(message, OperatorMessage::Welcome { .. })) =>
            {
                welcomed.push(*stream);
            }
            Action::Close(stream, _) => closed.push(*stream),
            _ => {}
        }
    }
    (welcomed, closed)
}

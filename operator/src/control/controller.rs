//! The state of reconciling, and one step of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use tokio::task::JoinSet;
use watershed_snapshot::{ResourceName, Term};

use super::looks::Looks;
use super::wakeups::Wakeups;
use super::writes::Written;
use super::{ControlConfig, Metrics};
use crate::apply::{Announcer, Budget, Queue, Subject, Writer};
use crate::fleet::{FleetName, Hub};
use crate::leader::Guard;
use crate::object::{ObjectId, ObjectKind};
use crate::plan::{Plan, Planner};
use crate::watch::Change;
use crate::world::World;

/// While counts of nodes are not settled, it is looked for that so often.
const UNSETTLED_LOOK: Duration = Duration::from_millis(500);

/// Longest pause between two steps.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How many seconds lie between two counts of all objects.
const COUNTING: Duration = Duration::from_secs(5);

/// The state of reconciling.
pub(super) struct Controller {
    pub(super) world: World,
    pub(super) hub: Hub,
    /// The watches that must have told everything before anything is done.
    expected: usize,
    compiled: Compiled,
    /// While this replica leads: its term, and whether it has published.
    pub(super) leading: Option<Leading>,
    pub(super) queue: Queue,
    pub(super) budget: Budget,
    pub(super) writer: Writer,
    pub(super) announcer: Announcer,
    pub(super) writes: JoinSet<Written>,
    pub(super) announcements: JoinSet<bool>,
    pub(super) wakeups: Wakeups,
    /// How often in a row a write has failed.
    pub(super) failures: HashMap<Subject, u32>,
    /// Objects about which nodes may still report something.
    pub(super) awaiting: BTreeSet<ObjectId>,
    /// Fleets as the hub knows them, with their stale times.
    fleets: BTreeMap<FleetName, Duration>,
    moved: bool,
    /// Whether counts of nodes meant nothing yet at the last step.
    unsettled: bool,
    looks: Looks,
    next_count: Instant,
    pub(super) metrics: Metrics,
}

/// What has been compiled of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compiled {
    /// Nothing: not all of it is known.
    Nothing,
    /// Everything but the latest changes.
    Former,
    /// Everything.
    All,
}

/// A term of this replica.
pub(super) struct Leading {
    pub(super) term: Term,
    /// What nodes are to give back; `None` before the first publication.
    pub(super) wanted: Option<BTreeSet<ResourceName>>,
}

impl Controller {
    pub(super) fn new(
        client: Client,
        config: &ControlConfig,
        hub: Hub,
        guard: Guard,
        metrics: Metrics,
        expected: usize,
    ) -> Self {
        let now = Instant::now();
        let mut world = World::new(config.grant_grace);
        world.fanout_limit = config.fanout_limit;
        Self {
            world,
            hub,
            expected,
            compiled: Compiled::Nothing,
            leading: None,
            queue: Queue::default(),
            budget: Budget::new(config.writes_per_second, now),
            writer: Writer::new(client.clone(), guard),
            announcer: Announcer::new(client, &config.instance),
            writes: JoinSet::new(),
            announcements: JoinSet::new(),
            wakeups: Wakeups::default(),
            failures: HashMap::new(),
            awaiting: BTreeSet::new(),
            fleets: BTreeMap::new(),
            moved: false,
            unsettled: false,
            looks: Looks::new(now),
            next_count: now,
            metrics,
        }
    }

    /// Takes up a change of the cluster.
    pub(super) fn take(&mut self, change: Change) {
        if self.world.take(change, Timestamp::now()) {
            self.changed();
        }
    }

    /// Something is to be compiled.
    fn changed(&mut self) {
        if self.compiled == Compiled::All {
            self.compiled = Compiled::Former;
        }
    }

    /// Nodes have reported something.
    pub(super) fn nodes_moved(&mut self) {
        self.moved = true;
    }

    /// Whether everything that was there at the start is known.
    pub(super) fn is_ready(&self) -> bool {
        self.compiled != Compiled::Nothing
    }

    /// Does what there is to do now.
    pub(super) fn step(&mut self) {
        if self.world.synced() < self.expected {
            return;
        }
        let now = Instant::now();
        self.compile_and_publish();
        if self.leading.is_some() {
            let unsettled = self.is_unsettled();
            self.moved |= self.unsettled && !unsettled;
            self.unsettled = unsettled;
            self.look(now);
            self.start_writes(now);
        } else {
            // Whoever begins to lead looks at everything.
            self.world.take_dirty();
        }
        if now >= self.next_count {
            self.next_count = now + COUNTING;
            self.metrics.observe(&self.world);
        }
    }

    fn compile_and_publish(&mut self) {
        if self.world.end_grants(Timestamp::now()) {
            self.changed();
        }
        if self.compiled == Compiled::Nothing {
            self.restore_active();
            tracing::info!(objects = self.world.objects.len(), "the cluster is known");
        }
        if self.compiled != Compiled::All {
            self.compiled = Compiled::All;
            self.compile();
            self.tell_fleets();
        }
        self.publish();
    }

    pub(super) fn compile(&mut self) {
        let began = Instant::now();
        self.world.compile(serial_floor());
        self.metrics.compiled(began.elapsed());
    }

    /// Tells the hub which fleets there are.
    fn tell_fleets(&mut self) {
        let names: BTreeSet<&str> = self
            .world
            .fleets
            .keys()
            .map(|key| key.name.as_str())
            .collect();
        let mut fleets = BTreeMap::new();
        for name in names {
            let fleet = FleetName::new(name);
            if let Some((_, spec)) = self.world.fleet(&fleet) {
                let seconds = u64::try_from(spec.node_stale_seconds).unwrap_or(0).max(1);
                fleets.insert(fleet, Duration::from_secs(seconds));
            }
        }
        for (fleet, stale_after) in &fleets {
            if self.fleets.get(fleet) != Some(stale_after) {
                self.hub.set_fleet(fleet.clone(), *stale_after);
            }
        }
        self.fleets = fleets;
    }

    /// Plans what to write about objects that changed, whose time has come, or
    /// about which nodes may have reported something.
    fn look(&mut self, now: Instant) {
        if now < self.looks.rests_until() {
            return;
        }
        let present = Timestamp::now();
        let mut objects = self.world.take_dirty();
        objects.extend(self.wakeups.take(present));
        let about_nodes = self.moved && now >= self.looks.next();
        if about_nodes {
            self.moved = false;
            objects.extend(self.awaiting.iter().cloned());
            let fleets = self.world.of_kind(ObjectKind::DNSFleet);
            objects.extend(fleets.map(|(id, _)| id.clone()));
        }
        if objects.is_empty() {
            return;
        }
        let began = Instant::now();
        let plan = Planner::new(&self.world, &self.hub, present).plan(&objects);
        let took = began.elapsed();
        self.looks.planned(began, took, about_nodes);
        self.metrics.planned(took);
        for id in &objects {
            self.wakeups.set(id, plan.again.get(id).copied());
            if !plan.awaiting.contains(id) {
                self.awaiting.remove(id);
            }
        }
        self.adopt(plan, now);
    }

    fn adopt(&mut self, plan: Plan, now: Instant) {
        for write in plan.writes {
            self.ask(write, &plan.awaiting, now);
        }
        self.awaiting.extend(plan.awaiting);
    }

    /// How long there is nothing to do, if nothing happens.
    pub(super) fn pause(&self) -> Duration {
        let now = Instant::now();
        let present = Timestamp::now();
        let until = |time: Timestamp| {
            let wait = time.duration_since(present).max(SignedDuration::ZERO);
            Duration::try_from(wait).unwrap_or_default()
        };
        let mut pauses = vec![LONGEST_PAUSE];
        pauses.extend(self.world.next_end().map(until));
        if self.leading.is_some() {
            pauses.extend(self.next_write(now));
            let looks = [
                self.wakeups.next().map(until),
                (self.moved).then(|| self.looks.next().saturating_duration_since(now)),
                self.world.is_dirty().then_some(Duration::ZERO),
            ];
            let rest = self.looks.rests_until().saturating_duration_since(now);
            let soonest = looks.into_iter().flatten().min();
            pauses.extend(soonest.map(|wait| wait.max(rest)));
            if self.unsettled {
                pauses.push(UNSETTLED_LOOK);
            }
        }
        // Not shorter than the timer's own step.
        let pause = pauses.into_iter().min().unwrap_or(LONGEST_PAUSE);
        pause.max(Duration::from_millis(1))
    }

    fn is_unsettled(&self) -> bool {
        let fleets = self.hub.fleets();
        fleets.iter().any(|fleet| !self.hub.settled(fleet))
    }
}

/// The time in Unix seconds, as far as that fits a serial number.
fn serial_floor() -> u32 {
    u32::try_from(Timestamp::now().as_second()).unwrap_or(u32::MAX)
}

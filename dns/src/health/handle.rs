//! Performs what the agent decides.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use watershed_health::Hold;
use watershed_probe::Prober;
use watershed_proto::{NodeMessage, OperatorMessage};
use watershed_snapshot::{HealthStates, Snapshot};

use super::agent::{Agent, Effect, Moment, Subject};
use super::metrics::{Counters, Gauges};
use super::options::HealthOptions;
use super::view::TargetView;
use crate::node::Node;

/// Results that may wait.
const WAITING: usize = 256;
/// How long to sleep when nothing is due.
const LONG: Duration = Duration::from_hours(1);

/// Starts what probes.
#[derive(Clone, Copy, Debug)]
pub struct HealthAgent;

/// Tells the agent of a node what happens. It works until the last clone of
/// the handle is dropped.
#[derive(Clone)]
pub struct HealthHandle {
    shared: Arc<Shared>,
    _task: Arc<AbortOnDropHandle<()>>,
}

/// What the agent and those around it share.
pub(super) struct Shared {
    inner: Mutex<Inner>,
    /// The next deadline may be another.
    changed: Notify,
    revision: watch::Sender<u64>,
    prober: Prober,
    counters: Counters,
    node: Node,
}

/// Takes a message to the operator; false when it cannot.
type Say = Box<dyn Fn(NodeMessage) -> bool + Send>;

struct Inner {
    agent: Agent,
    say: Option<Say>,
}

impl HealthAgent {
    /// Makes `node` answer by health checks, those of the snapshots that are
    /// told by [`HealthHandle::follow`]. It needs a tokio runtime.
    ///
    /// # Errors
    /// When the authorities of the options cannot be read, or metrics cannot
    /// be made, which all can.
    pub fn start(node: &Node, options: &HealthOptions) -> Result<HealthHandle, String> {
        let (sender, results) = mpsc::channel(WAITING);
        let counters = Counters::new().map_err(|error| error.to_string())?;
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner {
                agent: Agent::new(moment().now, options),
                say: None,
            }),
            changed: Notify::new(),
            revision: watch::Sender::new(0),
            prober: Prober::start(options.config(), sender)?,
            counters,
            node: node.clone(),
        });
        let task = tokio::spawn(run(Arc::clone(&shared), results));
        shared.act(Agent::tick);
        Ok(HealthHandle {
            shared,
            _task: Arc::new(AbortOnDropHandle::new(task)),
        })
    }
}

impl HealthHandle {
    /// Probes what this snapshot depends on from now on. To be called after
    /// the node serves it.
    pub fn follow(&self, snapshot: &Arc<Snapshot>) {
        // Not under the lock: it takes a while.
        let subject = Subject::of(snapshot);
        self.shared.act(|agent, at| agent.follow(at, subject));
    }

    /// Makes the node go by these verdicts besides: what is unhealthy in here
    /// is unhealthy whatever probes say. It takes the place of
    /// [`Node::set_health`], of which failback would not know.
    pub fn set_health(&self, by_hand: HealthStates) {
        self.shared.node.set_health(by_hand.clone());
        let by_hand = Arc::new(by_hand);
        self.shared.act(|agent, at| agent.by_hand(at, by_hand));
    }

    /// Lets the clients of a record (`namespace/name`) return to the first
    /// healthy branch. False when there is no such record with failback, or
    /// when an operator decides about it.
    pub fn release(&self, record: &str) -> bool {
        let mut released = false;
        self.shared.act(|agent, at| {
            released = agent.release(at, record);
            agent.tick(at)
        });
        released
    }

    /// What is known of all targets, in their order.
    pub fn view(&self) -> Vec<TargetView> {
        self.shared.lock().agent.targets()
    }

    /// What failback holds.
    pub fn holds(&self) -> Vec<Hold> {
        self.shared.lock().agent.holds()
    }

    /// Changes whenever something of [`HealthHandle::view`] or
    /// [`HealthHandle::holds`] changes that people want to see.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.revision.subscribe()
    }

    /// Registers the metrics of probes and of health.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn register(&self, registry: &prometheus::Registry) -> Result<(), prometheus::Error> {
        self.shared.counters.register(registry)?;
        let gauges = Gauges::new(Arc::downgrade(&self.shared))?;
        registry.register(Box::new(gauges))
    }

    /// A stream begins with an operator that speaks of health. `say` takes a
    /// message to it and must not wait; false when it cannot.
    pub(crate) fn connected(&self, say: impl Fn(NodeMessage) -> bool + Send + 'static) {
        self.shared.lock().say = Some(Box::new(say));
        self.shared.act(Agent::connected);
    }

    /// The stream ends.
    pub(crate) fn disconnected(&self) {
        if self.shared.lock().say.take().is_some() {
            self.shared.act(Agent::disconnected);
        }
    }

    /// The operator speaks.
    pub(crate) fn hear(&self, message: OperatorMessage) {
        self.shared.act(|agent, at| agent.hear(at, message));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the agent something and does what it says. All under the lock:
    /// the order of effects is that of their causes.
    fn act(&self, tell: impl FnOnce(&mut Agent, Moment) -> Vec<Effect>) {
        let mut inner = self.lock();
        let before = inner.agent.deadline();
        for effect in tell(&mut inner.agent, moment()) {
            self.perform(&mut inner, effect);
        }
        let revision = inner.agent.revision();
        let deadline = inner.agent.deadline();
        drop(inner);
        self.revision
            .send_if_modified(|seen| std::mem::replace(seen, revision) != revision);
        if deadline != before {
            self.changed.notify_one();
        }
    }

    fn perform(&self, inner: &mut Inner, effect: Effect) {
        match effect {
            Effect::Assign(assignments) => self.prober.assign(assignments),
            Effect::Serve(verdicts) => self.node.set_verdicts(verdicts),
            Effect::Say(message) => {
                let said = inner.say.as_ref().is_some_and(|say| say(message));
                if !said {
                    inner.agent.unsent();
                }
            }
        }
    }

    fn take(&self, result: &watershed_probe::Result) {
        let kind = self.lock().agent.kind(&result.target);
        self.counters.count(result, kind);
        self.act(|agent, at| agent.result(at, result));
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&Agent) -> T) -> T {
        look(&self.lock().agent)
    }
}

fn moment() -> Moment {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH);
    let unix = unix.map_or(0, |unix| unix.as_secs());
    Moment {
        now: Instant::now().into_std(),
        unix: i64::try_from(unix).unwrap_or(i64::MAX),
    }
}

/// Takes results, and wakes the agent when something is due.
async fn run(shared: Arc<Shared>, mut results: mpsc::Receiver<watershed_probe::Result>) {
    loop {
        let deadline = shared.look(Agent::deadline);
        let deadline = deadline.map_or_else(|| Instant::now() + LONG, Instant::from_std);
        tokio::select! {
            result = results.recv() => match result {
                Some(result) => shared.take(&result),
                None => return,
            },
            () = tokio::time::sleep_until(deadline) => shared.act(Agent::tick),
            () = shared.changed.notified() => {}
        }
    }
}

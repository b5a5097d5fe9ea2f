//! A fleet without a network: nodes, operators, the streams between them, and
//! the record that they share. Whatever may happen happens when the test says
//! so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use watershed_dns::fleet::{Builder, Effect, Identity, Kept, Subscriber};
use watershed_operator::fleet::{
    Action, Config, Content, Ending, Event, FleetName, FleetView, NodeName, Progress, Publisher,
    StreamId,
};
use watershed_operator::generation::{ClaimError, MemoryStore, Record, StoreError};
use watershed_proto::{Hello, Location, NodeMessage, OperatorMessage};
use watershed_snapshot::{Digest, Held, ResourceName, ResourceSet, SnapshotId, Term};

use crate::content::Change;
use crate::history::History;

/// A fleet and all that works on it.
pub(crate) struct World {
    pub(crate) now: Instant,
    begin: Instant,
    pub(crate) store: MemoryStore,
    pub(crate) nodes: Vec<Node>,
    pub(crate) operators: Vec<Operator>,
    streams: BTreeMap<StreamId, Stream>,
    next_stream: u64,
    /// Streams that their nodes have ended in good order.
    closed: BTreeSet<StreamId>,
    history: History,
    /// Resources sent to each node.
    puts: BTreeMap<usize, usize>,
    desired: BTreeMap<ResourceName, Content>,
}

pub(crate) struct Node {
    identity: Identity,
    refuses: Vec<ResourceName>,
    subscriber: Option<Subscriber>,
    /// What is on disk.
    kept: Kept,
    /// What was on disk before the last write: a node writes after it serves,
    /// and may be killed in between.
    formerly_kept: Kept,
    stream: Option<StreamId>,
    /// The highest id since the program was started.
    highest: Option<SnapshotId>,
    /// The highest term that it was told.
    term: Term,
    /// Takes messages and answers nothing.
    pub(crate) stuck: bool,
}

#[derive(Default)]
pub(crate) struct Operator {
    pub(crate) publisher: Option<Publisher>,
    /// What it asked of the store.
    requests: VecDeque<Request>,
    /// Changes that it has not seen yet.
    unseen: Vec<Change>,
    pub(crate) wanted: BTreeSet<ResourceName>,
    pub(crate) recalled: Vec<ResourceName>,
    pub(crate) deposed: bool,
}

enum Request {
    Read,
    Claim(Option<Record>, Record),
}

/// What becomes of a request to the store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Answered,
    /// It was not carried out.
    Failed,
    /// It was carried out, and the answer was lost.
    AnswerLost,
}

struct Stream {
    node: usize,
    operator: usize,
    down: VecDeque<OperatorMessage>,
    up: VecDeque<Up>,
    /// Whether each side still holds it.
    node_open: bool,
    operator_open: bool,
}

enum Up {
    Hello(Hello),
    Message(NodeMessage),
}

fn fleet() -> FleetName {
    FleetName::new("default")
}

pub(crate) fn node_name(node: usize) -> NodeName {
    NodeName::new(format!("n{node}"))
}

impl World {
    pub(crate) fn new(nodes: usize, operators: usize) -> Self {
        let now = Instant::now();
        Self {
            now,
            begin: now,
            store: MemoryStore::default(),
            nodes: (0..nodes).map(Node::new).collect(),
            operators: (0..operators).map(|_| Operator::default()).collect(),
            streams: BTreeMap::new(),
            next_stream: 0,
            closed: BTreeSet::new(),
            history: History::default(),
            puts: BTreeMap::new(),
            desired: BTreeMap::new(),
        }
    }

    fn unix_seconds(&self) -> u64 {
        1_790_000_000 + (self.now - self.begin).as_secs()
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        for operator in 0..self.operators.len() {
            self.tell(operator, Event::Tick);
        }
    }

    // Operators.

    /// The operator begins to lead, by a Lease of this term.
    pub(crate) fn lead(&mut self, operator: usize, term: u64, change: impl FnOnce(&mut Config)) {
        self.crash_operator(operator);
        let mut config = Config {
            term: Term(term),
            unix_seconds: self.unix_seconds(),
            operator: format!("operator-{operator}"),
            ..Config::default()
        };
        change(&mut config);
        let wanted = std::mem::take(&mut self.operators[operator].wanted);
        self.operators[operator] = Operator {
            publisher: Some(Publisher::new(config, self.now)),
            wanted,
            ..Operator::default()
        };
        let all = self.desired.clone().into_iter();
        let changes = all.map(|(name, content)| (name, Some(content))).collect();
        self.desire_of(operator, changes);
    }

    pub(crate) fn crash_operator(&mut self, operator: usize) {
        let wanted = std::mem::take(&mut self.operators[operator].wanted);
        self.operators[operator] = Operator {
            wanted,
            ..Operator::default()
        };
        for stream in self.streams.values_mut() {
            if stream.operator == operator {
                stream.operator_open = false;
            }
        }
    }

    /// Changes the desired state. Operators of which `sees` is false learn of
    /// it with the next change that they see.
    pub(crate) fn desire(&mut self, changes: Vec<Change>, sees: impl Fn(usize) -> bool) {
        for operator in &mut self.operators {
            operator.unseen.extend(changes.iter().cloned());
        }
        for (name, content) in changes {
            match content {
                Some(content) => self.desired.insert(name, content),
                None => self.desired.remove(&name),
            };
        }
        let seeing = (0..self.operators.len()).filter(|operator| sees(*operator));
        seeing.for_each(|operator| self.catch_up(operator));
    }

    pub(crate) fn catch_up(&mut self, operator: usize) {
        let changes = std::mem::take(&mut self.operators[operator].unseen);
        if !changes.is_empty() {
            self.desire_of(operator, changes);
        }
    }

    fn desire_of(&mut self, operator: usize, changes: Vec<Change>) {
        let wanted = self.operators[operator].wanted.clone();
        self.tell(operator, Event::Desired { changes, wanted });
    }

    fn tell(&mut self, operator: usize, event: Event) {
        let now = self.now;
        let Some(publisher) = &mut self.operators[operator].publisher else {
            return;
        };
        for action in publisher.handle(now, event) {
            self.act(operator, action);
        }
    }

    fn act(&mut self, operator: usize, action: Action) {
        match action {
            Action::Send(stream, messages) => {
                let stream = self.streams.get_mut(&stream).expect("a known stream");
                assert!(stream.operator_open, "nothing is sent on a closed stream");
                let puts = self.puts.entry(stream.node).or_default();
                for message in &messages {
                    if let OperatorMessage::Stage(part) = message {
                        *puts += part.delta.put.len();
                    }
                }
                stream.down.extend(messages);
            }
            Action::Close(stream, _) => {
                let stream = self.streams.get_mut(&stream).expect("a known stream");
                stream.operator_open = false;
                stream.up.clear();
            }
            Action::Read => self.operators[operator].requests.push_back(Request::Read),
            Action::Claim { expected, next } => {
                let request = Request::Claim(expected, next);
                self.operators[operator].requests.push_back(request);
            }
            Action::Recalled(resources) => {
                let names = resources.iter().map(|(name, _)| name.clone());
                self.operators[operator].recalled.extend(names);
                // As the compiler does: what was restored is desired.
                for (name, resource) in resources {
                    self.operators[operator]
                        .unseen
                        .push((name, Some(Content::of(&resource))));
                }
            }
            Action::Deposed(_) => self.operators[operator].deposed = true,
            // A publisher says nothing of health.
            Action::Changed | Action::Health(_) => {}
        }
    }

    /// Carries out the oldest request of an operator to the store.
    pub(crate) fn answer_request(&mut self, operator: usize, fate: Fate) -> bool {
        let Some(request) = self.operators[operator].requests.pop_front() else {
            return false;
        };
        let unavailable = StoreError::Unavailable {
            place: "the record".to_owned(),
            message: "no answer".to_owned(),
        };
        let event = match (request, fate) {
            (Request::Read, Fate::Answered) => Event::Read(Ok(self.store.get(&fleet()))),
            (Request::Read, _) => Event::Read(Err(unavailable)),
            (Request::Claim(..), Fate::Failed) => {
                Event::Claimed(Err(ClaimError::Store(unavailable)))
            }
            (Request::Claim(expected, next), fate) => {
                let swapped = self.store.swap(&fleet(), expected.as_ref(), &next);
                if swapped.is_ok() {
                    self.history.record(expected.as_ref(), &next);
                }
                match fate {
                    Fate::AnswerLost => Event::Claimed(Err(ClaimError::Store(unavailable))),
                    _ => Event::Claimed(swapped),
                }
            }
        };
        self.tell(operator, event);
        true
    }

    /// The record vanishes.
    pub(crate) fn forget(&mut self) {
        self.store.forget(&fleet());
    }

    pub(crate) fn record(&self) -> Option<Record> {
        self.store.get(&fleet())
    }

    pub(crate) fn view(&self, operator: usize) -> FleetView {
        self.publisher(operator).view()
    }

    pub(crate) fn progress(&self, operator: usize, name: &ResourceName) -> Progress {
        self.publisher(operator).progress(name)
    }

    pub(crate) fn publisher(&self, operator: usize) -> &Publisher {
        self.operators[operator]
            .publisher
            .as_ref()
            .expect("it leads")
    }

    // Nodes.

    /// The node refuses resources of these names from its next start.
    pub(crate) fn refuse(&mut self, node: usize, names: &[ResourceName]) {
        self.nodes[node].refuses = names.to_vec();
    }

    /// The node reads formats up to `newest` from its next start.
    pub(crate) fn limit_format(&mut self, node: usize, newest: u32) {
        self.nodes[node].identity.formats = 1..=newest;
    }

    pub(crate) fn crash_node(&mut self, node: usize) {
        self.cut(node, false);
        self.nodes[node].subscriber = None;
    }

    /// The node starts from what is on its disk.
    pub(crate) fn start_node(&mut self, node: usize) {
        self.crash_node(node);
        self.nodes[node].start();
    }

    pub(crate) fn wipe_disk(&mut self, node: usize) {
        self.nodes[node].kept = Kept::default();
        self.nodes[node].formerly_kept = Kept::default();
    }

    /// The last write of the node does not come to its disk.
    pub(crate) fn lose_write(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        node.kept.clone_from(&node.formerly_kept);
    }

    /// Opens a stream, in the place of the one that the node had.
    pub(crate) fn connect(&mut self, node: usize, operator: usize) {
        self.cut(node, true);
        let Some(subscriber) = &mut self.nodes[node].subscriber else {
            return;
        };
        if self.operators[operator].publisher.is_none() || self.operators[operator].deposed {
            return;
        }
        let hello = subscriber.connect();
        let id = StreamId(self.next_stream);
        self.next_stream += 1;
        self.nodes[node].stream = Some(id);
        let stream = Stream {
            node,
            operator,
            down: VecDeque::new(),
            up: [Up::Hello(hello)].into(),
            node_open: true,
            operator_open: true,
        };
        self.streams.insert(id, stream);
    }

    /// The node's stream breaks. The operator learns of it later, and may yet
    /// read what was sent, if that is not `lost`.
    pub(crate) fn cut(&mut self, node: usize, lost: bool) {
        let Some(id) = self.nodes[node].stream.take() else {
            return;
        };
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.node_open = false;
            stream.down.clear();
            if lost {
                stream.up.clear();
            }
        }
    }

    /// The node ends its stream in good order.
    pub(crate) fn close(&mut self, node: usize) {
        if let Some(id) = self.nodes[node].stream {
            self.cut(node, true);
            self.closed.insert(id);
        }
    }

    /// How many resources the node was sent so far.
    pub(crate) fn count_puts(&self, node: usize) -> usize {
        self.puts.get(&node).copied().unwrap_or_default()
    }

    pub(crate) fn is_connected(&self, node: usize) -> bool {
        let stream = self.nodes[node].stream;
        let stream = stream.and_then(|stream| self.streams.get(&stream));
        stream.is_some_and(|stream| stream.operator_open)
    }

    /// The operators hear the next of what the node said on each of its
    /// streams, or that a stream has ended.
    pub(crate) fn deliver_up(&mut self, node: usize) -> bool {
        let mut any = false;
        for id in self.streams_of(node) {
            any |= self.deliver_on(id);
        }
        any
    }

    /// The same for the latest stream of the node only: it overtakes the
    /// others.
    pub(crate) fn deliver_latest(&mut self, node: usize) -> bool {
        let latest = self.streams_of(node).last().copied();
        latest.is_some_and(|id| self.deliver_on(id))
    }

    fn deliver_on(&mut self, id: StreamId) -> bool {
        let stream = self.streams.get_mut(&id).expect("a known stream");
        let operator = stream.operator;
        if !stream.operator_open {
            if !stream.node_open {
                self.streams.remove(&id);
            }
            return false;
        }
        let event = match stream.up.pop_front() {
            Some(Up::Hello(hello)) => Event::Connected(id, hello),
            Some(Up::Message(message)) => Event::Message(id, message),
            None if !stream.node_open => {
                stream.operator_open = false;
                let closed = self.closed.contains(&id);
                let ending = if closed { Ending::Closed } else { Ending::Lost };
                Event::Disconnected(id, ending)
            }
            None => return false,
        };
        self.tell(operator, event);
        true
    }

    /// The node hears the next of what it was told, or that its stream ended.
    pub(crate) fn deliver_down(&mut self, node: usize) -> bool {
        let Some(id) = self.nodes[node].stream else {
            return false;
        };
        let Some(stream) = self.streams.get_mut(&id) else {
            self.nodes[node].stream = None;
            return true;
        };
        match stream.down.pop_front() {
            Some(_) if self.nodes[node].stuck => true,
            Some(message) => {
                self.hear(node, id, message);
                true
            }
            None if !stream.operator_open => {
                self.cut(node, true);
                true
            }
            None => false,
        }
    }

    fn streams_of(&self, node: usize) -> Vec<StreamId> {
        let streams = self.streams.iter();
        let of_node = streams.filter(|(_, stream)| stream.node == node);
        of_node.map(|(id, _)| *id).collect()
    }

    fn hear(&mut self, node: usize, id: StreamId, message: OperatorMessage) {
        let term = match &message {
            OperatorMessage::Welcome { term, .. } | OperatorMessage::Activate { term, .. } => {
                Some(*term)
            }
            OperatorMessage::Stage(part) => Some(part.term),
            _ => None,
        };
        let highest = self.nodes[node].term;
        let Some(subscriber) = &mut self.nodes[node].subscriber else {
            return;
        };
        let effects = subscriber.handle(message);
        let mut said = Vec::new();
        for effect in effects {
            match effect {
                Effect::Send(message) => said.push(message),
                Effect::Swap(_) => {
                    assert!(
                        term >= Some(highest),
                        "n{node} adopted the offer of a deposed leader: {term:?} after {highest:?}"
                    );
                }
                Effect::ReportApplied(held) => {
                    self.check_served(node, held);
                    said.push(NodeMessage::Applied { held, apply_us: 1 });
                }
                Effect::Keep(kept) => {
                    let node = &mut self.nodes[node];
                    node.formerly_kept = std::mem::replace(&mut node.kept, kept);
                }
                Effect::Close(_) => {
                    self.say(id, said);
                    self.nodes[node].term = highest.max(term.unwrap_or_default());
                    self.cut(node, false);
                    return;
                }
            }
        }
        self.nodes[node].term = highest.max(term.unwrap_or_default());
        self.say(id, said);
    }

    fn say(&mut self, id: StreamId, said: Vec<NodeMessage>) {
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.operator_open
        {
            stream.up.extend(said.into_iter().map(Up::Message));
        }
    }

    /// Nothing goes back, and one id has one content: the recorded one.
    fn check_served(&mut self, node: usize, held: Held) {
        let former = self.nodes[node].highest.replace(held.id);
        assert!(
            former <= Some(held.id),
            "n{node} went back from {former:?} to {}",
            held.id
        );
        assert_eq!(
            self.history.content(held.id),
            Some(held.digest),
            "n{node} serves something else than what was recorded as {}",
            held.id
        );
    }

    /// What a node serves.
    pub(crate) fn serving(&self, node: usize) -> Option<(Held, ResourceSet)> {
        let subscriber = self.nodes[node].subscriber.as_ref()?;
        let built = subscriber.served()?;
        Some((*built.held(), built.resources().clone()))
    }

    /// The content of a resource, as the node serves it.
    pub(crate) fn form(&self, node: usize, name: &ResourceName) -> Option<Digest> {
        let (_, resources) = self.serving(node)?;
        resources.get(name).map(Digest::of)
    }

    pub(crate) fn desired_set(&self) -> ResourceSet {
        let desired = self.desired.iter();
        let desired = desired.map(|(name, content)| (name.borrowed(), &content.bytes));
        desired.collect()
    }

    // Whole runs.

    /// Carries everything that is on its way, until nothing is.
    pub(crate) fn flow(&mut self) {
        for _ in 0..2_000 {
            let mut any = false;
            for operator in 0..self.operators.len() {
                any |= self.answer_request(operator, Fate::Answered);
            }
            for node in 0..self.nodes.len() {
                any |= self.deliver_up(node);
                any |= self.deliver_down(node);
            }
            if !any {
                return;
            }
        }
        panic!("messages go round and round");
    }

    /// Lets time pass with nodes that connect to `operator` whenever they are
    /// not connected.
    pub(crate) fn run(&mut self, operator: usize, time: Duration) {
        self.run_until(operator, time, |_| false);
    }

    /// The same, until something is so; false: it was not, in all that time.
    pub(crate) fn run_until(
        &mut self,
        operator: usize,
        most: Duration,
        done: impl Fn(&Self) -> bool,
    ) -> bool {
        let until = self.now + most;
        while self.now < until {
            for node in 0..self.nodes.len() {
                if !self.is_connected(node) {
                    self.connect(node, operator);
                }
            }
            self.flow();
            self.pass(Duration::from_millis(100));
            self.catch_up(operator);
            self.flow();
            if done(self) {
                return true;
            }
        }
        false
    }

    /// Some seconds: enough for everything but a stuck node.
    pub(crate) fn settle(&mut self, operator: usize) {
        self.run(operator, Duration::from_secs(8));
    }
}

impl Node {
    fn new(number: usize) -> Self {
        let mut node = Self {
            identity: Identity {
                fleet: "default".to_owned(),
                node: node_name(number).to_string(),
                location: Location::default(),
                formats: 1..=2,
                boot: 0,
                version: "0".to_owned(),
            },
            refuses: Vec::new(),
            subscriber: None,
            kept: Kept::default(),
            formerly_kept: Kept::default(),
            stream: None,
            highest: None,
            term: Term::default(),
            stuck: false,
        };
        node.start();
        node
    }

    fn start(&mut self) {
        self.identity.boot += 1;
        self.term = self.kept.term;
        self.highest = self.kept.held.map(|held| held.id);
        let builder =
            Builder::new(self.identity.formats.clone()).refusing(self.refuses.iter().cloned());
        let restored = Subscriber::restore(self.identity.clone(), builder, self.kept.clone());
        self.subscriber = Some(restored.unwrap_or_else(|faults| panic!("{faults:?}")));
    }
}

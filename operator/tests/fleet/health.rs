//! Health of what a fleet serves: what nodes report, what all of them are told
//! of it, and that nothing flaps. The messages go over the wire's octets.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde::Deserialize;
use watershed_health::fleet::{Report, digest};
use watershed_health::{Address, Checker, Hold, NodeView, State, Target, checkers};
use watershed_operator::fleet::{Action, Config, Ending, Event, FleetName, Fleets, StreamId};
use watershed_operator::generation::MemoryStore;
use watershed_operator::health::{Content, News, Transition, Whose};
use watershed_operator::object::ObjectKind;
use watershed_operator::watch::{Change, observe};
use watershed_operator::world::World;
use watershed_proto::fleet_v1::{FromNode, ToNode};
use watershed_proto::{Hello, Location, NodeMessage, OperatorMessage};
use watershed_snapshot::{Held, Term};

/// Time moves by this, as the hub's does.
const TICK: Duration = Duration::from_millis(100);

/// When nodes of a new leader have come, and a little more.
const SETTLED: Duration = Duration::from_secs(9);

const OBJECTS: &str = "
apiVersion: watershed.dev/v1alpha1
kind: HostedZone
metadata: {name: example-com, namespace: shop}
spec:
  domain: example.com
  fleetName: default
  soa: {adminEmail: hostmaster@example.com}
  nameservers: {names: [ns1.example.net]}
---
apiVersion: watershed.dev/v1alpha1
kind: HealthCheck
metadata: {name: web, namespace: shop}
spec: {tcp: {port: 443}, checkers: {minLocations: 1}}
---
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicyVersion
metadata: {name: web-v1, namespace: shop}
spec:
  policyName: web
  version: 1
  document:
    recordTypes: [A]
    startRule: main
    rules:
      main:
        type: Failover
        branches: [{endpoint: one}, {endpoint: two}]
    endpoints:
      one: {addresses: [192.0.2.1], healthCheckRef: {name: web}}
      two: {addresses: [192.0.2.2], healthCheckRef: {name: web}}
";

fn record(failback: &str) -> String {
    format!(
        "
apiVersion: watershed.dev/v1alpha1
kind: PolicyRecord
metadata: {{name: www, namespace: shop}}
spec:
  hostedZoneRef: {{name: example-com}}
  name: www
  policyRef: {{name: web}}
  version: 1
  failback: {failback}
"
    )
}

fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().expect("a time")
}

/// What the fleet of these objects watches.
fn content(yaml: &str) -> Content {
    let mut world = World::new(SignedDuration::from_secs(300));
    for (count, document) in serde_yaml::Deserializer::from_str(yaml).enumerate() {
        let mut value = serde_json::Value::deserialize(document).expect("YAML");
        let kind = ObjectKind::of(value["kind"].as_str().expect("a kind")).expect("of ours");
        value["metadata"]["uid"] = serde_json::json!(count.to_string());
        value["metadata"]["generation"] = serde_json::json!(1);
        let object = serde_json::from_value(value).expect("an object");
        world.take(Change::Object(Box::new(observe(kind, object))), now());
    }
    world.compile(1);
    let mut contents = world.take_health(now(), true).expect("it was asked for");
    contents.remove(&fleet()).expect("the fleet serves it")
}

fn fleet() -> FleetName {
    FleetName::new("default")
}

fn target(number: u8) -> Target {
    Target {
        check: "shop/web".to_owned(),
        address: Some(Address::Ip([192, 0, 2, number].into())),
    }
}

/// A node that probes, as far as the operator sees it.
struct Node {
    stream: Option<StreamId>,
    health: bool,
    boot: u64,
    staged: Option<Held>,
    checkers: Vec<Checker>,
    /// What its probes say.
    own: BTreeMap<Target, State>,
    view: NodeView,
    /// What it holds by its own decision.
    own_holds: Vec<Hold>,
    /// Whether it says nothing, although it is there.
    silent: bool,
    holds: Vec<Hold>,
    /// What it was told, in a word each.
    told: Vec<&'static str>,
    /// Every change of what it answers by.
    flips: Vec<(Target, Option<bool>)>,
}

/// An operator, and the nodes of its fleet.
struct Scene {
    now: Instant,
    begin: Instant,
    fleets: Fleets,
    store: MemoryStore,
    nodes: Vec<Node>,
    next_stream: u64,
    news: Vec<News>,
    /// What nodes answer, on its way.
    said: VecDeque<(StreamId, NodeMessage)>,
    answering: bool,
}

impl Scene {
    fn new(nodes: usize) -> Self {
        let now = Instant::now();
        let node = |_| Node {
            stream: None,
            health: true,
            boot: 1,
            staged: None,
            checkers: Vec::new(),
            own: BTreeMap::new(),
            view: NodeView::new(now, Duration::from_secs(10)),
            own_holds: Vec::new(),
            silent: false,
            holds: Vec::new(),
            told: Vec::new(),
            flips: Vec::new(),
        };
        Self {
            now,
            begin: now,
            fleets: Fleets::new(Config::default()),
            store: MemoryStore::default(),
            nodes: (0..nodes).map(node).collect(),
            next_stream: 0,
            news: Vec::new(),
            said: VecDeque::new(),
            answering: false,
        }
    }

    /// A new leader, to which all nodes come, and which watches this.
    fn lead(&mut self, term: u64, content: Content) {
        let config = Config {
            term: Term(term),
            unix_seconds: 1_790_000_000,
            ..Config::default()
        };
        self.fleets = Fleets::new(config);
        self.news.clear();
        let actions = self.fleets.publish(self.now, Vec::new(), [].into());
        self.act(actions);
        self.watch(content);
        for node in 0..self.nodes.len() {
            self.connect(node);
        }
    }

    fn watch(&mut self, content: Content) {
        let contents = [(fleet(), content)].into();
        let actions = self.fleets.watch(self.now, contents);
        self.act(actions);
    }

    fn connect(&mut self, node: usize) {
        let stream = StreamId(self.next_stream);
        self.next_stream += 1;
        self.nodes[node].stream = Some(stream);
        let hello = Hello {
            fleet: "default".to_owned(),
            node: format!("n{node}"),
            location: Location {
                region: format!("region-{node}"),
                ..Location::default()
            },
            software: "a test".to_owned(),
            formats: 1..=watershed_proto::NEWEST_FORMAT,
            held: None,
            bucket_digests: None,
            term: Term(0),
            boot: self.nodes[node].boot,
            health: self.nodes[node].health,
        };
        self.tell(Event::Connected(stream, hello));
    }

    fn disconnect(&mut self, node: usize, ending: Ending) {
        if let Some(stream) = self.nodes[node].stream.take() {
            let (now, view) = (self.now, &mut self.nodes[node].view);
            view.connected(now, false);
            self.tell(Event::Disconnected(stream, ending));
        }
    }

    fn tell(&mut self, event: Event) {
        let actions = self.fleets.handle(self.now, &fleet(), event);
        self.act(actions);
    }

    fn act(&mut self, actions: Vec<(FleetName, Action)>) {
        for (_, action) in actions {
            match action {
                Action::Send(stream, messages) => {
                    for message in messages {
                        self.hear(stream, message);
                    }
                }
                Action::Read => {
                    let found = self.store.get(&fleet());
                    self.tell(Event::Read(Ok(found)));
                }
                Action::Claim { expected, next } => {
                    let swapped = self.store.swap(&fleet(), expected.as_ref(), &next);
                    self.tell(Event::Claimed(swapped));
                }
                Action::Health(news) => self.news.extend(news),
                Action::Close(stream, _) => {
                    let mut nodes = self.nodes.iter_mut();
                    if let Some(node) = nodes.find(|node| node.stream == Some(stream)) {
                        node.stream = None;
                    }
                }
                Action::Recalled(_) | Action::Deposed(_) | Action::Changed => {}
            }
        }
        self.answer();
    }

    /// What nodes say comes after what they were told at the same time.
    fn answer(&mut self) {
        if std::mem::replace(&mut self.answering, true) {
            return;
        }
        while let Some((stream, message)) = self.said.pop_front() {
            self.tell(Event::Message(stream, message));
        }
        self.answering = false;
    }

    /// A node hears something.
    fn hear(&mut self, stream: StreamId, message: OperatorMessage) {
        let octets = ToNode::from(message);
        let message = OperatorMessage::try_from(octets).expect("it survives the way");
        let now = self.now;
        let mut nodes = self.nodes.iter_mut();
        let Some(node) = nodes.find(|node| node.stream == Some(stream)) else {
            return;
        };
        match message {
            OperatorMessage::Welcome { health, .. } => {
                assert!(health, "the operator takes part");
                node.view.connected(now, true);
                if node.health {
                    self.report(stream, None);
                }
            }
            OperatorMessage::Checkers(checkers) => {
                node.told.push("checkers");
                node.checkers = checkers;
            }
            OperatorMessage::Verdicts {
                verdicts,
                holds,
                whole,
            } => {
                node.told.push(if whole { "all" } else { "verdicts" });
                node.holds = holds;
                let before = node.view.verdicts();
                node.view.fleet(verdicts, whole);
                let after = node.view.verdicts();
                let targets = before.keys().chain(after.keys());
                for target in targets {
                    if before.get(target) != after.get(target) {
                        let flip = (target.clone(), after.get(target).copied());
                        node.flips.push(flip);
                    }
                }
            }
            OperatorMessage::Stage(part) if part.part + 1 == part.parts => {
                node.staged = Some(part.offer);
                self.say(stream, NodeMessage::Staged(part.offer));
            }
            OperatorMessage::Activate { .. } => {
                if let Some(held) = node.staged {
                    self.say(stream, NodeMessage::Applied { held, apply_us: 1 });
                }
            }
            OperatorMessage::HealthInquire => {
                node.told.push("inquiry");
                self.report(stream, None);
            }
            _ => {}
        }
    }

    /// The node at that stream reports a target, or all.
    fn report(&mut self, stream: StreamId, only: Option<&Target>) {
        let mut nodes = self.nodes.iter();
        let Some(node) = nodes.find(|node| node.stream == Some(stream)) else {
            return;
        };
        if node.silent {
            return;
        }
        let own_holds = node.own_holds.clone();
        let own = node.own.iter();
        let own = own.filter(|(target, _)| only.is_none_or(|only| only == *target));
        let reports = own.map(|(target, state)| Report {
            target: target.clone(),
            state: *state,
            changing: false,
            age_ms: 0,
            message: if *state == State::Unhealthy {
                "HTTP 503".to_owned()
            } else {
                "HTTP 200".to_owned()
            },
            certificate_expires: None,
            served: node.view.verdict(target),
        });
        let message = NodeMessage::HealthReport {
            reports: reports.collect(),
            whole: only.is_none(),
        };
        if only.is_none() && !own_holds.is_empty() {
            self.say(stream, NodeMessage::OwnHolds(own_holds));
        }
        self.say(stream, message);
    }

    fn say(&mut self, stream: StreamId, message: NodeMessage) {
        let octets = FromNode::from(message);
        let message = NodeMessage::try_from(octets).expect("it survives the way");
        self.said.push_back((stream, message));
    }

    /// A node says something by itself.
    fn speak(&mut self, stream: StreamId, message: NodeMessage) {
        self.say(stream, message);
        self.answer();
    }

    /// A node finds out something, and says it if it is connected.
    fn finds(&mut self, node: usize, target: &Target, state: State) {
        self.nodes[node].own.insert(target.clone(), state);
        if let Some(stream) = self.nodes[node].stream {
            self.report(stream, Some(target));
            self.answer();
        }
    }

    fn all_find(&mut self, target: &Target, state: State) {
        for node in 0..self.nodes.len() {
            self.finds(node, target, state);
        }
    }

    /// Time passes; nodes beat every five seconds.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let before = (self.now - self.begin).as_secs() / 5;
            self.now += TICK;
            let passed = (self.now - self.begin).as_secs();
            let unix = 1_790_000_000 + i64::try_from(passed).expect("a short test");
            let actions = self.fleets.tick(self.now, unix);
            self.act(actions);
            if passed / 5 > before {
                self.beat();
            }
        }
    }

    fn beat(&mut self) {
        let beats: Vec<(StreamId, bool, u64)> = self
            .nodes
            .iter()
            .filter_map(|node| {
                let own = node.own.iter();
                let digest = digest(own.map(|(target, state)| (target, *state, false)));
                Some((node.stream?, node.health, digest))
            })
            .collect();
        for (stream, health, digest) in beats {
            if health {
                self.speak(stream, NodeMessage::HealthBeat { digest });
            } else {
                self.speak(stream, NodeMessage::Heartbeat);
            }
        }
    }

    /// What each node answers by.
    fn verdicts(&self, target: &Target) -> Vec<Option<bool>> {
        let nodes = self.nodes.iter();
        nodes.map(|node| node.view.verdict(target)).collect()
    }

    fn transitions(&self) -> Vec<Transition> {
        let news = self.news.iter().filter_map(|news| match news {
            News::Verdict(transition) => Some(transition.clone()),
            _ => None,
        });
        news.collect()
    }
}

/// A fleet that has found everything to be healthy.
fn healthy(nodes: usize, yaml: &str) -> Scene {
    let mut scene = Scene::new(nodes);
    scene.lead(1, content(yaml));
    scene.pass(SETTLED);
    for number in [1, 2] {
        scene.all_find(&target(number), State::Healthy);
    }
    scene.pass(Duration::from_secs(1));
    for number in [1, 2] {
        let known = vec![Some(true); nodes];
        assert_eq!(scene.verdicts(&target(number)), known);
    }
    for node in &mut scene.nodes {
        node.told.clear();
        node.flips.clear();
    }
    scene.news.clear();
    scene
}

fn plain() -> String {
    format!("{OBJECTS}---{}", record("{mode: Automatic}"))
}

fn held(failback: &str) -> String {
    format!("{OBJECTS}---{}", record(failback))
}

#[test]
fn every_node_is_told_who_probes_and_all_know_the_same() {
    let scene = healthy(3, &plain());
    let list = &scene.nodes[0].checkers;
    let names: Vec<&str> = list.iter().map(|c| c.node.as_str()).collect();
    assert_eq!(names, ["n0", "n1", "n2"]);
    assert_eq!(list[1].location, "region-1");
    assert!(scene.nodes.iter().all(|node| node.checkers == *list));
    let check = content(&plain());
    let choice = &check.targets[&target(1)].checkers;
    assert_eq!(checkers(&target(1), choice, list).len(), 3);
}

#[test]
fn one_that_sees_a_failure_changes_nothing_and_most_of_them_do() {
    let mut scene = healthy(3, &plain());
    scene.finds(0, &target(1), State::Unhealthy);
    scene.pass(Duration::from_secs(30));
    assert_eq!(scene.verdicts(&target(1)), [Some(true); 3]);
    assert!(scene.transitions().is_empty());
    let seen = scene.fleets.monitor(&fleet()).expect("it leads");
    let seen = seen.verdict(scene.now, &target(1)).expect("it is watched");
    assert_eq!(seen.verdict.healthy, Some(true));
    assert_eq!(
        (seen.verdict.healthy_checkers, seen.verdict.fresh_checkers),
        (2, 3)
    );
    assert_eq!(seen.verdict.locations["region-0"], (0, 1));
    let error = Some(("HTTP 503".to_owned(), "n0".to_owned()));
    assert_eq!(seen.verdict.last_error, error);

    scene.finds(1, &target(1), State::Unhealthy);
    assert_eq!(
        scene.verdicts(&target(1)),
        [Some(false); 3],
        "at once, on all of them"
    );
    assert_eq!(scene.verdicts(&target(2)), [Some(true); 3]);
    let transitions = scene.transitions();
    let transition = transitions.first().expect("one");
    assert_eq!(transitions.len(), 1);
    assert_eq!(
        (transition.before, transition.healthy),
        (Some(true), Some(false))
    );
    assert_eq!(transition.checkers, (1, 3));
    assert_eq!(
        transition.delay,
        Some(Duration::from_secs(30)),
        "since the first that said so"
    );
}

#[test]
fn a_new_leader_changes_nothing_that_need_not_change() {
    let mut scene = healthy(3, &plain());
    scene.all_find(&target(1), State::Unhealthy);
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.verdicts(&target(1)), [Some(false); 3]);
    for node in &mut scene.nodes {
        node.flips.clear();
    }
    for node in 0..3 {
        scene.disconnect(node, Ending::Lost);
    }
    scene.lead(2, content(&plain()));
    scene.pass(Duration::from_secs(20));
    assert_eq!(scene.verdicts(&target(1)), [Some(false); 3]);
    let flips: Vec<_> = scene.nodes.iter().map(|node| &node.flips).collect();
    assert!(flips.iter().all(|flips| flips.is_empty()), "{flips:?}");
    // It learns what is so, and people were told already.
    let first = scene.transitions();
    assert!(first.iter().all(|t| t.before.is_none()), "{first:?}");
    // And goes on from there.
    scene.all_find(&target(1), State::Healthy);
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.verdicts(&target(1)), [Some(true); 3]);
}

#[test]
fn a_node_that_comes_later_is_told_everything() {
    let mut scene = healthy(3, &plain());
    scene.all_find(&target(1), State::Unhealthy);
    scene.disconnect(2, Ending::Lost);
    scene.pass(Duration::from_secs(1));
    let now = scene.now;
    scene.nodes[2].view = NodeView::new(now, Duration::from_secs(10));
    scene.nodes[2].boot = 2;
    scene.nodes[2].own.clear();
    scene.nodes[2].told.clear();
    scene.connect(2);
    assert_eq!(scene.nodes[2].told, ["checkers", "all"]);
    assert_eq!(scene.verdicts(&target(1)), [Some(false); 3]);
    // Nobody else was bothered: it was one of them all the time.
    let told = |node: usize| scene.nodes[node].told.contains(&"checkers");
    assert!(!told(0) && !told(1));
}

#[test]
fn who_leaves_in_good_order_is_no_checker_any_more() {
    let mut scene = healthy(3, &plain());
    scene.disconnect(2, Ending::Closed);
    scene.pass(Duration::from_secs(4));
    assert_eq!(scene.nodes[0].checkers.len(), 3, "it may come back at once");
    scene.pass(Duration::from_secs(4));
    assert_eq!(scene.nodes[0].checkers.len(), 2);
    scene.disconnect(1, Ending::Lost);
    scene.pass(Duration::from_secs(100));
    assert_eq!(scene.nodes[0].checkers.len(), 2, "it may be only slow");
    scene.pass(Duration::from_secs(30));
    assert_eq!(scene.nodes[0].checkers.len(), 1);
}

#[test]
fn the_first_that_returns_does_not_decide_alone() {
    let mut scene = healthy(3, &plain());
    for node in 0..3 {
        scene.disconnect(node, Ending::Lost);
    }
    scene.pass(Duration::from_secs(130));
    scene.finds(0, &target(1), State::Unhealthy);
    scene.connect(0);
    scene.pass(Duration::from_secs(2));
    scene.connect(1);
    scene.connect(2);
    scene.pass(Duration::from_secs(12));
    assert_eq!(scene.verdicts(&target(1)), [Some(true); 3]);
    let flips: Vec<_> = scene.nodes.iter().map(|node| &node.flips).collect();
    assert!(flips.iter().all(|flips| flips.is_empty()), "{flips:?}");
    assert_eq!(scene.nodes[0].checkers.len(), 3);
    // And verdicts are formed again.
    scene.finds(1, &target(1), State::Unhealthy);
    scene.finds(2, &target(1), State::Unhealthy);
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.verdicts(&target(1)), [Some(false); 3]);
}

#[test]
fn a_node_that_takes_no_part_is_told_nothing_of_it() {
    let mut scene = Scene::new(3);
    scene.nodes[1].health = false;
    scene.lead(1, content(&plain()));
    scene.pass(SETTLED);
    for node in [0, 2] {
        scene.finds(node, &target(1), State::Unhealthy);
    }
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.verdicts(&target(1)), [Some(false), None, Some(false)]);
    assert!(scene.nodes[1].told.is_empty(), "{:?}", scene.nodes[1].told);
    let names: Vec<&str> = scene.nodes[0]
        .checkers
        .iter()
        .map(|c| c.node.as_str())
        .collect();
    assert_eq!(names, ["n0", "n2"]);
}

#[test]
fn whoever_reported_something_else_is_asked_again() {
    let mut scene = healthy(3, &plain());
    // Its report was lost.
    scene.nodes[0].own.insert(target(1), State::Unhealthy);
    scene.nodes[1].own.insert(target(1), State::Unhealthy);
    scene.pass(Duration::from_secs(6));
    assert!(scene.nodes[0].told.contains(&"inquiry"));
    assert!(!scene.nodes[2].told.contains(&"inquiry"));
    assert_eq!(scene.verdicts(&target(1)), [Some(false); 3]);
}

fn failovers(scene: &Scene) -> Vec<String> {
    let news = scene.news.iter().filter_map(|news| match news {
        News::Failover(failover) => Some(format!(
            "{} {}: {} to {}{}",
            match &failover.whose {
                Whose::Record(record) => record.as_str(),
                // Said for records that return at once.
                Whose::Version(_) => return None,
            },
            failover.rule,
            failover.from,
            failover.to,
            if failover.is_return { ", back" } else { "" }
        )),
        _ => None,
    });
    news.collect()
}

fn hold() -> Hold {
    Hold {
        record: "shop/www".to_owned(),
        rule: "main".to_owned(),
        active: "two".to_owned(),
    }
}

#[test]
fn clients_return_when_somebody_says_so() {
    let yaml = held("{mode: Manual}");
    let mut scene = healthy(3, &yaml);
    scene.all_find(&target(1), State::Unhealthy);
    scene.pass(Duration::from_secs(1));
    assert_eq!(failovers(&scene), ["shop/www main: one to two"]);
    scene.all_find(&target(1), State::Healthy);
    scene.pass(Duration::from_mins(5));
    assert!(scene.nodes.iter().all(|node| node.holds == [hold()]));
    let seen = scene.fleets.monitor(&fleet()).expect("it leads");
    let seen = seen.failover(scene.now, "shop/www").expect("its record");
    assert_eq!(seen.rules.len(), 1);
    let rule = &seen.rules[0];
    assert_eq!(
        (rule.active.as_str(), rule.preferred.as_str()),
        ("two", "one")
    );
    assert_eq!(rule.returns_in, None);

    let mut content = content(&yaml);
    let record = content.records.get_mut("shop/www").expect("its record");
    record.release = Some("now".to_owned());
    scene.watch(content.clone());
    scene.pass(Duration::from_secs(1));
    assert!(scene.nodes.iter().all(|node| node.holds.is_empty()));
    assert_eq!(
        failovers(&scene),
        [
            "shop/www main: one to two",
            "shop/www main: two to one, back"
        ]
    );
    // The same value releases nothing again.
    scene.all_find(&target(1), State::Unhealthy);
    scene.all_find(&target(1), State::Healthy);
    scene.pass(Duration::from_secs(1));
    scene.watch(content);
    scene.pass(Duration::from_secs(1));
    assert!(scene.nodes.iter().all(|node| node.holds == [hold()]));
}

#[test]
fn clients_that_return_at_once_are_told_of_too() {
    let mut scene = healthy(3, &plain());
    let moves = |scene: &Scene| {
        let news = scene.news.iter().filter_map(|news| match news {
            News::Failover(failover) => Some((failover.to.clone(), failover.is_return)),
            _ => None,
        });
        news.collect::<Vec<_>>()
    };
    scene.all_find(&target(1), State::Unhealthy);
    assert_eq!(moves(&scene), [("two".to_owned(), false)]);
    scene.all_find(&target(1), State::Healthy);
    let back = ("one".to_owned(), true);
    assert_eq!(moves(&scene).last(), Some(&back));
    assert!(scene.nodes.iter().all(|node| node.holds.is_empty()));
}

#[test]
fn clients_return_after_a_time_of_stable_health() {
    let mut scene = healthy(3, &held("{mode: After, durationSeconds: 60}"));
    scene.all_find(&target(1), State::Unhealthy);
    scene.all_find(&target(1), State::Healthy);
    scene.pass(Duration::from_secs(40));
    scene.all_find(&target(1), State::Unhealthy);
    scene.all_find(&target(1), State::Healthy);
    scene.pass(Duration::from_secs(59));
    assert!(scene.nodes.iter().all(|node| node.holds == [hold()]));
    scene.pass(Duration::from_secs(2));
    assert!(scene.nodes.iter().all(|node| node.holds.is_empty()));
    assert_eq!(failovers(&scene).len(), 2);
}

#[test]
fn a_new_leader_goes_by_what_was_written_of_failover() {
    let yaml = held("{mode: Manual}");
    let mut scene = healthy(3, &yaml);
    for node in 0..3 {
        scene.disconnect(node, Ending::Lost);
    }
    let mut content = content(&yaml);
    let record = content.records.get_mut("shop/www").expect("its record");
    let age = Duration::from_secs(100);
    record.written = vec![("main".to_owned(), "two".to_owned(), age)];
    scene.lead(2, content);
    scene.pass(SETTLED);
    assert!(scene.nodes.iter().all(|node| node.holds == [hold()]));
    assert!(failovers(&scene).is_empty());
    let seen = scene.fleets.monitor(&fleet()).expect("it leads");
    let seen = seen.failover(scene.now, "shop/www").expect("its record");
    assert!(seen.rules[0].age >= age);
}

/// A leader that comes after nodes failed over by themselves.
fn after_nodes_were_alone() -> Scene {
    let mut scene = healthy(3, &held("{mode: Manual}"));
    for node in 0..3 {
        scene.disconnect(node, Ending::Lost);
        scene.nodes[node].own_holds = vec![hold()];
    }
    scene
}

#[test]
fn a_new_leader_holds_what_nodes_held_that_were_alone() {
    let mut scene = after_nodes_were_alone();
    scene.lead(2, content(&held("{mode: Manual}")));
    scene.pass(SETTLED);
    assert!(scene.nodes.iter().all(|node| node.holds == [hold()]));
}

#[test]
fn a_node_that_has_not_spoken_yet_is_waited_for() {
    let mut scene = after_nodes_were_alone();
    scene.nodes[1].silent = true;
    scene.nodes[2].silent = true;
    scene.lead(2, content(&held("{mode: Manual}")));
    scene.pass(Duration::from_secs(6));
    assert!(scene.nodes[0].told.is_empty(), "{:?}", scene.nodes[0].told);
    for node in [1, 2] {
        scene.nodes[node].silent = false;
        let stream = scene.nodes[node].stream.expect("it is there");
        scene.report(stream, None);
        scene.answer();
    }
    scene.pass(Duration::from_secs(1));
    assert!(scene.nodes.iter().all(|node| node.holds == [hold()]));
}

#[test]
fn who_says_nothing_has_no_vote() {
    let mut scene = after_nodes_were_alone();
    scene.nodes[1].silent = true;
    scene.nodes[2].silent = true;
    scene.lead(2, content(&held("{mode: Manual}")));
    scene.pass(Duration::from_secs(12));
    assert!(scene.nodes.iter().all(|node| node.holds == [hold()]));
}

#[test]
fn what_is_no_longer_watched_is_forgotten() {
    let mut scene = healthy(3, &plain());
    scene.all_find(&target(1), State::Unhealthy);
    scene.pass(Duration::from_secs(1));
    scene.news.clear();
    scene.watch(Content::default());
    let mut gone: Vec<_> = scene
        .transitions()
        .into_iter()
        .map(|t| (t.target, t.healthy))
        .collect();
    gone.sort();
    assert_eq!(gone, [(target(1), None), (target(2), None)]);
}

/// Something that happens to a fleet.
#[derive(Clone, Debug)]
enum Step {
    Finds(usize, bool),
    Leaves(usize, bool),
    Comes(usize),
    Passes(u64),
    OtherLeader,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = 0..4_usize;
    let step = prop_oneof![
        4 => (node.clone(), any::<bool>()).prop_map(|(node, up)| Step::Finds(node, up)),
        1 => (node.clone(), any::<bool>()).prop_map(|(node, lost)| Step::Leaves(node, lost)),
        2 => node.prop_map(Step::Comes),
        2 => (1..8_u64).prop_map(Step::Passes),
        1 => Just(Step::OtherLeader),
    ];
    proptest::collection::vec(step, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever happened: once all are back and say something, all answer by
    /// what most of them say.
    #[test]
    fn in_the_end_all_go_by_what_most_say(steps in steps()) {
        let brief = "minLocations: 1}, staleSeconds: 12}";
        let watched = content(&plain().replace("minLocations: 1}}", brief));
        assert_eq!(watched.targets[&target(1)].stale_after, Duration::from_secs(12));
        let mut scene = Scene::new(4);
        scene.lead(1, watched.clone());
        scene.pass(SETTLED);
        let mut term = 1;
        for step in steps {
            match step {
                Step::Finds(node, true) => scene.finds(node, &target(1), State::Healthy),
                Step::Finds(node, false) => scene.finds(node, &target(1), State::Unhealthy),
                Step::Leaves(node, true) => scene.disconnect(node, Ending::Lost),
                Step::Leaves(node, false) => scene.disconnect(node, Ending::Closed),
                Step::Comes(node) => {
                    scene.disconnect(node, Ending::Lost);
                    scene.connect(node);
                }
                Step::Passes(seconds) => scene.pass(Duration::from_secs(seconds)),
                Step::OtherLeader => {
                    term += 1;
                    for node in 0..4 {
                        scene.disconnect(node, Ending::Lost);
                    }
                    scene.lead(term, watched.clone());
                }
            }
        }
        for node in 0..4 {
            if scene.nodes[node].stream.is_none() {
                scene.connect(node);
            }
            let own = scene.nodes[node].own.get(&target(1)).copied();
            scene.finds(node, &target(1), own.unwrap_or(State::Healthy));
        }
        // For so long a new leader counts who is away as of the same opinion.
        scene.pass(SETTLED + Duration::from_secs(18));
        let up = scene.nodes.iter().filter(|node| node.own[&target(1)] == State::Healthy);
        let expected = up.count() > 2;
        prop_assert_eq!(scene.verdicts(&target(1)), vec![Some(expected); 4]);
        let list = &scene.nodes[0].checkers;
        prop_assert_eq!(list.len(), 4);
        prop_assert!(scene.nodes.iter().all(|node| node.checkers == *list));
    }
}

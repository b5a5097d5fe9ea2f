//! A node with an agent, under a clock that a test turns.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use watershed_health::fleet::Report;
use watershed_health::{
    Address, Check, Checker, CheckerChoice, Forced, Hold, Outcome, ProbeKind, Target, TcpProbe,
};
use watershed_policy::{
    BranchSpec, Document, EndpointKind, EndpointSpec, FailbackMode, Limits, Policy, RuleKind,
    RuleSpec, Selector, Value,
};
use watershed_probe::Assignment;
use watershed_proto::{NodeMessage, OperatorMessage};
use watershed_snapshot::record_type::{A, NS, SOA};
use watershed_snapshot::{
    Assembly, Content, OwnerName, Placed, PolicyVersion, RecordFailback, Records, Resource,
    ResourceKind, ResourceName, RrSet, Snapshot, VersionBinding, ZoneHead,
};

use crate::health::agent::{Agent, Effect, Moment, Subject};
use crate::health::{HealthOptions, Verdicts};
use crate::query::Query;
use crate::{ClientNetwork, State, answer};

pub(super) const RECORD: &str = "shop/www";
pub(super) const INTERVAL: Duration = Duration::from_secs(10);
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// Both targets of the policy.
pub(super) const PRIMARY: u8 = 1;
pub(super) const SECONDARY: u8 = 2;

pub(super) fn name(text: &str) -> OwnerName {
    text.parse().unwrap()
}

/// A check of TCP, with two failures or successes in a row.
pub(super) fn check() -> Check {
    Check {
        interval: INTERVAL,
        failure_threshold: 2,
        success_threshold: 2,
        checkers: CheckerChoice {
            per_target: 3,
            min_locations: 1,
            ..CheckerChoice::default()
        },
        ..Check::new(ProbeKind::Tcp(TcpProbe { port: 80 }))
    }
}

pub(super) fn forced(healthy: bool, until: Option<i64>) -> Check {
    Check {
        forced: Some(Forced {
            healthy,
            reason: "a test".into(),
            until,
        }),
        ..check()
    }
}

pub(super) fn target(last: u8) -> Target {
    Target {
        check: "shop/web".into(),
        address: Some(Address::Ip([192, 0, 2, last].into())),
    }
}

/// `www.example.com` fails over from 192.0.2.1 to 192.0.2.2.
pub(super) struct Site {
    pub(super) check: Check,
    pub(super) mode: FailbackMode,
    pub(super) ttl_range: Option<(u32, u32)>,
    /// Further addresses of the primary.
    pub(super) more: Vec<u8>,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            check: check(),
            mode: FailbackMode::Automatic,
            ttl_range: None,
            more: Vec::new(),
        }
    }
}

impl Site {
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        let resources = [
            (resource(ResourceKind::HostedZone, "example-com"), zone()),
            (
                resource(ResourceKind::TrafficPolicyVersion, "www-1"),
                self.version(),
            ),
            (resource(ResourceKind::PolicyRecord, "www"), self.record()),
            (
                resource(ResourceKind::HealthCheck, "web"),
                Resource::Check(Arc::new(self.check.clone())),
            ),
        ];
        let changes = resources.map(|(name, resource)| (name, Some(resource)));
        let assembly = Assembly::new().apply(changes.into()).unwrap();
        Arc::clone(assembly.snapshot())
    }

    fn version(&self) -> Resource {
        let mut primary = vec![PRIMARY];
        primary.extend(&self.more);
        let document = Document {
            record_types: vec![A],
            start: Some(watershed_policy::Target::Rule("failover".into())),
            rules: vec![RuleSpec {
                name: "failover".into(),
                kind: RuleKind::Failover,
                min_healthy_percent: None,
                branches: vec![branch("primary"), branch("secondary")],
            }],
            endpoints: vec![
                endpoint("primary", &primary),
                endpoint("secondary", &[SECONDARY]),
            ],
        };
        Resource::Version(Arc::new(PolicyVersion {
            namespace: "shop".into(),
            policy_name: "www".into(),
            number: 1,
            digest: "sha256:00".into(),
            policy: Policy::build(&document, &Limits::unlimited()).0.unwrap(),
        }))
    }

    fn record(&self) -> Resource {
        let failback = RecordFailback {
            record: RECORD.into(),
            mode: self.mode,
        };
        Resource::Records(Records {
            zone: name("example.com"),
            placed: vec![Placed {
                owner: name("www.example.com"),
                content: Content::Policy(VersionBinding {
                    version: resource(ResourceKind::TrafficPolicyVersion, "www-1"),
                    record_types: vec![A],
                    ttl: 30,
                    ttl_range: self.ttl_range,
                    failback: (self.mode != FailbackMode::Automatic).then(|| failback.into()),
                }),
            }],
        })
    }
}

fn resource(kind: ResourceKind, name: &str) -> ResourceName {
    ResourceName::new(kind, "shop", name)
}

fn branch(target: &str) -> BranchSpec {
    BranchSpec {
        target: Some(watershed_policy::Target::Endpoint(target.into())),
        check: None,
        evaluate_target_health: true,
        selector: Selector::Always,
    }
}

fn endpoint(name: &str, last: &[u8]) -> EndpointSpec {
    EndpointSpec {
        name: name.into(),
        kind: EndpointKind::Value,
        values: last
            .iter()
            .map(|last| Value::Ipv4([192, 0, 2, *last].into()))
            .collect(),
        check: Some("shop/web".into()),
        drain: false,
    }
}

fn zone() -> Resource {
    let set = |record_type, rdata: Vec<u8>| RrSet {
        record_type,
        ttl: 900,
        rdata: vec![rdata.into()],
    };
    let server = name("ns1.example.com").as_wire().to_vec();
    let soa = [server.clone(), server.clone(), vec![0; 20]].concat();
    Resource::Zone(ZoneHead {
        apex: name("example.com"),
        soa: set(SOA, soa),
        ns: set(NS, server),
    })
}

/// The agent of node `n1`, and what it does.
pub(super) struct World {
    pub(super) agent: Agent,
    begin: Instant,
    at: Moment,
    state: State,
    /// What was last given to the prober.
    pub(super) assigned: Vec<Assignment>,
    /// What was said since the last look.
    said: Vec<NodeMessage>,
    /// How often something was served.
    pub(super) serves: usize,
}

impl World {
    /// A member of a fleet that has not heard of anybody.
    pub(super) fn new(site: &Site) -> Self {
        Self::with(site, &options(false))
    }

    /// A node without a fleet.
    pub(super) fn alone(site: &Site) -> Self {
        Self::with(site, &options(true))
    }

    fn with(site: &Site, options: &HealthOptions) -> Self {
        let begin = Instant::now();
        let mut world = Self {
            agent: Agent::new(begin, options),
            begin,
            at: Moment {
                now: begin,
                unix: 1_790_000_000,
            },
            state: State::new(),
            assigned: Vec::new(),
            said: Vec::new(),
            serves: 0,
        };
        world.tell(Agent::tick);
        world.follow(site);
        world
    }

    pub(super) fn follow(&mut self, site: &Site) {
        let snapshot = site.snapshot();
        self.state = self.state.clone().with_snapshot(Arc::clone(&snapshot));
        self.tell(|agent, at| agent.follow(at, Subject::of(&snapshot)));
    }

    pub(super) fn unix(&self) -> i64 {
        self.at.unix
    }

    pub(super) fn tell(&mut self, tell: impl FnOnce(&mut Agent, Moment) -> Vec<Effect>) {
        for effect in tell(&mut self.agent, self.at) {
            match effect {
                Effect::Assign(assigned) => self.assigned = assigned,
                Effect::Say(message) => self.said.push(message),
                Effect::Serve(verdicts) => self.serve(verdicts),
            }
        }
    }

    fn serve(&mut self, verdicts: Verdicts) {
        self.serves += 1;
        self.state = self.state.clone().with_verdicts(Arc::new(verdicts));
    }

    pub(super) fn connect(&mut self) {
        self.tell(Agent::connected);
    }

    pub(super) fn disconnect(&mut self) {
        self.tell(Agent::disconnected);
    }

    pub(super) fn hear(&mut self, message: OperatorMessage) {
        self.tell(|agent, at| agent.hear(at, message));
    }

    /// These nodes probe.
    pub(super) fn checkers(&mut self, nodes: &[&str]) {
        let nodes = nodes.iter().map(|node| Checker {
            node: (*node).into(),
            location: "r1".into(),
        });
        self.hear(OperatorMessage::Checkers(nodes.collect()));
    }

    pub(super) fn verdicts(&mut self, verdicts: &[(u8, bool)], holds: &[&str]) {
        let verdicts = verdicts
            .iter()
            .map(|(last, up)| (target(*last), *up, false));
        let holds = holds.iter().map(|active| Hold {
            record: RECORD.into(),
            rule: "failover".into(),
            active: (*active).into(),
        });
        self.hear(OperatorMessage::Verdicts {
            verdicts: verdicts.collect(),
            holds: holds.collect(),
            whole: false,
        });
    }

    /// One result of the node's own.
    pub(super) fn probe(&mut self, last: u8, up: bool) {
        let outcome = if up {
            Outcome::Success("connected".into())
        } else {
            Outcome::Failure("refused".into())
        };
        self.result(last, outcome);
    }

    pub(super) fn result(&mut self, last: u8, outcome: Outcome) {
        let result = watershed_probe::Result {
            target: target(last),
            outcome,
            kind: "ok",
            took: Duration::from_millis(3),
            certificate_expires: None,
        };
        self.tell(|agent, at| agent.result(at, &result));
    }

    /// As many results as it takes, and what follows from them at once.
    pub(super) fn find(&mut self, last: u8, up: bool) {
        self.probe(last, up);
        self.probe(last, up);
        self.pass(Duration::from_millis(10));
    }

    /// Time passes, and the agent is called whenever it wants to be.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.at.now + time;
        let mut calls = 0;
        while let Some(deadline) = self.agent.deadline().filter(|deadline| *deadline <= end) {
            calls += 1;
            assert!(calls < 1000, "the agent wants to be called all the time");
            self.set(deadline.max(self.at.now));
            self.tell(Agent::tick);
        }
        self.set(end);
    }

    fn set(&mut self, now: Instant) {
        let passed = now.duration_since(self.begin).as_secs();
        self.at = Moment {
            now,
            unix: 1_790_000_000 + i64::try_from(passed).unwrap(),
        };
    }

    /// What was said since the last look.
    pub(super) fn said(&mut self) -> Vec<NodeMessage> {
        std::mem::take(&mut self.said)
    }

    /// The reports since the last look.
    pub(super) fn reports(&mut self) -> Vec<Report> {
        let said = self.said();
        let reports = said.into_iter().filter_map(|message| match message {
            NodeMessage::HealthReport { reports, .. } => Some(reports),
            _ => None,
        });
        reports.flatten().collect()
    }

    /// What the prober is to probe: last octets, and whether the node does so
    /// on its own account.
    pub(super) fn probed(&self) -> BTreeSet<(u8, bool)> {
        let last = |probed: &Target| (0..=u8::MAX).find(|last| *probed == target(*last));
        let assigned = self.assigned.iter();
        assigned
            .map(|assigned| (last(&assigned.target).unwrap(), assigned.own_account))
            .collect()
    }

    /// The last octets of the addresses that a client gets, and the TTL.
    pub(super) fn answer(&self) -> (Vec<u8>, u32) {
        let query = Query {
            name: name("www.example.com"),
            record_type: A,
            client: ClientNetwork::new(None, [198, 51, 100, 1].into()),
        };
        let reply = answer(&self.state, &query, &mut |_| 0);
        let records = reply.answers.first().expect("no answer");
        let last = records.rdata.iter().map(|data| data[3]);
        (last.collect(), records.ttl)
    }

    pub(super) fn served(&self) -> Vec<u8> {
        self.answer().0
    }
}

fn options(alone: bool) -> HealthOptions {
    HealthOptions {
        checker: Checker {
            node: "n1".into(),
            location: "r1".into(),
        },
        grace: GRACE,
        alone,
        ..HealthOptions::default()
    }
}

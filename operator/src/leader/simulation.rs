//! Three replicas, clocks that run differently, requests that are slow or get
//! lost, processes that stand still: never do two lead at a time.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;

use super::candidate::{Action, Candidate, Write};
use super::lease::Found;
use super::store::Failure;
use super::{LeaderConfig, MemoryLease, Role};

/// Milliseconds between two looks at the world.
const TICK: u64 = 100;
/// Ticks with faults, and without.
const FAULTY: u64 = 1200;
const CALM: u64 = 600;
const REPLICAS: usize = 3;

/// What becomes of one request: ticks to the server and back, or `None` when
/// it gets lost on that way.
#[derive(Clone, Copy, Debug)]
struct Fate {
    there: Option<u64>,
    back: Option<u64>,
}

/// Something that befalls a replica.
#[derive(Clone, Copy, Debug)]
struct Incident {
    replica: usize,
    tick: u64,
    what: Happening,
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    /// The process stands still for so many ticks.
    Pause(u64),
    /// It learns that it is no leader.
    Resign,
}

#[derive(Clone, Debug)]
struct Plan {
    /// How fast the clocks run, in thousandths.
    rates: [u64; REPLICAS],
    fates: Vec<Fate>,
    incidents: Vec<Incident>,
}

struct Replica {
    candidate: Candidate,
    rate: u64,
    paused_until: u64,
    /// The request that it waits for: number, when it began by its own clock,
    /// and what it was.
    waiting: Option<(usize, Instant, Action)>,
}

/// On its way.
struct Mail {
    tick: u64,
    replica: usize,
    number: usize,
    letter: Letter,
}

enum Letter {
    Read,
    Write(Write),
    WasRead(Option<Found>),
    Wrote(Result<String, Failure>),
}

struct World {
    start: Instant,
    tick: u64,
    lease: MemoryLease,
    replicas: Vec<Replica>,
    mail: Vec<Mail>,
    requests: usize,
    plan: Plan,
    /// Each reign: who, and in which term.
    reigns: Vec<(usize, u64)>,
}

impl World {
    fn new(plan: Plan) -> Self {
        let start = Instant::now();
        let replica = |(number, rate): (usize, &u64)| Replica {
            candidate: Candidate::new(config(number), start),
            rate: *rate,
            paused_until: 0,
            waiting: None,
        };
        Self {
            start,
            tick: 0,
            lease: MemoryLease::default(),
            replicas: plan.rates.iter().enumerate().map(replica).collect(),
            mail: Vec::new(),
            requests: 0,
            plan,
            reigns: Vec::new(),
        }
    }

    /// The time by the clock of a replica.
    fn clock(&self, replica: usize) -> Instant {
        let rate = self.replicas[replica].rate;
        self.start + Duration::from_micros(self.tick * TICK * rate)
    }

    /// Clocks on the wall have nothing to do with each other.
    fn wall(&self, replica: usize) -> Timestamp {
        let second = i64::try_from(self.tick * (replica as u64 + 1) % 977).expect("small");
        Timestamp::from_second(second * 1_000_000).expect("a time")
    }

    fn step(&mut self) {
        self.tick += 1;
        self.befall();
        self.deliver();
        for replica in 0..REPLICAS {
            self.act(replica);
        }
        self.check();
    }

    fn befall(&mut self) {
        let tick = self.tick;
        for incident in self.plan.incidents.clone() {
            if incident.tick == tick {
                let now = self.clock(incident.replica);
                let replica = &mut self.replicas[incident.replica];
                match incident.what {
                    Happening::Pause(ticks) => replica.paused_until = tick + ticks,
                    Happening::Resign => replica.candidate.resign(now),
                }
            }
        }
    }

    fn deliver(&mut self) {
        let tick = self.tick;
        let paused = |mail: &Mail| self.replicas[mail.replica].paused_until > tick;
        let arrived = |mail: &Mail| match mail.letter {
            Letter::Read | Letter::Write(_) => mail.tick <= tick,
            Letter::WasRead(_) | Letter::Wrote(_) => mail.tick <= tick && !paused(mail),
        };
        let (now, later) = std::mem::take(&mut self.mail)
            .into_iter()
            .partition(arrived);
        self.mail = later;
        for mail in now {
            let Mail {
                replica, number, ..
            } = mail;
            match mail.letter {
                Letter::Read => self.reply(replica, number, Letter::WasRead(self.lease.found())),
                Letter::Write(write) => {
                    let result = self.lease.swap(&write.lease, write.version.as_deref());
                    self.reply(replica, number, Letter::Wrote(result));
                }
                Letter::WasRead(found) => self.answered(replica, number, Ok(found), None),
                Letter::Wrote(result) => self.answered(replica, number, Ok(None), Some(result)),
            }
        }
    }

    fn fate(&self, number: usize) -> Fate {
        if self.tick > FAULTY || self.plan.fates.is_empty() {
            return Fate {
                there: Some(0),
                back: Some(1),
            };
        }
        self.plan.fates[number % self.plan.fates.len()]
    }

    fn reply(&mut self, replica: usize, number: usize, letter: Letter) {
        if let Some(ticks) = self.fate(number).back {
            self.mail.push(Mail {
                tick: self.tick + ticks,
                replica,
                number,
                letter,
            });
        }
    }

    fn answered(
        &mut self,
        replica: usize,
        number: usize,
        read: Result<Option<Found>, Failure>,
        written: Option<Result<String, Failure>>,
    ) {
        let now = self.clock(replica);
        let replica = &mut self.replicas[replica];
        // An answer to what was given up is not heard.
        let waited = replica.waiting.take_if(|(waited, ..)| *waited == number);
        match (waited, written) {
            (Some((_, began, Action::Write(write))), Some(result)) => {
                replica.candidate.written(write, began, now, result);
            }
            (Some((_, _, Action::Read(_))), None) => replica.candidate.read(now, read),
            _ => {}
        }
    }

    fn act(&mut self, replica: usize) {
        if self.replicas[replica].paused_until > self.tick {
            return;
        }
        let now = self.clock(replica);
        if let Some((number, began, action)) = self.replicas[replica].waiting.clone() {
            let silent = || Failure::Unknown("silence".to_owned());
            let (within, written) = match action {
                Action::Read(within) => (within, None),
                Action::Write(write) => (write.within, Some(Err(silent()))),
                Action::Wait(_) | Action::Done => unreachable!("these are no requests"),
            };
            if now < began + within {
                return;
            }
            self.answered(replica, number, Err(silent()), written);
        }
        let wall = self.wall(replica);
        let action = self.replicas[replica].candidate.next(now, wall);
        let letter = match &action {
            Action::Read(_) => Letter::Read,
            Action::Write(write) => Letter::Write(write.clone()),
            Action::Wait(_) | Action::Done => return,
        };
        self.requests += 1;
        let number = self.requests;
        self.replicas[replica].waiting = Some((number, now, action));
        if let Some(ticks) = self.fate(number).there {
            self.mail.push(Mail {
                tick: self.tick + ticks,
                replica,
                number,
                letter,
            });
        }
    }

    /// Who leads, by the guard of each: also of one that stands still.
    fn leaders(&self) -> Vec<(usize, u64)> {
        let role = |replica: usize| self.replicas[replica].candidate.role(self.clock(replica));
        (0..REPLICAS)
            .filter_map(|replica| match role(replica) {
                Role::Leading { term } => Some((replica, term.0)),
                Role::Following { .. } => None,
            })
            .collect()
    }

    fn check(&mut self) {
        let leaders = self.leaders();
        assert!(
            leaders.len() <= 1,
            "two lead at tick {}: {leaders:?}",
            self.tick
        );
        let Some(leader) = leaders.first() else {
            return;
        };
        let last = self.reigns.last();
        if last != Some(leader) {
            let grows = last.is_none_or(|(_, term)| leader.1 > *term);
            assert!(grows, "{leader:?} after {last:?}");
            self.reigns.push(*leader);
        }
    }
}

fn config(number: usize) -> LeaderConfig {
    LeaderConfig {
        namespace: "watershed-system".to_owned(),
        name: "watershed-operator".to_owned(),
        identity: format!("replica-{number}"),
        address: format!("192.0.2.{number}:8443"),
        duration: Duration::from_secs(15),
    }
}

fn way() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        12 => (0_u64..4).prop_map(Some),
        3 => (4_u64..200).prop_map(Some),
        2 => Just(None),
    ]
}

fn incident() -> impl Strategy<Value = Incident> {
    let what = prop_oneof![
        (1_u64..300).prop_map(Happening::Pause),
        Just(Happening::Resign),
    ];
    (0..REPLICAS, 0..FAULTY, what).prop_map(|(replica, tick, what)| Incident {
        replica,
        tick,
        what,
    })
}

fn plan() -> impl Strategy<Value = Plan> {
    // A third of the duration is there for clocks, too.
    let rates = prop::array::uniform3(900_u64..1100);
    let fates = vec(
        (way(), way()).prop_map(|(there, back)| Fate { there, back }),
        0..80,
    );
    (rates, fates, vec(incident(), 0..12)).prop_map(|(rates, fates, incidents)| Plan {
        rates,
        fates,
        incidents,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_two_lead_and_in_calm_one_does(plan in plan()) {
        let mut world = World::new(plan);
        for _ in 0..FAULTY + CALM {
            world.step();
        }
        prop_assert_eq!(world.leaders().len(), 1);
    }
}

//! When clients return to a branch that was down.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use watershed_policy::{
    Client, Document, EndpointId, Failback, FailbackMode, Health, Limits, Node, Policy, RuleId,
    RuleKind, RuleSpec, Selector, Verdict, View,
};

use crate::support::{WEIGHTED, document, documents, endpoint, rule, to_endpoint, to_rule};

const A: u16 = 1;
const WAIT: Duration = Duration::from_mins(1);

fn build(document: &Document) -> Policy {
    let (policy, findings) = Policy::build(document, &Limits::unlimited());
    policy.unwrap_or_else(|| panic!("{findings:?}"))
}

/// A failover rule `name` over endpoints of these names.
fn failover(name: &str, endpoints: &[&str]) -> RuleSpec {
    let branches = endpoints.iter();
    let branches = branches.map(|name| to_endpoint(name, Selector::Always));
    rule(name, RuleKind::Failover, branches.collect())
}

/// One failover rule `main` over these endpoints.
fn chain(names: &[&str]) -> Policy {
    let endpoints = names
        .iter()
        .zip(1..)
        .map(|(name, last)| endpoint(name, last));
    build(&document(
        "main",
        vec![failover("main", names)],
        endpoints.collect(),
    ))
}

/// Everything healthy but these endpoints.
fn down(policy: &Policy, names: &[&str]) -> Health {
    Health::new(policy, |check| !names.contains(&&check.id[3..]), |_| true)
}

/// The endpoints that a client gets, as the failback says.
fn answer(policy: &Policy, failback: &Failback, health: &Health) -> Vec<EndpointId> {
    let mut health = health.clone();
    failback.apply(policy, &mut health);
    let view = View {
        client: &Client::default(),
        health: &health,
        latency: None,
    };
    let decision = policy.decide(A, &view, &mut |_| 0, &mut ());
    decision.endpoints.to_vec()
}

/// A policy with its failback over time.
struct Bench {
    policy: Policy,
    failback: Failback,
    start: Instant,
    now: Instant,
}

impl Bench {
    fn new(policy: Policy, mode: FailbackMode) -> Self {
        let start = Instant::now() + Duration::from_hours(1);
        Self {
            policy,
            failback: Failback::new(mode),
            start,
            now: start,
        }
    }

    /// At so many seconds these are down: names of the endpoints that a client
    /// gets, and whether an active branch changed.
    fn at(&mut self, seconds: u64, names: &[&str]) -> (String, bool) {
        self.now = self.start + Duration::from_secs(seconds);
        let health = down(&self.policy, names);
        let changed = self.failback.take(self.now, &self.policy, &health);
        (self.answer(&health), changed)
    }

    fn answer(&self, health: &Health) -> String {
        let endpoints = answer(&self.policy, &self.failback, health);
        let names = endpoints
            .iter()
            .map(|id| self.policy.endpoint(*id).name.as_str());
        names.collect::<Vec<_>>().join(" ")
    }

    /// Checks a table of seconds, what is down, the answer, and whether the
    /// active branch changed.
    fn check(&mut self, rows: &[(u64, &[&str], &str, bool)]) {
        for (seconds, names, expected, changed) in rows {
            let found = self.at(*seconds, names);
            assert_eq!(found, ((*expected).to_owned(), *changed), "at {seconds} s");
        }
    }

    /// Rule, active branch, preferred branch, and seconds until it returns.
    fn held(&self) -> Vec<(String, String, String, Option<u64>)> {
        let held = self.failback.held(&self.policy).into_iter();
        held.map(|held| {
            let returns = held.returns_at.map(|at| (at - self.start).as_secs());
            (held.rule, held.active, held.preferred, returns)
        })
        .collect()
    }
}

fn hold(
    active: &str,
    preferred: &str,
    returns: Option<u64>,
) -> (String, String, String, Option<u64>) {
    let name = str::to_owned;
    (name("main"), name(active), name(preferred), returns)
}

#[test]
fn automatic_returns_at_once() {
    let mut bench = Bench::new(chain(&["a", "b", "c"]), FailbackMode::Automatic);
    bench.check(&[
        (0, &[], "a", false),
        (1, &["a"], "b", true),
        (2, &["a", "b"], "c", true),
        (3, &["a"], "b", true),
        (4, &[], "a", true),
        (5, &["b"], "a", false),
    ]);
    assert_eq!(bench.held(), []);
    assert_eq!(bench.failback.deadline(), None);
}

#[test]
fn after_returns_when_health_lasted() {
    let mut bench = Bench::new(chain(&["a", "b"]), FailbackMode::After(WAIT));
    bench.check(&[(0, &[], "a", false), (10, &["a"], "b", true)]);
    assert_eq!(bench.failback.deadline(), None);
    bench.check(&[(100, &[], "b", false)]);
    assert_eq!(bench.held(), [hold("b", "a", Some(160))]);
    assert_eq!(bench.failback.deadline(), Some(bench.now + WAIT));
    // An interruption begins the time anew.
    bench.check(&[(130, &["a"], "b", false), (140, &[], "b", false)]);
    assert_eq!(bench.held(), [hold("b", "a", Some(200))]);
    bench.check(&[(199, &[], "b", false), (200, &[], "a", true)]);
    assert_eq!(bench.held(), []);
    assert_eq!(bench.failback.deadline(), None);
}

#[test]
fn after_returns_to_what_lasted_first() {
    let mut bench = Bench::new(chain(&["a", "b", "c"]), FailbackMode::After(WAIT));
    bench.check(&[
        (0, &["a", "b"], "c", true),
        (100, &["a"], "c", false),
        (130, &[], "c", false),
        (160, &[], "b", true),
        (190, &[], "a", true),
    ]);
}

#[test]
fn manual_returns_when_released() {
    let mut bench = Bench::new(chain(&["a", "b"]), FailbackMode::Manual);
    bench.check(&[
        (0, &["a"], "b", true),
        (1, &[], "b", false),
        (100_000, &[], "b", false),
    ]);
    assert_eq!(bench.held(), [hold("b", "a", None)]);
    assert_eq!(bench.failback.deadline(), None);
    let health = down(&bench.policy, &[]);
    let released = bench.failback.release(bench.now, &bench.policy, &health);
    assert!(released);
    assert_eq!(bench.answer(&health), "a");
    let again = bench.failback.release(bench.now, &bench.policy, &health);
    assert!(!again);
    assert_eq!(bench.held(), []);
}

#[test]
fn a_release_goes_to_the_first_that_is_healthy() {
    let mut bench = Bench::new(chain(&["a", "b", "c"]), FailbackMode::Manual);
    bench.check(&[(0, &["a", "b"], "c", true), (1, &["a"], "c", false)]);
    let health = down(&bench.policy, &["a"]);
    assert!(bench.failback.release(bench.now, &bench.policy, &health));
    assert_eq!(bench.answer(&health), "b");
    // With nothing healthy, it begins at the front.
    let none = down(&bench.policy, &["a", "b", "c"]);
    assert!(bench.failback.release(bench.now, &bench.policy, &none));
    assert_eq!(bench.answer(&none), "a");
}

#[test]
fn a_held_branch_that_fails_gives_way() {
    for mode in [FailbackMode::Manual, FailbackMode::After(WAIT)] {
        let mut bench = Bench::new(chain(&["a", "b", "c"]), mode);
        bench.check(&[
            (0, &["a"], "b", true),
            (1, &[], "b", false),
            // At once, however short `a` has been healthy.
            (2, &["b"], "a", true),
            (3, &[], "a", false),
        ]);
    }
}

#[test]
fn with_nothing_healthy_the_active_branch_stays() {
    let mut bench = Bench::new(chain(&["a", "b", "c"]), FailbackMode::Manual);
    bench.check(&[
        (0, &["a"], "b", true),
        (1, &["a", "b", "c"], "b", false),
        // Whoever returns first serves.
        (2, &["a", "b"], "c", true),
        (3, &[], "c", false),
    ]);
}

#[test]
fn too_few_healthy_branches_move_nothing() {
    let names = ["a", "b", "c"];
    let mut main = failover("main", &names);
    main.min_healthy_percent = Some(50);
    let endpoints = names
        .iter()
        .zip(1..)
        .map(|(name, last)| endpoint(name, last));
    let policy = build(&document("main", vec![main], endpoints.collect()));
    let mut bench = Bench::new(policy, FailbackMode::Manual);
    bench.check(&[
        (0, &["a"], "b", true),
        // One of three: all count as healthy, so the active one serves on.
        (1, &["a", "b"], "b", false),
        (2, &["b", "c"], "b", false),
        // Two of three: now the active one is down.
        (3, &["b"], "a", true),
    ]);
}

#[test]
fn what_was_written_down_is_taken_over() {
    let policy = chain(&["a", "b", "c"]);
    let mut bench = Bench::new(policy, FailbackMode::Manual);
    let listed = |rule: &str, branch: &str| {
        let age = Duration::from_secs(50);
        vec![(rule.to_owned(), branch.to_owned(), age)]
    };
    bench
        .failback
        .restore(&bench.policy, bench.now, &listed("main", "b"));
    bench.check(&[(0, &[], "b", false)]);
    let held = bench.failback.held(&bench.policy);
    let age = bench.start.saturating_duration_since(held[0].since);
    assert_eq!(age, Duration::from_secs(50));
    // Under After the time runs from when health is first known.
    bench.failback.set_mode(FailbackMode::After(WAIT));
    assert_eq!(bench.held(), [hold("b", "a", Some(60))]);
    // What the list does not name begins anew, and so does what is not there.
    for unknown in [listed("other", "b"), listed("main", "z"), Vec::new()] {
        bench
            .failback
            .restore(&bench.policy, bench.now, &listed("main", "b"));
        bench.failback.restore(&bench.policy, bench.now, &unknown);
        assert_eq!(bench.held(), []);
        bench.check(&[(0, &[], "a", false)]);
    }
    // How long a branch is healthy stays known.
    bench
        .failback
        .restore(&bench.policy, bench.now, &listed("main", "b"));
    bench.check(&[(59, &[], "b", false), (60, &[], "a", true)]);
}

#[test]
fn what_must_be_written_down_includes_branches_with_nowhere_to_return() {
    let mut bench = Bench::new(chain(&["a", "b"]), FailbackMode::Manual);
    bench.check(&[(0, &["a"], "b", true)]);
    assert_eq!(bench.held(), []);
    let over = bench.failback.failed_over(&bench.policy);
    assert_eq!(over.len(), 1);
    assert_eq!(
        (over[0].active.as_str(), over[0].preferred.as_str()),
        ("b", "b")
    );
    bench.check(&[(1, &[], "b", false)]);
    let over = bench.failback.failed_over(&bench.policy);
    assert_eq!(
        (over[0].active.as_str(), over[0].preferred.as_str()),
        ("b", "a")
    );
}

#[test]
fn a_new_version_keeps_what_it_still_has() {
    let mut bench = Bench::new(chain(&["a", "b", "c"]), FailbackMode::Manual);
    bench.check(&[(0, &["a"], "b", true), (1, &[], "b", false)]);
    // Another order, another branch.
    bench.policy = chain(&["x", "a", "b"]);
    bench.check(&[(2, &[], "b", false)]);
    assert_eq!(bench.held(), [hold("b", "x", None)]);
    // The active branch is gone: begins anew.
    bench.policy = chain(&["x", "a"]);
    bench.check(&[(3, &[], "x", true)]);
    bench.policy = chain(&["a", "x"]);
    // What did not fail over is not held: the new order counts.
    bench.check(&[(4, &[], "a", false)]);
}

#[test]
fn a_change_of_mode_shows_with_the_next_look() {
    let mut bench = Bench::new(chain(&["a", "b"]), FailbackMode::Manual);
    bench.check(&[(0, &["a"], "b", true), (10, &[], "b", false)]);
    bench.failback.set_mode(FailbackMode::After(WAIT));
    bench.check(&[(69, &[], "b", false), (70, &[], "a", true)]);
    bench.check(&[(71, &["a"], "b", true)]);
    bench.failback.set_mode(FailbackMode::Automatic);
    bench.check(&[(72, &[], "a", true)]);
}

#[test]
fn nested_rules_hold_each_for_itself() {
    let rules = vec![
        rule(
            "main",
            RuleKind::Failover,
            vec![
                to_rule("near", Selector::Always),
                to_rule("far", Selector::Always),
            ],
        ),
        failover("near", &["a", "b"]),
        failover("far", &["c", "d"]),
    ];
    let endpoints = ["a", "b", "c", "d"].iter().zip(1..);
    let endpoints = endpoints.map(|(name, last)| endpoint(name, last)).collect();
    let policy = build(&document("main", rules, endpoints));
    let mut bench = Bench::new(policy, FailbackMode::Manual);
    bench.check(&[
        (0, &[], "a", false),
        (1, &["a"], "b", true),
        (2, &["a", "b"], "c", true),
        (3, &["a"], "c", false),
        (4, &["c"], "d", true),
        (5, &[], "d", false),
    ]);
    let held: Vec<String> = bench.held().into_iter().map(|held| held.0).collect();
    assert_eq!(held.len(), 3, "{held:?}");
    let health = down(&bench.policy, &[]);
    assert!(bench.failback.release(bench.now, &bench.policy, &health));
    assert_eq!(bench.answer(&health), "a");
}

#[test]
fn a_drained_branch_is_not_held() {
    let with_drain = |draining: &str| {
        let names = ["a", "b"];
        let endpoints = names.iter().zip(1..).map(|(name, last)| {
            let mut endpoint = endpoint(name, last);
            endpoint.drain = *name == draining;
            endpoint
        });
        build(&document(
            "main",
            vec![failover("main", &names)],
            endpoints.collect(),
        ))
    };
    let mut bench = Bench::new(with_drain(""), FailbackMode::Manual);
    bench.check(&[(0, &["a"], "b", true), (1, &[], "b", false)]);
    // Draining the branch that is held lets clients return for good.
    bench.policy = with_drain("b");
    bench.check(&[(2, &[], "a", true)]);
    bench.policy = with_drain("");
    bench.check(&[(3, &[], "a", false)]);
    // Draining the first branch is no failover: it returns when it is undone.
    bench.policy = with_drain("a");
    bench.check(&[(4, &[], "b", false)]);
    bench.policy = with_drain("");
    bench.check(&[(5, &[], "a", false)]);
}

#[test]
fn the_explanation_tells_what_is_held() {
    let mut bench = Bench::new(chain(&["a", "b"]), FailbackMode::Manual);
    bench.check(&[(0, &["a"], "b", true), (1, &[], "b", false)]);
    let mut health = down(&bench.policy, &[]);
    let step = |health: &Health| {
        let view = View {
            client: &Client::default(),
            health,
            latency: None,
        };
        let (_, mut steps) = bench.policy.explain(A, &view);
        steps.remove(0)
    };
    assert_eq!(step(&health).held, None);
    bench.failback.apply(&bench.policy, &mut health);
    let step = step(&health);
    assert_eq!(step.held, Some(1));
    let verdicts: Vec<Verdict> = step.branches.iter().map(|b| b.verdict).collect();
    assert_eq!(verdicts, [Verdict::LessPreferred, Verdict::Chosen]);
}

#[test]
fn a_branch_to_try_first_that_does_not_exist_changes_nothing() {
    let policy = chain(&["a", "b"]);
    let mut health = down(&policy, &[]);
    let rule = match policy.start() {
        Node::Rule(id) => id,
        Node::Endpoint(_) => panic!("a rule comes first"),
    };
    health.set_first(rule, 7);
    assert_eq!(
        answer(&policy, &Failback::default(), &health),
        [id(&policy, "a")]
    );
    health.set_first(rule, 1);
    assert_eq!(
        answer(&policy, &Failback::default(), &health),
        [id(&policy, "b")]
    );
}

fn id(policy: &Policy, name: &str) -> EndpointId {
    let reached = policy.rules().iter().flat_map(|rule| &rule.branches);
    let ids = reached.filter_map(|branch| match branch.target {
        Node::Endpoint(id) => Some(id),
        Node::Rule(_) => None,
    });
    let mut named = ids.filter(|id| policy.endpoint(*id).name == name);
    named.next().unwrap_or_else(|| panic!("no endpoint {name}"))
}

/// A rule `main` over two failover rules and an endpoint, with sharing.
fn tree() -> Policy {
    let rules = vec![
        rule(
            "main",
            RuleKind::Failover,
            vec![
                to_rule("near", Selector::Always),
                to_rule("spread", Selector::Always),
                to_endpoint("e4", Selector::Always),
            ],
        ),
        failover("near", &["e0", "e1", "e2"]),
        rule(
            "spread",
            WEIGHTED,
            vec![
                to_endpoint("e3", Selector::Weight(1)),
                to_rule("near", Selector::Weight(1)),
            ],
        ),
    ];
    let endpoints = (0..5_u8).map(|n| endpoint(&format!("e{n}"), n + 1));
    build(&document("main", rules, endpoints.collect()))
}

fn modes() -> impl Strategy<Value = FailbackMode> {
    prop::sample::select(vec![
        FailbackMode::Automatic,
        FailbackMode::After(WAIT),
        FailbackMode::Manual,
    ])
}

/// Bit `n` of `mask` says whether endpoint `n` is up.
fn up(policy: &Policy, mask: u8) -> Health {
    let healthy = |id: &str| mask >> (id.bytes().last().unwrap_or(0) - b'0') & 1 == 1;
    Health::new(policy, |check| healthy(&check.id), |_| true)
}

proptest! {
    /// Whatever happened before, no answer holds an unhealthy endpoint while
    /// a healthy one is there.
    #[test]
    fn a_hold_never_keeps_a_dead_endpoint_in_service(
        history in prop::collection::vec((0..32_u8, 0..90_u64), 1..40), mode in modes(),
    ) {
        let policy = tree();
        let mut failback = Failback::new(mode);
        let mut now = Instant::now();
        for (mask, pause) in history {
            now += Duration::from_secs(pause);
            let health = up(&policy, mask);
            failback.take(now, &policy, &health);
            for endpoint in answer(&policy, &failback, &health) {
                let name = &policy.endpoint(endpoint).name;
                let number: u8 = name[1..].parse().unwrap();
                prop_assert!(mask == 0 || mask >> number & 1 == 1, "{} of {:#b}", name, mask);
            }
        }
    }

    /// Under Manual, the active branch changes only when it fails.
    #[test]
    fn only_failures_move_a_manual_record(
        history in prop::collection::vec(0..16_u8, 1..60),
    ) {
        let policy = chain(&["e0", "e1", "e2", "e3"]);
        let mut failback = Failback::new(FailbackMode::Manual);
        let mut now = Instant::now();
        failback.take(now, &policy, &up(&policy, 0b1111));
        let (mut changes, mut failures, mut active) = (0, 0, 0_usize);
        let mut was_up = true;
        for mask in history {
            now += Duration::from_secs(1);
            let is_up = mask >> active & 1 == 1;
            failures += usize::from(was_up && !is_up);
            let changed = failback.take(now, &policy, &up(&policy, mask));
            changes += usize::from(changed);
            let over = failback.failed_over(&policy);
            active = over.first().map_or(0, |held| held.active[1..].parse().unwrap());
            was_up = mask >> active & 1 == 1;
            prop_assert!(was_up || mask == 0);
        }
        prop_assert!(changes <= failures);
    }

    /// Automatic decides as a policy without failback does, for every
    /// document and client.
    #[test]
    fn automatic_changes_no_answer(document in documents(), masks in prop::collection::vec(any::<u32>(), 1..4)) {
        let policy = build(&document);
        let mut failback = Failback::new(FailbackMode::Automatic);
        let client_free = policy.rules().iter().all(|rule| matches!(
            rule.kind,
            RuleKind::Failover | RuleKind::Weighted { .. } | RuleKind::Latency | RuleKind::Geoproximity
        ));
        prop_assume!(client_free);
        for mask in masks {
            let healthy = |id: &str| mask >> (id.bytes().map(u32::from).sum::<u32>() % 32) & 1 == 1;
            let plain = Health::new(&policy, |check| healthy(&check.id), healthy);
            failback.take(Instant::now(), &policy, &plain);
            let mut held = plain.clone();
            failback.apply(&policy, &mut held);
            let ask = |health: &Health| {
                let view = View { client: &Client::default(), health, latency: None };
                policy.distribution(A, &view).outcomes
            };
            prop_assert_eq!(ask(&plain), ask(&held));
        }
    }

    /// A restore of what was written down changes nothing.
    #[test]
    fn what_is_written_down_suffices(history in prop::collection::vec(0..32_u8, 1..20)) {
        let policy = tree();
        let mut failback = Failback::new(FailbackMode::Manual);
        let now = Instant::now();
        let mut last = up(&policy, 0b11111);
        for mask in history {
            last = up(&policy, mask);
            failback.take(now, &policy, &last);
        }
        let written = failback.failed_over(&policy).into_iter();
        let written: Vec<_> = written
            .map(|held| (held.rule, held.active, Duration::ZERO))
            .collect();
        let mut other = Failback::new(FailbackMode::Manual);
        other.restore(&policy, now, &written);
        other.take(now, &policy, &last);
        prop_assert_eq!(other.failed_over(&policy), failback.failed_over(&policy));
    }
}

/// Every rule of the policy names is known to the failback, and no other.
#[test]
fn rules_that_are_gone_are_forgotten() {
    let mut failback = Failback::new(FailbackMode::Manual);
    let policy = tree();
    let now = Instant::now();
    failback.take(now, &policy, &up(&policy, 0b11000));
    let rules: BTreeSet<String> = failback
        .failed_over(&policy)
        .into_iter()
        .map(|held| held.rule)
        .collect();
    assert_eq!(rules, BTreeSet::from(["main".to_owned()]));
    let other = chain(&["e0", "e1"]);
    failback.take(now, &other, &up(&other, 0b11));
    assert_eq!(failback.failed_over(&other), []);
    let start: Option<RuleId> = match other.start() {
        Node::Rule(id) => Some(id),
        Node::Endpoint(_) => None,
    };
    let mut health = up(&other, 0b11);
    failback.apply(&other, &mut health);
    assert_eq!(start.map(|id| health.first(id)), Some(0));
}

//! Builders of checks, nodes and reports.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use watershed_health::fleet::{Change, Panel, Report};
use watershed_health::{
    Address, Check, Checker, CheckerChoice, ProbeKind, State, Target, TcpProbe, WhenStale,
};

/// A TCP check: thresholds 3, stale after 15 s, everyone may probe.
pub(crate) fn check() -> Check {
    Check {
        kind: ProbeKind::Tcp(TcpProbe { port: 443 }),
        address: None,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(4),
        failure_threshold: 3,
        success_threshold: 3,
        checkers: choice(16),
        quorum_percent: 50,
        stale_after: Duration::from_secs(15),
        when_stale: WhenStale::KeepLast,
        inverted: false,
        disabled: false,
        forced: None,
    }
}

pub(crate) fn choice(per_target: u32) -> CheckerChoice {
    CheckerChoice {
        per_target,
        min_locations: 1,
        locations: Vec::new(),
    }
}

pub(crate) fn address(last: u8) -> Address {
    Address::Ip([192, 0, 2, last].into())
}

pub(crate) fn target(last: u8) -> Target {
    Target {
        check: "shop/web".to_owned(),
        address: Some(address(last)),
    }
}

/// Nodes `n0`, `n1`, ... in so many locations `l0`, `l1`, ... in turn.
pub(crate) fn nodes(count: usize, locations: usize) -> Vec<Checker> {
    let node = |n: usize| Checker {
        node: format!("n{n}"),
        location: format!("l{}", n % locations),
    };
    (0..count).map(node).collect()
}

pub(crate) fn report(last: u8, state: State) -> Report {
    Report {
        target: target(last),
        state,
        changing: false,
        age_ms: 60_000,
        message: "words".to_owned(),
        certificate_expires: None,
        served: None,
    }
}

/// A panel and its time. Watches `target(1)` and has settled.
pub(crate) struct Bench {
    pub(crate) panel: Panel,
    pub(crate) now: Instant,
}

impl Bench {
    pub(crate) fn new(check: Check, nodes: Vec<Checker>) -> Self {
        let mut bench = Self::unsettled(check, nodes);
        assert_eq!(bench.panel.settle(bench.now), []);
        bench
    }

    pub(crate) fn unsettled(check: Check, nodes: Vec<Checker>) -> Self {
        let now = Instant::now() + Duration::from_hours(1);
        let mut panel = Panel::new();
        assert_eq!(panel.watch(now, watched(check)), []);
        assert_eq!(panel.nodes(now, nodes), []);
        Self { panel, now }
    }

    /// So many seconds pass.
    pub(crate) fn pass(&mut self, seconds: u64) -> Vec<Change> {
        self.now += Duration::from_secs(seconds);
        self.panel.tick(self.now)
    }

    pub(crate) fn say(&mut self, node: &str, state: State) -> Vec<Change> {
        let reports = vec![report(1, state)];
        self.panel.report(self.now, node, reports, false)
    }

    /// Nodes `n0`, `n1`, ... say this, one after the other.
    pub(crate) fn say_all(&mut self, states: impl IntoIterator<Item = State>) {
        for (n, state) in states.into_iter().enumerate() {
            self.say(&format!("n{n}"), state);
        }
    }

    /// The verdict on `target(1)`.
    pub(crate) fn healthy(&self) -> Option<bool> {
        self.panel.verdict(&target(1)).unwrap().healthy
    }
}

/// `target(1)` with this check.
pub(crate) fn watched(check: Check) -> BTreeMap<Target, Arc<Check>> {
    BTreeMap::from([(target(1), Arc::new(check))])
}

/// So many healthy, then so many unhealthy.
pub(crate) fn split(healthy: usize, unhealthy: usize) -> impl Iterator<Item = State> {
    let up = std::iter::repeat_n(State::Healthy, healthy);
    up.chain(std::iter::repeat_n(State::Unhealthy, unhealthy))
}

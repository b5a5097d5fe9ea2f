//! The program probes endpoints, and answers by the verdicts of an operator or,
//! when there is none, by its own.

use std::net::Ipv4Addr;
use std::time::Instant;

use tempfile::TempDir;
use watershed_health::fleet::Report;
use watershed_health::{Checker, Hold, State};
use watershed_policy::FailbackMode;
use watershed_proto::{NodeMessage, OperatorMessage};

use crate::page::METRICS;
use crate::support::PATIENCE;
use crate::support::await_some;
use crate::support::certificates::{Authority, NodeFiles};
use crate::support::content::{edition, encoded, held};
use crate::support::endpoints::{Endpoints, PRIMARY, RECORD, RULE, SECONDARY, target};
use crate::support::operator::{Operator, Stream, welcome, welcome_with_health};
use crate::support::process::{Answer, Process, arguments};

/// Endpoints, and all that a node needs.
struct Site {
    authority: Authority,
    tls: NodeFiles,
    state: TempDir,
    operator: Operator,
    endpoints: Endpoints,
}

impl Site {
    fn new() -> Self {
        let authority = Authority::new();
        Self {
            tls: authority.node(),
            state: TempDir::new().unwrap(),
            operator: Operator::start(authority.server("127.0.0.1")),
            endpoints: Endpoints::start(),
            authority,
        }
    }

    fn start(&self, operators: &[&Operator], more: &[&str]) -> Process {
        let addresses: Vec<String> = operators.iter().map(|one| one.address()).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let mut arguments = arguments(&self.tls.path(), self.state.path(), &addresses);
        arguments.extend(more.iter().map(ToString::to_string));
        Process::start(&arguments)
    }

    /// A node that probes loopback.
    fn node(&self, more: &[&str]) -> (Process, Stream) {
        let more = [&["--probe-allow=127.0.0.0/8"], more].concat();
        let node = self.start(&[&self.operator], &more);
        (node, self.operator.accept())
    }

    fn publish(&self, stream: &mut Stream, failback: FailbackMode) {
        let resources = encoded(&self.endpoints.resources(failback));
        stream.publish(held(1, 1, &resources), 1, None, &resources);
        stream.send(OperatorMessage::Checkers(vec![n1()]));
    }
}

fn n1() -> Checker {
    Checker {
        node: "n1".into(),
        location: "r1".into(),
    }
}

fn verdicts(verdicts: &[(Ipv4Addr, bool)], held: &[&str]) -> OperatorMessage {
    let holds = held.iter().map(|active| Hold {
        record: RECORD.into(),
        rule: RULE.into(),
        active: (*active).into(),
    });
    OperatorMessage::Verdicts {
        verdicts: verdicts
            .iter()
            .map(|(address, healthy)| (target(*address), *healthy, false))
            .collect(),
        holds: holds.collect(),
        whole: false,
    }
}

/// Waits until all of these have been reported.
fn await_reports(stream: &mut Stream, wanted: &[(Ipv4Addr, State)]) -> Vec<Report> {
    let mut found = Vec::new();
    let is_about = |report: &Report, (address, state): &(Ipv4Addr, State)| {
        report.target == target(*address) && report.state == *state
    };
    let all_are = |found: &[Report]| {
        let mut wanted = wanted.iter();
        wanted.all(|one| found.iter().any(|report| is_about(report, one)))
    };
    let deadline = Instant::now() + PATIENCE;
    while !all_are(&found) {
        assert!(Instant::now() < deadline, "{wanted:?}, but {found:?}");
        found.extend(stream.report().0);
    }
    found.retain(|report| wanted.iter().any(|one| is_about(report, one)));
    found
}

fn await_report(stream: &mut Stream, address: Ipv4Addr, state: State) -> Report {
    await_reports(stream, &[(address, state)]).remove(0)
}

fn await_answer(node: &Process, address: Ipv4Addr) {
    let expected = Answer::of(&[&address.to_string()]);
    await_some(&format!("the answer {address}"), || {
        (node.ask("www.example.com") == expected).then_some(())
    });
}

fn asserts_answer(node: &Process, address: Ipv4Addr) {
    let expected = Answer::of(&[&address.to_string()]);
    assert_eq!(node.ask("www.example.com"), expected);
}

#[test]
fn a_node_says_what_it_finds_and_answers_by_what_the_fleet_finds() {
    let mut site = Site::new();
    let (node, mut stream) = site.node(&[]);
    assert!(stream.hello.health);
    stream.send(welcome_with_health(1));
    site.publish(&mut stream, FailbackMode::Automatic);
    await_report(&mut stream, PRIMARY, State::Healthy);
    site.endpoints.stop_primary();
    let report = await_report(&mut stream, PRIMARY, State::Unhealthy);
    assert!(!report.message.is_empty());
    asserts_answer(&node, PRIMARY);
    stream.send(verdicts(&[(PRIMARY, false), (SECONDARY, true)], &[]));
    await_answer(&node, SECONDARY);
    let labels = r#"{address="127.0.0.2",check="shop/web"}"#;
    let metric = |name: &str| node.metric(&format!("watershed_dns_{name}{labels}"));
    assert_eq!(metric("target_healthy"), Some(0.0));
    assert_eq!(metric("target_own_state"), Some(0.0));
    assert_eq!(node.metric("watershed_dns_health_alone"), Some(0.0));
    names_are_on_the_page(&node);
    let before = encoded(&site.endpoints.resources(FailbackMode::Automatic));
    let after = encoded(&edition(2));
    stream.publish(held(1, 2, &after), 1, Some(&before), &after);
    await_some("the end of the series", || {
        metric("target_healthy").is_none().then_some(())
    });
}

fn names_are_on_the_page(node: &Process) {
    let (_, text) = node.get("/metrics");
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let names: Vec<&str> = names.collect();
    assert!(names.contains(&"watershed_dns_probe_seconds"), "{text}");
    for name in names {
        assert!(METRICS.contains(&format!("| `{name}` |")), "{name}");
    }
}

#[test]
fn a_node_says_everything_when_it_is_asked() {
    let site = Site::new();
    let (_node, mut stream) = site.node(&[]);
    stream.send(welcome_with_health(1));
    site.publish(&mut stream, FailbackMode::Automatic);
    let healthy = [PRIMARY, SECONDARY].map(|address| (address, State::Healthy));
    await_reports(&mut stream, &healthy);
    stream.send(OperatorMessage::HealthInquire);
    let (reports, whole) = await_some("a whole report", || {
        Some(stream.report()).filter(|(_, whole)| *whole)
    });
    let states: Vec<_> = reports
        .iter()
        .map(|r| (r.target.clone(), r.state))
        .collect();
    let healthy = [PRIMARY, SECONDARY].map(|address| (target(address), State::Healthy));
    assert_eq!((states, whole), (healthy.into(), true));
}

#[test]
fn a_beat_has_the_digest_of_the_reports() {
    let site = Site::new();
    let (_node, mut stream) = site.node(&[]);
    stream.send(welcome_with_health(1));
    site.publish(&mut stream, FailbackMode::Automatic);
    let mut known = std::collections::BTreeMap::new();
    let digest = await_some("a beat", || match stream.next_of_all()? {
        NodeMessage::HealthReport { reports, whole } => {
            if whole {
                known.clear();
            }
            let told = reports.into_iter();
            known.extend(told.map(|report| (report.target, (report.state, report.changing))));
            None
        }
        NodeMessage::HealthBeat { digest } => Some(digest),
        _ => None,
    });
    assert_eq!(known.len(), 2);
    let known = known.iter();
    let expected = watershed_health::fleet::digest(known.map(|(t, (s, c))| (t, *s, *c)));
    assert_eq!(digest, expected);
}

#[test]
fn a_node_alone_fails_over_by_itself_and_does_not_flap_afterwards() {
    let mut site = Site::new();
    let second = Operator::start(site.authority.server("127.0.0.1"));
    let more = ["--probe-allow=127.0.0.0/8", "--health-grace=1"];
    let node = site.start(&[&site.operator, &second], &more);
    let mut stream = site.operator.accept();
    stream.send(welcome_with_health(1));
    site.publish(&mut stream, FailbackMode::Automatic);
    stream.send(verdicts(&[(PRIMARY, true), (SECONDARY, true)], &[]));
    await_report(&mut stream, SECONDARY, State::Healthy);
    drop(stream);
    site.operator = Operator::start(site.authority.server("127.0.0.1"));
    // It is there, but does not say whether it leads.
    let mut stream = second.accept();
    site.endpoints.stop_primary();
    await_answer(&node, SECONDARY);
    assert_eq!(node.metric("watershed_dns_health_alone"), Some(1.0));

    stream.send(welcome_with_health(2));
    let (reports, whole) = stream.report();
    assert!(whole);
    let primary = reports
        .iter()
        .find(|report| report.target == target(PRIMARY));
    let primary = primary.expect("the primary is not reported");
    assert_eq!(
        (primary.state, primary.served),
        (State::Unhealthy, Some(false))
    );
    // A new leader that knows nothing yet.
    stream.send(OperatorMessage::Verdicts {
        verdicts: Vec::new(),
        holds: Vec::new(),
        whole: true,
    });
    node.await_metric("watershed_dns_health_alone", 0.0);
    asserts_answer(&node, SECONDARY);
    stream.send(verdicts(&[(PRIMARY, false)], &[]));
    stream.send(verdicts(&[(SECONDARY, true)], &[]));
    asserts_answer(&node, SECONDARY);
    site.endpoints.start_primary();
    await_report(&mut stream, PRIMARY, State::Healthy);
    asserts_answer(&node, SECONDARY);
    stream.send(verdicts(&[(PRIMARY, true)], &[]));
    await_answer(&node, PRIMARY);
}

#[test]
fn a_branch_that_is_held_keeps_its_clients() {
    let site = Site::new();
    let (node, mut stream) = site.node(&[]);
    stream.send(welcome_with_health(1));
    site.publish(&mut stream, FailbackMode::Manual);
    asserts_answer(&node, PRIMARY);
    let healthy = [(PRIMARY, true), (SECONDARY, true)];
    stream.send(verdicts(&healthy, &["secondary"]));
    await_answer(&node, SECONDARY);
    stream.send(verdicts(&[], &[]));
    await_answer(&node, PRIMARY);
}

#[test]
fn an_operator_that_does_not_speak_of_health_hears_nothing_of_it() {
    let mut site = Site::new();
    let (node, mut stream) = site.node(&["--health-grace=0"]);
    stream.send(welcome(1));
    let resources = encoded(&site.endpoints.resources(FailbackMode::Automatic));
    stream.publish(held(1, 1, &resources), 1, None, &resources);
    site.endpoints.stop_primary();
    // The node has itself only.
    await_answer(&node, SECONDARY);
    for _ in 0..5 {
        assert_eq!(stream.next_of_all(), Some(NodeMessage::Heartbeat));
    }
}

#[test]
fn what_may_not_be_probed_is_not() {
    let site = Site::new();
    let node = site.start(&[&site.operator], &[]);
    let mut stream = site.operator.accept();
    stream.send(welcome_with_health(1));
    site.publish(&mut stream, FailbackMode::Automatic);
    let report = await_some("a reason", || {
        let (reports, _) = stream.report();
        reports
            .into_iter()
            .find(|report| !report.message.is_empty())
    });
    assert_eq!(report.state, State::Unknown);
    assert!(
        report.message.contains("--probe-allow"),
        "{}",
        report.message
    );
    asserts_answer(&node, PRIMARY);
}

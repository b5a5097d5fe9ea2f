//! The program against an operator: real TLS, real queries.

use nix::sys::signal::Signal;
use tempfile::TempDir;
use watershed_proto::{NackReason, NodeMessage, OperatorMessage};
use watershed_snapshot::{ResourceKind, ResourceSet};

use crate::support::certificates::Authority;
use crate::support::content::{address, edition, encoded, held, name, policy};
use crate::support::operator::{Operator, Stream, welcome};
use crate::support::process::{Answer, Process, arguments};

/// A node and all that it needs.
struct Site {
    authority: Authority,
    tls: crate::support::certificates::NodeFiles,
    state: TempDir,
    operator: Operator,
}

impl Site {
    fn new() -> Self {
        let authority = Authority::new();
        Self {
            tls: authority.node(),
            state: TempDir::new().unwrap(),
            operator: Operator::start(authority.server("127.0.0.1")),
            authority,
        }
    }

    fn another_operator(&self) -> Operator {
        Operator::start(self.authority.server("127.0.0.1"))
    }

    fn arguments(&self, operators: &[&Operator]) -> Vec<String> {
        let addresses: Vec<String> = operators
            .iter()
            .map(|operator| operator.address())
            .collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        arguments(&self.tls.path(), self.state.path(), &addresses)
    }

    fn node(&self) -> Process {
        Process::start(&self.arguments(&[&self.operator]))
    }

    /// A node that serves the first edition, and its stream.
    fn serving(&self) -> (Process, Stream, ResourceSet) {
        let node = self.node();
        let mut stream = self.operator.welcome(1);
        let resources = encoded(&edition(1));
        stream.publish(held(1, 1, &resources), 1, None, &resources);
        (node, stream, resources)
    }
}

#[test]
fn a_node_serves_what_it_is_told_to_and_says_so() {
    let site = Site::new();
    let node = site.node();
    assert_eq!(node.get("/healthz").0, 200);
    assert_eq!(node.get("/readyz"), (503, "nothing is served yet\n".into()));
    assert_eq!(node.ask("www.example.com"), Answer::refused());
    let mut stream = site.operator.accept();
    let hello = &stream.hello;
    assert_eq!(
        (hello.fleet.as_str(), hello.node.as_str()),
        ("default", "n1")
    );
    assert_eq!((hello.location.region.as_str(), hello.held), ("r1", None));
    stream.send(welcome(1));

    let first = encoded(&edition(1));
    let offer = held(1, 1, &first);
    let staged = stream.offer(offer, 1, None, &first);
    assert_eq!(staged, NodeMessage::Staged(offer));
    assert_eq!(node.ask("www.example.com"), Answer::refused());
    stream.activate(offer, 1);
    assert_eq!(node.ask("www.example.com"), Answer::of(&["192.0.2.1"]));
    node.await_metric("watershed_dns_zones", 1.0);
    assert_eq!(node.get("/readyz").0, 200);

    let mut more = edition(2);
    more.extend(policy("shop"));
    let second = encoded(&more);
    stream.publish(held(1, 2, &second), 1, Some(&first), &second);
    assert_eq!(node.ask("www.example.com"), Answer::of(&["192.0.2.2"]));
    assert_eq!(node.ask("shop.example.com"), Answer::of(&["203.0.113.2"]));
    node.await_metric("watershed_dns_generation", 2.0);
    node.await_metric("watershed_dns_operator_connected", 1.0);
    let answered = r#"watershed_dns_queries_total{rcode="NOERROR",transport="udp"}"#;
    node.await_metric(answered, 3.0);
}

#[test]
fn a_node_limits_what_it_answers_and_counts_it() {
    let slipped = r#"watershed_dns_rate_limited_total{action="slipped"}"#;
    let limit = ["--udp-rate-limit=1", "--udp-rate-slip=1"];
    for (exempt, limited) in [("192.0.2.0/24", true), ("192.0.2.0/24,127.0.0.0/8", false)] {
        let site = Site::new();
        let mut arguments = site.arguments(&[&site.operator]);
        arguments.extend(limit.map(str::to_owned));
        arguments.push(format!("--udp-rate-exempt={exempt}"));
        let node = Process::start(&arguments);
        let mut stream = site.operator.welcome(1);
        let resources = encoded(&edition(1));
        stream.publish(held(1, 1, &resources), 1, None, &resources);
        let asked = (0..20).map(|_| node.ask("www.example.com"));
        let cut: u32 = asked
            .map(|answer| u32::from(answer == Answer::of(&[])))
            .sum();
        assert_eq!(cut > 0, limited, "{cut} were cut");
        assert_eq!(node.metric(slipped), Some(cut.into()));
    }
}

#[test]
fn a_node_starts_from_its_disk_without_an_operator() {
    let mut site = Site::new();
    let (node, stream, _) = site.serving();
    node.await_metric("watershed_dns_persisted", 1.0);
    // As by a crash, while nobody leads the fleet.
    drop((node, stream));
    site.operator = site.another_operator();
    let gone = format!("--operator={}", "127.0.0.1:9");
    let mut arguments = site.arguments(&[]);
    arguments.push(gone);
    let node = Process::start(&arguments);
    assert_eq!(node.get("/readyz").0, 200);
    assert_eq!(node.ask("www.example.com"), Answer::of(&["192.0.2.1"]));
    assert_eq!(node.metric("watershed_dns_generation"), Some(1.0));
    assert_eq!(node.metric("watershed_dns_persisted"), Some(1.0));
    assert_eq!(node.metric("watershed_dns_operator_connected"), Some(0.0));
    drop(node);
    // An operator that comes back is told what is there.
    let _node = site.node();
    let hello = site.operator.accept().hello;
    let resources = encoded(&edition(1));
    assert_eq!(hello.held, Some(held(1, 1, &resources)));
    assert_eq!(*hello.bucket_digests.unwrap(), resources.bucket_digests());
}

#[test]
fn a_node_goes_on_when_its_operator_ends() {
    let mut site = Site::new();
    let second = site.another_operator();
    let node = Process::start(&site.arguments(&[&site.operator, &second]));
    let mut stream = site.operator.welcome(1);
    let resources = encoded(&edition(1));
    stream.publish(held(1, 1, &resources), 1, None, &resources);
    drop(stream);
    site.operator = site.another_operator();
    let mut stream = second.welcome(2);
    assert_eq!(stream.hello.held, Some(held(1, 1, &resources)));
    assert_eq!(node.ask("www.example.com"), Answer::of(&["192.0.2.1"]));
    let next = encoded(&edition(2));
    stream.publish(held(1, 2, &next), 2, Some(&resources), &next);
    assert_eq!(node.ask("www.example.com"), Answer::of(&["192.0.2.2"]));
}

#[test]
fn a_resource_that_a_node_refuses_is_named_and_the_rest_goes_on() {
    let site = Site::new();
    let mut arguments = site.arguments(&[&site.operator]);
    arguments.push("--refuse=PolicyRecord/shop/bad".into());
    let node = Process::start(&arguments);
    let mut stream = site.operator.welcome(1);
    let mut resources = edition(1);
    resources.extend(policy("bad"));
    let all = encoded(&resources);
    let NodeMessage::Nack(nack) = stream.offer(held(1, 1, &all), 1, None, &all) else {
        panic!("the node took it");
    };
    let bad = name(ResourceKind::PolicyRecord, "bad");
    let faulty: Vec<_> = nack.faults.iter().map(|fault| &fault.resource).collect();
    assert_eq!((nack.reason, faulty), (NackReason::Resource, vec![&bad]));
    let mut rest = all.clone();
    rest.remove(&bad);
    stream.publish(held(1, 2, &rest), 1, None, &rest);
    assert_eq!(node.ask("www.example.com"), Answer::of(&["192.0.2.1"]));
    node.await_metric(r#"watershed_dns_nacks_total{reason="resource"}"#, 1.0);
}

#[test]
fn a_node_goes_where_it_is_sent() {
    let site = Site::new();
    let leader = site.another_operator();
    let node = site.node();
    let mut stream = site.operator.accept();
    stream.send(OperatorMessage::Redirect {
        leader: Some(leader.address()),
        reason: "this replica does not lead".into(),
    });
    assert_eq!(stream.next(), None);
    let mut stream = leader.welcome(1);
    let resources = encoded(&edition(1));
    stream.publish(held(1, 1, &resources), 1, None, &resources);
    assert_eq!(node.ask("www.example.com"), Answer::of(&["192.0.2.1"]));
    // Nobody leads: it asks again.
    stream.send(OperatorMessage::Redirect {
        leader: None,
        reason: "nobody leads".into(),
    });
    site.operator.accept();
}

#[test]
fn an_operator_that_was_deposed_is_left() {
    let site = Site::new();
    let (node, stream, _) = site.serving();
    drop(stream);
    let stream = site.operator.welcome(5);
    node.await_metric("watershed_dns_operator_term", 5.0);
    drop(stream);
    let mut deposed = site.operator.accept();
    assert_eq!(deposed.hello.term.0, 5);
    deposed.send(welcome(4));
    let Some(NodeMessage::Nack(nack)) = deposed.next() else {
        panic!("the node follows a deposed operator");
    };
    assert_eq!(nack.reason, NackReason::Term);
    assert_eq!(deposed.next(), None);
    assert_eq!(node.ask("www.example.com"), Answer::of(&["192.0.2.1"]));
    // Terms outlive the program.
    drop(node);
    let _node = site.node();
    assert_eq!(site.operator.accept().hello.term.0, 5);
}

#[test]
fn a_silent_operator_is_left() {
    let site = Site::new();
    let (node, mut stream, _) = site.serving();
    // The stream stays open, but nothing comes: the rhythm is 200 ms.
    stream.fall_silent();
    site.operator.accept();
    assert_eq!(node.ask("www.example.com"), Answer::of(&["192.0.2.1"]));
}

#[test]
fn a_node_is_heard_of_in_the_rhythm_that_was_agreed() {
    let site = Site::new();
    let (_node, mut stream, _) = site.serving();
    for _ in 0..3 {
        assert_eq!(stream.next_of_all(), Some(NodeMessage::Heartbeat));
    }
}

#[test]
fn a_node_that_stops_sends_queries_elsewhere_first() {
    let site = Site::new();
    let mut arguments = site.arguments(&[&site.operator]);
    arguments.retain(|argument| argument != "--drain-seconds=0");
    arguments.push("--drain-seconds=3".into());
    let mut node = Process::start(&arguments);
    let mut stream = site.operator.welcome(1);
    let resources = encoded(&edition(1));
    stream.publish(held(1, 1, &resources), 1, None, &resources);
    node.signal(Signal::SIGTERM);
    node.await_log("stopping");
    assert_eq!(node.get("/readyz"), (503, "stopping\n".into()));
    assert_eq!(node.get("/healthz").0, 200);
    assert_eq!(node.ask("www.example.com"), Answer::of(&["192.0.2.1"]));
    assert!(stream.ends_in_order());
    drop(stream);
    assert!(node.wait().success());
}

#[test]
fn a_person_at_a_terminal_does_not_wait() {
    let site = Site::new();
    let mut arguments = site.arguments(&[&site.operator]);
    arguments.retain(|argument| argument != "--drain-seconds=0");
    arguments.push("--drain-seconds=3600".into());
    let mut node = Process::start(&arguments);
    let mut stream = site.operator.welcome(1);
    let resources = encoded(&edition(1));
    stream.publish(held(1, 1, &resources), 1, None, &resources);
    node.signal(Signal::SIGINT);
    assert!(stream.ends_in_order());
    drop(stream);
    assert!(node.wait().success());
}

#[test]
fn many_changes_reach_the_disk() {
    let site = Site::new();
    let (mut node, mut stream, mut before) = site.serving();
    for generation in 2..30_u8 {
        let mut resources = edition(generation);
        resources.push(address(&format!("host{}", generation % 5), generation));
        let next = encoded(&resources);
        let offer = held(1, generation.into(), &next);
        stream.publish(offer, 1, Some(&before), &next);
        before = next;
    }
    node.signal(Signal::SIGTERM);
    assert!(node.wait().success());
    drop(stream);
    let node = site.node();
    assert_eq!(node.ask("www.example.com"), Answer::of(&["192.0.2.29"]));
    assert_eq!(node.ask("host4.example.com"), Answer::of(&["192.0.2.29"]));
    assert_eq!(
        site.operator.accept().hello.held,
        Some(held(1, 29, &before))
    );
}

//! What the query log says. A binary of its own, in which the log is on from
//! the start: whether a line is wanted is decided when it is first reached, and
//! where one thread has a subscriber, another without one may decide.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

#[path = "server/common.rs"]
#[allow(dead_code, reason = "made for the tests of the server")]
mod common;

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::LazyLock;
use std::time::Duration;

use common::{A, AAAA, ask, limited_node, node, query_for, resolver};

thread_local! {
    /// What this thread has logged.
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what is logged with the thread that logs it.
struct Lines;

impl Write for Lines {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.write(octets))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

static LOG: LazyLock<()> = LazyLock::new(|| {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(|| Lines)
        .with_ansi(false)
        .without_time()
        .init();
});

/// What is logged about a query, without time and target.
fn logged(qname: &str, qtype: u16) -> String {
    LazyLock::force(&LOG);
    let (node, message) = (node(), query_for(qname, qtype, "192.0.2.0/24"));
    LINES.take();
    ask(&node, &message);
    let text = String::from_utf8(LINES.take()).unwrap();
    let line = text
        .lines()
        .find(|line| line.contains("watershed_dns::query: query "));
    let (_, fields) = line.unwrap_or(&text).split_once(" query ").unwrap();
    fields.to_owned()
}

#[test]
fn policy_answers_name_policy_version_and_endpoints() {
    assert_eq!(
        logged("www.example.com.", A),
        "zone=example.com. name=www.example.com. type=A rcode=NoError protocol=Udp \
         client=203.0.113.77 ecs=192.0.2.0/24 policy=\"shop/site\" version=1 \
         endpoints=\"office\""
    );
}

#[test]
fn the_policy_at_the_name_comes_before_those_of_its_targets() {
    let line = logged("alias-www.example.com.", A);
    let expected = "policy=\"shop/alias-www.example.com\" version=1 endpoints=\"lb,office\"";
    assert!(line.ends_with(expected), "{line}");
}

#[test]
fn a_failed_alias_names_its_policy() {
    let line = logged("alias-unknown.example.com.", A);
    assert!(line.contains("rcode=ServFail"), "{line}");
    assert!(
        line.contains("policy=\"shop/alias-unknown.example.com\""),
        "{line}"
    );
}

#[test]
fn other_answers_have_no_policy() {
    assert_eq!(
        logged("static.example.com.", AAAA),
        "zone=example.com. name=static.example.com. type=AAAA rcode=NoError protocol=Udp \
         client=203.0.113.77 ecs=192.0.2.0/24"
    );
}

#[test]
fn what_is_over_the_limit_is_logged_as_such() {
    LazyLock::force(&LOG);
    for (slip, became) in [(1, "slipped"), (0, "dropped")] {
        let mut responder = limited_node(1, slip, &[]).udp_responder();
        responder.set_time(Duration::ZERO);
        let packet = query_for("www.example.com.", A, "192.0.2.0/24");
        let packet = packet.to_vec().unwrap();
        for limited in [false, true] {
            LINES.take();
            responder.answer(&packet, resolver(), &mut Vec::new());
            let text = String::from_utf8(LINES.take()).unwrap();
            let field = format!(" limited=\"{became}\" ");
            assert_eq!(text.contains(&field), limited, "{text}");
            assert!(text.contains("name=www.example.com."), "{text}");
        }
    }
}

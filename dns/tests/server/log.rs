//! What the query log says.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use crate::common::*;

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// What is logged about a query, without time and target.
fn logged(qname: &str, qtype: u16) -> String {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(lines.clone())
        .with_ansi(false)
        .without_time()
        .finish();
    let (node, message) = (node(), query_for(qname, qtype, "192.0.2.0/24"));
    tracing::subscriber::with_default(subscriber, || ask(&node, &message));
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
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

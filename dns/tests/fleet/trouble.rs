//! The program when certificates, disk or command line are not in order.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::certificates::Authority;
use crate::support::content::{address, edition, encoded, held};
use crate::support::operator::Operator;
use crate::support::process::{Answer, Process, arguments};

/// Long enough for a node to try several times.
const SEVERAL_TRIES: Duration = Duration::from_secs(2);

fn node(tls: &Path, state: &TempDir, operator: &Operator) -> Process {
    Process::start(&arguments(tls, state.path(), &[&operator.address()]))
}

#[test]
fn an_operator_with_a_foreign_certificate_is_not_believed() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let operator = Operator::start(foreign.server("127.0.0.1"));
    let (tls, state) = (authority.node(), TempDir::new().unwrap());
    let node = node(&tls.path(), &state, &operator);
    node.await_log("no operator; serving goes on");
    assert!(operator.accept_within(SEVERAL_TRIES).is_none());
}

#[test]
fn an_operator_of_another_name_is_not_believed_unless_it_is_named() {
    let authority = Authority::new();
    let operator = Operator::start(authority.server("operator.example.com"));
    let (tls, state) = (authority.node(), TempDir::new().unwrap());
    let mut arguments = arguments(&tls.path(), state.path(), &[&operator.address()]);
    let node = Process::start(&arguments);
    node.await_log("no operator; serving goes on");
    assert!(operator.accept_within(SEVERAL_TRIES).is_none());
    drop(node);
    arguments.push("--operator-name=operator.example.com".into());
    let _node = Process::start(&arguments);
    operator.accept();
}

#[test]
fn certificates_are_read_anew_at_each_connection() {
    let (authority, former) = (Authority::new(), Authority::new());
    let operator = Operator::start(authority.server("127.0.0.1"));
    let (tls, state) = (former.node(), TempDir::new().unwrap());
    let node = node(&tls.path(), &state, &operator);
    node.await_log("no operator; serving goes on");
    authority.write_node(&tls.path());
    operator.accept();
    // Without them the node still works.
    fs::remove_file(tls.path().join("tls.key")).unwrap();
    node.await_log("tls.key cannot be read");
    assert_eq!(node.get("/healthz").0, 200);
}

#[test]
fn a_node_with_a_foreign_certificate_is_not_let_in() {
    let authority = Authority::new();
    let operator = Operator::start(authority.server("127.0.0.1"));
    let (tls, state) = (Authority::new().node(), TempDir::new().unwrap());
    // It believes the operator, but is not believed.
    let own = authority.node();
    fs::copy(own.path().join("ca.crt"), tls.path().join("ca.crt")).unwrap();
    let node = node(&tls.path(), &state, &operator);
    node.await_log("no operator; serving goes on");
    assert!(operator.accept_within(SEVERAL_TRIES).is_none());
}

#[test]
fn a_damaged_state_is_put_aside_and_filled_again() {
    let authority = Authority::new();
    let operator = Operator::start(authority.server("127.0.0.1"));
    let (tls, state) = (authority.node(), TempDir::new().unwrap());
    let file = state.path().join("state.redb");
    fs::write(&file, vec![0xAB; 100_000]).unwrap();
    let damaged = node(&tls.path(), &state, &operator);
    damaged.await_log("the state cannot be used: starting empty");
    assert_eq!(damaged.get("/healthz").0, 200);
    assert_eq!(damaged.get("/readyz").0, 503);
    let moved = fs::read(state.path().join("state.redb.damaged")).unwrap();
    assert_eq!(moved, vec![0xAB; 100_000]);
    let mut stream = operator.welcome(1);
    let resources = encoded(&edition(1));
    stream.publish(held(1, 1, &resources), 1, None, &resources);
    damaged.await_metric("watershed_dns_persisted", 1.0);
    drop((damaged, stream));
    let node = node(&tls.path(), &state, &operator);
    assert_eq!(node.ask("www.example.com"), Answer::of(&["192.0.2.1"]));
}

#[test]
fn a_full_disk_does_not_stop_a_node() {
    let authority = Authority::new();
    let operator = Operator::start(authority.server("127.0.0.1"));
    let (tls, state) = (authority.node(), TempDir::new().unwrap());
    let arguments = arguments(&tls.path(), state.path(), &[&operator.address()]);
    // Files end at 3 MiB, counted in blocks of 512 octets; the signal that
    // would end the program is ignored, so it gets an error.
    let node = Process::start_after("trap '' XFSZ; ulimit -f 6144", &arguments);
    let first = encoded(&edition(1));
    // More than fits.
    let mut large = edition(2);
    large.extend((0..20_000).map(|number| address(&format!("host{number}"), 7)));
    let second = encoded(&large);
    let mut stream = operator.welcome(1);
    stream.publish(held(1, 1, &first), 1, None, &first);
    node.await_metric("watershed_dns_persisted", 1.0);
    stream.publish(held(1, 2, &second), 1, Some(&first), &second);
    node.await_log("the state is not on disk");
    node.await_metric("watershed_dns_persisted", 0.0);
    assert_eq!(node.ask("host9999.example.com"), Answer::of(&["192.0.2.7"]));
    assert_eq!(node.get("/readyz").0, 200);
    // What was there is still good.
    drop((node, stream));
    let node = Process::start(&arguments);
    assert_eq!(node.ask("www.example.com"), Answer::of(&["192.0.2.1"]));
    assert_eq!(operator.accept().hello.held, Some(held(1, 1, &first)));
}

#[test]
fn a_state_directory_that_cannot_be_used_does_not_stop_a_node() {
    let authority = Authority::new();
    let operator = Operator::start(authority.server("127.0.0.1"));
    let (tls, directory) = (authority.node(), TempDir::new().unwrap());
    let state = directory.path().join("state");
    fs::write(&state, "a file").unwrap();
    let node = Process::start(&arguments(&tls.path(), &state, &[&operator.address()]));
    node.await_log("the state cannot be read: starting empty");
    let mut stream = operator.welcome(1);
    let resources = encoded(&edition(1));
    stream.publish(held(1, 1, &resources), 1, None, &resources);
    assert_eq!(node.ask("www.example.com"), Answer::of(&["192.0.2.1"]));
}

fn refused(arguments: &[String]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_watershed-dns"))
        .args(["--node=n2", "--listen=127.0.0.1:0", "--http=127.0.0.1:0"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_second_node_on_the_same_state_says_what_is_wrong() {
    let authority = Authority::new();
    let operator = Operator::start(authority.server("127.0.0.1"));
    let (tls, state) = (authority.node(), TempDir::new().unwrap());
    let _node = node(&tls.path(), &state, &operator);
    let second = arguments(&tls.path(), state.path(), &[&operator.address()]);
    let said = refused(&second);
    assert!(
        said.contains("give each node a state directory of its own"),
        "{said}"
    );
}

#[test]
fn a_location_database_that_cannot_be_used_is_named() {
    let directory = TempDir::new().unwrap();
    let arguments = [
        "--operator=127.0.0.1:9".to_owned(),
        format!("--tls-dir={}", directory.path().display()),
        "--geo-database=/nowhere/cities.mmdb".to_owned(),
    ];
    let said = refused(&arguments);
    assert!(
        said.contains("/nowhere/cities.mmdb cannot be used"),
        "{said}"
    );
}

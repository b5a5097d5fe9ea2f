//! A node that gets its certificate from the operator.

use std::fs;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tonic::Status;

use crate::support::certificates::Authority;
use crate::support::content::{edition, encoded, held};
use crate::support::operator::{Applicant, Operator};
use crate::support::process::{Answer, Process};

const DAY: Duration = Duration::from_hours(24);
const CERTIFICATE_END: &str = "watershed_dns_certificate_expiry_timestamp_seconds";

/// An operator that issues certificates, and the files of a node.
struct Site {
    authority: Authority,
    operator: Operator,
    files: TempDir,
}

impl Site {
    fn new() -> Self {
        let authority = Authority::new();
        let site = Self {
            operator: Operator::start(authority.enrolling_server("127.0.0.1")),
            authority,
            files: TempDir::new().unwrap(),
        };
        site.write("ca.crt", site.authority.certificate());
        site.write("token", "first\n");
        site
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.files.path().join(file), text).unwrap();
    }

    fn node(&self) -> Process {
        let file = |name: &str| self.files.path().join(name).display().to_string();
        Process::start(&[
            format!("--ca={}", file("ca.crt")),
            format!("--token={}", file("token")),
            format!("--state={}", file("state")),
            format!("--operator={}", self.operator.address()),
            "--drain-seconds=0".to_owned(),
        ])
    }

    /// Gives the next node what it asks for.
    fn issue(&self, valid: Duration) {
        let applicant = self.operator.applicant();
        let chain = self.sign(&applicant, valid);
        applicant.give(chain);
    }

    fn sign(&self, applicant: &Applicant, valid: Duration) -> String {
        let request = &applicant.request.certificate_request;
        self.authority.sign(request, valid)
    }
}

#[test]
fn a_node_shows_its_token_once_and_its_certificate_from_then_on() {
    let site = Site::new();
    let node = site.node();
    let applicant = site.operator.applicant();
    let request = &applicant.request;
    let said = [&request.token, &request.fleet, &request.node];
    assert_eq!(said, ["first", "default", "n1"]);
    let chain = site.sign(&applicant, DAY);
    applicant.give(chain);
    for term in 1..=3 {
        // It comes back with the certificate that it has.
        drop(site.operator.welcome(term));
    }
    let issued = r#"watershed_dns_enrolments_total{result="issued"}"#;
    assert_eq!(node.metric(issued), Some(1.0));
    assert!(node.metric(CERTIFICATE_END) > Some(1_700_000_000.0));
    let log = node.log();
    assert!(!log.contains("first") && !log.contains("PRIVATE"), "{log}");
}

#[test]
fn a_node_that_is_refused_says_why_serves_from_disk_and_goes_on_asking() {
    let site = Site::new();
    let node = site.node();
    site.issue(DAY);
    let mut stream = site.operator.welcome(1);
    let resources = encoded(&edition(1));
    stream.publish(held(1, 1, &resources), 1, None, &resources);
    node.await_metric("watershed_dns_persisted", 1.0);
    drop((node, stream));

    let node = site.node();
    let why = || Status::permission_denied("the token is of another pod");
    site.operator.applicant().refuse(why());
    node.await_log("it issues no certificate: the token is of another pod");
    assert_eq!(node.ask("www.example.com"), Answer::of(&["192.0.2.1"]));
    assert_eq!(node.get("/readyz").0, 200);
    assert_eq!(node.metric("watershed_dns_operator_connected"), Some(0.0));
    let refused = r#"watershed_dns_enrolments_total{result="refused"}"#;
    assert_eq!(node.metric(refused), Some(1.0));
    // The token is replaced while it waits.
    let waiting = site.operator.applicant();
    site.write("token", "second");
    waiting.refuse(why());
    let applicant = site.operator.applicant();
    assert_eq!(applicant.request.token, "second");
    let chain = site.sign(&applicant, DAY);
    applicant.give(chain);
    let hello = site.operator.welcome(2).hello;
    assert_eq!(hello.held, Some(held(1, 1, &resources)));
}

#[test]
fn a_certificate_is_renewed_in_time_and_the_stream_goes_on() {
    let site = Site::new();
    let node = site.node();
    // Between 6.0 and 6.7 seconds from now it is due.
    site.issue(Duration::from_secs(10));
    let mut stream = site.operator.welcome(1);
    let resources = encoded(&edition(1));
    stream.publish(held(1, 1, &resources), 1, None, &resources);
    let first = node.metric(CERTIFICATE_END);
    site.issue(DAY);
    node.await_metric(r#"watershed_dns_enrolments_total{result="issued"}"#, 2.0);
    assert!(node.metric(CERTIFICATE_END) > first);
    // It is the same stream, which still takes orders.
    let next = encoded(&edition(2));
    stream.publish(held(1, 2, &next), 1, Some(&resources), &next);
    assert_eq!(node.ask("www.example.com"), Answer::of(&["192.0.2.2"]));
}

#[test]
fn a_certificate_that_operators_do_not_take_is_replaced() {
    let site = Site::new();
    let _node = site.node();
    site.issue(DAY);
    let mut stream = site.operator.welcome(1);
    stream.end(Status::permission_denied("of another trust domain"));
    site.issue(DAY);
    drop(site.operator.welcome(2));
    // There is another authority: whoever rotates it replaces the file.
    let both = format!("{0}{0}", site.authority.certificate());
    site.write("ca.crt", &both);
    site.issue(DAY);
    site.operator.welcome(3);
}

#[test]
fn what_is_no_certificate_for_its_key_is_not_kept() {
    let site = Site::new();
    let node = site.node();
    let stranger = site.operator.applicant();
    stranger.give(site.authority.certificate().to_owned());
    node.await_log("it issued no certificate for the key");
    site.operator.applicant().give("nonsense".to_owned());
    site.issue(DAY);
    site.operator.welcome(1);
}

#[test]
fn a_token_that_is_not_there_is_named() {
    let site = Site::new();
    fs::remove_file(site.files.path().join("token")).unwrap();
    let node = site.node();
    node.await_log("token cannot be read");
    assert_eq!(node.get("/healthz").0, 200);
    site.write("token", "late");
    site.issue(DAY);
    site.operator.welcome(1);
}

#[test]
fn a_node_has_one_way_to_show_who_it_is() {
    let cases: [(&[&str], &str); 5] = [
        (&[], "--tls-dir <DIR>|--token <FILE>"),
        (&["--token=t"], "--ca <FILE>"),
        (&["--ca=c"], "--token <FILE>"),
        (
            &["--tls-dir=d", "--token=t", "--ca=c"],
            "cannot be used with",
        ),
        (&["--tls-dir=d", "--ca=c"], "cannot be used with"),
    ];
    for (flags, reason) in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_watershed-dns"))
            .args(["--node=n1", "--operator=127.0.0.1:9"])
            .args(flags)
            .env_remove("WATERSHED_CA")
            .env_remove("WATERSHED_TOKEN")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(reason), "{said}");
    }
}

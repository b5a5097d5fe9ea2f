//! The rate limit of the answers.

use crate::server::{Answer, Site, policy, record};

/// Of twenty answers, those without an address.
fn cut(options: &[&str]) -> usize {
    let site = Site::new();
    site.write("policy.yaml", &policy(1));
    site.write("record.yaml", &record("www", "version: 1"));
    let mut command = site.command("127.0.0.1:0");
    command.args(options);
    let server = site.start(command);
    let asked = (0..20).map(|_| server.ask("www.example.com."));
    asked.filter(|answer| *answer == Answer::of(&[])).count()
}

#[test]
fn answers_are_limited_as_told() {
    const LIMIT: [&str; 2] = ["--udp-rate-limit", "2"];
    assert_eq!(cut(&[]), 0);
    assert!(cut(&LIMIT) > 0);
    let exempt = ["--udp-rate-exempt", "192.0.2.0/24,127.0.0.1"];
    assert_eq!(cut(&[LIMIT, exempt].concat()), 0);
}

//! Versions are minted, numbered, kept, and served by number.

use crate::server::{Answer, Site, policy, policy_of, record};

#[test]
fn rolling_out_and_back_is_one_number() {
    let site = Site::new();
    site.write("policy.yaml", &policy(1));
    site.write("record.yaml", &record("www", "version: 1"));
    let server = site.serve();
    let (one, two) = (Answer::of(&["192.0.2.1"]), Answer::of(&["192.0.2.2"]));
    server.await_answer("www.example.com.", &one);
    // A new version is minted, and nothing moves.
    site.write("policy.yaml", &policy(2));
    site.write("canary.yaml", &record("canary", "version: 2"));
    server.await_answer("canary.example.com.", &two);
    assert_eq!(server.ask("www.example.com."), one);
    site.write("record.yaml", &record("www", "version: 2"));
    server.await_answer("www.example.com.", &two);
    site.write("record.yaml", &record("www", "version: 1"));
    server.await_answer("www.example.com.", &one);
}

#[test]
fn versions_outlive_the_server() {
    let site = Site::new();
    site.write("policy.yaml", &policy(1));
    site.write("record.yaml", &record("www", "version: 1"));
    let one = Answer::of(&["192.0.2.1"]);
    site.serve().await_answer("www.example.com.", &one);
    // The file says 2 when the server starts again; version 1 is still known.
    site.write("policy.yaml", &policy(2));
    let server = site.serve();
    server.await_answer("www.example.com.", &one);
}

#[test]
fn numbers_are_never_used_again() {
    let site = Site::new();
    site.write("policy.yaml", &policy_of(None, "192.0.2.1"));
    site.write("record.yaml", &record("www", "version: 1"));
    let server = site.serve();
    server.await_answer("www.example.com.", &Answer::of(&["192.0.2.1"]));
    site.remove("record.yaml");
    site.remove("policy.yaml");
    site.write("policy.yaml", &policy_of(None, "192.0.2.2"));
    site.write("record.yaml", &record("www", "version: 2"));
    server.await_answer("www.example.com.", &Answer::of(&["192.0.2.2"]));
}

#[test]
fn an_unknown_version_changes_nothing() {
    let site = Site::new();
    site.write("policy.yaml", &policy(1));
    site.write("record.yaml", &record("www", "version: 1"));
    let one = Answer::of(&["192.0.2.1"]);
    {
        let server = site.serve();
        server.await_answer("www.example.com.", &one);
        site.write("record.yaml", &record("www", "version: 9"));
        server.await_log("VersionNotFound");
        assert_eq!(server.ask("www.example.com."), one);
    }
    // Not even across a start.
    let server = site.serve();
    server.await_answer("www.example.com.", &one);
}

#[test]
fn a_minted_number_does_not_change_its_content() {
    let site = Site::new();
    site.write("policy.yaml", &policy(1));
    site.write("record.yaml", &record("www", "channel: latest"));
    let server = site.serve();
    let one = Answer::of(&["192.0.2.1"]);
    server.await_answer("www.example.com.", &one);
    site.write("policy.yaml", &policy_of(Some(1), "192.0.2.99"));
    server.await_log("VersionConflict");
    assert_eq!(server.ask("www.example.com."), one);
}

#[test]
fn authored_versions_are_served() {
    let site = Site::new();
    site.write(
        "web-v3.yaml",
        "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicyVersion
metadata: {name: web-v3, namespace: shop}
spec:
  policyName: web
  version: 3
  document:
    recordTypes: [A]
    startEndpoint: only
    endpoints: {only: {addresses: [192.0.2.3]}}
",
    );
    site.write("record.yaml", &record("www", "version: 3"));
    site.serve()
        .await_answer("www.example.com.", &Answer::of(&["192.0.2.3"]));
}

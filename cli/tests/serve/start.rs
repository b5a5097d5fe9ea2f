//! Starting and stopping.

use std::process::Command;

use crate::server::{Answer, Site, policy, record};

fn site() -> Site {
    let site = Site::new();
    site.write("policy.yaml", &policy(1));
    site.write("record.yaml", &record("www", "version: 1"));
    site
}

#[test]
fn signals_stop_it_cleanly() {
    for signal in ["INT", "TERM"] {
        let mut server = site().serve();
        server.await_answer("www.example.com.", &Answer::of(&["192.0.2.1"]));
        assert_eq!(server.stop(signal), Some(0));
    }
}

#[test]
fn it_says_what_it_serves_and_how_to_ask() {
    let site = site();
    let server = site.serve();
    server.await_log("www.example.com.");
    server.await_log("built-in country table");
}

/// Runs a command that cannot start; what it says.
fn refusal(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[test]
fn an_address_in_use_is_said() {
    let site = site();
    let server = site.serve();
    let said = refusal(Site::new().command(&server.address.to_string()));
    assert!(said.contains("cannot listen on"), "{said}");
    assert!(said.contains("choose another address"), "{said}");
}

#[test]
fn a_missing_directory_is_said() {
    let site = site();
    std::fs::remove_dir_all(site.manifests.path()).unwrap();
    let said = refusal(site.command("127.0.0.1:0"));
    assert!(said.contains("name a directory of manifests"), "{said}");
}

#[test]
fn a_file_in_place_of_the_directory_is_said() {
    let site = site();
    let mut command = Command::new(env!("CARGO_BIN_EXE_watershed"));
    command
        .arg("serve")
        .arg(site.manifests.path().join("zone.yaml"));
    command.arg("--state").arg(site.state_dir());
    let said = refusal(command);
    assert!(said.contains("is not a directory"), "{said}");
    assert!(!site.state_dir().exists());
}

#[test]
fn a_state_directory_in_use_is_said() {
    let site = site();
    let _server = site.serve();
    let said = refusal(site.command("127.0.0.1:0"));
    assert!(said.contains("in use by another server"), "{said}");
}

#[test]
fn a_broken_database_is_said() {
    let site = site();
    let mut command = site.command("127.0.0.1:0");
    command
        .arg("--geo-database")
        .arg(site.manifests.path().join("zone.yaml"));
    let said = refusal(command);
    assert!(said.contains("zone.yaml cannot be used"), "{said}");
}

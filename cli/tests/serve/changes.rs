//! Edits while queries come.

use std::sync::atomic::{AtomicBool, Ordering};

use hickory_proto::op::ResponseCode;

use crate::server::{Answer, Site, ZONE, policy, record};

#[test]
fn an_edit_is_served_whole_and_no_query_is_lost() {
    let site = Site::new();
    site.write("policy.yaml", &policy(1));
    site.write("record.yaml", &record("www", "channel: latest"));
    let server = site.serve();
    let (one, two) = (Answer::of(&["192.0.2.1"]), Answer::of(&["192.0.2.2"]));
    server.await_answer("www.example.com.", &one);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut seen = Vec::new();
            while !done.load(Ordering::Relaxed) {
                seen.push(server.ask("www.example.com."));
            }
            seen
        });
        site.write("policy.yaml", &policy(2));
        server.await_answer("www.example.com.", &two);
        done.store(true, Ordering::Relaxed);
        let seen = asking.join().unwrap();
        // Never anything else, and never back again.
        let switched = seen
            .iter()
            .position(|answer| *answer == two)
            .unwrap_or(seen.len());
        assert!(
            seen[..switched].iter().all(|answer| *answer == one),
            "{seen:?}"
        );
        assert!(
            seen[switched..].iter().all(|answer| *answer == two),
            "{seen:?}"
        );
    });
}

#[test]
fn a_broken_policy_is_refused_with_every_fault_and_the_last_good_one_stays() {
    let site = Site::new();
    site.write("policy.yaml", &policy(1));
    site.write("record.yaml", &record("www", "channel: latest"));
    let server = site.serve();
    let good = Answer::of(&["192.0.2.1"]);
    server.await_answer("www.example.com.", &good);
    site.write(
        "policy.yaml",
        "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: web, namespace: shop}
spec:
  version: 2
  document:
    recordTypes: [A]
    startRule: a
    rules:
      a:
        type: Weighted
        branches: [{weight: 10001, rule: b}, {weight: 1, endpoint: missing}]
      b:
        type: Latency
        branches: [{region: us-east-1, endpoint: only}, {region: us-east-1, rule: a}]
    endpoints: {only: {addresses: [192.0.2.2], port: 80}}
",
    );
    for fault in [
        "rules.a.branches[0].weight",
        "rules.a.branches[1].endpoint",
        "rules.b.branches[1].region",
        "rules.b.branches[1].rule",
        "port",
    ] {
        server.await_log(fault);
    }
    assert_eq!(server.ask("www.example.com."), good);
    // Mended, it takes effect.
    site.write("policy.yaml", &policy(2));
    server.await_answer("www.example.com.", &Answer::of(&["192.0.2.2"]));
}

#[test]
fn a_file_that_cannot_be_read_keeps_its_objects() {
    let site = Site::new();
    site.write("policy.yaml", &policy(1));
    site.write("record.yaml", &record("www", "version: 1"));
    let server = site.serve();
    let good = Answer::of(&["192.0.2.1"]);
    server.await_answer("www.example.com.", &good);
    site.write("record.yaml", "kind: [");
    server.await_log("record.yaml");
    assert_eq!(server.ask("www.example.com."), good);
    // Other changes take effect meanwhile.
    site.write("more.yaml", &record("more", "version: 1"));
    server.await_answer("more.example.com.", &good);
}

#[test]
fn removing_a_record_takes_its_name_out_of_service() {
    let site = Site::new();
    site.write("policy.yaml", &policy(1));
    site.write("record.yaml", &record("www", "version: 1"));
    let server = site.serve();
    server.await_answer("www.example.com.", &Answer::of(&["192.0.2.1"]));
    site.remove("record.yaml");
    server.await_answer("www.example.com.", &Answer::none(ResponseCode::NXDomain));
}

#[test]
fn static_records_and_zones_come_and_go() {
    let site = Site::new();
    let server = site.serve();
    server.await_answer("www.example.com.", &Answer::none(ResponseCode::NXDomain));
    let records = "  records: [{name: www, type: A, values: [192.0.2.7]}]\n";
    site.write("zone.yaml", &format!("{ZONE}{records}"));
    server.await_answer("www.example.com.", &Answer::of(&["192.0.2.7"]));
    site.remove("zone.yaml");
    server.await_answer("www.example.com.", &Answer::none(ResponseCode::Refused));
}

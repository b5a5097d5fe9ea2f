//! Aliases of names outside the zones.

use hickory_proto::op::ResponseCode;

use crate::server::{Answer, Site, record};

fn alias_of(host: &str) -> String {
    format!(
        "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {{name: web, namespace: shop}}
spec:
  document:
    recordTypes: [A]
    startEndpoint: balancer
    endpoints: {{balancer: {{hostname: {host}}}}}
"
    )
}

#[test]
fn an_alias_answers_with_the_addresses_of_its_target() {
    let site = Site::new();
    // Every system knows this name without asking anybody.
    site.write("policy.yaml", &alias_of("localhost"));
    site.write("record.yaml", &record("www", "channel: latest"));
    site.serve()
        .await_answer("www.example.com.", &Answer::of(&["127.0.0.1"]));
}

#[test]
fn a_target_that_cannot_be_found_is_a_failure_and_not_an_empty_answer() {
    let site = Site::new();
    // RFC 6761: resolvers never find a name below `invalid`.
    site.write("policy.yaml", &alias_of("balancer.invalid"));
    site.write("record.yaml", &record("www", "channel: latest"));
    let server = site.serve();
    server.await_log("alias target not resolved");
    assert_eq!(
        server.ask("www.example.com."),
        Answer::none(ResponseCode::ServFail)
    );
}

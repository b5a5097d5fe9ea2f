//! How an answer depends on who asks, and what the scope says about it.

use crate::common::*;
use hickory_proto::op::Message;
use hickory_proto::op::ResponseCode::{FormErr, NXDomain, NoError};
use watershed_dns::Transport;
use watershed_snapshot::HealthStates;

/// The addresses in an answer, and the ECS option.
fn outcome(reply: &Message) -> (Vec<String>, Option<String>) {
    let values = reply.answers.iter().map(|record| record.data.to_string());
    (values.collect(), subnet_of(reply))
}

#[test]
fn the_answer_follows_the_subnet_and_tells_its_scope() {
    let node = node();
    let cases = [
        ("www.example.com.", A, "192.0.2.0/24", "203.0.113.10", 24),
        ("www.example.com.", A, "192.0.2.128/25", "203.0.113.10", 24),
        ("www.example.com.", A, "198.51.100.0/24", "203.0.113.20", 6),
        ("www.example.com.", AAAA, "192.0.2.0/24", "2001:db8::10", 24),
        ("www.example.com.", A, "2001:db8:1::/56", "203.0.113.10", 48),
        (
            "country.example.com.",
            A,
            "198.51.100.0/24",
            "203.0.113.64",
            25,
        ),
        (
            "country.example.com.",
            A,
            "2001:db8:64::/64",
            "203.0.113.64",
            48,
        ),
        ("static.example.com.", A, "192.0.2.0/24", "192.0.2.1", 0),
        (
            "alias-www.example.com.",
            A,
            "192.0.2.0/24",
            "203.0.113.10",
            24,
        ),
        (
            "other-zone.example.com.",
            A,
            "192.0.2.0/24",
            "example.net.",
            24,
        ),
    ];
    for (qname, qtype, subnet, first, scope) in cases {
        let reply = ask(&node, &query_for(qname, qtype, subnet));
        let (values, ecs) = outcome(&reply);
        assert_eq!(
            values.first().map(String::as_str),
            Some(first),
            "{qname} {subnet}"
        );
        assert_eq!(ecs, Some(format!("{subnet}/{scope}")), "{qname} {subnet}");
    }
}

#[test]
fn without_a_subnet_the_resolver_is_the_client() {
    let node = node();
    let ask_from = |source: &str, qname: &str| {
        let packet = query(qname, A).to_vec().unwrap();
        let source = source.parse().unwrap();
        let reply = node.handle_packet(&packet, source, Transport::Udp).unwrap();
        outcome(&Message::from_vec(&reply).unwrap())
    };
    let one = |value: &str| (vec![value.to_string()], None);
    assert_eq!(
        ask_from("192.0.2.7:53", "www.example.com."),
        one("203.0.113.10")
    );
    assert_eq!(
        ask_from("[::ffff:192.0.2.7]:53", "www.example.com."),
        one("203.0.113.10")
    );
    assert_eq!(
        ask_from("198.51.100.7:53", "country.example.com."),
        one("203.0.113.64")
    );
    assert_eq!(
        ask_from("127.0.0.1:53", "country.example.com."),
        one("203.0.113.20")
    );
}

#[test]
fn a_withheld_subnet_makes_the_client_unknown() {
    let node = node();
    let packet = query_for("country.example.com.", A, "0.0.0.0/0")
        .to_vec()
        .unwrap();
    // The resolver itself is in New Zealand, which must not matter.
    let source = "198.51.100.7:53".parse().unwrap();
    let reply = node.handle_packet(&packet, source, Transport::Udp).unwrap();
    let (values, ecs) = outcome(&Message::from_vec(&reply).unwrap());
    assert_eq!(values, ["203.0.113.20"]);
    assert_eq!(ecs.as_deref(), Some("0.0.0.0/0/0"));
}

#[test]
fn absence_by_policy_is_scoped_and_absence_of_names_is_not() {
    let node = node();
    let picky = ask(
        &node,
        &query_for("picky.example.com.", A, "198.51.100.0/24"),
    );
    assert_eq!((rcode(&picky), picky.answers.len()), (NoError, 0));
    assert_eq!(subnet_of(&picky).as_deref(), Some("198.51.100.0/24/6"));
    let missing = ask(
        &node,
        &query_for("missing.example.com.", A, "198.51.100.0/24"),
    );
    assert_eq!(rcode(&missing), NXDomain);
    assert_eq!(subnet_of(&missing).as_deref(), Some("198.51.100.0/24/0"));
}

#[test]
fn malformed_subnets_are_refused() {
    let node = node();
    let cases: [(&str, &[u8]); 6] = [
        ("scope in a query", &[0, 1, 24, 24, 192, 0, 2]),
        ("too many octets", &[0, 1, 24, 0, 192, 0, 2, 0]),
        ("bits beyond the prefix", &[0, 1, 23, 0, 192, 0, 3]),
        ("octets for /0", &[0, 1, 0, 0, 0]),
        ("IPv6 bits beyond the prefix", &[0, 2, 4, 0, 0x2f]),
        ("IPv6 with too many octets", &[0, 2, 8, 0, 0x20, 1]),
    ];
    for (what, data) in cases {
        let reply = ask(&node, &query_with_raw_subnet(data));
        assert_eq!(rcode(&reply), FormErr, "{what}");
        assert_eq!(reply.queries.len(), 1, "{what}");
        assert_eq!(subnet_of(&reply), None, "{what}");
    }
}

#[test]
fn undecodable_subnets_are_refused() {
    let node = node();
    let cases: [(&str, &[u8]); 6] = [
        ("no fields", &[]),
        ("half the fields", &[0, 1]),
        ("family 3", &[0, 3, 0, 0]),
        ("IPv4 prefix of 33", &[0, 1, 33, 0, 192, 0, 2, 1, 0]),
        ("IPv6 prefix of 129", &[0, 2, 129, 0]),
        ("too few octets", &[0, 1, 24, 0, 192, 0]),
    ];
    for (what, data) in cases {
        let packet = query_with_raw_subnet(data).to_vec().unwrap();
        assert_eq!(rcode(&ask_packet(&node, &packet)), FormErr, "{what}");
    }
}

#[test]
fn two_subnets_are_refused() {
    let mut message = query_with_raw_subnet(&[0, 1, 24, 0, 192, 0, 2]);
    let again = query_with_raw_subnet(&[0, 1, 24, 0, 198, 51, 100]);
    let (_, option) = again.edns.unwrap().options().as_ref()[0].clone();
    message.edns.as_mut().unwrap().options_mut().insert(option);
    assert_eq!(message.edns.as_ref().unwrap().options().as_ref().len(), 2);
    assert_eq!(rcode(&ask(&node(), &message)), FormErr);
}

#[test]
fn health_changes_the_answer_at_once() {
    let node = node();
    let answer = || {
        let reply = ask(
            &node,
            &query_for("country.example.com.", A, "198.51.100.0/24"),
        );
        outcome(&reply).0
    };
    assert_eq!(answer(), ["203.0.113.64"]);
    let mut health = HealthStates::all_healthy();
    health.set_check("shop/nz", false);
    node.set_health(health.clone());
    assert_eq!(answer(), ["203.0.113.20"]);
    // A new snapshot is served with the verdicts that are known.
    node.publish(snapshot());
    assert_eq!(answer(), ["203.0.113.20"]);
    health.set_check("shop/nz", true);
    node.set_health(health);
    assert_eq!(answer(), ["203.0.113.64"]);
}

//! Header, EDNS, truncation and hostile packets.

use crate::common::*;
use hickory_proto::op::ResponseCode::{
    BADVERS, FormErr, NXDomain, NoError, NotImp, Refused, ServFail,
};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{DNSClass, Name, RecordType};
use proptest::prelude::*;
use watershed_dns::{Config, Node, Transport};

#[test]
fn letter_case_of_the_question_is_kept() {
    let reply = ask(&node(), &query("wWw.ExAmPlE.cOm.", A));
    assert_eq!(reply.queries[0].name().to_ascii(), "wWw.ExAmPlE.cOm.");
    assert_eq!(reply.answers[0].name.to_ascii(), "wWw.ExAmPlE.cOm.");
}

#[test]
fn header_bits_are_copied_or_clear() {
    let mut message = query("static.example.com.", A);
    message.metadata.recursion_desired = true;
    message.metadata.authentic_data = true;
    let reply = ask(&node(), &message).metadata;
    assert!(reply.recursion_desired && !reply.recursion_available && !reply.authentic_data);
}

#[test]
fn edns_is_answered_by_edns_with_our_own_size() {
    let node = node();
    let mut message = query("static.example.com.", A);
    let edns = message.edns.as_mut().unwrap();
    edns.set_dnssec_ok(true).set_max_payload(4096);
    edns.options_mut()
        .insert(EdnsOption::Unknown(65001, vec![1, 2, 3]));
    let reply = ask(&node, &message).edns.unwrap();
    assert_eq!((reply.version(), reply.max_payload()), (0, 1232));
    assert!(reply.flags().dnssec_ok && reply.options().as_ref().is_empty());
    message.edns = None;
    assert_eq!(ask(&node, &message).edns, None);
}

#[test]
fn every_error_to_an_edns_query_has_edns() {
    let node = node();
    for (qname, expected) in [
        ("missing.example.com.", NXDomain),
        ("example.org.", Refused),
        ("alias-unknown.example.com.", ServFail),
    ] {
        let reply = ask(&node, &query_for(qname, A, "192.0.2.0/24"));
        assert_eq!(rcode(&reply), expected);
        assert_eq!(
            subnet_of(&reply).as_deref(),
            Some("192.0.2.0/24/0"),
            "{qname}"
        );
    }
}

#[test]
fn unknown_edns_version_is_badvers() {
    let mut message = query("static.example.com.", A);
    message.edns.as_mut().unwrap().set_version(1);
    let reply = ask(&node(), &message);
    // 16 is BADSIG as well; in a reply without TSIG it is BADVERS.
    assert_eq!(u16::from(rcode(&reply)), u16::from(BADVERS));
    assert_eq!(reply.edns.as_ref().map(Edns::version), Some(0));
    assert!(reply.answers.is_empty());
}

#[test]
fn opcodes_other_than_query_are_not_implemented() {
    for opcode in [
        OpCode::Status,
        OpCode::Notify,
        OpCode::Update,
        OpCode::from_u8(7),
    ] {
        let mut message = query("example.com.", SOA);
        message.metadata.op_code = opcode;
        let reply = ask(&node(), &message);
        assert_eq!((rcode(&reply), reply.metadata.op_code), (NotImp, opcode));
    }
}

#[test]
fn other_classes_are_refused() {
    for class in [DNSClass::CH, DNSClass::HS, DNSClass::ANY, DNSClass::NONE] {
        let mut message = query("version.bind.", TXT);
        message.queries[0].set_query_class(class);
        assert_eq!(rcode(&ask(&node(), &message)), Refused, "{class}");
    }
}

#[test]
fn a_query_has_exactly_one_question() {
    let mut message = query("www.example.com.", A);
    let second = Query::query(Name::from_ascii("example.com.").unwrap(), RecordType::A);
    message.add_query(second);
    assert_eq!(rcode(&ask(&node(), &message)), FormErr);
    message.queries.clear();
    assert_eq!(rcode(&ask(&node(), &message)), FormErr);
}

#[test]
fn query_types_that_are_no_data_types() {
    let node = node();
    for (qtype, expected) in [
        (0, FormErr),
        (41, FormErr),
        (128, FormErr),
        (249, FormErr),
        (250, FormErr),
        (251, Refused),
        (252, Refused),
        (253, NotImp),
        (254, NotImp),
        (65280, NoError),
    ] {
        let reply = ask(&node, &query("example.com.", qtype));
        assert_eq!(rcode(&reply), expected, "type {qtype}");
        assert!(reply.answers.is_empty());
    }
}

#[test]
fn long_answers_are_truncated_whole_and_keep_edns() {
    let node = node();
    // (name, announced payload, fits)
    let cases = [
        ("static.example.com.", None, true),
        ("medium.example.com.", None, false),
        ("medium.example.com.", Some(512), false),
        ("medium.example.com.", Some(1232), true),
        ("big.example.com.", Some(1232), false),
        ("big.example.com.", Some(4096), false),
    ];
    for (qname, payload, fits) in cases {
        let mut message = query_for(qname, TXT, "192.0.2.0/24");
        match payload {
            Some(size) => {
                message.edns.as_mut().unwrap().set_max_payload(size);
            }
            None => message.edns = None,
        }
        let reply = ask(&node, &message);
        assert_eq!(reply.metadata.truncation, !fits, "{qname} {payload:?}");
        assert_eq!(reply.answers.is_empty(), !fits, "{qname} {payload:?}");
        assert_eq!(
            subnet_of(&reply).is_some(),
            payload.is_some(),
            "{qname} {payload:?}"
        );
        assert!(reply.metadata.authoritative && rcode(&reply) == NoError);
    }
}

#[test]
fn tcp_takes_what_udp_cannot() {
    let node = node();
    let ask_tcp = |qname: &str| {
        let packet = query(qname, TXT).to_vec().unwrap();
        let reply = node.handle_packet(&packet, resolver(), Transport::Tcp);
        Message::from_vec(&reply.unwrap()).unwrap()
    };
    let big = ask_tcp("big.example.com.");
    assert_eq!((big.metadata.truncation, big.answers.len()), (false, 1));
    // 75,000 octets fit no message at all.
    let huge = ask_tcp("huge.example.com.");
    assert_eq!((rcode(&huge), huge.answers.len()), (ServFail, 0));
    assert!(!huge.metadata.truncation && huge.edns.is_some());
}

#[test]
fn responses_and_fragments_of_headers_get_no_reply() {
    let node = node();
    let mut message = query("www.example.com.", A);
    message.metadata.message_type = MessageType::Response;
    let packet = message.to_vec().unwrap();
    assert_eq!(
        node.handle_packet(&packet, resolver(), Transport::Udp),
        None
    );
    for len in 0..12 {
        assert_eq!(
            node.handle_packet(&packet[..len], resolver(), Transport::Udp),
            None
        );
    }
}

#[test]
fn undecodable_queries_are_format_errors() {
    let node = node();
    let packet = query("www.example.com.", A).to_vec().unwrap();
    for len in 12..packet.len() {
        let reply = ask_packet(&node, &packet[..len]);
        assert_eq!(
            (rcode(&reply), reply.metadata.id),
            (FormErr, 4711),
            "{len} octets"
        );
    }
}

#[test]
fn a_question_that_goes_on_in_the_header_is_not_repeated() {
    // The root by way of two zero octets in the header.
    let mut packet = vec![0x12, 0x67, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend([0xC0, 2, 0, 1, 0, 1]);
    let reply = ask_packet(&node(), &packet);
    assert_eq!((rcode(&reply), reply.metadata.id), (FormErr, 0x1267));
    assert!(reply.queries.is_empty());
    // Nor are several: together they may be longer than a reply by UDP.
    let mut packet = query("www.example.com.", A).to_vec().unwrap();
    packet.truncate(12 + 17 + 4);
    packet[4..12].copy_from_slice(&[0, 2, 0, 0, 0, 0, 0, 0]);
    packet.extend([0xC0, 12, 0, 1, 0, 1]);
    let reply = ask_packet(&node(), &packet);
    assert_eq!((rcode(&reply), reply.queries.len()), (FormErr, 0));
}

#[test]
fn before_the_first_snapshot_everything_is_refused() {
    let node = Node::new(Config::default());
    assert_eq!(rcode(&ask(&node, &query("www.example.com.", A))), Refused);
}

/// Replies to hostile packets are well-formed, short and repeat the id.
fn check_hostile(node: &Node, packet: &[u8]) -> Result<(), TestCaseError> {
    let Some(reply) = node.handle_packet(packet, resolver(), Transport::Udp) else {
        return Ok(());
    };
    prop_assert!(reply.len() <= 1232);
    prop_assert_eq!(&reply[..2], &packet[..2]);
    prop_assert!(Message::from_vec(&reply).is_ok(), "{:?}", reply);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_packets_do_no_harm(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
        check_hostile(&node(), &packet)?;
    }

    #[test]
    fn mutilated_queries_do_no_harm(
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut packet = query_for("www.example.com.", A, "192.0.2.0/24").to_vec().unwrap();
        for (index, octet) in flips {
            let at = index.index(packet.len());
            packet[at] = octet;
        }
        let node = node();
        check_hostile(&node, &packet)?;
        check_hostile(&node, &packet[..cut.index(packet.len())])?;
    }
}

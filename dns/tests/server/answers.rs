//! What is answered to which question: names, types and records. No sockets.

use crate::common::*;
use hickory_proto::op::ResponseCode::{self, NXDomain, NoError, Refused, ServFail};

/// A row of a table, in the field's usual shape.
struct Case {
    qname: &'static str,
    qtype: u16,
    rcode: ResponseCode,
    authoritative: bool,
    answer: &'static [&'static str],
    authority: &'static [&'static str],
    additional: &'static [&'static str],
}

/// A positive answer.
fn answer(qname: &'static str, qtype: u16, answer: &'static [&'static str]) -> Case {
    Case {
        qname,
        qtype,
        rcode: NoError,
        authoritative: true,
        answer,
        authority: &[],
        additional: &[],
    }
}

/// A name or type that does not exist.
fn negative(qname: &'static str, qtype: u16, rcode: ResponseCode) -> Case {
    Case {
        rcode,
        authority: NEGATIVE,
        ..answer(qname, qtype, &[])
    }
}

const NEGATIVE: &[&str] =
    &["example.com. 60 IN SOA ns1.example.com. admin.example.com. 7 7200 900 1209600 60"];
const REFERRAL: &[&str] = &[
    "cut.example.com. 600 IN NS ns.cut.example.com.",
    "cut.example.com. 600 IN NS ns.example.org.",
];
const GLUE: &[&str] = &[
    "ns.cut.example.com. 600 IN A 192.0.2.54",
    "ns.cut.example.com. 600 IN AAAA 2001:db8::54",
];
const STATIC: &[&str] = &[
    "static.example.com. 300 IN A 192.0.2.1",
    "static.example.com. 300 IN A 192.0.2.2",
];

fn check(cases: impl IntoIterator<Item = Case>) {
    let node = node();
    for case in cases {
        let reply = ask(&node, &query(case.qname, case.qtype));
        let asked = format!("{} {}", case.qname, case.qtype);
        assert_eq!(rcode(&reply), case.rcode, "rcode of {asked}");
        assert_eq!(
            reply.metadata.authoritative, case.authoritative,
            "AA of {asked}"
        );
        assert_eq!(texts(&reply.answers), case.answer, "answer of {asked}");
        assert_eq!(
            texts(&reply.authorities),
            case.authority,
            "authority of {asked}"
        );
        assert_eq!(
            texts(&reply.additionals),
            case.additional,
            "additional of {asked}"
        );
        assert!(!reply.metadata.truncation && !reply.metadata.recursion_available);
    }
}

#[test]
fn static_data() {
    check([
        answer("static.example.com.", A, STATIC),
        answer(
            "static.example.com.",
            TXT,
            &["static.example.com. 300 IN TXT hello"],
        ),
        answer(
            "example.com.",
            SOA,
            &["example.com. 900 IN SOA ns1.example.com. admin.example.com. 7 7200 900 1209600 60"],
        ),
        answer(
            "example.com.",
            NS,
            &["example.com. 3600 IN NS ns1.example.com."],
        ),
    ]);
}

#[test]
fn negative_answers_carry_the_soa_with_the_negative_ttl() {
    check([
        negative("missing.example.com.", A, NXDomain),
        negative("a.b.c.example.com.", A, NXDomain),
        negative("below.static.example.com.", A, NXDomain),
        negative("static.example.com.", AAAA, NoError),
        negative("example.com.", TXT, NoError),
    ]);
}

#[test]
fn names_outside_the_zones_are_refused() {
    let refused = |qname| Case {
        rcode: Refused,
        authoritative: false,
        ..answer(qname, A, &[])
    };
    check([
        refused("example.org."),
        refused("com."),
        refused("."),
        refused("xexample.com."),
    ]);
}

#[test]
fn wildcards_as_in_rfc_4592() {
    check([
        answer(
            "x.wild.example.com.",
            A,
            &["x.wild.example.com. 300 IN A 192.0.2.99"],
        ),
        // Any depth below.
        answer(
            "x.y.wild.example.com.",
            A,
            &["x.y.wild.example.com. 300 IN A 192.0.2.99"],
        ),
        // The wildcard itself.
        answer(
            "*.wild.example.com.",
            A,
            &["*.wild.example.com. 300 IN A 192.0.2.99"],
        ),
        // It has no such type.
        negative("x.wild.example.com.", TXT, NoError),
        // The parent of the wildcard exists, but has nothing.
        negative("wild.example.com.", A, NoError),
        // An empty non-terminal is no match for the wildcard, and names below
        // it have their closest encloser there.
        negative("ent.wild.example.com.", A, NoError),
        negative("b.ent.wild.example.com.", A, NXDomain),
        // A name below the wildcard's own is literal.
        negative("x.*.wild.example.com.", A, NXDomain),
        // The closest encloser of names below a name that exists is that name.
        negative("x.a.ent.wild.example.com.", A, NXDomain),
    ]);
}

#[test]
fn cname_answers_every_type_and_is_followed() {
    check([
        answer(
            "chain1.example.com.",
            A,
            &[
                "chain1.example.com. 300 IN CNAME chain2.example.com.",
                "chain2.example.com. 300 IN CNAME static.example.com.",
                "static.example.com. 300 IN A 192.0.2.1",
                "static.example.com. 300 IN A 192.0.2.2",
            ],
        ),
        answer(
            "chain1.example.com.",
            CNAME,
            &["chain1.example.com. 300 IN CNAME chain2.example.com."],
        ),
        answer(
            "x.wildalias.example.com.",
            TXT,
            &[
                "static.example.com. 300 IN TXT hello",
                "x.wildalias.example.com. 300 IN CNAME static.example.com.",
            ],
        ),
        answer(
            "outside.example.com.",
            A,
            &["outside.example.com. 300 IN CNAME host.example.org."],
        ),
        answer(
            "other-zone.example.com.",
            A,
            &[
                "example.net. 30 IN A 203.0.113.20",
                "other-zone.example.com. 300 IN CNAME example.net.",
            ],
        ),
    ]);
}

#[test]
fn the_end_of_a_cname_chain_decides_the_rcode() {
    check([
        Case {
            answer: &["dangling.example.com. 300 IN CNAME missing.example.com."],
            ..negative("dangling.example.com.", A, NXDomain)
        },
        Case {
            answer: &["chain2.example.com. 300 IN CNAME static.example.com."],
            ..negative("chain2.example.com.", AAAA, NoError)
        },
        Case {
            authority: REFERRAL,
            additional: GLUE,
            ..answer(
                "into-cut.example.com.",
                A,
                &["into-cut.example.com. 300 IN CNAME www.cut.example.com."],
            )
        },
    ]);
}

#[test]
fn cname_loops_end() {
    check([
        answer(
            "self.example.com.",
            A,
            &["self.example.com. 300 IN CNAME self.example.com."],
        ),
        answer(
            "loop1.example.com.",
            A,
            &[
                "loop1.example.com. 300 IN CNAME loop2.example.com.",
                "loop2.example.com. 300 IN CNAME loop1.example.com.",
            ],
        ),
    ]);
}

#[test]
fn zone_cuts_are_referred() {
    let referral = |qname, qtype| Case {
        authoritative: false,
        authority: REFERRAL,
        additional: GLUE,
        ..answer(qname, qtype, &[])
    };
    check([
        referral("cut.example.com.", A),
        referral("cut.example.com.", NS),
        referral("a.b.cut.example.com.", A),
        // Glue is not ours to answer.
        referral("ns.cut.example.com.", A),
        // Nor are DS records below the cut.
        referral("a.cut.example.com.", DS),
    ]);
}

#[test]
fn ds_is_answered_by_the_parent() {
    check([
        answer(
            "cut.example.com.",
            DS,
            &["cut.example.com. 600 IN DS MDkNAqvN"],
        ),
        // Both parent and child are served here.
        answer(
            "child.example.com.",
            DS,
            &["child.example.com. 600 IN DS MDoNAqvN"],
        ),
        answer(
            "child.example.com.",
            NS,
            &["child.example.com. 3600 IN NS ns1.child.example.com."],
        ),
        // The parent is not.
        negative("example.com.", DS, NoError),
    ]);
}

#[test]
fn any_gets_one_rrset() {
    check([
        answer("static.example.com.", 255, STATIC),
        answer(
            "chain1.example.com.",
            255,
            &["chain1.example.com. 300 IN CNAME chain2.example.com."],
        ),
        negative("wild.example.com.", 255, NoError),
        negative("missing.example.com.", 255, NXDomain),
        answer(
            "www.example.com.",
            255,
            &["www.example.com. 3600 IN HINFO RFC8482 "],
        ),
        answer(
            "canonical.example.com.",
            255,
            &["canonical.example.com. 30 IN CNAME host.example.org."],
        ),
    ]);
}

#[test]
fn policies_of_every_kind_of_value() {
    check([
        answer(
            "www.example.com.",
            A,
            &["www.example.com. 30 IN A 203.0.113.20"],
        ),
        answer(
            "www.example.com.",
            AAAA,
            &["www.example.com. 30 IN AAAA 2001:db8::20"],
        ),
        negative("www.example.com.", TXT, NoError),
        answer(
            "multi.example.com.",
            A,
            &[
                "multi.example.com. 30 IN A 203.0.113.1",
                "multi.example.com. 30 IN A 203.0.113.2",
                "multi.example.com. 30 IN A 203.0.113.3",
            ],
        ),
        answer(
            "mail.example.com.",
            MX,
            &[
                "mail.example.com. 30 IN MX 10 mx1.example.com.",
                "mail.example.com. 30 IN MX 20 mx2.example.com.",
            ],
        ),
        answer(
            "x.policy.example.com.",
            A,
            &["x.policy.example.com. 30 IN A 203.0.113.20"],
        ),
        // No branch applies to this client.
        negative("picky.example.com.", A, NoError),
    ]);
}

#[test]
fn one_policy_serves_names_and_apexes_of_several_zones() {
    check([
        answer("example.com.", A, &["example.com. 30 IN A 203.0.113.20"]),
        answer("example.net.", A, &["example.net. 30 IN A 203.0.113.20"]),
        answer(
            "www.example.com.",
            A,
            &["www.example.com. 30 IN A 203.0.113.20"],
        ),
    ]);
}

#[test]
fn alias_targets_are_resolved() {
    check([
        // In our own zone; the smaller TTL counts.
        answer(
            "alias.example.com.",
            A,
            &["alias.example.com. 20 IN A 192.0.2.80"],
        ),
        negative("alias.example.com.", AAAA, NoError),
        // Through another policy.
        answer(
            "alias-www.example.com.",
            AAAA,
            &["alias-www.example.com. 30 IN AAAA 2001:db8::20"],
        ),
        // Known to the node only, at once or behind a CNAME record of ours.
        answer(
            "alias-foreign.example.com.",
            A,
            &["alias-foreign.example.com. 30 IN A 203.0.113.200"],
        ),
        answer(
            "alias-out.example.com.",
            AAAA,
            &["alias-out.example.com. 30 IN AAAA 2001:db8::200"],
        ),
        // Known not to exist.
        negative("alias-missing.example.com.", A, NoError),
    ]);
}

#[test]
fn unresolvable_aliases_fail_and_are_never_empty() {
    let failed = |qname| Case {
        rcode: ServFail,
        authoritative: false,
        ..answer(qname, A, &[])
    };
    check([
        failed("alias-unknown.example.com."),
        failed("alias-self.example.com."),
        failed("alias-loop.example.com."),
    ]);
}

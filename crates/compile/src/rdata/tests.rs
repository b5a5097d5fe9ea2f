use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};

use super::*;

/// What hickory-proto makes of the same text.
fn oracle(record_type: u16, text: &str) -> Vec<u8> {
    let data = RData::try_from_str(RecordType::from(record_type), text).unwrap();
    let mut wire = Vec::new();
    data.emit(&mut BinEncoder::new(&mut wire)).unwrap();
    wire
}

#[test]
fn agrees_with_another_implementation() {
    for (record_type, text) in [
        (1, "192.0.2.1"),
        (28, "2001:db8::1"),
        (2, "ns1.example.net."),
        (5, "www.example.com."),
        (12, "host.example.com."),
        (15, "10 mx1.example.net."),
        (15, "0 ."),
        (16, r#""v=spf1 -all""#),
        (16, r#""one" "two \"quoted\" back\\slash""#),
        (33, "1 10 5269 xmpp.example.com."),
        (
            35,
            r#"100 50 "s" "z3950+I2L+I2C" "" _z3950._tcp.example.com."#,
        ),
        (
            35,
            r#"100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" ."#,
        ),
        (44, "2 1 123456789abcdef67890123456789abcdef67890"),
        (
            52,
            "0 0 1 d2abde240d7cd3ee6b4b28c54df034b9 7983a1d16e8a410e4561cb106618e971",
        ),
        (64, "0 svc.example.net."),
        (64, "1 . alpn=h2,h3 port=8443"),
        (
            65,
            "16 foo.example.org. alpn=h2 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1",
        ),
        (
            65,
            r#"1 . mandatory=alpn,ipv4hint alpn="h2" ipv4hint=192.0.2.1"#,
        ),
        (65, "1 . alpn=h2 no-default-alpn ech=AEn+DQ=="),
        (257, r#"0 issue "ca.example.net""#),
        (257, r#"128 iodef "mailto:security@example.com""#),
    ] {
        assert_eq!(
            parse_rdata(record_type, text),
            Ok(oracle(record_type, text)),
            "{text}"
        );
    }
}

#[test]
fn names_are_absolute_with_or_without_the_final_dot() {
    assert_eq!(
        parse_rdata(15, "10 mx1.example.net"),
        parse_rdata(15, "10 MX1.example.net.")
    );
    assert_eq!(
        parse_rdata(15, "10 @.example.net.").map(|wire| wire[2..4].to_vec()),
        Ok(b"\x01@".to_vec())
    );
}

#[test]
fn text_is_quoted_strings_or_taken_as_written() {
    let text = |text: &str| parse_rdata(16, text);
    assert_eq!(text("v=spf1 -all"), Ok(b"\x0bv=spf1 -all".to_vec()));
    assert_eq!(text(r#""a b"  "c""#), Ok(b"\x03a b\x01c".to_vec()));
    assert_eq!(text(r#""\200\"\\""#), Ok(b"\x03\xc8\"\\".to_vec()));
    assert_eq!(text(r#""""#), Ok(b"\x00".to_vec()));
    assert_eq!(parse_rdata(99, "v=spf1"), Ok(b"\x06v=spf1".to_vec()));
    let long = "x".repeat(300);
    let wire = text(&long).unwrap();
    assert_eq!((wire.len(), wire[0], wire[256]), (302, 255, 45));
    assert_eq!(
        text(&format!("\"{long}\"")),
        Err(RdataError::Long("a string"))
    );
    assert_eq!(text(r#"a "b""#), Err(RdataError::Unquoted));
    assert_eq!(text(r#""a" b"#), Err(RdataError::Unquoted));
    assert_eq!(text(r#""a"b"#), Err(RdataError::Quote));
    assert_eq!(text(r#""a"#), Err(RdataError::Quote));
    assert_eq!(text(r#""\256""#), Err(RdataError::Escape));
    assert_eq!(text(" "), Err(RdataError::Missing("the text")));
}

#[test]
fn faults_name_the_field() {
    let message = |record_type, text| parse_rdata(record_type, text).unwrap_err().to_string();
    for (record_type, text, expected) in [
        (
            15,
            "mx1.example.net.",
            "the preference `mx1.example.net.` is not a number between 0 and 65535",
        ),
        (15, "10", "the mail server is missing"),
        (
            15,
            "10 mx1.example.net. extra",
            "`extra` is one field too many",
        ),
        (
            15,
            "10 mx..example.net.",
            "the mail server: `mx..example.net.` has an empty label; remove the extra dot",
        ),
        (
            33,
            "1 +1 5269 a.example.com.",
            "the weight `+1` is not a number between 0 and 65535",
        ),
        (
            257,
            "256 issue \"\"",
            "the flags `256` is not a number between 0 and 255",
        ),
        (
            257,
            "0 is-sue \"\"",
            "tag `is-sue` has other characters than letters and digits",
        ),
        (
            44,
            "1 1 abc",
            "the fingerprint is not an even number of hexadecimal digits",
        ),
        (1, "2001:db8::1", "`2001:db8::1` is not an IPv4 address"),
        (28, "192.0.2.1", "`192.0.2.1` is not an IPv6 address"),
        (6, "x", "data of type 6 cannot be written as text"),
        (65, "1 . alpn=h2 alpn=h3", "parameter `alpn` is given twice"),
        (65, "1 . alpn=,h2", "parameter `alpn` is malformed"),
        (
            65,
            "1 . alpn=\"",
            "a quoted string does not end where it should",
        ),
        (
            65,
            "1 . no-default-alpn",
            "parameter `no-default-alpn` needs alpn beside it",
        ),
        (
            65,
            "1 . mandatory=port",
            "parameter `mandatory` lists a key that is not there",
        ),
        (
            65,
            "1 . h2",
            "parameter `h2` is not known; others are written as key followed by a number",
        ),
        (65, "1 . port=65536", "parameter `port` is malformed"),
    ] {
        assert_eq!(message(record_type, text), expected, "{text}");
    }
}

#[test]
fn service_parameters_are_sorted_and_unescaped() {
    let wire = parse_rdata(64, r"1 . key667=hello\210 port=1").unwrap();
    assert_eq!(wire, b"\0\x01\0\0\x03\0\x02\0\x01\x02\x9b\0\x06hello\xd2");
    // RFC 9460 appendix D.2: both spellings are f\oo,bar and h2.
    let alpn = b"\0\x10\x03foo\x07example\x03org\0\0\x01\0\x0c\x08f\\oo,bar\x02h2";
    for text in [
        r#"16 foo.example.org. alpn="f\\\\oo\\,bar,h2""#,
        r"16 foo.example.org. alpn=f\\\092oo\092,bar,h2",
    ] {
        assert_eq!(parse_rdata(64, text), Ok(alpn.to_vec()), "{text}");
    }
}

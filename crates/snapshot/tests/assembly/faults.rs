//! What cannot be served, and who is told.

use watershed_snapshot::record_type::{A, AAAA, CNAME, NS};
use watershed_snapshot::{Assembly, Content, Resource, RrSet};

use crate::support::{
    Change, TXT, fixed, owner, record_name, records, rrset, served, version, version_name, zone,
    zone_name,
};

/// A zone, a version of A and AAAA, and a record `www` that serves it.
fn base() -> Assembly {
    let base = vec![
        (
            record_name("www"),
            Some(records(
                "example.com",
                vec![("www", served("v", &[A, AAAA]))],
            )),
        ),
        (version_name("v"), Some(version("v", &[A, AAAA], 1))),
        (zone_name("z"), Some(zone("example.com", 1))),
    ];
    Assembly::new().apply(base).unwrap()
}

/// Applies the changes to [`base`], which must fail, and tells the faults.
fn faults(changes: Vec<Change>) -> Vec<String> {
    let faults = base().apply(changes).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn a_record_needs_its_zone_and_its_version() {
    let lost = records("example.org", vec![("a", fixed(A, 1))]);
    let dangling = records("example.com", vec![("a", served("w", &[A]))]);
    let alien = records("example.com", vec![("b", served("v", &[A, TXT]))]);
    let outside = records("example.com", vec![("a.example.net.", fixed(A, 1))]);
    assert_eq!(
        faults(vec![
            (record_name("lost"), Some(lost)),
            (record_name("dangling"), Some(dangling)),
            (record_name("alien"), Some(alien)),
            (record_name("outside"), Some(outside)),
        ]),
        [
            "RecordSet/shop/alien: b.example.com. serves type 16, which \
             TrafficPolicyVersion/shop/v does not have",
            "RecordSet/shop/dangling: a.example.com. serves TrafficPolicyVersion/shop/w, which \
             does not exist",
            "RecordSet/shop/lost: its zone example.org. does not exist",
            "RecordSet/shop/outside: a.example.net. is outside the zone example.com.",
        ]
    );
}

#[test]
fn every_part_of_a_record_is_told() {
    let twice = vec![
        ("www", fixed(A, 1)),
        ("www", fixed(CNAME, 1)),
        ("*", fixed(NS, 1)),
    ];
    assert_eq!(
        faults(vec![(
            record_name("a"),
            Some(records("example.com", twice))
        )]),
        [
            "RecordSet/shop/a: *.example.com. is a wildcard and cannot have NS records",
            "RecordSet/shop/a: www.example.com. has data of type 1 already",
            "RecordSet/shop/a: www.example.com. would have a CNAME beside other data",
        ]
    );
}

#[test]
fn a_conflict_is_put_down_to_what_changes() {
    // `a` comes before `www` in name, but `www` was there.
    let late = records("example.com", vec![("www", fixed(A, 1))]);
    let [fault] = &faults(vec![(record_name("a"), Some(late))])[..] else {
        panic!("one fault");
    };
    assert_eq!(
        fault,
        "RecordSet/shop/a: www.example.com. has data of type 1 already"
    );
}

#[test]
fn what_is_in_use_cannot_go() {
    let faults = faults(vec![(zone_name("z"), None), (version_name("v"), None)]);
    assert_eq!(
        faults,
        [
            "HostedZone/shop/z: the zone example.com. cannot go: there are data at www.example.com.",
            "TrafficPolicyVersion/shop/v: cannot go: it is served at www.example.com.",
        ]
    );
}

#[test]
fn many_users_are_not_all_named() {
    let more = ["a", "b", "c", "d"].map(|text| {
        let content = vec![(text, served("v", &[A]))];
        (record_name(text), Some(records("example.com", content)))
    });
    let assembly = base().apply(more.into()).unwrap();
    let faults = assembly.apply(vec![(version_name("v"), None)]).unwrap_err();
    assert_eq!(
        faults[0].message,
        "cannot go: it is served at a.example.com., b.example.com., c.example.com. and 2 more"
    );
}

#[test]
fn a_version_keeps_the_types_that_are_served() {
    let narrower = vec![(version_name("v"), Some(version("v", &[A], 1)))];
    assert_eq!(
        faults(narrower.clone()),
        ["TrafficPolicyVersion/shop/v: no longer has type 28, which is served at www.example.com."]
    );
    let both = [
        narrower,
        vec![(
            record_name("www"),
            Some(records("example.com", vec![("www", served("v", &[A]))])),
        )],
    ];
    assert!(base().apply(both.concat()).is_ok());
}

#[test]
fn an_apex_has_one_maker_and_may_change_hands() {
    let other = (zone_name("y"), Some(zone("example.com", 2)));
    assert_eq!(
        faults(vec![other.clone()]),
        ["HostedZone/shop/y: HostedZone/shop/z makes the zone example.com. already"]
    );
    let handed_over = base().apply(vec![other, (zone_name("z"), None)]).unwrap();
    let zone = &handed_over.snapshot().zones[&owner("example.com")];
    assert_eq!(zone.serial, 2);
    assert!(zone.node(&owner("www.example.com")).unwrap().has(A));
}

#[test]
fn a_faulty_zone_is_told_once() {
    let Resource::Zone(mut head) = zone("example.net", 1) else {
        panic!("a zone");
    };
    head.soa.rdata.clear();
    let inside = records("example.net", vec![("a", fixed(A, 1)), ("b", fixed(A, 1))]);
    assert_eq!(
        faults(vec![
            (zone_name("net"), Some(Resource::Zone(head))),
            (record_name("inside"), Some(inside)),
        ]),
        ["HostedZone/shop/net: zone example.net.: the SOA record is malformed"]
    );
}

#[test]
fn a_zone_may_go_though_a_newcomer_wants_it() {
    let newcomer = records("example.com", vec![("new", fixed(A, 1))]);
    assert_eq!(
        faults(vec![
            (zone_name("z"), None),
            (record_name("www"), None),
            (record_name("new"), Some(newcomer)),
        ]),
        ["RecordSet/shop/new: its zone example.com. does not exist"]
    );
}

#[test]
fn malformed_data_and_misplaced_content_are_refused() {
    let short = RrSet {
        rdata: vec![[192, 0, 2].into()],
        ..rrset(A, 1)
    };
    let short = records("example.com", vec![("a", Content::Static(short))]);
    assert_eq!(
        faults(vec![
            (record_name("short"), Some(short)),
            (zone_name("misnamed"), Some(version("v", &[A], 1))),
        ]),
        [
            "HostedZone/shop/misnamed: the content is not that of a HostedZone",
            "RecordSet/shop/short: the data of type 1 at a.example.com. are malformed",
        ]
    );
}

#[test]
fn nothing_changes_when_something_is_at_fault() {
    let before = base();
    let copy = before.clone();
    let good = (
        record_name("good"),
        Some(records("example.com", vec![("g", fixed(A, 1))])),
    );
    let bad = (
        record_name("bad"),
        Some(records("example.org", vec![("g", fixed(A, 1))])),
    );
    assert!(before.apply(vec![good, bad]).is_err());
    assert_eq!(before, copy);
}

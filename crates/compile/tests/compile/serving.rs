//! From objects to what nodes serve, and what is said when it cannot be.

use std::sync::Arc;

use watershed_compile::{ConditionType, Kind, ObjectRef, Previous, Reason, Resources, compile};
use watershed_snapshot::OwnerName;

use crate::support::{
    POLICY, RECORD, ZONE, apply, at, complaints, key, objects, resources, run, verdict,
};

const NONE: [String; 0] = [];

fn all() -> Resources {
    resources(&format!("{ZONE}---{POLICY}---{RECORD}"))
}

#[test]
fn a_record_serves_its_version() {
    let compiled = run(&mut all(), &Previous::none());
    assert_eq!(complaints(&compiled), NONE);
    assert_eq!(at(&compiled, "www.example.com"), ["web v1 [1, 28] 60"]);
    assert_eq!(at(&compiled, "example.com"), ["2 x2 86400", "6 x1 900"]);
    let serving = verdict(&compiled, Kind::PolicyRecord, "www")
        .serving
        .clone()
        .unwrap();
    assert_eq!(serving.name.to_string(), "www.example.com.");
    assert_eq!((serving.version, serving.stale), (1, false));
    let policy = verdict(&compiled, Kind::TrafficPolicy, "web");
    assert_eq!(
        policy.condition(ConditionType::Accepted).message,
        "0 rules, 1 endpoint, depth 0"
    );
    assert_eq!(policy.condition(ConditionType::Ready).message, "version 1");
    assert_eq!(
        policy.condition(ConditionType::Ready).reason,
        Reason::Minted
    );
}

#[test]
fn the_soa_has_the_fields_of_the_zone() {
    let zone = ZONE.replace(
        "spec:",
        "spec:\n  soa: {adminEmail: dns.team@example.org, negativeTTLSeconds: 30}",
    );
    let compiled = compile(&resources(&zone), &Previous::none(), 7);
    let apex: OwnerName = "example.com".parse().unwrap();
    let zone = &compiled.snapshot.zones[&apex];
    assert_eq!((zone.serial, zone.negative_ttl, zone.soa.ttl), (7, 30, 900));
    let mut expected = b"\x03ns1\x07example\x03net\0\x08dns.team\x07example\x03org\0".to_vec();
    for number in [7_u32, 7200, 900, 1_209_600, 30] {
        expected.extend(number.to_be_bytes());
    }
    assert_eq!(zone.soa.rdata, [expected.into_boxed_slice()]);
    let bare = compile(&resources(ZONE), &Previous::none(), 1);
    let soa = &bare.snapshot.zones[&apex].soa.rdata[0];
    let rname = b"\x0ahostmaster\x07example\x03com\0";
    assert!(soa.windows(rname.len()).any(|window| window == rname));
}

#[test]
fn every_fault_of_a_zone_is_told_and_the_rest_is_served() {
    let zone = ZONE.to_owned()
        + "  records:
  - {name: '@', type: MX, values: ['10 mx1.example.net.', x]}
  - {name: a.example.org., type: A, values: [192.0.2.1]}
  - {name: ok, type: TXT, values: [fine]}
  - {name: ok, type: A, ttlSeconds: 604801, values: []}
  - {name: '@', type: NS, values: [ns9.example.net]}
  - {name: '@', type: CNAME, values: [a.example.net]}
  - {name: c, type: CNAME, values: [a.example.net, b.example.net]}
  - {name: both, type: A, values: [192.0.2.1], aliasTo: {name: ok}}
  - {name: d, type: TXT, aliasTo: {name: ok}}
";
    let compiled = compile(&resources(&zone), &Previous::none(), 1);
    let findings: Vec<String> = verdict(&compiled, Kind::HostedZone, "example-com")
        .findings
        .iter()
        .map(|finding| format!("{}: {}", finding.path, finding.message))
        .collect();
    assert_eq!(
        findings,
        [
            "spec.records[0].values[1]: `x` is not MX data: the preference `x` is not a number between 0 and 65535",
            "spec.records[1].name: a.example.org. is outside the zone example.com.",
            "spec.records[3].values: needs at least one value",
            "spec.records[3].ttlSeconds: 604801 is not between 0 and 604800",
            "spec.records[4].name: type NS at example.com. is already served by the zone itself",
            "spec.records[5].name: example.com. is the apex, which has SOA and NS records, and a CNAME suffers no data beside it; use an alias",
            "spec.records[6].values: a CNAME has one value",
            "spec.records[7]: exactly one of values and aliasTo must be set",
            "spec.records[8].aliasTo: an alias stands for A or AAAA, not for TXT",
        ]
    );
    assert_eq!(at(&compiled, "ok.example.com"), ["16 x1 300"]);
}

#[test]
fn a_zone_that_cannot_be_read_is_refused_whole() {
    let zone = ZONE
        .replace("domain: example.com", "domain: example..com")
        .replace("ns2.example.net.", "'ns 2'")
        .replace(
            "spec:",
            "spec:\n  soa: {adminEmail: nobody, refreshSeconds: 0}",
        );
    let mut resources = resources(&format!("{zone}---{POLICY}---{RECORD}"));
    let compiled = run(&mut resources, &Previous::none());
    assert_eq!(
        complaints(&compiled),
        [
            "HostedZone shop/example-com: InvalidSpec: spec.domain: `example..com` has an empty label; remove the extra dot; spec.nameservers.names[1]: `ns 2` contains white space or a control character; spec.soa.refreshSeconds: 0 is not between 1 and 2147483647",
            "PolicyRecord shop/www: ZoneNotFound: spec.hostedZoneRef: zone shop/example-com is not served",
        ]
    );
    assert!(compiled.snapshot.zones.is_empty());
}

#[test]
fn records_say_what_they_lack() {
    for (from, to, expected) in [
        (
            "version: 1",
            "version: 2",
            "VersionNotFound: spec.version: policy web has no version 2",
        ),
        (
            "version: 1",
            "channel: stable",
            "VersionNotFound: spec.channel: policy web has no channel `stable`",
        ),
        (
            "name: web",
            "name: api",
            "PolicyNotFound: spec.policyRef: there is no policy shop/api",
        ),
        (
            "name: web",
            "name: web, namespace: other",
            "RefNotPermitted: spec.policyRef: policy other/web is in another namespace, which does not share it; refer to a policy of namespace shop",
        ),
        (
            "name: example-com",
            "name: gone",
            "ZoneNotFound: spec.hostedZoneRef: there is no zone shop/gone",
        ),
        (
            "version: 1",
            "version: 1, channel: stable",
            "InvalidSpec: spec: exactly one of version and channel must be set",
        ),
        (
            "version: 1",
            "version: 1, digest: 'sha256:0'",
            "DigestMismatch: spec.digest: version 1 of web has the digest sha256:DIGEST, not this one",
        ),
        (
            "version: 1",
            "version: 1, ttlSeconds: -1",
            "InvalidSpec: spec.ttlSeconds: -1 is not between 0 and 604800",
        ),
        (
            "name: www, policy",
            "name: 'a..b', policy",
            "InvalidSpec: spec.name: `a..b` has an empty label; remove the extra dot",
        ),
    ] {
        let mut resources = resources(&format!("{ZONE}---{POLICY}---{}", RECORD.replace(from, to)));
        let compiled = run(&mut resources, &Previous::none());
        let digest = resources.versions[&key("web-v1")].spec.digest.to_string();
        let expected = expected.replace("sha256:DIGEST", &digest);
        assert_eq!(
            complaints(&compiled),
            [format!("PolicyRecord shop/www: {expected}")]
        );
        assert_eq!(verdict(&compiled, Kind::PolicyRecord, "www").serving, None);
    }
}

#[test]
fn channels_are_followed() {
    let mut resources = all();
    run(&mut resources, &Previous::none());
    let next = POLICY
        .replace("192.0.2.1", "192.0.2.2")
        .replace("spec:", "spec:\n  channels: {stable: 1}");
    apply(&mut resources, &next);
    for (follow, served) in [
        ("version: 1", 1),
        ("channel: stable", 1),
        ("channel: latest", 2),
    ] {
        apply(&mut resources, &RECORD.replace("version: 1", follow));
        let compiled = run(&mut resources, &Previous::none());
        assert_eq!(
            at(&compiled, "www.example.com"),
            [format!("web v{served} [1, 28] 60")]
        );
    }
    apply(&mut resources, &next.replace("stable: 1", "stable: 3"));
    let compiled = run(&mut resources, &Previous::none());
    assert_eq!(
        complaints(&compiled),
        ["TrafficPolicy shop/web: VersionNotFound: spec.channels.stable: version 3 does not exist"]
    );
}

#[test]
fn what_was_served_stays_served() {
    let mut resources = all();
    let before = run(&mut resources, &Previous::none()).previous;
    for (record, complaint) in [
        (
            "version: 2",
            "VersionNotFound: spec.version: policy web has no version 2; still serving version 1",
        ),
        (
            "channel: gone",
            "VersionNotFound: spec.channel: policy web has no channel `gone`; still serving version 1",
        ),
    ] {
        apply(&mut resources, &RECORD.replace("version: 1", record));
        let compiled = run(&mut resources, &before);
        assert_eq!(at(&compiled, "www.example.com"), ["web v1 [1, 28] 60"]);
        assert_eq!(
            complaints(&compiled),
            [format!("PolicyRecord shop/www: {complaint}")]
        );
        // And again, from what this compilation left.
        let again = run(&mut resources, &compiled.previous);
        assert_eq!(at(&again, "www.example.com"), ["web v1 [1, 28] 60"]);
    }
    // The version goes, then the policy.
    apply(&mut resources, RECORD);
    resources.delete(&ObjectRef::new(Kind::TrafficPolicy, key("web")));
    resources.delete(&ObjectRef::new(Kind::TrafficPolicyVersion, key("web-v1")));
    let compiled = run(&mut resources, &before);
    assert_eq!(at(&compiled, "www.example.com"), ["web v1 [1, 28] 60"]);
    assert_eq!(
        complaints(&compiled),
        [
            "PolicyRecord shop/www: PolicyNotFound: spec.policyRef: there is no policy shop/web; still serving version 1"
        ]
    );
    // Only deleting the record withdraws it.
    resources.delete(&ObjectRef::new(Kind::PolicyRecord, key("www")));
    let compiled = run(&mut resources, &compiled.previous);
    assert_eq!(at(&compiled, "www.example.com"), NONE);
}

#[test]
fn a_broken_zone_edit_changes_nothing_else() {
    let zone = ZONE.to_owned() + "  records:\n  - {name: a, type: A, values: [192.0.2.1]}\n";
    let mut resources = all();
    apply(&mut resources, &zone);
    let before = run(&mut resources, &Previous::none()).previous;
    let broken = zone
        .replace("ns1.example.net.", "'ns 1'")
        .replace("[192.0.2.1]", "[192.0.2.256]");
    apply(&mut resources, &broken);
    let compiled = run(&mut resources, &before);
    assert_eq!(at(&compiled, "a.example.com"), ["1 x1 300"]);
    assert_eq!(at(&compiled, "www.example.com"), ["web v1 [1, 28] 60"]);
    assert_eq!(at(&compiled, "example.com"), ["2 x2 86400", "6 x1 900"]);
    assert_eq!(
        verdict(&compiled, Kind::HostedZone, "example-com")
            .findings
            .len(),
        2
    );
}

#[test]
fn a_version_never_changes_under_a_record() {
    let version = "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicyVersion
metadata: {name: web-v1, namespace: shop}
spec:
  policyName: web
  version: 1
  document: {recordTypes: [A], startEndpoint: a, endpoints: {a: {addresses: [192.0.2.1]}}}
";
    let load = |version: &str| resources(&format!("{ZONE}---{RECORD}---{version}"));
    let before = run(&mut load(version), &Previous::none());
    assert_eq!(complaints(&before), NONE);
    // Read anew with another document, as a directory of manifests is.
    let mut edited = load(&version.replace("192.0.2.1", "192.0.2.2"));
    let compiled = run(&mut edited, &before.previous);
    assert_eq!(
        complaints(&compiled),
        [
            "TrafficPolicyVersion shop/web-v1: VersionConflict: spec.document: a version may not change; make a new version under a new number"
        ]
    );
    assert_eq!(compiled.snapshot, before.snapshot);
}

#[test]
fn pausing_keeps_the_version() {
    let mut resources = all();
    let before = run(&mut resources, &Previous::none()).previous;
    apply(&mut resources, &POLICY.replace("192.0.2.1", "192.0.2.2"));
    let paused = RECORD.replace("version: 1", "version: 2, paused: true");
    apply(&mut resources, &paused);
    let compiled = run(&mut resources, &before);
    assert_eq!(at(&compiled, "www.example.com"), ["web v1 [1, 28] 60"]);
    assert_eq!(complaints(&compiled), NONE);
    apply(&mut resources, &paused.replace("true", "false"));
    let compiled = run(&mut resources, &before);
    assert_eq!(at(&compiled, "www.example.com"), ["web v2 [1, 28] 60"]);
}

#[test]
fn aliases_give_the_answers_of_their_targets() {
    let zone = ZONE.to_owned()
        + "  records:
  - {name: '@', type: A, ttlSeconds: 5, aliasTo: {policyRecordRef: {name: www}}}
  - {name: b, type: AAAA, aliasTo: {name: a}}
  - {name: a, type: AAAA, aliasTo: {name: www}}
  - {name: s, type: A, aliasTo: {name: plain}}
  - {name: plain, type: A, ttlSeconds: 77, values: [192.0.2.9]}
";
    let set = "
apiVersion: watershed.dev/v1alpha1
kind: RecordSet
metadata: {name: pay, namespace: shop}
spec: {hostedZoneRef: {name: example-com}, name: pay.shop, type: A, aliasTo: {policyRecordRef: {name: www}}}
";
    let mut resources = resources(&format!("{zone}---{POLICY}---{RECORD}---{set}"));
    let compiled = run(&mut resources, &Previous::none());
    assert_eq!(complaints(&compiled), NONE);
    assert_eq!(at(&compiled, "example.com")[2], "web v1 [1] 60");
    assert_eq!(at(&compiled, "b.example.com"), ["web v1 [28] 60"]);
    assert_eq!(at(&compiled, "s.example.com"), ["1 x1 77"]);
    assert_eq!(at(&compiled, "pay.shop.example.com"), ["web v1 [1] 60"]);
    // They follow their target, and keep what they had when it goes.
    resources.delete(&ObjectRef::new(Kind::PolicyRecord, key("www")));
    let after = run(&mut resources, &compiled.previous);
    assert_eq!(at(&after, "www.example.com"), NONE);
    assert_eq!(at(&after, "pay.shop.example.com"), ["web v1 [1] 60"]);
    assert_eq!(
        complaints(&after)[1],
        "RecordSet shop/pay: RecordNotFound: spec.aliasTo: PolicyRecord shop/www serves nothing of type A in this zone"
    );
}

#[test]
fn aliases_without_end_or_target_are_told() {
    let zone = ZONE.to_owned()
        + "  records:
  - {name: a, type: A, aliasTo: {name: b}}
  - {name: b, type: A, aliasTo: {name: a}}
  - {name: c, type: A, aliasTo: {name: gone}}
";
    let compiled = compile(&resources(&zone), &Previous::none(), 1);
    let messages: Vec<String> = (verdict(&compiled, Kind::HostedZone, "example-com")
        .findings
        .iter())
    .map(|finding| format!("{}: {}", finding.path, finding.message))
    .collect();
    assert_eq!(
        messages,
        [
            "spec.records[0].aliasTo: leads back to itself",
            "spec.records[1].aliasTo: leads back to itself",
            "spec.records[2].aliasTo: there is nothing of type A at gone.example.com.",
        ]
    );
}

/// A record of another name for the same owner, created at this second.
fn rival(name: &str, second: u32) -> String {
    RECORD.replace(
        "{name: www, namespace: shop}",
        &format!(
            "{{name: {name}, namespace: shop, creationTimestamp: '2026-01-01T00:00:{second:02}Z'}}"
        ),
    )
}

#[test]
fn the_oldest_has_the_name() {
    for (first, second, winner) in [
        ((9, 1), (1, 2), "b"),
        ((1, 1), (9, 2), "a"),
        ((5, 1), (5, 2), "a"),
    ] {
        let records = format!("{}---{}", rival("a", first.0), rival("b", second.0));
        let mut resources = resources(&format!("{ZONE}---{POLICY}---{records}"));
        let compiled = run(&mut resources, &Previous::none());
        let loser = if winner == "a" { "b" } else { "a" };
        assert!(verdict(&compiled, Kind::PolicyRecord, winner).is_ready());
        assert_eq!(
            complaints(&compiled),
            [format!(
                "PolicyRecord shop/{loser}: NameConflict: spec.name: type A at www.example.com. is already served by PolicyRecord {winner}"
            )]
        );
    }
}

#[test]
fn types_share_a_name_and_a_cname_does_not() {
    let set = |name: &str, record_type: &str, value: &str| {
        format!(
            "
apiVersion: watershed.dev/v1alpha1
kind: RecordSet
metadata: {{name: {name}, namespace: shop}}
spec: {{hostedZoneRef: {{name: example-com}}, name: www, type: {record_type}, values: ['{value}']}}
"
        )
    };
    let sets = [
        set("x", "TXT", "hello"),
        set("y", "CNAME", "a.example.net"),
        set("z", "NS", "ns.example.net"),
    ];
    let mut resources = resources(&format!(
        "{ZONE}---{POLICY}---{RECORD}---{}",
        sets.join("---")
    ));
    let compiled = run(&mut resources, &Previous::none());
    assert_eq!(
        complaints(&compiled),
        [
            "RecordSet shop/y: NameConflict: spec.name: a CNAME suffers no data beside it, and www.example.com. has type A served by PolicyRecord www"
        ]
    );
    assert_eq!(
        at(&compiled, "www.example.com"),
        ["2 x1 300", "16 x1 300", "web v1 [1, 28] 60"]
    );
}

#[test]
fn wildcards_and_the_apex_are_names_like_others() {
    for (name, at_name) in [
        ("'*'", "*.example.com"),
        ("'@'", "example.com"),
        ("'*.a'", "*.a.example.com"),
    ] {
        let record = RECORD.replace("name: www, policy", &format!("name: {name}, policy"));
        let compiled = run(
            &mut resources(&format!("{ZONE}---{POLICY}---{record}")),
            &Previous::none(),
        );
        assert_eq!(complaints(&compiled), NONE);
        assert_eq!(at(&compiled, at_name).last().unwrap(), "web v1 [1, 28] 60");
    }
}

#[test]
fn of_two_zones_with_one_apex_the_older_is_served() {
    let zone = |name: &str, namespace: &str| {
        ZONE.replace("example-com", name)
            .replace("namespace: shop", &format!("namespace: {namespace}"))
    };
    let compiled = compile(
        &resources(&format!("{}---{}", zone("b", "shop"), zone("a", "shop"))),
        &Previous::none(),
        1,
    );
    assert_eq!(
        complaints(&compiled),
        [
            "HostedZone shop/b: ZoneConflict: spec.domain: example.com. is already that of HostedZone a"
        ]
    );
    let compiled = compile(
        &resources(&format!("{}---{}", zone("b", "shop"), zone("a", "alien"))),
        &Previous::none(),
        1,
    );
    assert_eq!(
        complaints(&compiled),
        [
            "HostedZone shop/b: ZoneConflict: spec.domain: example.com. is already that of a HostedZone in another namespace"
        ]
    );
}

#[test]
fn a_zone_below_another_needs_its_permission() {
    let child = ZONE
        .replace("example-com", "child")
        .replace("example.com", "sub.example.com")
        .replace("namespace: shop", "namespace: team");
    let allow = |kinds: &str| {
        format!(
            "{ZONE}  allowedRecords:\n  - {{namespaces: {{from: All}}, names: ['*'], kinds: {kinds}}}\n"
        )
    };
    let compiled = |parent: &str| {
        compile(
            &resources(&format!("{child}---{parent}")),
            &Previous::none(),
            1,
        )
    };
    assert_eq!(complaints(&compiled(&allow("[HostedZone]"))), NONE);
    for parent in [ZONE, &allow("[]")] {
        assert_eq!(
            complaints(&compiled(parent)),
            [
                "HostedZone team/child: ParentZoneNotAllowed: spec.domain: sub.example.com. lies below the zone example.com., whose allowedRecords do not name kind HostedZone for this name and namespace"
            ]
        );
    }
    // One that was there first stays.
    let aged = |zone: &str, second: u32| {
        zone.replace(
            "metadata: {",
            &format!("metadata: {{creationTimestamp: '2026-01-01T00:00:{second:02}Z', "),
        )
    };
    let both = format!("{}---{}", aged(&child, 1), aged(ZONE, 2));
    assert_eq!(
        complaints(&compile(&resources(&both), &Previous::none(), 1)),
        NONE
    );
}

#[test]
fn names_below_a_child_zone_are_its_own() {
    let child = ZONE
        .replace("example-com", "child")
        .replace("example.com", "www.example.com");
    let mut resources = resources(&format!("{ZONE}---{child}---{POLICY}---{RECORD}"));
    assert_eq!(
        complaints(&run(&mut resources, &Previous::none())),
        [
            "PolicyRecord shop/www: NameConflict: spec.name: www.example.com. belongs to another zone below example.com."
        ]
    );
}

#[test]
fn zones_choose_who_publishes_what() {
    let record = RECORD
        .replace("namespace: shop", "namespace: blog")
        .replace("name: example-com", "name: example-com, namespace: shop");
    let policy = POLICY.replace("namespace: shop", "namespace: blog");
    for (entry, allowed) in [
        ("", false),
        ("{namespaces: {from: Same}}", false),
        ("{namespaces: {from: All}}", true),
        ("{namespaces: {from: All}, types: [A]}", false),
        (
            "{namespaces: {from: All}, types: [A]}, {namespaces: {from: All}, types: [AAAA]}",
            true,
        ),
        ("{namespaces: {from: All}, kinds: [RecordSet]}", false),
        (
            "{namespaces: {from: All}, kinds: [RecordSet, PolicyRecord]}",
            true,
        ),
        ("{namespaces: {from: All}, names: [api, '*.www']}", false),
        ("{namespaces: {from: All}, names: [www]}", true),
        ("{namespaces: {from: All}, names: ['*']}", true),
        (
            "{namespaces: {from: Selector, selector: {matchLabels: {dns: 'yes'}}}}",
            true,
        ),
        (
            "{namespaces: {from: Selector, selector: {matchLabels: {dns: 'no'}}}}",
            false,
        ),
        (
            "{namespaces: {from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: blog}}}}",
            true,
        ),
        (
            "{namespaces: {from: Selector, selector: {matchExpressions: [{key: dns, operator: In, values: [a, 'yes']}]}}}",
            true,
        ),
        (
            "{namespaces: {from: Selector, selector: {matchExpressions: [{key: dns, operator: DoesNotExist}]}}}",
            false,
        ),
        (
            "{namespaces: {from: Selector, selector: {matchExpressions: [{key: x, operator: NotIn, values: [a]}, {key: dns, operator: Exists}]}}}",
            true,
        ),
    ] {
        let zone = format!("{ZONE}  allowedRecords: [{entry}]\n");
        let mut resources = resources(&format!("{zone}---{policy}---{record}"));
        let labels = [("dns".to_owned(), "yes".to_owned())];
        resources
            .namespace_labels
            .insert("blog".into(), labels.into());
        let compiled = run(&mut resources, &Previous::none());
        let served = at(&compiled, "www.example.com").len();
        assert_eq!(served, usize::from(allowed), "{entry}");
        let complaint = "PolicyRecord blog/www: NotAllowedByZone: spec.hostedZoneRef: the allowedRecords of zone example-com do not let namespace blog publish PolicyRecord at www.example.com.";
        assert_eq!(
            complaints(&compiled).first().map(String::as_str),
            (!allowed).then_some(complaint)
        );
    }
}

#[test]
fn permission_withdrawn_withdraws() {
    let open = format!("{ZONE}  allowedRecords: [{{namespaces: {{from: All}}}}]\n");
    let mut resources = resources(&format!("{open}---{POLICY}---{RECORD}"));
    let before = run(&mut resources, &Previous::none()).previous;
    apply(
        &mut resources,
        &open.replace("{from: All}}", "{from: All}, kinds: [HostedZone]}"),
    );
    let compiled = run(&mut resources, &before);
    assert_eq!(at(&compiled, "www.example.com"), NONE);
    assert_eq!(complaints(&compiled).len(), 1);
}

#[test]
fn references_of_documents_are_followed() {
    let collection = "
apiVersion: watershed.dev/v1alpha1
kind: CIDRCollection
metadata: {name: offices, namespace: shop}
spec: {locations: {hq: [203.0.113.0/24]}}
";
    let policy = "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: web, namespace: shop}
spec:
  document:
    recordTypes: [A]
    startRule: r
    rules:
      r:
        type: CIDR
        cidrCollectionRef: {name: offices}
        branches: [{cidrLocation: hq, endpoint: a}, {default: true, endpoint: b}]
    endpoints:
      a: {addresses: [192.0.2.1], healthCheckRef: {name: hc}}
      b: {policyRecordRef: {name: other}}
";
    let other = RECORD
        .replace("name: www", "name: other")
        .replace("name: web", "name: plain");
    let plain = POLICY.replace("name: web", "name: plain");
    let base = format!("{ZONE}---{policy}---{RECORD}---{plain}---{other}");
    let mut resources = resources(&base);
    let compiled = run(&mut resources, &Previous::none());
    assert_eq!(
        complaints(&compiled),
        [
            "TrafficPolicy shop/web: ReferenceNotFound: rules.r.cidrCollectionRef: there is no CIDR collection `offices`",
            "PolicyRecord shop/www: VersionNotFound: spec.version: policy web has no version 1",
        ]
    );
    apply(&mut resources, collection);
    let compiled = run(&mut resources, &compiled.previous);
    let missing = "HealthCheckNotFound: spec.document: there is no HealthCheck shop/hc; until there is, it counts as healthy";
    assert_eq!(
        complaints(&compiled),
        [
            format!("TrafficPolicy shop/web: {missing}"),
            format!("TrafficPolicyVersion shop/web-v1: {missing}"),
        ]
    );
    let www: OwnerName = "www.example.com".parse().unwrap();
    let zone = compiled.snapshot.zone_for(&www).unwrap();
    let version = &zone.node(&www).unwrap().policies[0].version;
    assert!(version.policy.check_ids().into_iter().eq(["shop/hc"]));
    assert_eq!(
        version.policy.endpoints()[1].values[0].to_string(),
        "other.example.com."
    );
    // The collection goes: what was compiled stays.
    resources.delete(&ObjectRef::new(Kind::CIDRCollection, key("offices")));
    let compiled = run(&mut resources, &compiled.previous);
    assert_eq!(at(&compiled, "www.example.com"), ["web v1 [1] 60"]);
}

#[test]
fn one_version_is_shared_by_all_records() {
    let records: Vec<String> = (0..50)
        .map(|n| RECORD.replace("name: www", &format!("name: www{n}")))
        .collect();
    let mut resources = resources(&format!("{ZONE}---{POLICY}---{}", records.join("---")));
    let compiled = run(&mut resources, &Previous::none());
    let zone = compiled.snapshot.zones.values().next().unwrap();
    let bindings: Vec<_> = zone.names().flat_map(|(_, node)| &node.policies).collect();
    assert_eq!(bindings.len(), 50);
    assert!(
        bindings
            .iter()
            .all(|b| Arc::ptr_eq(&b.version, &bindings[0].version))
    );
    // And by the next compilation.
    let again = run(&mut resources, &compiled.previous);
    let zone = again.snapshot.zones.values().next().unwrap();
    let next = zone
        .names()
        .flat_map(|(_, node)| &node.policies)
        .next()
        .unwrap();
    assert!(Arc::ptr_eq(&next.version, &bindings[0].version));
}

#[test]
fn the_order_of_applies_does_not_matter() {
    let yaml = format!(
        "{ZONE}---{POLICY}---{}---{}---{}",
        rival("a", 3),
        rival("b", 2),
        ZONE.replace("name: example-com", "name: twin")
    );
    let all = objects(&yaml);
    let mut expected: Option<(_, _)> = None;
    // Every rotation, forwards and backwards.
    for turn in 0..all.len() * 2 {
        let mut order = all.clone();
        order.rotate_left(turn % all.len());
        if turn >= all.len() {
            order.reverse();
        }
        let mut resources = Resources::new();
        for object in order {
            resources.apply(object);
        }
        let compiled = run(&mut resources, &Previous::none());
        let result = (compiled.snapshot, compiled.verdicts);
        let expected = expected.get_or_insert_with(|| result.clone());
        assert_eq!(&result, expected, "turn {turn}");
    }
}

#[test]
fn collections_and_checks_are_looked_at() {
    let yaml = "
apiVersion: watershed.dev/v1alpha1
kind: CIDRCollection
metadata: {name: offices, namespace: shop}
spec: {locations: {'h q': [203.0.113.0/24], lab: [203.0.113.0]}}
---
apiVersion: watershed.dev/v1alpha1
kind: HealthCheck
metadata: {name: hc, namespace: shop}
spec: {tcp: {port: 1}, http: {port: 2}}
---
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicyVersion
metadata: {name: other, namespace: shop}
spec: {policyName: web, version: 0, document: {recordTypes: [A], startEndpoint: x}}
";
    let compiled = compile(&resources(yaml), &Previous::none(), 1);
    assert_eq!(
        complaints(&compiled),
        [
            "TrafficPolicyVersion shop/other: InvalidSpec: spec.version: 0 is not between 1 and 1000000; startEndpoint: there is no endpoint `x`",
            "HealthCheck shop/hc: InvalidSpec: spec: http and tcp exclude each other; keep one",
            "CIDRCollection shop/offices: InvalidSpec: spec.locations.h q: `h q` is not a location name: take letters, digits, `-` and `_`; spec.locations.lab: `203.0.113.0` is not a block such as 192.0.2.0/24",
        ]
    );
}

#[test]
fn fields_without_effect_are_told() {
    let zone = ZONE.to_owned() + "  dnssec: {mode: OnlineSigning}\n";
    let record = RECORD.replace(
        "version: 1",
        "version: 1, rollout: {strategy: Canary, canary: {steps: [{percent: 100}]}}",
    );
    let compiled = run(
        &mut resources(&format!("{zone}---{POLICY}---{record}")),
        &Previous::none(),
    );
    assert_eq!(complaints(&compiled), NONE);
    let paths = |kind, name| -> Vec<String> {
        let findings = verdict(&compiled, kind, name).findings.iter();
        findings
            .map(|finding| format!("{} {}", finding.severity(), finding.path))
            .collect()
    };
    assert_eq!(
        paths(Kind::HostedZone, "example-com"),
        ["warning spec.dnssec"]
    );
    assert_eq!(paths(Kind::PolicyRecord, "www"), ["warning spec.rollout"]);
}

#[test]
fn a_private_zone_is_not_served_to_everyone() {
    let zone = ZONE.to_owned() + "  visibility: {clients: [192.0.2.0/24]}\n";
    let compiled = compile(&resources(&zone), &Previous::none(), 1);
    assert!(compiled.snapshot.zones.is_empty());
    assert_eq!(
        complaints(&compiled),
        [
            "HostedZone shop/example-com: InvalidSpec: spec.visibility: zones for some clients only cannot be served yet"
        ]
    );
}

#[test]
fn permission_for_other_types_only_withdraws_what_was_served() {
    let open = format!("{ZONE}  allowedRecords: [{{namespaces: {{from: All}}}}]\n");
    let mut resources = resources(&format!("{open}---{POLICY}---{RECORD}"));
    let before = run(&mut resources, &Previous::none()).previous;
    apply(
        &mut resources,
        &open.replace("{from: All}}", "{from: All}, types: [TXT]}"),
    );
    apply(&mut resources, &RECORD.replace("version: 1", "version: 9"));
    let compiled = run(&mut resources, &before);
    assert_eq!(at(&compiled, "www.example.com"), NONE);
}

#[test]
fn a_zone_counts_what_is_in_it() {
    let zone = ZONE.to_owned() + "  records:\n  - {name: a, type: A, values: [192.0.2.1]}\n";
    let compiled = run(
        &mut resources(&format!("{zone}---{POLICY}---{RECORD}")),
        &Previous::none(),
    );
    let accepted = verdict(&compiled, Kind::HostedZone, "example-com")
        .condition(ConditionType::Accepted)
        .message
        .clone();
    assert_eq!(accepted, "own records: 1, RecordSets: 0, PolicyRecords: 1");
}

#[test]
fn the_size_of_a_document_is_told() {
    let policy = "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: web, namespace: shop}
spec:
  document:
    recordTypes: [A]
    startRule: top
    rules:
      top: {type: Weighted, branches: [{weight: 1, rule: middle}, {weight: 1, rule: bottom}]}
      middle: {type: Weighted, branches: [{weight: 1, endpoint: a}, {weight: 1, rule: bottom}]}
      bottom: {type: MultiValue, branches: [{endpoint: a}]}
    endpoints: {a: {addresses: [192.0.2.1]}}
";
    let compiled = run(&mut resources(policy), &Previous::none());
    for (kind, name) in [
        (Kind::TrafficPolicy, "web"),
        (Kind::TrafficPolicyVersion, "web-v1"),
    ] {
        let accepted = verdict(&compiled, kind, name).condition(ConditionType::Accepted);
        assert_eq!(accepted.message, "3 rules, 1 endpoint, depth 3");
    }
}

#[test]
fn name_servers_without_address_in_their_own_zone_are_told() {
    let zone = ZONE.replace("ns1.example.net.", "ns1.example.com")
        + "  records:\n  - {name: ns2, type: AAAA, values: ['2001:db8::53']}\n";
    for (server, told) in [
        ("ns2.example.net.", 1),
        ("ns2.example.com", 1),
        ("ns3.example.com", 2),
    ] {
        let zone = zone.replace("ns2.example.net.", server);
        let compiled = compile(&resources(&zone), &Previous::none(), 1);
        assert_eq!(complaints(&compiled), NONE);
        let findings = &verdict(&compiled, Kind::HostedZone, "example-com").findings;
        assert_eq!(findings.len(), told, "{findings:?}");
        assert_eq!(
            findings[0].to_string(),
            "warning: spec.nameservers.names[0]: ns1.example.com. lies in this zone and has no A or AAAA record in it, so that no resolver can reach it: add one [ignored]"
        );
    }
}

use std::collections::BTreeSet;

use watershed_compile::{Applied, Kind, ObjectRef, Resources, mint};

use crate::support::{POLICY, ZONE, apply, key, mint_all, objects, resources};

/// The policy with another address and with these lines in its spec.
fn policy(address: &str, spec: &str) -> String {
    POLICY
        .replace("192.0.2.1", address)
        .replace("spec:\n", &format!("spec:\n{spec}"))
}

fn plan(resources: &Resources) -> String {
    match mint::plan(resources).remove(0).1 {
        mint::Mint::NoDocument => "no document".to_owned(),
        mint::Mint::Holds(number) => format!("holds {number}"),
        mint::Mint::Make(version) => format!("make {}", version.key.name),
        mint::Mint::Refused(refusal) => {
            let (field, message) = refusal.explain();
            format!("{field}: {message}")
        }
    }
}

/// The plan after versions of these documents were made one after another.
fn history(policies: &[String]) -> (Resources, String) {
    let mut resources = Resources::new();
    let (last, earlier) = policies.split_last().unwrap();
    for policy in earlier {
        apply(&mut resources, policy);
        assert_eq!(mint_all(&mut resources).len(), 1, "{policy}");
    }
    apply(&mut resources, last);
    let plan = plan(&resources);
    (resources, plan)
}

#[test]
fn numbers_count_up_and_equal_documents_make_nothing() {
    let [one, two] = ["192.0.2.1", "192.0.2.2"].map(|address| policy(address, ""));
    assert_eq!(history(std::slice::from_ref(&one)).1, "make web-v1");
    assert_eq!(history(&[one.clone(), one.clone()]).1, "holds 1");
    assert_eq!(history(&[one.clone(), two.clone()]).1, "make web-v2");
    assert_eq!(history(&[one.clone(), two, one]).1, "holds 1");
}

#[test]
fn a_declared_number_is_the_authors() {
    let declared = |address, number| policy(address, &format!("  version: {number}\n"));
    let (eight, nine) = (declared("192.0.2.8", 8), declared("192.0.2.9", 9));
    assert_eq!(history(std::slice::from_ref(&eight)).1, "make web-v8");
    assert_eq!(history(&[eight.clone(), nine.clone()]).1, "make web-v9");
    assert_eq!(
        history(&[eight.clone(), nine.clone(), eight.clone()]).1,
        "holds 8"
    );
    assert_eq!(
        history(&[eight.clone(), declared("192.0.2.8", 9)]).1,
        "make web-v9"
    );
    let plan = history(&[eight.clone(), declared("192.0.2.9", 8)]).1;
    assert!(
        plan.starts_with("spec.version: version 8 has been made with another document (sha256:"),
        "{plan}"
    );
    assert_eq!(
        history(&[nine, eight]).1,
        "spec.version: 8 cannot be given: numbers up to 9 were given before and are not used again; set spec.version to 10 or more"
    );
}

#[test]
fn a_number_is_not_given_again_after_its_version_is_gone() {
    let (mut resources, _) = history(&[policy("192.0.2.1", ""), policy("192.0.2.2", "")]);
    mint_all(&mut resources);
    assert!(resources.delete(&ObjectRef::new(Kind::TrafficPolicyVersion, key("web-v2"))));
    apply(&mut resources, &policy("192.0.2.3", ""));
    assert_eq!(plan(&resources), "make web-v3");
    resources.note_number(&key("web"), 1_000_000);
    assert_eq!(
        plan(&resources),
        "spec.version: numbers end at 1000000; begin a new policy"
    );
}

#[test]
fn faulty_and_unresolved_documents_are_not_made() {
    for (from, to, expected) in [
        (
            "startEndpoint: a",
            "startEndpoint: b",
            "spec.document: error: startEndpoint: there is no endpoint `b` [unknown-endpoint]",
        ),
        (
            "{a: {",
            "{-a: {addresses: [192.0.2.9]}, a: {",
            "spec.document: error: endpoints.-a: `-a` is not a name: take 1 to 63 letters, digits, `-` and `_`, beginning and ending with a letter or digit [invalid-value]",
        ),
        (
            "addresses: [192.0.2.1, \"2001:db8::1\"]",
            "policyRecordRef: {name: other}",
            "spec.document: error: endpoints.a.policyRecordRef: there is no PolicyRecord `other` [unknown-reference]",
        ),
    ] {
        assert_eq!(plan(&resources(&POLICY.replace(from, to))), expected);
    }
}

#[test]
fn a_missing_health_check_does_not_hold_a_version_back() {
    let checked = POLICY.replace("{a: {", "{a: {healthCheckRef: {name: hc}, ");
    assert_eq!(plan(&resources(&checked)), "make web-v1");
}

const AUTHORED: &str = "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicyVersion
metadata: {name: web-v1, namespace: shop}
spec:
  policyName: web
  version: 1
  document: {recordTypes: [A, AAAA], startEndpoint: a, endpoints: {a: {addresses: [192.0.2.1, \"2001:db8::1\"]}}}
";

#[test]
fn authored_versions_are_adopted_and_never_replaced() {
    let mut resources = resources(&format!("{AUTHORED}---{POLICY}"));
    assert_eq!(plan(&resources), "holds 1");
    let mut apply = |yaml: &str| resources.apply(objects(yaml).remove(0));
    assert_eq!(apply(AUTHORED), Applied::Unchanged);
    assert_eq!(
        apply(&AUTHORED.replace("192.0.2.1", "192.0.2.2")),
        Applied::Immutable
    );
    // A minted version becomes authored by a file with the same content.
    let mut minted = history(&[policy("192.0.2.1", ""), policy("192.0.2.1", "")]).0;
    let held = |resources: &Resources| resources.versions[&key("web-v1")].spec.origin;
    let before = held(&minted);
    assert_eq!(minted.apply(objects(AUTHORED).remove(0)), Applied::Changed);
    assert_ne!(before, held(&minted));
}

#[test]
fn a_policy_without_document_leaves_versions_to_authors() {
    let policy = "
apiVersion: watershed.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: web, namespace: shop}
spec: {channels: {stable: 1}}
";
    assert_eq!(plan(&resources(policy)), "no document");
}

#[test]
fn history_is_pruned_but_for_what_is_used() {
    let address = |number: u32| format!("192.0.2.{number}");
    let policies: Vec<String> = (1..=8)
        .map(|n| {
            policy(
                &address(n),
                "  versionHistoryLimit: 2\n  channels: {stable: 1}\n",
            )
        })
        .collect();
    let (mut resources, _) = history(&policies);
    mint_all(&mut resources);
    let policy = &resources.traffic_policies[&key("web")];
    let prune = |in_use: &[u32]| {
        mint::prune(
            &resources,
            policy,
            &in_use.iter().copied().collect::<BTreeSet<u32>>(),
        )
    };
    // 1 is a channel's, 8 holds the document, 6 and 7 are the newest unused.
    assert_eq!(prune(&[]), [2, 3, 4, 5]);
    assert_eq!(prune(&[2, 7]), [3, 4]);
}

#[test]
fn versions_of_policies_with_similar_names_are_kept_apart() {
    let other = POLICY.replace("name: web", "name: web-v1");
    let mut resources = resources(&format!("{ZONE}---{POLICY}---{other}"));
    assert_eq!(mint_all(&mut resources), ["web-v1", "web-v1-v1"]);
    let numbers = |policy: &str| {
        let policy = key(policy);
        let versions = resources.versions_of(&policy);
        versions
            .map(|(number, version)| (number, version.key.name.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers("web"), [(1, "web-v1".to_owned())]);
    assert_eq!(numbers("web-v1"), [(1, "web-v1-v1".to_owned())]);
}

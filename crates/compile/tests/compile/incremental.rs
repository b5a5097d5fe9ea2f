//! Edits one after another give what all objects at once give, and cost no
//! more than they change.

use std::collections::BTreeMap;

use proptest::prelude::*;
use watershed_compile::{Changes, Compiler, Kind, ObjectRef};
use watershed_snapshot::Assembly;

use crate::follower::{Follower, NONE, answers, differences};
use crate::support::{POLICY, RECORD, ZONE, key, mint_into, objects};
use crate::universe::{everything, step};

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn edits_give_what_all_objects_at_once_give(
        steps in prop::collection::vec((step(), any::<bool>()), 1..40),
    ) {
        let mut compiler = Compiler::new();
        let mut follower = Follower::default();
        let mut assembly = Assembly::new();
        let mut serial = 0;
        for (step, at_once) in steps {
            step.take(&mut compiler);
            // Some edits come together.
            if !at_once {
                continue;
            }
            serial += 100;
            let mut fresh = Compiler::of(compiler.resources().clone());
            fresh.restore(compiler.held());
            let changes = compiler.compile(serial);
            follower.follow(&changes);

            let mut expected = Follower::default();
            expected.follow(&fresh.compile(serial));
            prop_assert_eq!(differences(&follower.verdicts, &expected.verdicts), NONE);
            prop_assert_eq!(differences(&follower.resources, &expected.resources), NONE);
            prop_assert_eq!(compiler.held(), fresh.held());
            prop_assert_eq!(answers(&compiler), answers(&fresh));

            let applied = assembly.apply(changes.resources);
            prop_assert!(applied.is_ok(), "{:?}", applied);
            assembly = applied.unwrap();
            let again = compiler.compile(serial + 50);
            prop_assert_eq!(again, Changes::default());
        }
    }

    #[test]
    fn the_order_of_edits_between_compilations_does_not_matter(
        order in Just(everything()).prop_shuffle(),
    ) {
        // One form of each object, which its second decides, not the order.
        let mut chosen = BTreeMap::new();
        for object in everything() {
            chosen.entry(object.reference()).or_insert(object);
        }
        let mut one = Compiler::new();
        for object in chosen.values().cloned() {
            one.apply(object);
        }
        let mut other = Compiler::new();
        for object in order {
            other.apply(chosen[&object.reference()].clone());
        }
        prop_assert_eq!(one.compile(1), other.compile(1));
    }
}

/// A zone of which this many names serve one policy.
fn many(count: usize) -> Compiler {
    let mut compiler = Compiler::new();
    for object in objects(&format!("{ZONE}---{POLICY}")) {
        compiler.apply(object);
    }
    let record = |n: usize| RECORD.replace("name: www", &format!("name: www{n}"));
    let records: Vec<String> = (0..count).map(record).collect();
    for object in objects(&records.join("---")) {
        compiler.apply(object);
    }
    mint_into(&mut compiler);
    compiler.compile(1000);
    compiler
}

fn names(changes: &Changes) -> Vec<String> {
    let resources = changes.resources.iter();
    resources.map(|(name, _)| name.to_string()).collect()
}

fn told(changes: &Changes) -> Vec<String> {
    let verdicts = changes.verdicts.iter();
    verdicts.map(|verdict| verdict.object.to_string()).collect()
}

#[test]
fn an_edit_of_one_record_changes_that_record_and_the_serial() {
    let mut compiler = many(300);
    let record = RECORD.replace("name: www", "name: www7");
    compiler.apply(objects(&record.replace("version: 1", "version: 1, ttlSeconds: 5")).remove(0));
    let changes = compiler.compile(2000);
    assert_eq!(
        names(&changes),
        ["HostedZone/shop/example-com", "PolicyRecord/shop/www7"]
    );
    assert_eq!(told(&changes), Vec::<String>::new());
    assert_eq!(compiler.serial(&key("example-com")), Some(2000));
    assert!(changes.policies.is_empty() && changes.versions.is_empty());
    // Within a second the number still grows.
    compiler.apply(objects(&record).remove(0));
    compiler.compile(2000);
    assert_eq!(compiler.serial(&key("example-com")), Some(2001));
}

#[test]
fn a_record_that_moves_to_another_version_concerns_both() {
    let mut compiler = many(300);
    compiler.apply(objects(&POLICY.replace("192.0.2.1", "192.0.2.2")).remove(0));
    mint_into(&mut compiler);
    let changes = compiler.compile(2000);
    assert_eq!(
        names(&changes),
        Vec::<String>::new(),
        "nothing serves it yet"
    );
    let record = RECORD.replace("name: www", "name: www7");
    compiler.apply(objects(&record.replace("version: 1", "version: 2")).remove(0));
    let changes = compiler.compile(2000);
    assert_eq!(
        names(&changes),
        [
            "HostedZone/shop/example-com",
            "PolicyRecord/shop/www7",
            "TrafficPolicyVersion/shop/web-v2"
        ]
    );
    assert_eq!(told(&changes), ["PolicyRecord shop/www7"]);
    assert_eq!(changes.versions, [key("web-v1"), key("web-v2")]);
    assert_eq!(changes.policies, [key("web")]);
    let counts = BTreeMap::from([(1, 299), (2, 1)]);
    assert_eq!(compiler.records_of_policy(&key("web")), counts);
    let used = compiler.in_use(&key("web-v2"));
    assert_eq!(used.records.into_iter().collect::<Vec<_>>(), [key("www7")]);
}

#[test]
fn a_record_deleted_is_withdrawn_and_not_spoken_of() {
    let mut compiler = many(3);
    let www1 = ObjectRef::new(Kind::PolicyRecord, key("www1"));
    assert!(compiler.delete(&www1));
    let changes = compiler.compile(2000);
    assert_eq!(changes.gone, [www1]);
    assert_eq!(
        names(&changes),
        ["HostedZone/shop/example-com", "PolicyRecord/shop/www1"]
    );
    assert_eq!(changes.resources[1].1, None);
    assert_eq!(told(&changes), ["HostedZone shop/example-com"], "its count");
    assert_eq!(
        compiler.records_of_zone(&key("example-com")).policy_records,
        2
    );
}

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::resource::ResourceKind;

fn name(number: u8) -> ResourceName {
    ResourceName::new(ResourceKind::PolicyRecord, "shop", format!("n{number}"))
}

/// A name of few, of which many differ only in kind.
fn any_name() -> impl Strategy<Value = ResourceName> {
    let kind = prop::sample::select(&ResourceKind::ALL[..]);
    let parts = (
        kind,
        prop::sample::select(&["shop", "shop-eu"][..]),
        0..4_u8,
    );
    parts.prop_map(|(kind, namespace, n)| ResourceName::new(kind, namespace, format!("n{n}")))
}

/// Few contents, so that they are often the same.
fn any_content() -> impl Strategy<Value = Vec<u8>> {
    let (octet, count) = (0..3_u8, prop_oneof![8 => 0..3_usize, 1 => Just(3000)]);
    (octet, count).prop_map(|(octet, count)| vec![octet; count])
}

type Changes = Vec<(ResourceName, Option<Vec<u8>>)>;
type Model = BTreeMap<ResourceName, Vec<u8>>;

fn changes() -> impl Strategy<Value = Changes> {
    let change = (any_name(), proptest::option::weighted(0.7, any_content()));
    proptest::collection::vec(change, 0..80)
}

fn borrowed(
    changes: &Changes,
) -> impl Iterator<Item = (ResourceName<&str>, Option<&[u8]>)> + Clone {
    let changes = changes.iter();
    changes.map(|(name, content)| (name.borrowed(), content.as_deref()))
}

/// What the changes make of nothing, one after the other, and a model of it.
fn make(changes: &Changes) -> (ResourceSet, Model) {
    let (mut set, mut model) = (ResourceSet::new(), Model::new());
    for (name, content) in changes {
        let (moved, former) = if let Some(content) = content {
            let moved = set.put(name, content);
            (moved, model.insert(name.clone(), content.clone()))
        } else {
            (set.remove(name), model.remove(name))
        };
        assert_eq!(
            (moved, set.get(name)),
            (former != *content, content.as_deref())
        );
    }
    (set, model)
}

proptest! {
    #[test]
    fn digest_is_of_the_content_only(changes in changes()) {
        let (set, model) = make(&changes);
        let fresh: ResourceSet = model.iter().rev().map(|(name, content)| (name.clone(), content)).collect();
        prop_assert_eq!(set.digest(), fresh.digest());
        prop_assert_eq!(set.bucket_digests(), fresh.bucket_digests());
    }

    #[test]
    fn holds_what_a_map_holds(changes in changes()) {
        let (set, model) = make(&changes);
        prop_assert_eq!(set.len(), model.len());
        let all: Model = set.iter().map(|(name, content)| (name.to_shared(), content.to_vec())).collect();
        prop_assert_eq!(&all, &model);
        prop_assert_eq!(set.iter().count(), model.len());
        for bucket in 0..=255 {
            let names: Vec<_> = set.entries_of(bucket).map(|(name, _)| name).collect();
            prop_assert!(names.is_sorted());
            prop_assert!(names.iter().all(|name| ResourceSet::bucket_of(name) == bucket));
            let mut hashes = set.hashes_of(bucket);
            prop_assert!(hashes.all(|(_, content, hash)| Digest::of(content) == hash));
        }
    }

    #[test]
    fn many_changes_at_once_are_as_one_after_the_other(first in changes(), then in changes()) {
        let mut set = make(&first).0;
        let before = set.clone();
        let all = first.iter().chain(&then).cloned().collect();
        let (expected, _) = make(&all);
        prop_assert_eq!(set.change(borrowed(&then)), before != expected);
        prop_assert_eq!(set.digest(), expected.digest());
        prop_assert_eq!(set.len(), expected.len());
    }

    #[test]
    fn difference_leads_from_one_to_the_other(from in changes(), to in changes()) {
        let (from, to) = (make(&from).0, make(&to).0);
        let mut changed = from.clone();
        changed.change(from.changes_to(&to));
        prop_assert_eq!(changed.digest(), to.digest());
        prop_assert_eq!(changed.len(), to.len());
        let delta = from.diff(&to);
        prop_assert_eq!(delta.is_empty(), from == to);
        let Delta { put, remove } = &delta;
        let put = put.iter().map(|(name, content)| (name.borrowed(), Some(&**content)));
        let mut changed = from.clone();
        changed.change(put.chain(remove.iter().map(|name| (name.borrowed(), None))));
        prop_assert_eq!(changed.digest(), to.digest());
        // Nothing is sent that is there already.
        for (name, content) in delta.put {
            prop_assert_ne!(from.get(&name), Some(&*content));
        }
    }

    #[test]
    fn clones_do_not_change(first in changes(), then in changes()) {
        let (mut set, _) = make(&first);
        let (clone, digest) = (set.clone(), set.digest());
        set.change(borrowed(&then));
        // The digest is worked out of what is there.
        let copy: ResourceSet = clone.iter().collect();
        prop_assert_eq!(copy.digest(), digest);
    }
}

/// The digest is part of the protocol: both sides must make the same.
#[test]
fn digest_is_as_documented() {
    let set: ResourceSet = [(name(1), vec![7])].into_iter().collect();
    let text = b"PolicyRecord/shop/n1";
    let number = Digest::of(text).as_bytes()[0];
    let bucket = [&[0, 0, 0, 20][..], text, Digest::of(&[7]).as_bytes()].concat();
    let mut buckets = [Digest::of(b""); BUCKETS];
    buckets[usize::from(number)] = Digest::of(&bucket);
    assert_eq!(set.bucket_digests(), buckets);
    let all: Vec<u8> = buckets
        .iter()
        .flat_map(|digest| *digest.as_bytes())
        .collect();
    assert_eq!(set.digest(), Digest::of(&all));
}

/// Names that differ only in kind or namespace, with contents of every
/// length from none on, and a large one.
fn varied() -> Vec<(ResourceName, Vec<u8>)> {
    let mut all = Vec::new();
    for kind in ResourceKind::ALL {
        for n in 0..50_u8 {
            for namespace in ["shop", "shop-eu"] {
                let name = ResourceName::new(kind, namespace, format!("n{n}"));
                all.push((name, vec![n; usize::from(n)]));
            }
        }
    }
    let large = ResourceName::new(ResourceKind::RecordSet, "shop", "large");
    all.push((large, vec![7; 300_000]));
    all
}

/// Operators and nodes of different versions have to agree on it.
#[test]
fn digest_stays_what_it_was() {
    let set: ResourceSet = varied().into_iter().collect();
    let digest = set.digest().to_string();
    assert_eq!(
        digest,
        "4f80f136236b077ff3932b46ad0b9a0459f1239ee8e1b5a4c10cf23aaac92489"
    );
}

#[test]
fn of_equal_names_the_last_is_kept() {
    let with = |content: u8| [(name(3), [0]), (name(1), [5]), (name(3), [content])];
    let set_of = |content| with(content).into_iter().collect::<ResourceSet>();
    assert_eq!(set_of(7).get(&name(3)), Some(&[7][..]));
    assert_eq!(set_of(7).len(), 2);
}

#[test]
fn a_change_leaves_the_other_buckets_shared() {
    let before: ResourceSet = (0..100).map(|n| (name(n), [n])).collect();
    let mut after = before.clone();
    assert!(!after.put(&name(3), &[3]));
    assert!(Arc::ptr_eq(&before.buckets, &after.buckets));
    assert!(after.put(&name(3), &[4]));
    let pairs = before.buckets.iter().zip(after.buckets.iter());
    assert_eq!(pairs.filter(|(old, new)| !Arc::ptr_eq(old, new)).count(), 1);
}

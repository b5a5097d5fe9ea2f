//! The encoded resources of a state, with a digest that a change moves
//! cheaply.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::digest::Digest;
use crate::resource::ResourceName;

/// Number of buckets: as many as an octet has values.
pub const BUCKETS: usize = 256;

/// The encoded resources of a state, by name.
///
/// Resources lie in 256 buckets by the first octet of SHA-256 over their
/// name. The digest of a bucket is SHA-256 over its resources in order of
/// name, each as length of the name (4 octets, big endian), name in text
/// form, and SHA-256 of the content; that of the set is over the digests of
/// the buckets. So it does not depend on history, a change costs one bucket,
/// and two sets are compared bucket by bucket.
///
/// A clone is cheap: sets share the buckets in which they do not differ.
#[derive(Clone)]
pub struct ResourceSet {
    buckets: Arc<[Arc<Bucket>; BUCKETS]>,
    len: usize,
}

/// The encoded form of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded(Arc<[u8]>);

impl Encoded {
    /// Takes what an encoder made.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The content.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.0
    }

    /// SHA-256 of the content. It is worked out each time: to keep it would
    /// take as much memory as a third of most contents.
    pub fn hash(&self) -> Digest {
        Digest::of(&self.0)
    }
}

/// The difference between two sets. A name is either put or removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Resources that are new or have another content.
    pub put: Vec<(ResourceName, Arc<[u8]>)>,
    /// Resources that are gone.
    pub remove: Vec<ResourceName>,
}

impl Delta {
    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.remove.is_empty()
    }
}

/// A part of the resources.
#[derive(Clone, Default)]
struct Bucket {
    /// By name. A list takes little memory, and a bucket has so few entries
    /// that one is moved as cheaply as found.
    resources: Vec<(ResourceName, Encoded)>,
    /// Filled when it is asked for, so that many changes cost one hash.
    digest: OnceLock<Digest>,
    /// The hash of each content, for those who ask about many: an operator
    /// does for every node that returns.
    hashes: OnceLock<Box<[Digest]>>,
}

impl Bucket {
    fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            let mut octets = Vec::new();
            for (name, encoded) in &self.resources {
                let text = name.as_str().as_bytes();
                // Names are far shorter than 4 GiB.
                let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
                octets.extend_from_slice(&len.to_be_bytes());
                octets.extend_from_slice(text);
                octets.extend_from_slice(encoded.hash().as_bytes());
            }
            Digest::of(&octets)
        })
    }

    /// The place of a name, or where it would be.
    fn place(&self, name: &ResourceName) -> Result<usize, usize> {
        self.resources.binary_search_by(|(held, _)| held.cmp(name))
    }

    fn get(&self, name: &ResourceName) -> Option<&Encoded> {
        let place = self.place(name).ok()?;
        Some(&self.resources[place].1)
    }

    fn entries(&self) -> impl Iterator<Item = (&ResourceName, &Encoded)> {
        let resources = self.resources.iter();
        resources.map(|(name, encoded)| (name, encoded))
    }
}

impl ResourceSet {
    /// A set without resources.
    pub fn new() -> Self {
        let empty = Arc::new(Bucket::default());
        Self {
            buckets: Arc::new(std::array::from_fn(|_| Arc::clone(&empty))),
            len: 0,
        }
    }

    /// The bucket that a resource lies in.
    pub fn bucket_of(name: &ResourceName) -> u8 {
        Digest::of(name.as_str().as_bytes()).as_bytes()[0]
    }

    /// The resource of that name.
    pub fn get(&self, name: &ResourceName) -> Option<&Encoded> {
        self.bucket(Self::bucket_of(name)).get(name)
    }

    /// Number of resources.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no resources.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All resources: by bucket, and by name within a bucket.
    pub fn iter(&self) -> impl Iterator<Item = (&ResourceName, &Encoded)> {
        self.buckets.iter().flat_map(|bucket| bucket.entries())
    }

    /// The resources of a bucket by name.
    pub fn entries_of(&self, bucket: u8) -> impl Iterator<Item = (&ResourceName, &Encoded)> {
        self.bucket(bucket).entries()
    }

    /// The resources of a bucket by name, with the hashes of their contents,
    /// which are kept.
    pub fn hashes_of(&self, bucket: u8) -> impl Iterator<Item = (&ResourceName, &Encoded, Digest)> {
        let bucket = self.bucket(bucket);
        let hashes = bucket.hashes.get_or_init(|| {
            let contents = bucket.resources.iter();
            contents.map(|(_, encoded)| encoded.hash()).collect()
        });
        let entries = bucket.resources.iter().zip(hashes);
        entries.map(|((name, encoded), hash)| (name, encoded, *hash))
    }

    /// Adds or replaces a resource. Whether that changed anything.
    pub fn put(&mut self, name: ResourceName, bytes: impl Into<Arc<[u8]>>) -> bool {
        let encoded = Encoded::new(bytes);
        let number = Self::bucket_of(&name);
        let place = self.bucket(number).place(&name);
        match place {
            Ok(place) if self.bucket(number).resources[place].1 == encoded => return false,
            Ok(place) => self.bucket_mut(number).resources[place].1 = encoded,
            Err(place) => {
                let resources = &mut self.bucket_mut(number).resources;
                resources.insert(place, (name, encoded));
                self.len += 1;
            }
        }
        true
    }

    /// Removes a resource. Whether it was there.
    pub fn remove(&mut self, name: &ResourceName) -> bool {
        let number = Self::bucket_of(name);
        let Ok(place) = self.bucket(number).place(name) else {
            return false;
        };
        self.bucket_mut(number).resources.remove(place);
        self.len -= 1;
        true
    }

    /// The digest of the whole set.
    pub fn digest(&self) -> Digest {
        let digests = self.bucket_digests();
        Digest::of_all(digests.iter().map(|digest| &digest.as_bytes()[..]))
    }

    /// The digest of every bucket.
    pub fn bucket_digests(&self) -> [Digest; BUCKETS] {
        std::array::from_fn(|number| self.buckets[number].digest())
    }

    /// What makes this set into `to`, in the order of [`Self::iter`].
    pub fn diff(&self, to: &Self) -> Delta {
        let mut delta = Delta::default();
        for (old, new) in self.buckets.iter().zip(to.buckets.iter()) {
            if Arc::ptr_eq(old, new) || old.digest() == new.digest() {
                continue;
            }
            let gone = old.entries().filter(|(name, _)| new.get(name).is_none());
            delta.remove.extend(gone.map(|(name, _)| name.clone()));
            let put = new.entries();
            let put = put.filter(|(name, encoded)| old.get(name) != Some(*encoded));
            let put = put.map(|(name, encoded)| (name.clone(), Arc::clone(encoded.bytes())));
            delta.put.extend(put);
        }
        delta
    }

    /// Makes the changes of `delta`: removals first, so that a name that is
    /// in both lists ends up put.
    pub fn apply(&mut self, delta: &Delta) {
        for name in &delta.remove {
            self.remove(name);
        }
        for (name, bytes) in &delta.put {
            self.put(name.clone(), Arc::clone(bytes));
        }
    }

    fn bucket(&self, number: u8) -> &Bucket {
        &self.buckets[usize::from(number)]
    }

    fn bucket_mut(&mut self, number: u8) -> &mut Bucket {
        let buckets = Arc::make_mut(&mut self.buckets);
        let bucket = Arc::make_mut(&mut buckets[usize::from(number)]);
        bucket.digest = OnceLock::new();
        bucket.hashes = OnceLock::new();
        bucket
    }
}

impl Default for ResourceSet {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for ResourceSet {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.buckets, &other.buckets) || self.digest() == other.digest()
    }
}

impl Eq for ResourceSet {}

impl fmt::Debug for ResourceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.iter().map(|(name, encoded)| (name, encoded.hash()));
        f.debug_map().entries(entries).finish()
    }
}

impl<B: Into<Arc<[u8]>>> FromIterator<(ResourceName, B)> for ResourceSet {
    fn from_iter<I: IntoIterator<Item = (ResourceName, B)>>(resources: I) -> Self {
        // All at once, a bucket is sorted rather than searched each time.
        let mut lists: Vec<Vec<_>> = Vec::new();
        lists.resize_with(BUCKETS, Vec::new);
        for (name, bytes) in resources {
            let list = &mut lists[usize::from(Self::bucket_of(&name))];
            list.push((name, Encoded::new(bytes)));
        }
        let mut lists = lists.into_iter().map(sorted);
        let buckets: [_; BUCKETS] = std::array::from_fn(|_| {
            Arc::new(Bucket {
                resources: lists.next().unwrap_or_default(),
                ..Bucket::default()
            })
        });
        Self {
            len: buckets.iter().map(|bucket| bucket.resources.len()).sum(),
            buckets: Arc::new(buckets),
        }
    }
}

/// By name. Of several with one name the last is kept.
fn sorted(mut resources: Vec<(ResourceName, Encoded)>) -> Vec<(ResourceName, Encoded)> {
    resources.sort_by(|(a, _), (b, _)| a.cmp(b));
    // Of neighbours the first is kept, so it takes the content of the second.
    resources.dedup_by(|second, first| {
        let same = first.0 == second.0;
        if same {
            std::mem::swap(&mut first.1, &mut second.1);
        }
        same
    });
    resources.shrink_to_fit();
    resources
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::resource::ResourceKind;

    fn name(number: u8) -> ResourceName {
        ResourceName::new(ResourceKind::PolicyRecord, "shop", format!("n{number}"))
    }

    /// Changes of few names, so that they meet often.
    fn changes() -> impl Strategy<Value = Vec<(u8, Option<u8>)>> {
        let change = (0..40_u8, proptest::option::weighted(0.7, 0..3_u8));
        proptest::collection::vec(change, 0..80)
    }

    /// Makes the changes to a set and to a model of it.
    fn make(changes: &[(u8, Option<u8>)]) -> (ResourceSet, BTreeMap<u8, u8>) {
        let (mut set, mut model) = (ResourceSet::new(), BTreeMap::new());
        for &(number, content) in changes {
            let (moved, expected) = if let Some(content) = content {
                let moved = set.put(name(number), vec![content]);
                (moved, model.insert(number, content) != Some(content))
            } else {
                let moved = set.remove(&name(number));
                (moved, model.remove(&number).is_some())
            };
            let held = set.get(&name(number)).map(|encoded| encoded.bytes()[0]);
            assert_eq!((moved, held), (expected, content));
        }
        (set, model)
    }

    proptest! {
        #[test]
        fn digest_is_of_the_content_only(changes in changes()) {
            let (set, model) = make(&changes);
            let fresh: ResourceSet =
                model.iter().rev().map(|(number, content)| (name(*number), vec![*content])).collect();
            prop_assert_eq!(set.digest(), fresh.digest());
            prop_assert_eq!(set.bucket_digests(), fresh.bucket_digests());
            prop_assert_eq!(set.len(), model.len());
            prop_assert_eq!(set.iter().count(), model.len());
            let by_bucket: usize = (0..=255).map(|bucket| set.entries_of(bucket).count()).sum();
            prop_assert_eq!(by_bucket, model.len());
            let mut hashes = (0..=255).flat_map(|bucket| set.hashes_of(bucket));
            let right = hashes.all(|(name, encoded, hash)| {
                set.get(name) == Some(encoded) && encoded.hash() == hash
            });
            prop_assert!(right);
        }

        #[test]
        fn difference_leads_from_one_to_the_other(from in changes(), to in changes()) {
            let (from, to) = (make(&from).0, make(&to).0);
            let delta = from.diff(&to);
            let mut changed = from.clone();
            changed.apply(&delta);
            prop_assert_eq!(changed.digest(), to.digest());
            prop_assert_eq!(changed.len(), to.len());
            prop_assert_eq!(delta.is_empty(), from == to);
            // Nothing is sent that is there already.
            for (name, bytes) in delta.put {
                prop_assert!(from.get(&name).is_none_or(|held| *held.bytes() != bytes));
            }
        }

        #[test]
        fn clones_do_not_change(first in changes(), then in changes()) {
            let (mut set, _) = make(&first);
            let (clone, digest) = (set.clone(), set.digest());
            for (number, content) in then {
                match content {
                    Some(content) => set.put(name(number), vec![content]),
                    None => set.remove(&name(number)),
                };
            }
            prop_assert_eq!(clone.digest(), digest);
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
        let set: ResourceSet = [3, 1, 3]
            .map(|n| (name(n), vec![n, 1]))
            .into_iter()
            .collect();
        let with = |content: u8| [(name(3), vec![0]), (name(3), vec![content])];
        let set_of = |content| with(content).into_iter().collect::<ResourceSet>();
        assert_eq!(set.len(), 2);
        assert_eq!(set_of(7).get(&name(3)).map(|e| e.bytes()[0]), Some(7));
        assert_eq!(set_of(7).len(), 1);
    }

    #[test]
    fn a_change_leaves_the_other_buckets_shared() {
        let before: ResourceSet = (0..100).map(|n| (name(n), vec![n])).collect();
        let mut after = before.clone();
        assert!(!after.put(name(3), vec![3]));
        assert!(Arc::ptr_eq(&before.buckets, &after.buckets));
        assert!(after.put(name(3), vec![4]));
        let pairs = before.buckets.iter().zip(after.buckets.iter());
        assert_eq!(pairs.filter(|(old, new)| !Arc::ptr_eq(old, new)).count(), 1);
    }
}

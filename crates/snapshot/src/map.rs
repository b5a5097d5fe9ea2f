//! A hash map of which many versions live side by side.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::ops::Index;
use std::sync::Arc;

use hashbrown::HashTable;

/// Which bits of a hash choose the shard. The table inside takes the lowest
/// bits and the highest seven, so these leave room for 2^25 shards.
const SHARD_SHIFT: u32 = 32;
/// Entries of a shard at which splitting begins: below that, copying a shard
/// costs no more than what surrounds it.
const SMALL_SHARD: usize = 32;

/// A hash map that copies on write, shard by shard.
///
/// A clone is cheap and independent. The first change after it copies the
/// list of shards and one shard; the number of shards grows with about the
/// square root of the number of entries (times 4 at a million), so a change
/// costs little however large the map is. A lookup is one hash, one step to
/// the shard and one probe, and takes no lock.
///
/// Keys are hashed with a secret of the process, so that nobody can choose
/// keys that collide.
#[derive(Clone)]
pub struct CowMap<K, V> {
    /// As many as a power of two.
    shards: Arc<[Arc<Shard<K, V>>]>,
    len: usize,
    hasher: RandomState,
}

type Shard<K, V> = HashTable<(K, V)>;

impl<K, V> CowMap<K, V> {
    /// A map without entries.
    pub fn new() -> Self {
        Self {
            shards: Arc::new([Arc::default()]),
            len: 0,
            hasher: RandomState::new(),
        }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let entries = self.shards.iter().flat_map(|shard| shard.iter());
        entries.map(|(key, value)| (key, value))
    }

    /// All keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// All values, in no order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

impl<K: Hash + Eq, V> CowMap<K, V> {
    /// The value of a key.
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let shard = &self.shards[shard_of(hash, self.shards.len())];
        let entry = shard.find(hash, |(held, _)| held.borrow() == key)?;
        Some(&entry.1)
    }

    /// Whether there is such a key.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get(key).is_some()
    }
}

impl<K: Hash + Eq + Clone, V: Clone> CowMap<K, V> {
    /// The value of a key, to be changed.
    pub(crate) fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        // Looking for nothing must not copy anything.
        if !self.contains_key(key) {
            return None;
        }
        let hash = self.hasher.hash_one(key);
        let shard = shard_mut(&mut self.shards, hash);
        let entry = shard.find_mut(hash, |(held, _)| held.borrow() == key)?;
        Some(&mut entry.1)
    }

    /// Sets the value of a key; returns the one before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let hash = self.hasher.hash_one(&key);
        let shard = shard_mut(&mut self.shards, hash);
        if let Some(entry) = shard.find_mut(hash, |(held, _)| *held == key) {
            return Some(std::mem::replace(&mut entry.1, value));
        }
        let hasher = &self.hasher;
        shard.insert_unique(hash, (key, value), |(held, _)| hasher.hash_one(held));
        self.len += 1;
        if self.len > capacity(self.shards.len()) {
            self.split();
        }
        None
    }

    /// Removes a key; returns its value.
    pub(crate) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if !self.contains_key(key) {
            return None;
        }
        let hash = self.hasher.hash_one(key);
        let shard = shard_mut(&mut self.shards, hash);
        let entry = shard
            .find_entry(hash, |(held, _)| held.borrow() == key)
            .ok()?;
        let ((_, value), _) = entry.remove();
        self.len -= 1;
        Some(value)
    }

    /// Doubles the number of shards. It costs the whole map, and comes so
    /// seldom that an insertion costs the same on average.
    fn split(&mut self) {
        let count = self.shards.len() * 2;
        let mut shards: Vec<Shard<K, V>> = Vec::new();
        shards.resize_with(count, HashTable::new);
        let hasher = &self.hasher;
        for shard in Arc::make_mut(&mut self.shards) {
            for entry in Arc::unwrap_or_clone(std::mem::take(shard)) {
                let hash = hasher.hash_one(&entry.0);
                let rehash = |(held, _): &(K, V)| hasher.hash_one(held);
                shards[shard_of(hash, count)].insert_unique(hash, entry, rehash);
            }
        }
        self.shards = shards.into_iter().map(Arc::new).collect();
    }
}

/// The most entries of a map with so many shards.
fn capacity(shards: usize) -> usize {
    shards * SMALL_SHARD.max(shards / 16)
}

fn shard_of(hash: u64, count: usize) -> usize {
    // The mask keeps what the conversion loses on 32 bit machines.
    usize::try_from(hash >> SHARD_SHIFT).unwrap_or_default() & (count - 1)
}

fn shard_mut<K: Clone, V: Clone>(
    shards: &mut Arc<[Arc<Shard<K, V>>]>,
    hash: u64,
) -> &mut Shard<K, V> {
    let index = shard_of(hash, shards.len());
    Arc::make_mut(&mut Arc::make_mut(shards)[index])
}

impl<K, V> Default for CowMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Hash + Eq, V: PartialEq> PartialEq for CowMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shards, &other.shards)
            || (self.len == other.len
                && self
                    .iter()
                    .all(|(key, value)| other.get(key) == Some(value)))
    }
}

impl<K: Hash + Eq, V: Eq> Eq for CowMap<K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for CowMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Hash + Eq + Borrow<Q>, V, Q: Hash + Eq + ?Sized> Index<&Q> for CowMap<K, V> {
    type Output = V;

    /// The value of a key.
    ///
    /// # Panics
    /// When there is no such key, like the maps of the standard library.
    #[allow(clippy::expect_used, reason = "indexing says that the key is there")]
    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("no such key")
    }
}

impl<K: Hash + Eq + Clone, V: Clone> FromIterator<(K, V)> for CowMap<K, V> {
    /// Of entries with equal keys the last is kept.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_map(
            changes in proptest::collection::vec((0..200_u32, proptest::option::of(0..9_u8)), 0..600),
        ) {
            let (mut map, mut model) = (CowMap::new(), HashMap::new());
            let mut versions = Vec::new();
            for (step, (key, value)) in changes.into_iter().enumerate() {
                if let Some(value) = value {
                    prop_assert_eq!(map.insert(key, value), model.insert(key, value));
                } else {
                    prop_assert_eq!(map.remove(&key), model.remove(&key));
                }
                if step % 50 == 0 {
                    versions.push((map.clone(), model.clone()));
                }
            }
            versions.push((map, model));
            // Neither a later change nor a split reaches into a clone.
            for (map, model) in versions {
                prop_assert_eq!(map.len(), model.len());
                prop_assert!(map.iter().all(|(key, value)| model.get(key) == Some(value)));
                prop_assert!(model.iter().all(|(key, value)| map.get(key) == Some(value)));
                prop_assert_eq!(&map, &model.into_iter().collect::<CowMap<_, _>>());
            }
        }
    }

    #[test]
    fn a_change_copies_one_shard() {
        let before: CowMap<u32, u32> = (0..100_000).map(|n| (n, n)).collect();
        assert!(before.shards.len() > 1000, "{}", before.shards.len());
        let mut after = before.clone();
        assert_eq!(after.remove(&100_000), None);
        assert_eq!(after.get_mut(&100_000), None);
        assert!(Arc::ptr_eq(&before.shards, &after.shards));
        *after.get_mut(&7).unwrap() = 8;
        let pairs = before.shards.iter().zip(after.shards.iter());
        assert_eq!(pairs.filter(|(old, new)| !Arc::ptr_eq(old, new)).count(), 1);
        assert_eq!((before[&7], after[&7]), (7, 8));
    }

    #[test]
    fn shards_stay_small() {
        for entries in [1_000_usize, 100_000, 1_000_000] {
            let mut shards = 1;
            while capacity(shards) < entries {
                shards *= 2;
            }
            assert!(shards <= entries.max(32) && entries / shards <= 512);
        }
    }

    #[test]
    fn entries_spread_over_the_shards() {
        let map: CowMap<u32, ()> = (0..100_000).map(|n| (n, ())).collect();
        let mean = map.len() / map.shards.len();
        let largest = map.shards.iter().map(|shard| shard.len()).max();
        assert!(
            largest.is_some_and(|largest| largest < 3 * mean),
            "{largest:?}, mean {mean}"
        );
    }
}

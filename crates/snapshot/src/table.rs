//! A hash table of which many versions live side by side.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

/// Which bits of a hash choose the shard. The table inside takes the lowest
/// bits and the highest seven, so these leave room for 2^25 shards.
const SHARD_SHIFT: u32 = 32;
/// Entries of a shard at which splitting begins: below that, copying a shard
/// costs no more than what surrounds it.
const SMALL_SHARD: usize = 32;

/// What is found by a key that is part of it.
pub(crate) trait Entry {
    type Key: Hash + Eq + ?Sized;

    fn key(&self) -> &Self::Key;
}

/// A hash table that copies on write, shard by shard.
///
/// A clone is cheap and independent. The first change after it copies the
/// list of shards and one shard; the number of shards grows with about the
/// square root of the number of entries (times 4 at a million), so a change
/// costs little however large the table is. A look-up is one hash, one step to
/// the shard and one probe, and takes no lock.
///
/// Keys are hashed with a secret of the process, so that nobody can choose
/// keys that collide. A key that is looked up may be of another type, as long
/// as it has the same hash.
#[derive(Clone)]
pub(crate) struct CowTable<T> {
    /// As many as a power of two.
    shards: Arc<[Arc<HashTable<T>>]>,
    len: usize,
    hasher: RandomState,
}

impl<T> CowTable<T> {
    pub(crate) fn new() -> Self {
        Self {
            shards: Arc::new([Arc::default()]),
            len: 0,
            hasher: RandomState::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// All entries, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    /// Whether this is a clone of the other without a change since.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shards, &other.shards)
    }

    /// The hash of a key in this table and its clones.
    pub(crate) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The entry with a key of this hash that `is` the one.
    pub(crate) fn find<Q: Hash + ?Sized>(&self, key: &Q, is: impl Fn(&T) -> bool) -> Option<&T> {
        self.find_hashed(self.hash(key), is)
    }

    /// As [`CowTable::find`], by the hash of the key.
    pub(crate) fn find_hashed(&self, hash: u64, is: impl Fn(&T) -> bool) -> Option<&T> {
        self.shards[shard_of(hash, self.shards.len())].find(hash, is)
    }
}

impl<T: Entry + Clone> CowTable<T> {
    /// As [`CowTable::find`], to be changed: in everything but its key.
    pub(crate) fn find_mut<Q: Hash + ?Sized>(
        &mut self,
        key: &Q,
        is: impl Fn(&T) -> bool,
    ) -> Option<&mut T> {
        let hash = self.hash(key);
        // Looking for nothing must not copy anything.
        self.find_hashed(hash, &is)?;
        shard_mut(&mut self.shards, hash).find_mut(hash, is)
    }

    /// Puts an entry in the place of the one with its key; returns that.
    pub(crate) fn insert(&mut self, entry: T) -> Option<T> {
        let hasher = &self.hasher;
        let hash = hasher.hash_one(entry.key());
        let shard = shard_mut(&mut self.shards, hash);
        if let Some(held) = shard.find_mut(hash, |held| held.key() == entry.key()) {
            return Some(std::mem::replace(held, entry));
        }
        shard.insert_unique(hash, entry, |held| hasher.hash_one(held.key()));
        self.len += 1;
        if self.len > capacity(self.shards.len()) {
            self.split(self.shards.len() * 2);
        }
        None
    }

    /// Makes room for so many entries more, so that they do not make the table
    /// grow step by step.
    pub(crate) fn reserve(&mut self, more: usize) {
        let len = self.len + more;
        let mut count = self.shards.len();
        while capacity(count) < len {
            count *= 2;
        }
        if count > self.shards.len() {
            self.split(count);
        }
        let each = len / count;
        for shard in Arc::make_mut(&mut self.shards) {
            let missing = each.saturating_sub(shard.len());
            let rehash = |held: &T| self.hasher.hash_one(held.key());
            Arc::make_mut(shard).reserve(missing, rehash);
        }
    }

    /// Takes an entry out.
    pub(crate) fn remove<Q: Hash + ?Sized>(
        &mut self,
        key: &Q,
        is: impl Fn(&T) -> bool,
    ) -> Option<T> {
        let hash = self.hash(key);
        self.find_hashed(hash, &is)?;
        let shard = shard_mut(&mut self.shards, hash);
        let (entry, _) = shard.find_entry(hash, is).ok()?.remove();
        self.len -= 1;
        Some(entry)
    }

    /// Makes so many shards of those there are, a power of two. It costs the
    /// whole table, and comes so seldom that an insertion costs the same on
    /// average.
    fn split(&mut self, count: usize) {
        let mut shards: Vec<HashTable<T>> = Vec::new();
        shards.resize_with(count, HashTable::new);
        let rehash = |held: &T| self.hasher.hash_one(held.key());
        for shard in Arc::make_mut(&mut self.shards) {
            for entry in Arc::unwrap_or_clone(std::mem::take(shard)) {
                let hash = rehash(&entry);
                shards[shard_of(hash, count)].insert_unique(hash, entry, rehash);
            }
        }
        self.shards = shards.into_iter().map(Arc::new).collect();
    }
}

/// The most entries of a table with so many shards.
fn capacity(shards: usize) -> usize {
    shards * SMALL_SHARD.max(shards / 16)
}

fn shard_of(hash: u64, count: usize) -> usize {
    // The mask keeps what the conversion loses on 32 bit machines.
    usize::try_from(hash >> SHARD_SHIFT).unwrap_or_default() & (count - 1)
}

fn shard_mut<T: Clone>(shards: &mut Arc<[Arc<HashTable<T>>]>, hash: u64) -> &mut HashTable<T> {
    let index = shard_of(hash, shards.len());
    Arc::make_mut(&mut Arc::make_mut(shards)[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Entry for u32 {
        type Key = Self;

        fn key(&self) -> &Self {
            self
        }
    }

    fn table(entries: u32) -> CowTable<u32> {
        let mut table = CowTable::new();
        for number in 0..entries {
            table.insert(number);
        }
        table
    }

    #[test]
    fn a_change_copies_one_shard() {
        let before = table(100_000);
        assert!(before.shards.len() > 1000, "{}", before.shards.len());
        let mut after = before.clone();
        let absent = 100_000;
        assert_eq!(after.remove(&absent, |held| *held == absent), None);
        assert_eq!(after.find_mut(&absent, |held| *held == absent), None);
        assert!(before.is_same(&after));
        assert_eq!(after.remove(&7, |held| *held == 7), Some(7));
        let pairs = before.shards.iter().zip(after.shards.iter());
        assert_eq!(pairs.filter(|(old, new)| !Arc::ptr_eq(old, new)).count(), 1);
        assert_eq!((before.len(), after.len()), (100_000, 99_999));
        assert!(before.find(&7, |held| *held == 7).is_some());
        assert!(after.find(&7, |held| *held == 7).is_none());
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
        let table = table(100_000);
        let mean = table.len() / table.shards.len();
        let largest = table.shards.iter().map(|shard| shard.len()).max();
        assert!(
            largest.is_some_and(|largest| largest < 3 * mean),
            "{largest:?}, mean {mean}"
        );
    }
}
